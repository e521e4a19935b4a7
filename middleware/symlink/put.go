package symlink

import (
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
)

// md5Empty is the MD5 of nothing, which is what a link contains.
const md5Empty = "d41d8cd98f00b204e9800998ecf8427e"

// A target is what a client wants a link to.
type target struct {
	path apipath.Path
	etag string
}

// put makes a link. The error is the client's answer.
func (f *filter) put(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	if r.ContentLength != 0 {
		if n, _ := r.Body.Read(make([]byte, 1)); n > 0 || r.ContentLength > 0 {
			return plain(http.StatusBadRequest, "Symlink requests require a zero byte body")
		}
	}
	t, err := parse(r.Header, p)
	if err != nil {
		return err
	}
	h := r.Header.Clone()
	if t.etag == "" && meta.Value(h, "Content-Type") == "" {
		h.Set("Content-Type", "application/symlink")
	}
	for _, name := range []string{headerTarget, headerAccount, headerETag, headerBytes} {
		h.Del(name)
	}
	h.Set(sysTarget, apipath.Quote(t.path.Container+"/"+t.path.Object))
	override := meta.OverrideName("etag")
	switch {
	case t.etag == "":
	case request.From(r.Context()).AsStored:
		h.Set(sysETag, t.etag)
		h.Set(sysBytes, meta.Value(r.Header, headerBytes)) // the cluster that the link comes from has checked
	default:
		if err := f.checkTarget(w, r, t, h); err != nil {
			return err
		}
	}
	// The listing knows links by their hash, which nothing else can change without replacing the link.
	row := orElse(h.Get(override), md5Empty) + "; symlink_target=" + h.Get(sysTarget)
	if _, ok := r.Header[headerAccount]; ok {
		h.Set(sysAccount, apipath.Quote(t.path.Account))
		row += "; symlink_target_account=" + h.Get(sysAccount)
	}
	if etag := h.Get(sysETag); etag != "" { // found out here, or by a filter to the left that made the target
		row += "; symlink_target_etag=" + etag + "; symlink_target_bytes=" + h.Get(sysBytes)
	}
	h.Set(override, row)
	inner := *r
	inner.Header = h
	if r.ContentLength != 0 {
		inner.Body, inner.ContentLength, inner.TransferEncoding = io.NopCloser(strings.NewReader("")), 0, nil
		h.Set("Content-Length", "0")
	}
	f.next.ServeHTTP(w, &inner)
	return nil
}

// parse reads what the client wants a link at p to.
func parse(h http.Header, p apipath.Path) (target, error) {
	t := target{path: apipath.Path{Version: "v1", Account: p.Account}}
	bad := plain(http.StatusPreconditionFailed, "X-Symlink-Target header must be of the form <container name>/<object name>")
	value := apipath.Unquote(meta.Value(h, headerTarget))
	if strings.HasPrefix(value, "/") {
		return t, bad
	}
	var names [2]string
	s, err := apipath.SplitRest(names[:0], "/"+value, 2, 2)
	if err != nil {
		bad.Type = reply.TypeHTML
		return t, bad.Because(err)
	}
	t.path.Container, t.path.Object = s[0], s[1]
	if _, ok := h[headerAccount]; ok {
		switch t.path.Account = apipath.Unquote(meta.Value(h, headerAccount)); {
		case t.path.Account == "":
			return t, reply.Raw(http.StatusPreconditionFailed, "Account name cannot be empty")
		case strings.Contains(t.path.Account, "/"):
			return t, reply.Raw(http.StatusPreconditionFailed, "Account name cannot contain slashes")
		}
	}
	if t.path.Entity() == p.Entity() {
		return t, plain(http.StatusBadRequest, "Symlink cannot target itself")
	}
	t.etag = conditional.Unquote(meta.Value(h, headerETag))
	if strings.ContainsAny(t.etag, `;"\`) {
		return t, plain(http.StatusBadRequest, "Bad X-Symlink-Target-Etag format")
	}
	return t, nil
}

// checkTarget finds out whether the target of a static link has the ETag, and what the link is to know of it.
func (f *filter) checkTarget(w http.ResponseWriter, r *http.Request, t target, h http.Header) error {
	header := http.Header{}
	if meta.Truthy(r.Header.Get("X-Backend-Allow-Reserved-Names")) {
		header.Set("X-Backend-Allow-Reserved-Names", "true")
	}
	head := subreq.New(r, subreq.Options{Method: http.MethodHead, Path: t.path.String(), Header: header, Source: logSource})
	c := chain{filter: f, w: w, r: head, version: t.path.Version, account: apipath.Quote(t.path.Account), keep: true, etag: t.etag, location: t.path.String()}
	res, err := c.follow(head)
	switch {
	case err != nil:
		return err
	case res.Code == http.StatusNotFound:
		return c.conflict("X-Symlink-Target does not exist")
	case !res.OK():
		return reply.Status(res.Code)
	}
	override := meta.OverrideName("etag")
	if h.Get(override) == "" {
		// What the target's row has besides its hash, the link's has too.
		if _, params, ok := strings.Cut(res.Header.Get(override), ";"); ok {
			h.Set(override, md5Empty+";"+params)
		} else if etag := res.Header.Get("X-Object-Sysmeta-Slo-Etag"); etag != "" {
			h.Set(override, md5Empty+"; slo_etag="+etag)
		}
	}
	h.Set(sysETag, t.etag)
	h.Set(sysBytes, orElse(res.Header.Get("X-Object-Sysmeta-Slo-Size"), res.Header.Get("Content-Length")))
	if meta.Value(h, "Content-Type") == "" {
		h.Set("Content-Type", res.Header.Get("Content-Type"))
	}
	return nil
}
