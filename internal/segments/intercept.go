package segments

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/subreq"
)

// ErrTooLong is an answer whose body is longer than allowed.
var ErrTooLong = errors.New("body is too long")

// Intercept sends r to next. An answer that is not wanted goes to w as it comes, and Intercept returns nil. One that
// is wanted does not: it is returned, with at most limit bytes of body, when next is done with the request.
// An answer with more is stopped, which is [ErrTooLong], and one that breaks off is an error; the head is returned then
// as well. Nothing has been sent to w in these cases.
func Intercept(next http.Handler, w http.ResponseWriter, r *http.Request, want func(code int, h http.Header) (limit int, ok bool)) (res *subreq.Response, err error) {
	c := &capture{want: want}
	c.out.Begin(w, c)
	defer func() {
		if c.res == nil {
			return // the client's answer, or a panic that is none of ours
		}
		switch v := recover(); {
		case v != nil && v != http.ErrAbortHandler:
			panic(v)
		case c.over:
			err = ErrTooLong
		case v != nil:
			err = io.ErrUnexpectedEOF
		default:
			err = short(r, c.res)
		}
		res = c.res
	}()
	next.ServeHTTP(&c.out, r)
	c.out.Finish()
	return nil, nil
}

// Rights are what a request may do. While a request is being served, it may be granted more than its client has elsewhere,
// so a filter that makes subrequests afterwards keeps what there was before.
type Rights struct {
	authorize func(*http.Request) error
	override  bool
	owner     bool
	reseller  bool
	user      string
}

// Keep keeps the rights of a request.
func Keep(r *http.Request) Rights {
	s := request.From(r.Context())
	return Rights{s.Authorize, s.AuthOverride, s.Owner, s.Reseller, s.User}
}

// Restore returns the request with these rights, for subrequests to be made of.
func (k Rights) Restore(r *http.Request) *http.Request {
	s := *request.From(r.Context())
	s.Authorize, s.AuthOverride, s.Owner, s.Reseller, s.User = k.authorize, k.override, k.owner, k.reseller, k.user
	return request.With(r, &s)
}

// Fetch sends r, a subrequest, and returns the answer with at most limit bytes of body. More is [ErrTooLong], and is not
// read.
func Fetch(next http.Handler, r *http.Request, limit int) (*subreq.Response, error) {
	resp, err := subreq.Open(next, r)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	defer resp.Body.Close()
	res := &subreq.Response{Code: resp.StatusCode, Header: resp.Header}
	res.Body, err = io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err == nil && len(res.Body) > limit {
		res.Body, err = res.Body[:limit], ErrTooLong
	}
	if err != nil {
		return res, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	return res, nil
}

// short finds out whether a body is less than was announced.
func short(r *http.Request, res *subreq.Response) error {
	if r.Method == http.MethodHead || res.Code == http.StatusNoContent || res.Code == http.StatusNotModified {
		return nil
	}
	if v := res.Header["Content-Length"]; len(v) == 1 && v[0] != fmt.Sprint(len(res.Body)) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// capture keeps an answer that is wanted.
type capture struct {
	out   respw.Claimer
	want  func(code int, h http.Header) (limit int, ok bool)
	res   *subreq.Response
	limit int
	over  bool
}

// ClaimHead keeps the head.
func (c *capture) ClaimHead(code int, h http.Header) io.Writer {
	limit, ok := c.want(code, h)
	if !ok {
		return nil
	}
	c.limit, c.res = limit, &subreq.Response{Code: code, Header: h.Clone()}
	return c
}

// Write keeps p, or stops whoever writes.
func (c *capture) Write(p []byte) (int, error) {
	if len(p) > c.limit-len(c.res.Body) {
		c.over = true
		return 0, ErrTooLong
	}
	c.res.Body = append(c.res.Body, p...)
	return len(p), nil
}
