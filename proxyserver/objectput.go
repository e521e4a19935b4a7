package proxyserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/proxyserver/fanout"
)

// headerTypeOverridden is how a filter says that it has chosen the Content-Type, parameters of Swift's own included.
const headerTypeOverridden = "X-Backend-Content-Type-Overridden"

func (x *exchange) putObject() (*response, error) {
	cond, err := x.condition()
	if err != nil {
		return nil, err
	}
	p, err := x.locate()
	if err != nil {
		return nil, err
	}
	if err := x.authorize(p.container.WriteACL); err != nil {
		return nil, err
	}
	if !p.container.Exists() {
		return nil, reply.Status(http.StatusNotFound)
	}
	if err := p.checkUnsharded(); err != nil {
		return nil, err
	}
	h := x.objectHeaders(p)
	delete(h, headerTypeOverridden)
	x.setContentType(h)
	now, err := x.stamp(h)
	if err != nil {
		return nil, err
	}
	queue, err := x.checkCreation(h, now)
	if err != nil {
		return nil, err
	}
	put := fanout.Put{
		Headers: x.spreadUpdates(x.sign(h, x.r.URL.RawQuery), p, p.target.Replicas(), queue),
		Length:  x.r.ContentLength,
	}
	for _, h := range put.Headers {
		h["Expect"] = []string{"100-continue"}
	}
	if len(x.state.Footers) > 0 {
		put.Footers = x.footers
	}
	// A client that asks first is refused, if nodes refuse, before it has sent the body. One that does not has sent a small
	// body already.
	put.Whole = x.r.Header["Expect"] == nil
	body := x.clientBody()
	put.Body = body
	ans, err := x.upload(p.target, put, cond)
	body.done()
	if err != nil {
		return nil, err
	}
	return x.stored(ans, now), nil
}

// footers collects what filters add to the object's metadata once they have seen its body.
func (x *exchange) footers() http.Header {
	f := http.Header{}
	for _, add := range x.state.Footers {
		add(f)
	}
	return f
}

// stored makes the answer to an upload.
func (x *exchange) stored(ans *fanout.Answer, now timestamp.Timestamp) *response {
	resp := x.refusal(verdictPage(ans))
	if etag := ans.Header.Get("Etag"); etag != "" {
		resp.header["Etag"] = []string{strings.Trim(etag, `"`)}
	}
	resp.header["Last-Modified"] = []string{now.LastModified().UTC().Format(http.TimeFormat)}
	return resp
}

// putError makes an answer of what went wrong with an upload.
func putError(err error) error {
	if err == nil {
		return nil
	}
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, fanout.ErrPrecondition):
		code = http.StatusPreconditionFailed
	case errors.Is(err, fanout.ErrConflict):
		// The object is there, and newer: this upload has been overtaken, which is how it would have ended anyway.
		code = http.StatusAccepted
	case errors.Is(err, fanout.ErrNoQuorum):
		code = http.StatusServiceUnavailable
	case errors.Is(err, errTooLarge):
		code = http.StatusRequestEntityTooLarge
	case errors.Is(err, errClientSlow):
		code = http.StatusRequestTimeout
	case errors.Is(err, errClientGone):
		code = reply.StatusClientDisconnect
	}
	return reply.Status(code).Because(err)
}

// hasStar says whether a list of entity tags contains the one for all.
func hasStar(tags string) bool {
	for tag := range strings.SplitSeq(tags, ",") {
		if strings.Trim(strings.TrimSpace(tag), `"`) == "*" {
			return true
		}
	}
	return false
}

// setContentType guesses a type that the client has not given or does not vouch for.
func (x *exchange) setContentType(h http.Header) {
	detect := truthy(x.r, "X-Detect-Content-Type")
	if detect || meta.Value(h, "Content-Type") == "" {
		h["Content-Type"] = []string{x.types.Of(x.r.URL.Path)}
	}
	if detect {
		delete(h, "X-Detect-Content-Type")
	}
}

// checkCreation makes Swift's checks on a new object, in its order.
func (x *exchange) checkCreation(h http.Header, now timestamp.Timestamp) (*queueEntry, error) {
	limits := x.cluster.Limits
	if x.r.ContentLength > limits.MaxFileSize {
		return nil, plain(http.StatusRequestEntityTooLarge, "Your request is too large.")
	}
	if x.noLength() {
		return nil, plain(http.StatusLengthRequired, "Missing Content-Length header.")
	}
	if n := utf8.RuneCountInString(x.path.Object); n > limits.MaxObjectNameLength {
		return nil, plain(http.StatusBadRequest, fmt.Sprintf("Object name length of %d longer than %d", n, limits.MaxObjectNameLength))
	}
	queue, err := x.resolveExpiry(h, now)
	if err != nil {
		return nil, err
	}
	contentType := meta.Value(h, "Content-Type")
	if !apipath.ValidUTF8(contentType, false) {
		return nil, plain(http.StatusBadRequest, "Invalid Content-Type")
	}
	if err := x.checkMeta(meta.Object); err != nil {
		return nil, err
	}
	if _, params, ok := strings.Cut(contentType, ";"); ok {
		for p := range strings.SplitSeq(params, ";") {
			if strings.HasPrefix(strings.TrimLeft(p, " \t"), "swift_") && !truthy(x.r, headerTypeOverridden) {
				return nil, reply.Raw(http.StatusBadRequest, "Invalid Content-Type, swift_* is not a valid parameter name.")
			}
		}
	}
	return queue, nil
}

// noLength says that the client has said nothing about its body's length. To net/http such a request has none; requests
// of filters are made without headers for it.
func (x *exchange) noLength() bool {
	_, said := x.r.Header["Content-Length"]
	return x.r.ContentLength == 0 && !said && x.state.Log.Source == "" && x.r.ProtoMajor == 1 &&
		(x.r.Body == nil || x.r.Body == http.NoBody)
}

var (
	errTooLarge   = errors.New("body is larger than an object may be")
	errClientSlow = errors.New("client sent nothing for too long")
	errClientGone = errors.New("client broke off")
)

// clientBody is the client's body on its way to the nodes: it gives each piece a new deadline and tells a slow client
// from one that has gone.
type clientBody struct {
	io.Reader
	control *http.ResponseController
	timeout time.Duration
	left    int64 // before it is too large
	timed   bool
	ended   bool
}

func (x *exchange) clientBody() *clientBody {
	return &clientBody{
		Reader: x.r.Body, control: http.NewResponseController(x.w), timeout: x.config.ClientTimeout.Duration,
		left: x.cluster.Limits.MaxFileSize, timed: true,
	}
}

// Read reads the next piece.
func (b *clientBody) Read(p []byte) (int, error) {
	if b.timed && b.control.SetReadDeadline(time.Now().Add(b.timeout)) != nil {
		b.timed = false // not a connection
	}
	n, err := b.Reader.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return n, errTooLarge
	case err == nil:
		return n, nil
	case err == io.EOF:
		b.ended = true
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("%w: %w", errClientSlow, err)
	}
	return n, fmt.Errorf("%w: %w", errClientGone, err)
}

// done takes the deadline away when the body has been read: it would end the connection while nodes still work. If it
// has not, the deadline stays, for the server will read what is left before it answers.
func (b *clientBody) done() {
	if b.timed && b.ended {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

// expectBody sets the deadline for a body that no handler may care for.
func (x *exchange) expectBody() {
	if x.r.ContentLength != 0 {
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.config.ClientTimeout.Duration))
	}
}
