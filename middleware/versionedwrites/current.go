package versionedwrites

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// This file is about what an object's name is linked to.
//
// For S3 no link is left that leads to nothing, whatever is done at the same time: who puts a link to a version that has been
// there looks afterwards whether it still is, and who deletes a version, whether there is a link to it now. Of the two one at
// least sees what the other has done, and takes the link away.

// attempts is how often what is under an object's name is looked at again because it has been replaced meanwhile.
const attempts = 5

// current is the head of what stands under the object's name, nil if nothing does, and the name of the version that it is
// linked to, "" if it is to none.
func (c *objectCall) current() (head *subreq.Response, linked string, err error) {
	head = c.send(c.request(c.r, http.MethodHead, c.path, itself, http.Header{"X-Newest": {"True"}}))
	if head.Code == http.StatusNotFound {
		return nil, "", nil
	}
	if err := c.check(head); err != nil {
		return nil, "", err
	}
	container, name, ok := splitTarget(apipath.Unquote(meta.Value(head.Header, headerTarget)))
	if meta.Value(head.Header, sysLink) != "true" || !ok || container != c.hidden {
		return head, "", nil
	}
	return head, name, nil
}

// unlink deletes what stands under the object's name and, for S3, nothing that has replaced what the head is of. Nodes that
// promise nothing are asked without a condition.
func (c *objectCall) unlink(r *http.Request, head *subreq.Response) *subreq.Response {
	if t := meta.Value(head.Header, conditional.HeaderData); t != "" && nulls(c.r) {
		r.Header[conditional.HeaderIfData] = []string{t}
		if res := c.original(r); res.Code != http.StatusNotImplemented {
			return res
		}
		delete(r.Header, conditional.HeaderIfData)
	}
	return c.original(r)
}

// unlinkFrom takes the link under the object's name away if it leads to that version. It returns the id of what is current then.
func (c *objectCall) unlinkFrom(name string) (left string, err error) {
	for try := 1; ; try++ {
		head, current, err := c.current()
		if err != nil {
			return "", err
		}
		if current != name {
			if _, t, ok := splitVersion(current); ok {
				return t.Internal(), nil
			}
			return nullVersion, nil
		}
		r := c.at(c.path, "")
		if c.r.Method != http.MethodDelete {
			r = c.request(c.r, http.MethodDelete, c.path, nil, nil) // to repair what the client wanted
		}
		unconditional(r.Header)
		link := c.unlink(r, head)
		switch {
		case link.OK() || link.Code == http.StatusNotFound:
			return nullVersion, nil
		case !nulls(c.r) || !overtaken(link) || try == attempts:
			return "", c.check(link)
		}
	}
}

// overtaken says whether a conditional write was refused because of another.
func overtaken(res *subreq.Response) bool {
	return res.Code == http.StatusPreconditionFailed || res.Code == http.StatusConflict
}

// makeCurrent links the object's name to one of its versions.
func (c *objectCall) makeCurrent(name string, t timestamp.Timestamp) error {
	if err := request.Authorize(c.r, string(c.info.WriteACL)); err != nil {
		return err
	}
	if c.r.ContentLength != 0 {
		if n, _ := c.r.Body.Read(make([]byte, 1)); n > 0 || c.r.ContentLength > 0 {
			return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: "PUT version-id requests require a zero byte body"}
		}
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	head := c.send(c.request(c.r, http.MethodHead, c.inHidden(name), itself, nil))
	if head.Code == http.StatusNotFound {
		if c.container(c.r, c.inHidden("")).Exists() {
			return c.noVersion()
		}
		return c.missing
	}
	if err := c.check(head); err != nil {
		return err
	}
	l := link{
		name: name, id: t, etag: meta.Value(head.Header, "Etag"), cond: cond, listed: listedAs(head.Header),
		size: cmp.Or(head.Header.Get(sloSize), head.Header.Get("Content-Length")), kind: head.Header.Get("Content-Type"),
	}
	if etag := meta.Value(head.Header, headerTargetETag); etag != "" {
		l.etag, l.size = etag, meta.Value(head.Header, headerTargetBytes) // a static link is listed as what it leads to
	}
	res, err := c.relink(l)
	for try := 1; err == nil && !cond.set && overtaken(res) && try < attempts; try++ {
		res, err = c.relink(l)
	}
	if err == nil && res.OK() && nulls(c.r) {
		err = c.linkedToNothing(name)
	}
	if err != nil {
		return err
	}
	return res.Reply().With("Etag", meta.Value(head.Header, "Etag")).With(headerVersion, t.Internal())
}

// relink replaces what stands under the object's name by a link, and nothing that has replaced it meanwhile. What is no version is
// kept first, if there are versions. Nodes that promise nothing are asked without a condition.
func (c *objectCall) relink(l link) (*subreq.Response, error) {
	seen, err := c.sight(l.cond)
	if err != nil {
		return nil, err
	}
	if l.time, err = c.stamp(); err != nil {
		return nil, err
	}
	request.From(c.r.Context()).Log.Source = c.source
	put := c.linkTo(l)
	// A client that says when it has written wants what is newer to stay, and no more.
	if l.cond.set || len(c.r.Header[headerTimestamp]) > 0 {
		return c.original(put), nil
	}
	condition := [2]string{conditional.HeaderIfNoneMatch, "*"}
	if seen != nil {
		condition = [2]string{conditional.HeaderIfData, meta.Value(seen, conditional.HeaderData)}
	}
	if condition[1] != "" {
		put.Header[condition[0]] = condition[1:]
		if res := c.original(put); res.Code != http.StatusNotImplemented {
			return res, nil
		}
		delete(put.Header, condition[0])
	}
	return c.original(put), nil
}

// sight is the head of what a link is to replace, nil if there is nothing.
func (c *objectCall) sight(cond condition) (http.Header, error) {
	if c.enabled {
		// What has been written while versioning was off is replaced like anything else.
		return c.keepCurrent(cond)
	}
	head, _, err := c.current()
	if head == nil || err != nil {
		return nil, err
	}
	return head.Header, nil
}

// linkedToNothing looks whether a version is there to which a link has been put. If it is not, it takes the link away, and says so.
func (c *objectCall) linkedToNothing(name string) error {
	head := c.send(c.request(c.r, http.MethodHead, c.inHidden(name), itself, http.Header{"X-Newest": {"True"}}))
	if head.Code != http.StatusNotFound {
		return nil // there, or not to be found out
	}
	if _, err := c.unlinkFrom(name); err != nil {
		return err
	}
	return c.noVersion()
}

// listedAs are the headers of a link that is to be listed as the version with this head is: what the version's row has besides its
// hash, the link's has too. Where the version is a link itself, the link to it leads elsewhere.
func listedAs(h http.Header) http.Header {
	all := http.Header{}
	for name, v := range h {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, http.CanonicalHeaderKey(meta.OverridePrefix)) {
			all[name] = v
		}
	}
	override := http.CanonicalHeaderKey(meta.OverrideName("etag"))
	if row := meta.Value(all, override); row != "" {
		params := strings.Split(row, ";")
		kept := params[:1]
		for _, p := range params[1:] {
			if !strings.HasPrefix(strings.TrimSpace(p), "symlink_") {
				kept = append(kept, p)
			}
		}
		all[override] = []string{strings.Join(kept, ";")}
	}
	return all
}
