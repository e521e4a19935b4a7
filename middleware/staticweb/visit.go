package staticweb

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxKept is how much of an answer that may be the client's, unless something better turns up, is kept, in bytes. It is an
// error, or stands for a directory, and is short.
const maxKept = 64 << 10

// A visit is one request for a page of a site. Its methods either answer, or return an error that is the answer.
type visit struct {
	*filter
	w      http.ResponseWriter
	r      *http.Request
	path   apipath.Path
	rights segments.Rights
	header http.Header // of the request as it came: who has served it may have added to it
	look   look        // known once knows has been called
}

// A look is what a container's owner wants it to look like.
type look struct {
	index, errors, listings, css, label, directory string
}

// serves says whether the container is a site at all. A page for errors alone does not make it one.
func (l look) serves() bool { return l.index != "" || l.listings != "" }

// knows looks the container up.
func (v *visit) knows() *lookup.Container {
	info := lookup.GetContainer(v.r, lookup.Subrequest{Next: v.next, Source: logSource}, v.path.Account, v.path.Container)
	v.look = look{}
	if info.Exists() {
		get := func(name string) string { return strings.TrimSpace(info.Meta[name]) }
		v.look = look{
			index: get("web-index"), errors: get("web-error"), listings: get("web-listings"), css: get("web-listings-css"),
			label: get("web-listings-label"), directory: get("web-directory-type"),
		}
	}
	if v.look.directory == "" {
		v.look.directory = "application/directory"
	}
	return info
}

// container serves the top of a site.
func (v *visit) container() error {
	info := v.knows()
	if err := v.allowed(string(info.ReadACL)); err != nil {
		v.refuse(err)
		return nil
	}
	switch {
	case !v.look.serves():
		if webMode(v.r) {
			return reply.Status(http.StatusNotFound)
		}
		v.next.ServeHTTP(v.w, v.r)
		return nil
	case !strings.HasSuffix(v.r.URL.Path, "/"):
		return v.redirect()
	case v.look.index == "":
		return v.listing()
	}
	res, err := v.index()
	switch {
	case res == nil:
		return nil
	case res.Code == http.StatusNotFound:
		return v.listing()
	}
	v.refuse(answer(res, err))
	return nil
}

// allowed asks the auth filter, which does not say what it thinks of a container before it knows the ACL.
func (v *visit) allowed(acl string) error {
	r := v.rights.Restore(v.r)
	state := request.From(r.Context())
	state.ACL = acl
	return state.Authorize(r)
}

// object serves an object, or what is at its place in the site.
func (v *visit) object() error {
	res, _ := segments.Intercept(v.next, v.w, v.r, func(code int, h http.Header) (int, bool) {
		missing := code == http.StatusNotFound
		short := found(code) && shorter(h, 2)
		if !missing && !short {
			return 0, false
		}
		v.knows()
		// Objects that only stand for a directory count as missing.
		return maxKept, v.look.serves() && (missing || meta.Value(h, "Content-Type") == v.look.directory)
	})
	if res == nil {
		return nil
	}
	if !strings.HasSuffix(v.r.URL.Path, "/") {
		return v.withoutSlash()
	}
	if v.look.index != "" {
		res, err := v.index()
		switch {
		case res == nil:
			return nil
		case res.Code != http.StatusNotFound:
			return answer(res, err)
		}
	}
	return v.listing()
}

// withoutSlash sends the client on to the directory, if there is one.
func (v *visit) withoutSlash() error {
	p := v.path
	if v.look.index != "" {
		p.Object = v.path.Object + "/" + v.look.index
		// Its head is enough, and what the client wants to be compared is not about this object.
		res, err := subreq.Small(v.next, v.request(http.MethodHead, p.String(), nil), maxKept)
		switch {
		case found(res.Code):
			return v.redirect()
		case res.Code != http.StatusNotFound:
			return reply.Status(res.Code).Because(err)
		}
	}
	query := url.Values{"limit": {"1"}, "delimiter": {"/"}, "prefix": {v.path.Object + "/"}}
	entries, refused, err := v.list(query, oneEntry)
	switch {
	case err != nil:
		return err
	case refused != nil && refused.Code >= http.StatusInternalServerError:
		v.refuse(refused) // nobody knows whether there is a directory
		return nil
	case len(entries) == 0:
		// Who may not list learns nothing of what there is.
		v.refuse(reply.Status(http.StatusNotFound))
		return nil
	}
	return v.redirect()
}

// index sends the index of the directory asked for. If there is none that the client can have, the answer is returned.
func (v *visit) index() (*subreq.Response, error) {
	r := v.rights.Restore(v.r)
	request.From(r.Context()).ACL = ""
	u := *r.URL
	u.Path, u.RawPath = r.URL.Path+v.look.index, ""
	inner := *r
	inner.URL, inner.RequestURI, inner.Header = &u, u.RequestURI(), v.header
	return segments.Intercept(v.next, v.w, &inner, func(code int, h http.Header) (int, bool) {
		if found(code) {
			h[headerGenerator] = []string{"staticweb"}
		}
		return maxKept, !found(code)
	})
}

// redirect sends the client to the same path with a slash at the end. Where it has come by a signed URL for a prefix, that
// stays good; other queries are dropped.
func (v *visit) redirect() error {
	scheme, host := v.scheme, v.host
	if scheme == "" {
		scheme = "http"
		if v.r.TLS != nil {
			scheme = "https"
		}
	}
	if host == "" {
		host = v.r.Host
	}
	if name, ok := strings.CutSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme]); ok {
		host = name
	}
	location := apipath.Quote(v.r.URL.Path) + "/"
	if host != "" {
		location = scheme + "://" + host + location
	}
	query, _ := v.signature()
	return reply.Status(http.StatusMovedPermanently).With("Location", location+query)
}

// refuse answers with the site's page for the error, if it has one that the client may read, and else with the error.
func (v *visit) refuse(err error) {
	e := reply.As(err)
	if v.look.errors == "" || !v.errorPage(e.Code) {
		reply.Write(v.w, v.r, e)
	}
}

// errorPage sends the site's page for a status and says whether there is one.
func (v *visit) errorPage(status int) (sent bool) {
	p := v.path
	p.Object = strconv.Itoa(status) + v.look.errors
	out := respw.Divert(v.w, func(code int, h http.Header) http.ResponseWriter {
		if code < 200 || code > 299 {
			return nil
		}
		sent = true
		return respw.OnHeader(v.w, func(int, http.Header) int { return status })
	})
	v.next.ServeHTTP(out, v.request(v.r.Method, p.String(), nil))
	out.Finish()
	return sent
}

// request makes a subrequest.
func (v *visit) request(method, path string, query url.Values) *http.Request {
	return subreq.New(v.rights.Restore(v.r), subreq.Options{
		Method: method, Path: path, Query: query, Source: logSource,
		Header: http.Header{"User-Agent": {v.r.UserAgent() + agent}},
	})
}

// answer makes a subrequest's answer, or what there is of it, one for the client.
func answer(res *subreq.Response, err error) *reply.Error {
	if err != nil {
		return reply.Status(res.Code).Because(err)
	}
	e := res.Reply()
	if e.Type == "" {
		e.Type = reply.TypeText // what it is must not be guessed
	}
	return e
}

// found says whether a status means that there is something.
func found(code int) bool { return code >= 200 && code < 400 }

// shorter says whether a body is known to be shorter than n bytes. Without a length it counts as such, as in Swift.
func shorter(h http.Header, n int64) bool {
	v := meta.Value(h, "Content-Length")
	if v == "" {
		return true
	}
	length, err := strconv.ParseInt(v, 10, 64)
	return err == nil && length < n
}
