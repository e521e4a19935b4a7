package nodes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/internal/headname"
)

// TCPOptions tune the transport to nodes in other processes.
type TCPOptions struct {
	// ConnTimeout bounds connecting. Zero means half a second, Swift's default.
	ConnTimeout time.Duration
	// IdlePerNode is how many unused connections are kept for one node. Zero means 64.
	IdlePerNode int
	// IdleTimeout is how long an unused connection is kept. Zero means 30 seconds: nodes, Swift's too, keep theirs for longer.
	IdleTimeout time.Duration
}

const (
	idleTimeout = 30 * time.Second
	// maxHead bounds the head of an answer: a node that lies must not take all memory.
	maxHead = 1 << 20
	// inlineBody is up to what size a body of known length is sent together with the head.
	inlineBody = 128 << 10
)

// TCP reaches nodes in other processes. A request is written and its answer read by the goroutine that calls RoundTrip; only
// a body too large for one piece has another one, which has ended when the response's body is closed. A request ends soon
// after its context. It is safe for concurrent use.
//
// It keeps connections open between requests: a new connection for each is what makes the Python proxy slow.
type TCP struct {
	dialer   net.Dialer
	keep     int
	keepTime time.Duration

	mu     sync.Mutex         // guards what follows
	idle   map[string][]*conn // by address; the one used last is the last
	reaper *time.Timer        // nil while nothing is idle
}

// NewTCP returns a transport. Close its idle connections when done.
func NewTCP(o TCPOptions) *TCP {
	t := &TCP{keep: o.IdlePerNode, keepTime: o.IdleTimeout, idle: map[string][]*conn{}}
	t.dialer.Timeout = o.ConnTimeout
	if t.dialer.Timeout == 0 {
		t.dialer.Timeout = 500 * time.Millisecond
	}
	if t.keep == 0 {
		t.keep = 64
	}
	if t.keepTime == 0 {
		t.keepTime = idleTimeout
	}
	return t
}

// RoundTrip sends a request and reads the head of the answer.
func (t *TCP) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.send(r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		if cause := context.Cause(r.Context()); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Host, err)
	}
	return resp, nil
}

func (t *TCP) send(r *http.Request) (*http.Response, error) {
	addr := address(r.URL.Host)
	for {
		c, err := t.conn(r.Context(), addr)
		if err != nil {
			return nil, err
		}
		resp, err := c.exchange(r)
		if err == nil {
			return resp, nil
		}
		c.close()
		// The node closed the connection while the request was under way to it. A read does no harm twice; whether a write
		// has been carried out is not known here.
		if !errors.Is(err, errUnanswered) || !c.reused || !repeatable(r) || r.Context().Err() != nil {
			return nil, err
		}
	}
}

// address is where the host of a URL is, which need not have a port.
func address(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		return host
	}
	return host + ":80"
}

// repeatable says that a request may be sent again.
func repeatable(r *http.Request) bool {
	return (r.Body == nil || r.Body == http.NoBody) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// conn returns an idle connection that is still open, or a new one.
func (t *TCP) conn(ctx context.Context, addr string) (*conn, error) {
	for {
		c := t.take(addr)
		if c == nil {
			break
		}
		if time.Since(c.used) < t.keepTime && c.quiet() {
			c.reused = true
			announce(ctx, c, true)
			return c, nil
		}
		c.tcp.Close()
	}
	nc, err := t.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c, err := newConn(t, addr, nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	announce(ctx, c, false)
	return c, nil
}

// announce tells who traces the request that it has got a connection.
func announce(ctx context.Context, c *conn, reused bool) {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: c.tcp, Reused: reused})
	}
}

func (t *TCP) take(addr string) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[addr]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	t.idle[addr] = list[:len(list)-1]
	return c
}

// keepIdle takes a connection back whose last answer has been read to its end.
func (t *TCP) keepIdle(c *conn) {
	c.used = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.addr]) >= t.keep {
		c.tcp.Close()
		return
	}
	t.idle[c.addr] = append(t.idle[c.addr], c)
	if t.reaper == nil {
		t.reaper = time.AfterFunc(t.keepTime, t.reap)
	}
}

// reap closes connections that nobody has used for long.
func (t *TCP) reap() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reaper = nil
	for addr, list := range t.idle {
		old := 0
		for old < len(list) && time.Since(list[old].used) >= t.keepTime {
			list[old].tcp.Close()
			old++
		}
		if list = append([]*conn(nil), list[old:]...); len(list) == 0 {
			delete(t.idle, addr)
			continue
		}
		t.idle[addr] = list
	}
	if len(t.idle) > 0 {
		t.reaper = time.AfterFunc(t.keepTime, t.reap)
	}
}

// CloseIdleConnections closes the connections that no request is using.
func (t *TCP) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.idle {
		for _, c := range list {
			c.tcp.Close()
		}
	}
	clear(t.idle)
	if t.reaper != nil {
		t.reaper.Stop()
		t.reaper = nil
	}
}

var (
	// errUnanswered says that a connection ended before anything of an answer had arrived.
	errUnanswered = errors.New("node closed the connection")
	errHeadSize   = fmt.Errorf("head of the answer has more than %d bytes", maxHead)
)

// A conn is a connection to a node. One request uses it at a time.
type conn struct {
	pool   *TCP
	addr   string
	tcp    *net.TCPConn
	r      *bufio.Reader
	head   []byte // room for what is sent in one piece
	used   time.Time
	reused bool

	allowed int64 // how much may still be read of a head
	got     bool  // something has been read for this request
	names   headname.Swapper

	deadline  bool // a deadline for reading has been set
	cancelled atomic.Bool
	unwatch   func() bool // stops the watch over the request's context; nil if that does not end
	upload    *upload     // nil if the body went with the head

	// Made once, as each use of them would be an allocation.
	raw    syscall.RawConn
	cutNow func()           // cut
	poll   func(fd uintptr) // pollNow
	pollFd [1]unix.PollFd
	ready  int // what pollNow saw
}

func newConn(t *TCP, addr string, nc net.Conn) (*conn, error) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("connection to %s is %T, not TCP", addr, nc)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{pool: t, addr: addr, tcp: tcp, raw: raw}
	c.cutNow, c.poll = c.cut, c.pollNow
	// Head and body of a small object come with one read.
	c.r = bufio.NewReaderSize((*headReader)(c), 8<<10)
	return c, nil
}

// headReader is the connection as the parser reads it: bounded while it reads a head, whose names are such as it takes.
type headReader conn

// Read reads from the node.
func (h *headReader) Read(p []byte) (int, error) {
	if h.allowed <= 0 {
		return 0, errHeadSize
	}
	n, err := h.tcp.Read(p)
	h.got = h.got || n > 0
	h.names.Swap(p[:n])
	if h.allowed != unbounded {
		h.allowed -= int64(n)
	}
	return n, err
}

const unbounded = int64(1) << 62

// close ends the connection and what goes on on it.
func (c *conn) close() {
	if c.unwatch != nil {
		c.unwatch()
	}
	c.tcp.Close()
	if c.upload != nil {
		c.upload.stop()
	}
}

// exchange sends the request and reads the answer's head. After an error the connection is of no use.
func (c *conn) exchange(r *http.Request) (*http.Response, error) {
	c.got, c.unwatch, c.upload = false, nil, nil
	c.cancelled.Store(false)
	c.names.BeginRead(true)
	ctx := r.Context()
	if ctx.Done() != nil {
		c.unwatch = context.AfterFunc(ctx, c.cutNow)
	}
	waits, err := c.write(r)
	if err != nil {
		return nil, err
	}
	for {
		c.allowed = maxHead
		resp, err := http.ReadResponse(c.r, r)
		if err == nil {
			c.names.Restore(resp.Header)
		}
		switch {
		case err != nil:
			return nil, c.failure(err)
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			c.allowed = unbounded
			c.attach(resp, r, waits)
			return resp, nil
		}
		if err := informed(ctx, resp); err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusContinue && waits {
			waits = false
			c.upload = startUpload(c.tcp, r)
		}
	}
}

// failure says why there is no answer: what comes first is the cause.
func (c *conn) failure(err error) error {
	if c.upload != nil {
		if over, uploadErr := c.upload.over(); over && uploadErr != nil {
			return uploadErr
		}
	}
	if !c.got {
		return fmt.Errorf("%w: %w", errUnanswered, err)
	}
	return fmt.Errorf("read the answer: %w", err)
}

// informed tells who traces the request of an informational answer, and whether they want to go on.
func informed(ctx context.Context, resp *http.Response) error {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.Got1xxResponse != nil {
		return trace.Got1xxResponse(resp.StatusCode, textproto.MIMEHeader(resp.Header))
	}
	return nil
}

// write sends the head, and the body if there is no need to wait for the node; otherwise waits is true.
func (c *conn) write(r *http.Request) (waits bool, err error) {
	length := r.ContentLength
	hasBody := r.Body != nil && r.Body != http.NoBody
	if !hasBody {
		length = 0
	} else if length == 0 {
		length = -1
	}
	if c.head, err = appendHead(c.head[:0], r, length); err != nil {
		return false, err
	}
	expects := hasBody && len(r.Header["Expect"]) > 0
	if hasBody && !expects && length > 0 && length <= inlineBody {
		if err := c.inline(r.Body, int(length)); err != nil {
			return false, err
		}
		hasBody = false
	}
	if _, err := c.tcp.Write(c.head); err != nil {
		return false, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	if cap(c.head) > 2*inlineBody {
		c.head = nil
	}
	if hasBody && !expects {
		c.upload = startUpload(c.tcp, r)
	}
	return expects, nil
}

// inline reads a body of n bytes behind the head.
func (c *conn) inline(body io.ReadCloser, n int) error {
	at := len(c.head)
	c.head = append(c.head, make([]byte, n)...)
	switch _, err := io.ReadFull(body, c.head[at:]); err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: %d bytes", errBodyLength, n)
	default:
		return err
	}
	if err := atEnd(body); err != io.EOF {
		return err
	}
	return body.Close()
}

// release ends a request whose answer has been read to its end.
func (c *conn) release(keep bool) {
	c.dropReadDeadline()
	if c.upload != nil {
		// An answer before the end of the body leaves the connection with half a request.
		if over, err := c.upload.over(); !over || err != nil {
			keep = false
		}
	}
	if c.unwatch != nil && !c.unwatch() {
		keep = false // its deadline has been, or is being, moved into the past
	}
	c.unwatch = nil
	if !keep {
		c.close()
		return
	}
	c.upload = nil
	c.pool.keepIdle(c)
}
