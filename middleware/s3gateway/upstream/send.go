package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

// A Call is a request to a store, before it has an address and a signature.
type Call struct {
	Method string
	// Bucket, as the store calls it, and Key are decoded. Both may be empty.
	Bucket, Key string
	// Query is raw, without a signature.
	Query string
	// Header is what the client sent. Send does not change it, and passes on what is none of the connection's, the
	// gateway's and the client's signature's.
	Header http.Header
	// Body is nil for none. It must give its last byte or io.EOF only if all was right; see internal/checked. After a request
	// has failed nobody may read it but by a call whose Error says that it was not started.
	Body io.Reader
	// Length is that of the body.
	Length int64
	// Document makes the body for the store that is asked, nil for none. It stands in place of Body, Length and SHA256, for what must be
	// said to each store in another way.
	Document func(*Upstream) []byte
	// SHA256 is the body's, in hexadecimal, if the client signed it.
	SHA256 string
	// Checksum is the algorithm of the client's trailer.
	Checksum checksum.Algorithm
	// Identity and Token (the client's access key) say whose credentials are used, where that matters.
	Identity, Token string
	// ClientBucket is the bucket as the client calls it, which a callable is asked about; empty for Bucket.
	ClientBucket string
	// Expires is when a presigned request ends; zero for any other. What the store gets is presigned too, where it can be, and
	// ends then.
	Expires time.Time
	// Unsigned is for what anybody may ask: the store is given no credentials.
	Unsigned bool
	// Scope, if it is not nil, is told what Upstream.Scope says of the credentials that were used.
	Scope *string
	// Place is where the store has said that the request belongs; nil for its endpoint.
	Place *Place
	// Form is what a form that posts an object says, nil for any other request. Then the key is in it, and Body what follows its fields.
	Form *Form
}

// Send signs a request and sends it, once. The answer's body must be closed. The error is an *Error, or an *awserr.Error if
// the call itself is at fault or its body turned out to be wrong. Redirects are answers.
func (u *Upstream) Send(ctx context.Context, c Call) (*http.Response, error) {
	begin := u.clock.Now()
	resp, err := u.send(ctx, c)
	u.metrics.observe(u.name, c.Method, resp, err, u.clock.Now().Sub(begin))
	return resp, err
}

func (u *Upstream) send(ctx context.Context, c Call) (*http.Response, error) {
	if c.Document != nil {
		document := c.Document(u)
		sum := sha256.Sum256(document)
		c.Body, c.Length, c.SHA256 = bytes.NewReader(document), int64(len(document)), hex.EncodeToString(sum[:])
	}
	if c.Length < 0 {
		return nil, awserr.New(awserr.MissingContentLength, "You must provide the Content-Length HTTP header.")
	}
	k, err := u.keysOf(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Scope != nil {
		*c.Scope = k.scope()
	}
	r, body, err := u.request(c, k)
	if err != nil {
		return nil, err
	}
	free, err := u.enter(ctx)
	if err != nil {
		return nil, err
	}
	ticket, ok := u.breaker.admit()
	if !ok {
		free()
		return nil, &Error{Upstream: u.name, Kind: Refused, Err: errOpen}
	}
	resp, err := u.roundTrip(ctx, r, body, ticket, free)
	if resp != nil && resp.StatusCode == http.StatusUnauthorized {
		u.bearers.forget(k)
	}
	return resp, err
}

// keysOf gets the credentials, in bounded time.
func (u *Upstream) keysOf(ctx context.Context, c Call) (keys, error) {
	if c.Unsigned {
		return keys{unsigned: true}, nil
	}
	limited := ctx
	if u.asks {
		var stop context.CancelFunc
		limited, stop = context.WithTimeout(ctx, credentialsTime)
		defer stop()
	}
	k, err := u.source(limited, c)
	if err == nil {
		return k, nil
	}
	if refused, ok := errors.AsType[*awserr.Error](err); ok {
		return keys{}, refused
	}
	kind := Credentials
	if ctx.Err() != nil {
		kind = kindOf(ctx, err)
	}
	return keys{}, &Error{Upstream: u.name, Kind: kind, Err: err}
}

const credentialsTime = 15 * time.Second

// enter waits for a place among the requests on their way.
func (u *Upstream) enter(ctx context.Context) (func(), error) {
	if u.slots == nil {
		return func() {}, nil
	}
	free := func() { <-u.slots }
	select {
	case u.slots <- struct{}{}:
		return free, nil
	default:
	}
	timer := time.NewTimer(u.config.ConnectTimeout.Duration)
	defer timer.Stop()
	select {
	case u.slots <- struct{}{}:
		return free, nil
	case <-timer.C:
		return nil, &Error{Upstream: u.name, Kind: Refused, Err: errBusy}
	case <-ctx.Done():
		return nil, &Error{Upstream: u.name, Kind: kindOf(ctx, ctx.Err()), Err: ctx.Err()}
	}
}

// request makes the signed request, without a context yet.
func (u *Upstream) request(c Call, k keys) (*http.Request, *sending, error) {
	if c.Form != nil {
		return u.formRequest(c, k)
	}
	at, err := u.address(c)
	if err != nil {
		return nil, nil, err
	}
	h := clean(c.Header)
	unsigned := h["Accept-Encoding"] // which those on the way change
	delete(h, "Accept-Encoding")
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // none, in place of Go's
	}
	f, err := u.frame(c, h, k.bearer != "" || k.unsigned)
	if err != nil {
		return nil, nil, err
	}
	r := &http.Request{
		Method: c.Method, URL: at, Host: at.Host, Header: h, ContentLength: f.length(c.Length),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	chain, err := u.sign(r, c, k, f)
	if err != nil {
		return nil, nil, err
	}
	if unsigned != nil {
		h["Accept-Encoding"] = unsigned
	}
	if c.Length == 0 {
		if c.Method == http.MethodDelete {
			// OpenStack Swift waits for a body unless the length is told, and net/http tells that of nothing only so.
			r.Body, r.TransferEncoding = http.NoBody, []string{"identity"}
		}
		return r, nil, nil
	}
	if c.Body == nil {
		return nil, nil, fmt.Errorf("send to %s: a length without a body", u.name)
	}
	body := newSending(&whole{body: c.Body, left: c.Length}, r.ContentLength)
	if f.chunks {
		f.encoding.Chain = chain
		body.body = awschunked.NewWriter(c.Body, f.encoding)
	}
	if c.Length >= int64(u.config.ExpectAbove) {
		h.Set("Expect", "100-continue")
		body.announced, body.patience = true, u.config.ExpectTimeout.Duration
	}
	r.Body, r.GetBody = body, body.again
	return r, body, nil
}

// sign signs the request, or gives it its token. The chain is for bodies in signed chunks.
func (u *Upstream) sign(r *http.Request, c Call, k keys, f framing) (*sigv4.Chain, error) {
	if k.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+k.bearer)
		if u.config.ServiceInstanceID != "" {
			r.Header.Set("Ibm-Service-Instance-Id", u.config.ServiceInstanceID)
		}
		return nil, nil
	}
	if k.unsigned {
		return nil, nil
	}
	if !c.Expires.IsZero() && !f.chunks && (f.mode == sigv4.UnsignedPayload || c.Length == 0) {
		return nil, u.presign(r, c, k)
	}
	query := r.URL.RawQuery
	chain, err := u.signers.get(k, u.regionOf(c)).Sign(r, f.mode, u.clock.Now())
	if err != nil {
		return nil, unsignable(err)
	}
	r.URL.RawQuery = query // in its own order, which means the same
	if !f.signed {
		chain = nil
	}
	return chain, nil
}

func unsignable(err error) error {
	if refused, ok := errors.AsType[*awserr.Error](err); ok {
		return refused
	}
	return awserr.New(awserr.InvalidRequest, "The request cannot be sent to the store behind this bucket.").Because(err)
}

// roundTrip sends the request. The ticket learns what is to be thought of the store; free is called when all is over.
func (u *Upstream) roundTrip(asker context.Context, r *http.Request, body *sending, t ticket, free func()) (*http.Response, error) {
	ctx, cancel := asker, func(error) {} // with nothing to send, an answer that stalls is ended by closing it
	plain := body == nil && u.isPlain(r)
	if body != nil || plain {
		ctx, cancel = context.WithCancelCause(asker)
	}
	answer := &receiving{ctx: ctx, asker: asker, name: u.name, stall: stall{after: u.config.StallTimeout.Duration, cancel: cancel}}
	switch {
	case body != nil:
		body.ctx = ctx
		body.stall = &stall{after: u.config.StallTimeout.Duration, cancel: cancel}
	case !plain:
		answer.stall.cancel = answer.cut
	}
	seen := follow(body)
	r = r.WithContext(httptrace.WithClientTrace(ctx, &seen.trace))
	var resp *http.Response
	var err error
	if plain {
		resp, err = u.readPlainly(r, seen, &answer.stall)
	} else {
		resp, err = u.transport.RoundTrip(r)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		free()
		return nil, u.failed(asker, &Error{Upstream: u.name, Sent: seen.sent.Load(), Err: err, stale: seen.stale.Load()}, body, t)
	}
	cleanResponse(resp.Header)
	decided := judge(resp.StatusCode) == bad || t.probe // whom others wait for
	if decided {
		t.done(judge(resp.StatusCode))
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		u.slowDown(resp)
	}
	if body != nil && resp.StatusCode >= http.StatusMultipleChoices {
		body.detach() // nobody needs it any more, if it has not begun
	}
	answer.body = resp.Body
	answer.finish = func(broken bool) {
		if body != nil {
			body.finish()
		}
		cancel(nil)
		free()
		switch {
		case !decided && broken:
			t.done(bad)
		case !decided:
			t.done(good)
		}
	}
	resp.Body = answer
	return resp, nil
}

// readPlainly sends a request that has no body over connections of u.plain, which know nothing of patience.
func (u *Upstream) readPlainly(r *http.Request, seen *following, s *stall) (*http.Response, error) {
	seen.trace.GotConn = func(i httptrace.GotConnInfo) {
		seen.stale.Store(i.Reused)
		seen.sent.Store(true)
	}
	s.startFor(u.config.ResponseTimeout.Duration)
	resp, err := u.plain.RoundTrip(r)
	s.stop()
	if err == nil {
		resp.Body = &exclusive{body: resp.Body, cut: s.cancel}
	}
	return resp, err
}

// A following is what the transport has told of a request.
type following struct {
	sent, stale atomic.Bool // the head went out; over a connection that had been idle
	trace       httptrace.ClientTrace
}

func follow(body *sending) *following {
	f := new(following)
	f.trace = httptrace.ClientTrace{
		GetConn:      func(string) { f.sent.Store(false) },
		GotConn:      func(i httptrace.GotConnInfo) { f.stale.Store(i.Reused) },
		WroteHeaders: func() { f.sent.Store(true) },
	}
	if body == nil {
		return f
	}
	f.trace.GotConn = func(i httptrace.GotConnInfo) {
		f.stale.Store(i.Reused)
		body.use(i.Conn)
	}
	f.trace.Wait100Continue = func() { body.waiting = time.Now() }
	f.trace.Got100Continue = func() { body.asked.Store(true) }
	f.trace.WroteRequest = func(httptrace.WroteRequestInfo) { body.stall.stop() } // from here on it is the answer's time
	return f
}

// failed completes the error of a request that got no answer.
func (u *Upstream) failed(asker context.Context, e *Error, body *sending, t ticket) error {
	e.Kind = kindOf(asker, e.Err)
	if body != nil {
		e.Started = body.detach()
		body.finish()
		if wrong := body.failure(); wrong != nil && !errors.Is(e.Err, errStall) {
			t.done(none) // it is the body's fault, and what is known of it says more
			if refused, ok := errors.AsType[*awserr.Error](wrong); ok {
				return refused
			}
			e.Kind, e.Err = Canceled, wrong
			return e
		}
	}
	if e.Kind == Canceled {
		t.done(none)
	} else {
		t.done(bad)
	}
	return e
}

// judge says what an answer tells of the store's health.
func judge(status int) verdict {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusServiceUnavailable:
		return bad
	}
	return good
}

const (
	maxPeek = 4 << 10
	maxRest = 30 * time.Second
)

// slowDown looks whether the store has asked for fewer requests: then it is left alone by those that need not have it for
// as long as it says, or a second.
func (u *Upstream) slowDown(resp *http.Response) {
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	rest := min(time.Duration(max(after, 0))*time.Second, maxRest)
	if err != nil || rest <= 0 {
		rest = time.Second
	}
	u.restUntil.Store(u.clock.Now().Add(rest).UnixNano())
}

// isSlowDown says whether an answer of 503 asks for fewer requests, and leaves its body as it was.
func isSlowDown(resp *http.Response) bool {
	if resp.Header.Get("Retry-After") != "" {
		return true
	}
	begin, err := io.ReadAll(io.LimitReader(resp.Body, maxPeek))
	resp.Body = &peeked{Reader: io.MultiReader(bytes.NewReader(begin), failing{err}, resp.Body), Closer: resp.Body}
	return bytes.Contains(begin, []byte("<Code>SlowDown</Code>"))
}

type peeked struct {
	io.Reader
	io.Closer
}

// failing gives the error that ended the reading ahead, if one did.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}
