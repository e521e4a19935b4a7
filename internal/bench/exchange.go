package bench

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	faultUnsent     = "not sent"
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
	req, err := w.r.api.request(op, id)
	if err != nil {
		return unsent(op, err)
	}
	req = req.WithContext(ctx)
	start := w.r.clock.Now()
	resp, err := w.r.rt.RoundTrip(req)
	if err != nil {
		return failed(ctx, req, err)
	}
	defer resp.Body.Close()
	var ex exchange
	if w.r.api.right(op, resp.StatusCode) {
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
		ex.bytes = w.r.names.size(id)
		w.checkEtag(&ex, req, resp, id)
	case Head:
		if size := w.r.names.size(id); resp.ContentLength != size {
			ex.fail(faultLength, "HEAD %s: Content-Length %d, want %d", req.URL.Path, resp.ContentLength, size)
		}
	}
	return ex
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

// unsent makes the fault of a request that could not be made.
func unsent(op Op, err error) exchange {
	ex := exchange{}
	ex.fail(faultUnsent, "%s: %v", op, err)
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
