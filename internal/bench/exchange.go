package bench

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The kinds of faults that are not a status.
const (
	faultTimeout    = "timeout"
	faultRefused    = "refused"
	faultReset      = "reset"
	faultCutOff     = "cut off"
	faultConnection = "connection"
	faultLength     = "wrong length"
	faultContent    = "wrong content"
	faultEtag       = "wrong etag"
)

// exchange is what came of one request.
type exchange struct {
	took   time.Duration
	bytes  int64  // of the object or listing, sent or received
	fault  string // its kind, empty if all is well
	detail func() string
}

// exchange sends one request and reads its answer. For List, id is the container's number.
func (w *worker) exchange(ctx context.Context, op Op, id int32) exchange {
	ctx, cancel := context.WithTimeout(ctx, w.r.cfg.Timeout)
	defer cancel()
	req := w.r.request(op, id).WithContext(ctx)
	start := w.r.clock.Now()
	resp, err := w.r.rt.RoundTrip(req)
	if err != nil {
		return failed(ctx, req, err)
	}
	defer resp.Body.Close()
	var ex exchange
	if expected(op, resp.StatusCode) {
		ex = w.readBody(ctx, req, resp, id)
	} else {
		ex = w.badStatus(req, resp)
	}
	ex.took = w.r.clock.Now().Sub(start)
	if ex.fault != "" {
		return ex
	}
	switch op {
	case Put:
		ex.bytes = req.ContentLength
		w.checkEtag(&ex, req, resp, id)
	case Head:
		if size := w.r.names.size(id); resp.ContentLength != size {
			ex.fail(faultLength, "HEAD %s: Content-Length %d, want %d", req.URL.Path, resp.ContentLength, size)
		}
	}
	return ex
}

// expected says if a status is the right one. An empty container's listing may be a 204.
func expected(op Op, status int) bool {
	switch op {
	case Put:
		return status == http.StatusCreated
	case Delete:
		return status == http.StatusNoContent
	case Post:
		return status == http.StatusAccepted
	case List:
		return status == http.StatusOK || status == http.StatusNoContent
	default:
		return status == http.StatusOK
	}
}

// readBody reads the answer to its end, so that the connection can be used again, and for a GET checks the length and,
// under Verify, every byte.
func (w *worker) readBody(ctx context.Context, req *http.Request, resp *http.Response, id int32) exchange {
	var ex exchange
	var want *Content
	isGet := req.Method == http.MethodGet && req.URL.RawQuery == ""
	if isGet && w.r.cfg.Verify {
		want = w.r.content(id)
	}
	for {
		n, err := resp.Body.Read(w.buf)
		ex.bytes += int64(n)
		if want != nil && n > 0 {
			if bad := want.Check(w.buf[:n]); bad != nil {
				// The rest is not read: the connection closes with the body, which is cheap next to the finding.
				ex.fail(faultContent, "GET %s: %v (transaction %s)", req.URL.Path, bad, resp.Header.Get("X-Trans-Id"))
				return ex
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return failed(ctx, req, err)
		}
	}
	if isGet && ex.bytes != w.r.names.size(id) {
		ex.fail(faultLength, "GET %s: %d bytes, want %d", req.URL.Path, ex.bytes, w.r.names.size(id))
	}
	return ex
}

// checkEtag compares the MD5 that the server answered with that of what was sent. Some servers quote it.
func (w *worker) checkEtag(ex *exchange, req *http.Request, resp *http.Response, id int32) {
	if !w.r.cfg.Verify {
		return
	}
	sum := w.sum(id)
	got := strings.Trim(resp.Header.Get("Etag"), `"`)
	if want := hex.EncodeToString(sum[:]); got != want {
		ex.fail(faultEtag, "PUT %s: Etag %q, want %s", req.URL.Path, got, want)
	}
}

// badStatus makes the fault of an answer that should have been another, with the beginning of its text.
func (w *worker) badStatus(req *http.Request, resp *http.Response) exchange {
	n, err := io.ReadFull(resp.Body, w.buf)
	text := strings.Join(strings.Fields(string(w.buf[:min(n, 200)])), " ")
	if err == nil {
		// More than a bufferful of error page is not worth keeping the connection for.
		resp.Body.Close()
	}
	ex := exchange{}
	ex.fail(strconv.Itoa(resp.StatusCode), "%s %s: %s (transaction %s) %s",
		req.Method, req.URL.Path, resp.Status, resp.Header.Get("X-Trans-Id"), text)
	return ex
}

// failed makes the fault of a request that got no answer, or not all of it.
func failed(ctx context.Context, req *http.Request, err error) exchange {
	kind := faultConnection
	switch {
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		kind = faultTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		kind = faultRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		kind = faultReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		kind = faultCutOff
	}
	ex := exchange{}
	ex.fail(kind, "%s %s: %v", req.Method, req.URL.Path, err)
	return ex
}

// fail notes a fault. The text is made only if somebody wants it: most faults repeat an earlier one.
func (ex *exchange) fail(kind, format string, args ...any) {
	ex.fault = kind
	ex.detail = func() string { return fmt.Sprintf(format, args...) }
}

// request makes the request of an operation. Headers are shared by all requests of a kind and must not be changed.
func (r *Runner) request(op Op, id int32) *http.Request {
	u := *r.base
	req := &http.Request{URL: &u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: r.headers[op]}
	switch op {
	case Put:
		req.Method = http.MethodPut
		r.setContent(req, id)
	case Get:
		req.Method = http.MethodGet
	case Head:
		req.Method = http.MethodHead
	case Delete:
		req.Method = http.MethodDelete
	case Post:
		req.Method = http.MethodPost
	case List:
		req.Method = http.MethodGet
		u.Path += "/" + r.names.container(int(id))
		u.RawQuery = "format=json&limit=" + strconv.Itoa(r.cfg.ListLimit)
		return req
	}
	u.Path += "/" + r.names.container(int(id)%r.cfg.Containers) + "/" + r.names.object(id)
	return req
}

// setContent gives a PUT its body. A zero length needs http.NoBody to be told from an unknown one.
func (r *Runner) setContent(req *http.Request, id int32) {
	req.ContentLength = r.names.size(id)
	if req.ContentLength == 0 {
		req.Body = http.NoBody
		return
	}
	req.Body = r.content(id)
	req.GetBody = func() (io.ReadCloser, error) { return r.content(id), nil }
}

func (r *Runner) content(id int32) *Content {
	return r.pool.Content(r.names.object(id), r.names.size(id))
}

// headersFor makes the headers of each kind of operation.
func headersFor(token string) [opCount]http.Header {
	var all [opCount]http.Header
	for op := range opCount {
		h := http.Header{"User-Agent": {"apus-bench"}}
		if token != "" {
			h["X-Auth-Token"] = []string{token}
		}
		switch op {
		case Put:
			h["Content-Type"] = []string{"application/octet-stream"}
		case Post:
			h["X-Object-Meta-Bench"] = []string{"posted"}
		}
		all[op] = h
	}
	return all
}

// containerURL is the URL of a container.
func (r *Runner) containerURL(i int) *url.URL {
	u := *r.base
	u.Path += "/" + r.names.container(i)
	return &u
}
