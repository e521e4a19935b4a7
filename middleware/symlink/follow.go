package symlink

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxLink bounds the body of a link, in bytes: it has none.
const maxLink = 4 << 10

// get answers a GET or HEAD of what may be a link. The error is the client's answer.
func (f *filter) get(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	if len(r.Header["Range"]) > 0 {
		// The range is one of the target.
		const header = "X-Backend-Ignore-Range-If-Metadata-Present"
		names := sysTarget
		if v := meta.Value(r.Header, header); v != "" {
			names = v + "," + names
		}
		r.Header[header] = []string{names}
	}
	c := chain{filter: f, w: w, r: r, version: p.Version, account: apipath.Quote(p.Account), soft: true}
	_, err := c.follow(r)
	return err
}

// A chain is a link, or one to the next, on the way to an object.
type chain struct {
	*filter
	w       http.ResponseWriter
	r       *http.Request // the client's
	version string
	account string // of the latest link, quoted
	soft    bool   // links without an ETag are followed
	keep    bool   // the object's answer is wanted, not to be sent to the client
	etag    string // what is to be found next must have; "" takes any

	link    bool // the latest answer was a link
	differs bool // it has another ETag than it must

	location string // of what is asked for, quoted; "" for what the client has asked for
	links    int    // followed so far
}

// follow sends req and then what it takes to come to an object, whose answer the client gets. The error is the client's
// answer, too.
func (c *chain) follow(req *http.Request) (*subreq.Response, error) {
	rights := segments.Keep(c.r)
	for {
		res, _ := segments.Intercept(c.next, c.out(), req, c.wants)
		switch {
		case res == nil:
			return nil, nil
		case c.differs:
			return nil, c.conflict(fmt.Sprintf("Object Etag '%s' does not match X-Symlink-Target-Etag header '%s'",
				strings.Trim(meta.Value(res.Header, "Etag"), `"`), c.etag))
		case !c.link:
			return res, nil
		}
		var err error
		if req, err = c.step(rights.Restore(c.r), res.Header); err != nil {
			return nil, err
		}
	}
}

// wants judges an answer.
func (c *chain) wants(_ int, h http.Header) (limit int, ok bool) {
	c.link = meta.Value(h, sysTarget) != "" && (c.soft || meta.Value(h, sysETag) != "")
	found := strings.Trim(meta.Value(h, "Etag"), `"`)
	c.differs = !c.link && c.etag != "" && found != "" && found != c.etag
	return maxLink, c.link || c.differs || c.keep
}

// out is where the answer of an object goes.
func (c *chain) out() http.ResponseWriter {
	if c.location == "" {
		return c.w
	}
	return respw.OnHeader(c.w, func(code int, h http.Header) int {
		h["Content-Location"] = []string{c.location}
		return code
	})
}

// conflict is a refusal that says what it is about.
func (c *chain) conflict(text string) error {
	e := plain(http.StatusConflict, text)
	if c.location != "" {
		e = e.With("Content-Location", c.location)
	}
	return e
}

// step makes the request for the target of the link with these headers.
func (c *chain) step(r *http.Request, h http.Header) (*http.Request, error) {
	etag := meta.Value(h, sysETag)
	if found := orElse(etag, strings.Trim(meta.Value(h, "Etag"), `"`)); c.etag != "" && c.etag != found {
		return nil, c.conflict("X-Symlink-Target-Etag headers do not match")
	}
	if c.links >= c.max {
		return nil, plain(http.StatusConflict, fmt.Sprintf("Too many levels of symbolic links, maximum allowed is %d", c.max))
	}
	if !meta.Truthy(meta.Value(h, sysExtend)) {
		c.links++
	}
	c.etag, c.soft = etag, true
	c.account = orElse(meta.Value(h, sysAccount), c.account)
	c.location = "/" + c.version + "/" + c.account + "/" + strings.TrimLeft(meta.Value(h, sysTarget), "/")
	reserved := meta.Value(h, sysReserved) != ""
	header := r.Header.Clone()
	header.Del("X-Backend-Storage-Policy-Index") // the target has its own
	if reserved {
		// Whoever made a link to a reserved name has made sure of the client: nobody else can.
		header.Set("X-Backend-Allow-Reserved-Names", "true")
	}
	return subreq.New(r, subreq.Options{Path: apipath.Unquote(c.location), Header: header, Source: logSource, PreAuthed: reserved}), nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// post applies a POST to what may be a link, and if it is one, says so.
func (f *filter) post(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	res, _ := segments.Intercept(f.next, w, r, func(code int, h http.Header) (int, bool) {
		return maxLink, code >= 200 && code < 300 && meta.Value(h, sysTarget) != ""
	})
	if res == nil {
		return nil
	}
	request.From(r.Context()).RelativeLocation = true
	e := reply.Raw(http.StatusTemporaryRedirect,
		"The requested POST was applied to a symlink. POST directly to the target to apply requested metadata.")
	e.Header = http.Header{}
	for name, v := range res.Header {
		if meta.IsSysmeta(meta.Object, name) {
			e.Header[name] = v
		}
	}
	e.Header.Set("Location", "/"+p.Version+"/"+orElse(meta.Value(res.Header, sysAccount), apipath.Quote(p.Account))+"/"+meta.Value(res.Header, sysTarget))
	if etag := meta.Value(res.Header, sysETag); etag != "" {
		e.Header.Set(headerETag, etag)
	}
	return e
}
