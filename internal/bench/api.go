package bench

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// An api is how requests look, and which answers to them are right.
type api interface {
	// request makes the request of an operation. For List, id is the container's number.
	request(op Op, id int32) (*http.Request, error)
	// container makes a request about a container.
	container(method string, i int) (*http.Request, error)
	// right says if a status is the one that the operation should have.
	right(op Op, status int) bool
}

func (r *Runner) content(id int32) *Content {
	return r.pool.Content(r.names.object(id), r.names.size(id))
}

// newRequest makes a request without a body.
func newRequest(method string, base *url.URL, path, query string, h http.Header) *http.Request {
	u := *base
	u.Path += path
	u.RawQuery = query
	return &http.Request{Method: method, URL: &u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h}
}

// method is that of an operation.
func (o Op) method() string {
	return [opCount]string{http.MethodPut, http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodPost, http.MethodGet}[o]
}

// swift is Swift's API. Headers are shared by all requests of a kind and must not be changed.
type swift struct {
	r       *Runner
	base    *url.URL
	headers [opCount]http.Header
}

func newSwift(r *Runner, t Target) (*swift, error) {
	base, err := t.base()
	return &swift{r, base, headersFor(t.Token)}, err
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

func (s *swift) request(op Op, id int32) (*http.Request, error) {
	if op == List {
		return newRequest(http.MethodGet, s.base, "/"+s.r.names.container(int(id)), s.r.cfg.Page.swift(), s.headers[op]), nil
	}
	req := newRequest(op.method(), s.base, s.r.names.path(id), "", s.headers[op])
	if op == Put {
		setBody(req, s.r.names.size(id), func() io.Reader { return s.r.content(id) })
	}
	return req, nil
}

// setBody gives a PUT its body. A zero length needs http.NoBody to be told from an unknown one.
func setBody(req *http.Request, length int64, open func() io.Reader) {
	req.ContentLength = length
	if length == 0 {
		req.Body = http.NoBody
		return
	}
	req.Body = io.NopCloser(open())
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(open()), nil }
}

func (s *swift) container(method string, i int) (*http.Request, error) {
	return newRequest(method, s.base, "/"+s.r.names.container(i), "", s.headers[Head]), nil
}

// right knows that an empty container's listing may be a 204.
func (s *swift) right(op Op, status int) bool {
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

// A Page is what a list operation asks for.
type Page struct {
	// Limit is the number of names; the others are as in Swift, and may be empty.
	Limit                     int
	Prefix, Marker, Delimiter string
}

// swift is the query of Swift's API.
func (p Page) swift() string { return p.query("format=json&limit=", "marker") }

// s3 is the query of ListObjectsV2.
func (p Page) s3() string { return p.query("list-type=2&max-keys=", "start-after") }

func (p Page) query(limit, marker string) string {
	q := limit + strconv.Itoa(p.Limit)
	for _, v := range [][2]string{{"prefix", p.Prefix}, {marker, p.Marker}, {"delimiter", p.Delimiter}} {
		if v[1] != "" {
			q += "&" + v[0] + "=" + url.QueryEscape(v[1])
		}
	}
	return q
}
