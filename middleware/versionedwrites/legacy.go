package versionedwrites

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/middleware"
)

const (
	headerStack         = "X-Versions-Location"
	headerHistory       = "X-History-Location"
	headerRemoveStack   = "X-Remove-Versions-Location"
	headerRemoveHistory = "X-Remove-History-Location"

	sysLocation = "X-Container-Sysmeta-Versions-Location"
	sysMode     = "X-Container-Sysmeta-Versions-Mode"
	modeStack   = "stack"
	modeHistory = "history"
)

// legacy is the older way: copies in a container of the client's.
type legacy struct {
	archive
	allow Choice
}

func newLegacy(host middleware.Host, allow Choice, next http.Handler) *legacy {
	return &legacy{allow: allow, archive: archive{
		next: next, source: "VW", maxSize: host.Cluster.Limits.MaxFileSize, clock: host.Clock, refusal: refuseLegacy,
	}}
}

// refuseLegacy is the client's answer when an object cannot be kept, or brought back.
func refuseLegacy(res *subreq.Response) error {
	if res.Code >= 400 && res.Code < 500 {
		return reply.Status(http.StatusPreconditionFailed)
	}
	return reply.Status(http.StatusServiceUnavailable)
}

func (l *legacy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	state := request.From(r.Context())
	if err != nil || state.LegacyVersioning {
		l.next.ServeHTTP(w, r)
		return
	}
	p := apipath.Path{Version: s[0], Account: s[1], Container: s[2]}
	if len(s) > 3 {
		p.Object = s[3]
	}
	// It holds for this request, but not for the next one that somebody makes of the same state.
	defer func() { state.LegacyVersioning = false }()
	switch {
	case p.Object == "" && l.allow != "":
		state.LegacyVersioning = true
		err = l.serveContainer(w, r)
	case p.Object != "" && (r.Method == http.MethodPut || r.Method == http.MethodDelete):
		err = l.serveObject(w, r, p)
	default:
		l.next.ServeHTTP(w, r)
	}
	if err != nil {
		reply.Write(w, r, err)
	}
}

// serveContainer stores what a client sets, and shows what is set.
func (l *legacy) serveContainer(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		h, err := l.settings(r.Header)
		if err != nil {
			return err
		}
		inner := *r
		inner.Header = h
		r = &inner
	}
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		if location := meta.Value(h, sysLocation); location != "" {
			name := headerStack
			if meta.Value(h, sysMode) == modeHistory {
				name = headerHistory
			}
			h[name] = []string{location}
		}
		return code
	})
	l.next.ServeHTTP(out, r)
	out.Finish()
	return nil
}

// settings turns a client's headers into those that are stored. The error is the client's answer.
func (l *legacy) settings(h http.Header) (http.Header, error) {
	_, stack := h[headerStack]
	_, history := h[headerHistory]
	_, remove := h[headerRemoveStack]
	_, removeHistory := h[headerRemoveHistory]
	remove = remove && meta.Value(h, headerRemoveStack) != "" || removeHistory && meta.Value(h, headerRemoveHistory) != ""
	if !stack && !history && !remove {
		return h, nil
	}
	h = h.Clone()
	if stack && history {
		// The one without a value does not count.
		switch {
		case meta.Value(h, headerHistory) == "":
			history = false
		case meta.Value(h, headerStack) == "":
			stack = false
		default:
			return nil, &reply.Error{
				Code: http.StatusBadRequest, Type: "text/plain", Body: "Only one of x-versions-location or x-history-location may be specified",
			}
		}
	}
	location, mode := "", ""
	switch {
	case stack:
		location, mode = meta.Value(h, headerStack), modeStack
	case history:
		location, mode = meta.Value(h, headerHistory), modeHistory
	}
	switch {
	case location == "":
		mode = ""
	case l.allow != Yes:
		return nil, &reply.Error{Code: http.StatusPreconditionFailed, Type: "text/plain", Body: "Versioned Writes is disabled"}
	case strings.Contains(location, "/"):
		return nil, reply.Raw(http.StatusPreconditionFailed, "Container name cannot contain slashes")
	}
	for _, name := range []string{headerHistory, headerRemoveStack, headerRemoveHistory} {
		delete(h, name)
	}
	// From now on, what a container server with allow_versions may have stored does not count.
	h[headerStack], h[sysLocation], h[sysMode] = []string{""}, []string{location}, []string{mode}
	return h, nil
}

// serveObject keeps what a PUT or DELETE replaces. The error is the client's answer.
func (l *legacy) serveObject(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	info := l.container(r, p)
	kept, mode := info.Sysmeta["versions-location"], info.Sysmeta["versions-mode"]
	enabled := l.allow == Yes
	if kept == "" {
		kept = string(info.Versions)
		enabled = enabled || l.allow == "" // as it was before there was a filter
	}
	kept, _, _ = strings.Cut(apipath.Unquote(kept), "/")
	if !enabled || kept == "" {
		l.next.ServeHTTP(w, r)
		return nil
	}
	request.From(r.Context()).LegacyVersioning = true
	if err := request.Authorize(r, string(info.WriteACL)); err != nil {
		return err
	}
	c := legacyCall{legacy: l, w: w, r: r, path: p, kept: kept, info: info}
	if r.Method == http.MethodDelete && mode != modeHistory {
		return c.pop()
	}
	if err := c.push(); err != nil {
		return err
	}
	if r.Method == http.MethodDelete {
		if err := l.putMarker(r, c.name(l.now()), l.now()); err != nil {
			return err
		}
	}
	l.next.ServeHTTP(w, r)
	return nil
}

// A legacyCall is a write to an object in a container with copies.
type legacyCall struct {
	*legacy
	w    http.ResponseWriter
	r    *http.Request
	path apipath.Path
	kept string // the container with the copies
	info *lookup.Container
}

// prefix is what the names of all copies of the object begin with. The length keeps those of others out.
func (c *legacyCall) prefix() string {
	return fmt.Sprintf("%03x%s/", len(c.path.Object), c.path.Object)
}

// copied is the path of a copy.
func (c *legacyCall) copied(name string) apipath.Path {
	return apipath.Path{Version: c.path.Version, Account: c.path.Account, Container: c.kept, Object: name}
}

// name is the path of the copy of what was written at this time.
func (c *legacyCall) name(t timestamp.Timestamp) apipath.Path {
	return c.copied(c.prefix() + t.Internal())
}

// push copies the object, if there is one.
func (c *legacyCall) push() error {
	_, err := c.copy(c.r, c.path, func(h http.Header) (apipath.Path, bool) {
		t, ok := sourceTime(h)
		if !ok {
			t = c.now()
		}
		return c.name(t), true
	})
	return err
}
