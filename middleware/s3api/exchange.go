package s3api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/subreq"
)

// An exchange is one S3 request and its answer.
type exchange struct {
	*filter
	w     http.ResponseWriter
	r     *http.Request // the client's, without Swift's tokens
	state *request.State
	query query
	resource
	op      *operation
	sig     *signature // nil for anonymous requests
	account string     // whose containers the buckets are; known once authenticated
}

// serve answers an S3 request.
func (f *filter) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{filter: f, w: w, r: r, state: request.From(r.Context())}
	x.identify()
	if err := x.run(); err != nil {
		x.fail(err)
	}
}

// withoutTokens takes out what would make a subrequest somebody else's.
func withoutTokens(r *http.Request) *http.Request {
	var h http.Header
	for _, name := range tokens {
		if _, ok := r.Header[name]; !ok {
			continue
		}
		if h == nil {
			h = r.Header.Clone()
		}
		delete(h, name)
	}
	if h == nil {
		return r
	}
	clone := *r
	clone.Header = h
	return &clone
}

// run finds out what the request is for and who asks, and carries it out.
func (x *exchange) run() error {
	hosted := x.hostBucket(x.r)
	var err error
	switch {
	case x.isForm(x.r), x.anonymous(x.r):
	default:
		if x.sig, err = x.parseSignature(x.r, hosted); err != nil {
			return err
		}
	}
	x.r = withoutTokens(x.r) // the signature may be over them
	if x.query, err = parseQuery(x.r); err != nil {
		return err
	}
	if x.resource, err = x.address(x.r, hosted); err != nil {
		return err
	}
	if x.isForm(x.r) {
		// Who asks is in the form, and so is what is checked of an operation.
		if x.op, err = x.find(); err != nil {
			return err
		}
		return x.postForm()
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if x.op, err = x.find(); err != nil {
		return err
	}
	return x.carryOut()
}

// carryOut does what the operation's row of the table says, once it is known who asks.
func (x *exchange) carryOut() error {
	if err := x.checkHeaders(); err != nil {
		return err
	}
	if err := x.checkParameters(); err != nil {
		return err
	}
	if err := x.acl.check(x, x.resource, x.op.need); err != nil {
		return err
	}
	if err := x.checkOwners(); err != nil {
		return err
	}
	return x.op.handle(x)
}

// A call is a request to Swift.
type call struct {
	method string
	on     resource // its container and object; the version goes into the query
	query  url.Values
	header http.Header
	body   io.Reader
	length int64    // of the body, -1 if unknown
	limit  int      // of the answer that ask keeps; 0 is small
	judged bool     // the answer is about an object that nobody has been asked about yet, see aclMode.judge
	source resource // of a copy
}

// small is enough for answers whose text does not matter.
const small = 64 << 10

// newRequest makes the request of a call. ACL modes that decide for themselves do it instead of Swift's own lists.
func (x *exchange) newRequest(c call) *http.Request {
	p := apipath.Path{Version: "v1", Account: x.account, Container: c.on.bucket, Object: c.on.key}
	if c.on.version != "" {
		if c.query == nil {
			c.query = url.Values{}
		}
		c.query.Set("version-id", c.on.version)
	}
	r := subreq.New(x.r, subreq.Options{
		Method: c.method, Path: p.String(), Query: c.query, Header: c.header, Body: c.body, Length: c.length, Source: logSource,
	})
	state := request.From(r.Context())
	state.Log.Done = !x.config.ForceSwiftRequestProxyLog
	state.NullVersions = true
	if authorize := x.acl.authorize(x, c); authorize != nil {
		state.Authorize = authorize
		if state.S3 == nil {
			state.S3 = &request.S3{Account: x.account} // nobody's, and not for the auth filter to decide
		}
	}
	return r
}

// A swiftAnswer is a whole answer of Swift.
type swiftAnswer = subreq.Response

// try sends a call and returns the answer, whatever its status.
func (x *exchange) try(c call) (*swiftAnswer, error) { return x.tried(c, x.newRequest(c)) }

// tried is try for a call whose request has been made already.
func (x *exchange) tried(c call, r *http.Request) (*swiftAnswer, error) {
	if c.limit == 0 {
		c.limit = small
	}
	resp, err := subreq.Small(x.next, r, c.limit)
	if err != nil {
		return nil, err
	}
	return resp, x.refusal(c, resp.Code, resp.Header)
}

// refusal says whether the ACL mode keeps the answer to a call from the client.
func (x *exchange) refusal(c call, code int, h http.Header) error {
	if !c.judged {
		return nil
	}
	return x.acl.judge(x, c.on, code, h)
}

// ask sends a call and returns its answer if it is a success, otherwise the S3 error that it stands for.
func (x *exchange) ask(c call) (*swiftAnswer, error) { return x.answerOf(c, x.newRequest(c)) }

// answerOf is ask for a call whose request has been made already.
func (x *exchange) answerOf(c call, r *http.Request) (*swiftAnswer, error) {
	resp, err := x.tried(c, r)
	if err != nil {
		return nil, err
	}
	if !resp.OK() {
		return resp, x.swiftError(c, resp.Code, resp.Body)
	}
	return resp, nil
}

// forward sends a call whose answer is the client's, body and all; edit turns its headers into those of S3. The error is
// that of an answer that is no success, nothing of which has been sent; its headers are put into failure, if that is given.
func (x *exchange) forward(c call, edit func(code int, h http.Header), failure *http.Header) error {
	failed := 0
	var refusal error
	d := respw.Divert(x.w, func(code int, h http.Header) http.ResponseWriter {
		if refusal = x.refusal(c, code, h); refusal != nil {
			return nil
		}
		if code >= 200 && code < 300 || code == http.StatusNotModified {
			edit(code, h)
			return x.w
		}
		failed = code
		if failure != nil {
			*failure = h
		}
		return nil
	})
	x.next.ServeHTTP(d, x.newRequest(c))
	d.Finish()
	if refusal != nil {
		return refusal
	}
	if failed != 0 {
		return x.swiftError(c, failed, nil)
	}
	return nil
}

// container returns what is known of a bucket, which must exist.
func (x *exchange) container(name string) (*lookup.Container, error) {
	info := x.peek(name)
	switch {
	case info.Exists():
		return info, nil
	case info.Status == http.StatusNotFound:
		return nil, s3err.NoSuchBucket.With("BucketName", name)
	case info.Status == http.StatusServiceUnavailable:
		return nil, s3err.ServiceUnavailable.With()
	}
	return nil, s3err.InternalError.With()
}

// peek returns what is known of a container, which need not exist.
func (x *exchange) peek(name string) *lookup.Container {
	return lookup.GetContainer(x.r, lookup.Subrequest{Next: x.next, Source: logSource}, x.account, name)
}

// limitError is the answer of a client that is too fast.
func (x *exchange) limitError() error {
	if x.config.RatelimitAsClientError {
		return s3err.SlowDown.With().WithStatus(http.StatusTooManyRequests)
	}
	return s3err.SlowDown.With()
}

// gone says whether the client has gone away.
func (x *exchange) gone() bool { return errors.Is(x.r.Context().Err(), context.Canceled) }
