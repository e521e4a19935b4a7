package badinput

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	answerBound = 10 * time.Second // within which an answer must begin, and then end
	closeBound  = 10 * time.Second // within which a connection must end that the client has closed on its side
	// malformedMark stands for an answer that no client can parse.
	malformedMark = "[malformed answer]"
	quiet         = 30 * time.Millisecond // after which a recorded server has no more answers
	maxBody       = 1 << 22
)

// errSilent means that the server neither answered nor closed the connection in time.
var errSilent = errors.New("no answer in time")

// conn is one exchange's connection.
type conn struct {
	tcp     *net.TCPConn
	br      *bufio.Reader
	method  string // of the first request: an answer to HEAD has no body
	answers int
}

// send opens a connection and writes the request.
func send(addr string, raw []byte, halfClose bool) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, answerBound)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	tcp := c.(*net.TCPConn) // net.Dial promises it for "tcp"
	method, _, _ := strings.Cut(string(raw[:min(len(raw), 64)]), " ")
	// A server may refuse and close before it has read everything: what it said can still be read, so a failed
	// write is no failure here.
	_ = tcp.SetWriteDeadline(time.Now().Add(answerBound))
	_, _ = tcp.Write(raw)
	if halfClose {
		_ = tcp.CloseWrite()
	}
	return &conn{tcp: tcp, br: bufio.NewReader(tcp), method: method}, nil
}

func (c *conn) close() { _ = c.tcp.Close() }

// response is an answer as it came.
type response struct {
	status string
	header http.Header
	body   string
	length int64 // as declared, -1 if not
}

// next reads one answer. io.EOF means that the server has closed the connection.
func (c *conn) next(bound time.Duration) (*response, error) {
	_ = c.tcp.SetReadDeadline(time.Now().Add(bound))
	if _, err := c.br.Peek(1); err != nil {
		return nil, ended(err)
	}
	_ = c.tcp.SetReadDeadline(time.Now().Add(answerBound))
	var req *http.Request
	if c.method == http.MethodHead {
		req = &http.Request{Method: http.MethodHead}
	}
	resp, err := http.ReadResponse(c.br, req)
	if err != nil && c.tcp.SetReadDeadline(time.Now()) == nil {
		// OpenStack Swift can be made to send heads that are none: that is an answer worth recording.
		c.br.Reset(c.tcp)
		return &response{status: malformedMark, header: http.Header{"X-Trans-Id": {"none"}}}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read body of %q: %w", resp.Status, err)
	}
	if resp.StatusCode >= 200 {
		c.method = ""
	}
	c.answers++
	return &response{status: resp.Status, header: resp.Header, body: string(body), length: resp.ContentLength}, nil
}

// ended tells the end of a connection from silence.
func ended(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	// A reset is how a server ends a connection whose input it has not read.
	return io.EOF
}

// rest closes the writing side and reports which answers nobody asked for came before the end. A refusal of bytes left
// over is none.
func (c *conn) rest(v vars) (extra []string, err error) {
	_ = c.tcp.CloseWrite()
	for {
		r, err := c.next(closeBound)
		switch {
		case errors.Is(err, io.EOF):
			return extra, nil
		case err != nil:
			return extra, fmt.Errorf("wait for the end of the connection: %w", err)
		}
		if a := r.normalise(v, false); !a.refused() {
			extra = append(extra, r.status)
		}
	}
}
