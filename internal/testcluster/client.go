package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// A Request is one of a client.
type Request struct {
	Method, Path string // the path is decoded, without a query
	Query        string
	Header       map[string]string
	Body         []byte
	// Proxy is which of the proxies gets it, from 0.
	Proxy int
	// Abort, if not 0, is after how many bytes of the body, sent or received, the client goes away; -1: before the first.
	Abort int64
	// Pace is a pause between pieces of the body, sent or received.
	Pace time.Duration
	// Between, if set, is called once after the first piece of the body has been sent or received. It is sent only when the
	// proxy wants it: a piece in a socket's buffer would say nothing of how far the upload has come.
	Between func()
}

// A Result is what a client has seen.
type Result struct {
	Status int // 0 if there was no head
	Header http.Header
	Body   []byte
	// Err is why the answer is not whole.
	Err error
}

// OK says that the answer is whole and reports success.
func (r Result) OK() bool { return r.Err == nil && r.Status >= 200 && r.Status < 300 }

// String tells of the result.
func (r Result) String() string {
	return fmt.Sprintf("%d (%d bytes, %v)", r.Status, len(r.Body), r.Err)
}

var errAborted = errors.New("client goes away")

// Do makes a request to the proxy.
func (c *Cluster) Do(ctx context.Context, r Request) Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, c.fronts[r.Proxy].url, nil)
	if err != nil {
		return Result{Err: err}
	}
	req.URL.Path, req.URL.RawQuery = r.Path, r.Query
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	if r.Body != nil {
		req.Body = io.NopCloser(&pieces{Reader: bytes.NewReader(r.Body), r: &r, left: r.Abort, leave: cancel})
		req.ContentLength = int64(len(r.Body))
		if len(r.Body) == 0 {
			req.Body = http.NoBody
		}
		if r.Between != nil {
			req.Header.Set("Expect", "100-continue")
		}
		if c.options.Kind == Direct {
			req.Header.Set("Content-Length", strconv.Itoa(len(r.Body))) // as it would be in a server's request
		}
	}
	resp, err := c.fronts[r.Proxy].client.RoundTrip(req)
	if err != nil {
		return Result{Err: err}
	}
	defer resp.Body.Close()
	out := Result{Status: resp.StatusCode, Header: resp.Header}
	var body io.Reader = resp.Body
	if r.Body == nil && (r.Abort != 0 || r.Pace != 0 || r.Between != nil) {
		body = &pieces{Reader: body, r: &r, left: r.Abort, leave: cancel}
	}
	out.Body, out.Err = io.ReadAll(body)
	return out
}

// Must makes a request that has to succeed before a test begins, again if a busy machine lets its time-outs run out.
func (c *Cluster) Must(ctx context.Context, r Request) {
	c.t.Helper()
	for tries := 1; ; tries++ {
		res := c.Do(ctx, r)
		switch {
		case res.OK():
			return
		case tries == 10:
			c.t.Fatalf("%s %s: %v", r.Method, r.Path, res)
		}
	}
}

// pieces is a body in pieces, after some of which the client may be gone.
type pieces struct {
	io.Reader
	r     *Request
	left  int64
	leave func()
	count int
}

// Read reads the next piece.
func (p *pieces) Read(b []byte) (int, error) {
	if p.count++; p.count == 2 && p.r.Between != nil {
		p.r.Between()
	}
	if p.r.Pace > 0 && p.count > 1 {
		time.Sleep(p.r.Pace)
	}
	if p.r.Abort == 0 {
		return p.Reader.Read(b[:min(len(b), 16<<10)])
	}
	if p.left <= 0 {
		p.leave()
		return 0, errAborted
	}
	n, err := p.Reader.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}
