// Package proxylogging is the filter that writes the access log:
//
//	[filter.proxy-logging]
//	access_log_headers = true
//	access_log_headers_only = ["X-Container-Meta-Owner"]
//
// Each request makes one line when its answer is complete, in OpenStack Swift's own format: fields with blanks between
// them, quoted so that there is no other blank, a dash for what is absent. log_msg_template chooses the fields. The line
// goes to the server's log as its message, at Info with name=proxy-access, or, when an access_log_* destination is given,
// to syslog in Swift's form, so that what reads Swift's logs reads these.
//
// The filter stands twice in a proxy's pipeline: near the front, for what clients ask, and directly left of the app, for
// what filters ask on their own account, which Swift marks with its source codes ("SLO", "TU"). A request that the first
// has taken on is left alone by the second.
//
// A status of 499 means that the client went away before it had its answer, or before it had sent its body; 500 that the
// answer broke off. Bytes are those of the bodies. Secrets are cut short: tokens, signatures, keys.
//
// StatsD metrics of each request go out under the names that Swift gives them:
//
//	proxy-server.object.GET.200.timing:12.5|ms
//	proxy-server.object.policy.1.GET.200.xfer:4096|c
//
// With statsd_label_mode there are metrics with labels besides, or, without statsd_emit_legacy, in their place:
//
//	swift_proxy_server_request_timing      labels account, api, container, method, policy, resource, status
//	swift_proxy_server_request_ttfb        of GETs, until the first byte
//	swift_proxy_server_request_body_bytes  and response_body_bytes
//	swift_proxy_server_request_body_streaming_bytes  and response_body_streaming_bytes: while bodies pass, if
//	                                       statsd_emit_buffer_xfer_bytes_seconds asks for it
//
// Accounts and containers are as many as there are clients: labels are for servers that can bear that.
package proxylogging

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("proxy_logging", defaults(), build).Alias("proxy-logging").After("catch_errors")

func build(h middleware.Host, c Config) (middleware.Instance, error) {
	f := &filter{clock: h.Clock, cluster: h.Cluster, pid: os.Getpid(), reveal: c.RevealSensitivePrefix}
	var err error
	if f.template, err = parseTemplate(c.MsgTemplate); err != nil {
		return middleware.Instance{}, err // Validate has refused it before
	}
	if f.hash, err = c.anonymizer(); err != nil {
		return middleware.Instance{}, err
	}
	f.headers = c.headers()
	dst, err := c.destination(h)
	if err != nil {
		return middleware.Instance{}, err
	}
	f.dst = dst
	stats, err := c.stats(h)
	if err != nil {
		return middleware.Instance{}, errors.Join(err, dst.Close())
	}
	f.stats = &stats
	return middleware.Instance{
		Wrap:  func(next http.Handler) http.Handler { return &handler{filter: f, next: next} },
		Close: func() error { return errors.Join(dst.Close(), stats.close()) },
	}, nil
}

// A filter is what the parts of one instance share.
type filter struct {
	clock    clock.Clock
	cluster  *swiftconf.Cluster
	template []part
	hash     anonymizer
	headers  headerChoice
	reveal   int
	pid      int
	dst      destination
	stats    *stats
}

// A destination takes finished lines.
type destination interface {
	// Wants says whether lines go anywhere at all.
	Wants(ctx context.Context) bool
	// Send sends one line, which it does not keep.
	Send(ctx context.Context, line []byte)
	io.Closer
}

type handler struct {
	*filter
	next http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := request.From(r.Context())
	if state.Log.Done {
		h.next.ServeHTTP(w, r)
		return
	}
	state.Log.Done = true
	e := &entry{filter: h.filter, r: r, state: state, start: h.clock.Now(), length: -1}
	e.meter.Begin(w, h.clock)
	if e.body.flow, e.answer = h.stats.streams(e); e.answer != nil {
		e.meter.Passed = e.answer.pass
	}
	if r.Body != nil && r.Body != http.NoBody {
		e.body.ReadCloser = r.Body
		r.Body = &e.body
	}
	defer e.done()
	e.out.Begin(&e.meter, e)
	h.next.ServeHTTP(&e.out, r)
	e.out.Finish()
	e.returned = true
}

// An entry is one request and what there is to say of it.
type entry struct {
	*filter
	r     *http.Request
	state *request.State
	out   respw.HeaderWriter // into meter
	meter respw.Meter
	body  countedBody

	answer *flow // of its body

	start, end time.Time
	policy     string // index as the header has it, "" if there is none
	length     int64  // of the answer's body as declared, -1 if it is not
	status     int    // to be logged
	wire       int    // as sent
	returned   bool   // the handler did, without a panic
}

// EditHead keeps what filters further left take away.
func (e *entry) EditHead(code int, h http.Header) int {
	e.policy = h.Get("X-Backend-Storage-Policy-Index")
	bodyless := e.r.Method == http.MethodHead || code == http.StatusNoContent || code == http.StatusNotModified
	if cl := h["Content-Length"]; len(cl) == 1 && !bodyless {
		if n, err := strconv.ParseInt(cl[0], 10, 64); err == nil {
			e.length = n
		}
	}
	return code
}

// done logs. It runs deferred and lets a panic pass: that request is logged too.
func (e *entry) done() {
	e.end = e.filter.clock.Now()
	if e.policy == "" {
		e.policy = e.r.Header.Get("X-Backend-Storage-Policy-Index")
	}
	e.judge()
	if e.dst.Wants(e.r.Context()) {
		buf := lines.Get().(*[]byte)
		*buf = e.append((*buf)[:0])
		e.dst.Send(e.r.Context(), *buf)
		lines.Put(buf)
	}
	e.body.flow.end()
	e.answer.end()
	e.stats.report(e)
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// judge decides on the status.
func (e *entry) judge() {
	if e.wire = e.meter.Status; e.wire == 0 {
		e.wire = http.StatusInternalServerError // of the panic that has kept the head from being sent
	}
	whole := e.returned && e.meter.Err == nil && e.meter.Bytes >= e.length
	switch {
	case e.body.err != nil, !whole && e.r.Context().Err() != nil:
		e.status = 499
	case !whole:
		e.status = http.StatusInternalServerError
	case e.state.Log.Status != 0:
		e.status = e.state.Log.Status
	default:
		e.status = e.wire
	}
}

// method is the client's.
func (e *entry) method() string {
	if e.state.Method != "" {
		return e.state.Method
	}
	return e.r.Method
}

// sent is the number of bytes of the body that went out.
func (e *entry) sent() int64 {
	if e.r.Method == http.MethodHead || e.wire == http.StatusNoContent || e.wire == http.StatusNotModified {
		return 0 // net/http drops what a handler writes
	}
	return e.meter.Bytes
}

// firstByte is how long the client of a GET waited.
func (e *entry) firstByte() time.Duration {
	switch {
	case e.method() != http.MethodGet || e.meter.Status == 0:
		return 0
	case e.meter.FirstByte.IsZero():
		return e.end.Sub(e.start)
	}
	return e.meter.FirstByte.Sub(e.start)
}

// countedBody counts what is read of a request's body.
type countedBody struct {
	io.ReadCloser
	n    int64
	flow *flow
	err  error // why the body did not come to its end
}

// Read counts.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	b.flow.pass(int64(n))
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.err = err
	}
	return n, err
}
