package versionedwrites

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

const (
	headerBytes   = "X-Container-Bytes-Used"
	headerObjects = "X-Container-Object-Count"
	headerPolicy  = "X-Storage-Policy"
)

// serveContainer answers a request for a container. The error is the client's answer.
func (o *objects) serveContainer(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	_, sets := r.Header[headerEnabled]
	switch {
	case sets && (r.Method == http.MethodPut || r.Method == http.MethodPost):
		return o.enable(w, r, p)
	case r.Method == http.MethodDelete:
		return o.deleteContainer(w, r, p)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return o.showContainer(w, r, p)
	}
	o.next.ServeHTTP(w, r)
	return nil
}

// enable switches versioning on or off.
func (o *objects) enable(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	if err := request.Authorize(r, ""); err != nil {
		return err
	}
	info := o.container(r, p)
	switch {
	case info.Sysmeta["versions-location"] != "" || info.Versions != "":
		return reply.Raw(http.StatusBadRequest,
			"Cannot enable object versioning on a container that is already using the legacy versioned writes feature.")
	case info.SyncTo != "":
		return reply.Raw(http.StatusBadRequest,
			"Cannot enable object versioning on a container configured as source of container syncing.")
	}
	inner := *r
	inner.Header = r.Header.Clone()
	inner.Header[sysEnabled] = []string{"False"}
	undo := func() {}
	if meta.Truthy(meta.Value(r.Header, headerEnabled)) {
		hidden, err := o.makeHidden(r, p, info)
		if err != nil {
			return err
		}
		inner.Header[sysEnabled] = []string{"True"}
		inner.Header[sysHidden] = []string{apipath.Quote(hidden.Container)}
		if hidden.made {
			undo = func() { o.send(o.request(r, http.MethodDelete, hidden.Path, nil, nil)) }
		}
	}
	res, err := segments.Intercept(o.next, w, &inner, func(code int, _ http.Header) (int, bool) { return maxAnswer, !success(code) })
	if res == nil {
		return err
	}
	undo() // as if nothing had been asked
	return res.Reply()
}

// A hiddenPath is that of the container with another's versions.
type hiddenPath struct {
	apipath.Path
	made bool // just now
}

// makeHidden makes the hidden container, with the policy of the other, unless it is there.
func (o *objects) makeHidden(r *http.Request, p apipath.Path, info *lookup.Container) (h hiddenPath, err error) {
	h.Path = p
	if h.Container, err = hiddenContainer(p.Container); err != nil {
		return h, reply.Raw(http.StatusInternalServerError, "Error enabling object versioning").Because(err)
	}
	header := http.Header{}
	switch i, ok := policy.ParseIndex(string(info.Policy)); {
	case info.Exists() && ok:
		pol, known := o.policies.ByIndex(i)
		if pol.Deprecated {
			return h, reply.Raw(http.StatusBadRequest,
				"Cannot enable object versioning on a container that uses a deprecated storage policy.")
		}
		if known {
			header[headerPolicy] = []string{pol.Name}
		}
	case r.Method == http.MethodPut && len(r.Header[headerPolicy]) > 0:
		header[headerPolicy] = r.Header[headerPolicy]
	}
	res := o.send(o.request(r, http.MethodPut, h.Path, nil, header))
	if !res.OK() && res.Code != http.StatusConflict { // which says that it is there, with another policy
		return h, reply.Raw(http.StatusInternalServerError, "Error enabling object versioning")
	}
	h.made = res.Code == http.StatusCreated
	return h, nil
}

// deleteContainer deletes a container and, before it, the one with the versions, both of which must be empty.
func (o *objects) deleteContainer(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	info := o.container(r, p)
	hidden := p
	hidden.Container = apipath.Unquote(info.Sysmeta["versions-container"])
	if hidden.Container == "" {
		o.next.ServeHTTP(w, r)
		return nil
	}
	if err := request.Authorize(r, ""); err != nil {
		return err
	}
	failed := reply.Raw(http.StatusInternalServerError, "Error deleting versioned container")
	versions := o.send(o.request(r, http.MethodHead, hidden, nil, nil))
	switch {
	case versions.OK() && lookup.Text(versions.Header.Get(headerObjects)).Int() > 0:
		return reply.Raw(http.StatusConflict, "Delete all versions before deleting container.")
	case !versions.OK() && versions.Code != http.StatusNotFound:
		return failed
	}
	// A container with objects stays, and so must the one that their versions would go to.
	own := o.send(o.request(r, http.MethodHead, p, nil, nil))
	if !own.OK() || lookup.Text(own.Header.Get(headerObjects)).Int() == 0 {
		gone := o.send(o.request(r, http.MethodDelete, hidden, nil, nil))
		if !gone.OK() && gone.Code != http.StatusNotFound {
			return failed
		}
	}
	o.next.ServeHTTP(w, r)
	return nil
}

// maxListing bounds a listing that is held, in bytes: 10,000 names of 1024 characters with a link each, all escaped.
const maxListing = 128 << 20

// isListing says whether an answer is a listing in JSON that can be held.
func isListing(code int, h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	return success(code) && kind == listing.TypeJSON && err == nil && n <= maxListing
}

// sendListing answers with a listing under a head. What the client has not got has nobody to tell.
func sendListing(w http.ResponseWriter, code int, h http.Header, body []byte) {
	maps.Copy(w.Header(), h)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// showContainer answers a GET or HEAD: bytes are counted with the versions', and links are listed as what they stand for.
func (o *objects) showContainer(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	res, err := segments.Intercept(o.next, w, r, func(code int, h http.Header) (int, bool) {
		if r.Method == http.MethodHead {
			return 0, success(code) && meta.Value(h, sysHidden)+meta.Value(h, sysEnabled) != ""
		}
		return maxListing, isListing(code, h)
	})
	if res == nil || err != nil {
		return err
	}
	if v := meta.Value(res.Header, sysEnabled); v != "" {
		res.Header[headerEnabled] = []string{v}
	}
	c := listCall{objects: o, w: w, r: r, path: p, hidden: p, res: res}
	if location := meta.Value(res.Header, sysHidden); location != "" {
		c.hidden.Container = apipath.Unquote(location)
		c.countVersions()
	} else if c.hidden.Container, err = hiddenContainer(p.Container); err != nil {
		// What is hidden itself hides nothing. Otherwise there may be versions all the same: what the nodes have said
		// need not be the newest.
		c.hidden.Container = ""
	}
	if r.Method == http.MethodHead {
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.Code)
		return nil
	}
	_, wanted := param(r, paramVersions)
	if !wanted && !bytes.Contains(res.Body, []byte("symlink_bytes")) {
		sendListing(w, res.Code, res.Header, res.Body)
		return nil
	}
	entries, err := listing.Decode(res.Body)
	if err != nil {
		sendListing(w, res.Code, res.Header, res.Body)
		return nil
	}
	for i := range entries {
		c.showLink(&entries[i], wanted)
	}
	if wanted {
		return c.listVersions(entries)
	}
	sendListing(w, res.Code, res.Header, listing.Append(nil, entries))
	return nil
}

// A listCall is a listing of a container.
type listCall struct {
	*objects
	w      http.ResponseWriter
	r      *http.Request
	path   apipath.Path
	hidden apipath.Path // the container with the versions, if Container is not empty
	res    *subreq.Response
}

// countVersions adds the bytes of the versions to those of the container.
func (c *listCall) countVersions() {
	own := lookup.Text(c.res.Header.Get(headerBytes))
	if own == "" {
		return
	}
	versions := c.send(c.request(c.r, http.MethodHead, c.hidden, nil, nil))
	if versions.OK() {
		sum := own.Int() + lookup.Text(versions.Header.Get(headerBytes)).Int()
		c.res.Header[headerBytes] = []string{strconv.FormatInt(sum, 10)}
	}
}

// keyLink says that an entry stands for a version.
const keyLink = "version_symlink"

// showLink lists a link to a version as the version. When versions are listed, too, it goes on saying which.
func (c *listCall) showLink(e *listing.Entry, versions bool) {
	path, ok := e.Text("symlink_path")
	etag, hasETag := e.Text("symlink_etag")
	size, hasSize := e.Int("symlink_bytes")
	account, container, name, isObject := splitLocation(path)
	if !ok || !hasETag || !hasSize || !isObject || container != c.hidden.Container || c.hidden.Container == "" {
		return
	}
	e.Delete("symlink_bytes")
	e.Delete("symlink_etag")
	e.SetInt(listing.KeyBytes, size)
	e.SetBool(keyLink, true)
	hash, _ := e.Text(listing.KeyHash)
	if _, params, ok := strings.Cut(hash, ";"); ok {
		etag += "; " + strings.TrimSpace(params)
	}
	e.SetText(listing.KeyHash, etag)
	if object, t, ok := splitVersion(name); ok && !versions {
		shown := apipath.Path{Version: "v1", Account: account, Container: c.path.Container, Object: object}
		e.SetText("symlink_path", shown.Quoted()+"?version-id="+t.Internal())
	}
}
