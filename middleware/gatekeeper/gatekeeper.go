// Package gatekeeper is the filter that keeps the cluster's own headers inside the cluster:
//
//	[filter.gatekeeper]
//	shunt_inbound_x_timestamp = true
//
// System metadata and headers by which proxy and nodes steer each other are removed from requests before any other filter
// sees them, and from responses after all others have. A client's X-Timestamp is set aside, where container-sync finds it
// and nobody else looks. Without this filter anybody could write where they like, so a proxy adds it where it is missing.
//
// It must stand to the left of everything that sets or reads such headers: directly right of catch_errors.
package gatekeeper

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("gatekeeper", Config{ShuntInboundXTimestamp: true}, build).After("catch_errors")

// Config is the section of the filter.
type Config struct {
	// Set a client's X-Timestamp aside as X-Backend-Inbound-X-Timestamp, instead of letting it decide which write wins.
	ShuntInboundXTimestamp bool `toml:"shunt_inbound_x_timestamp"`
	// Let clients reach reserved names with the header X-Allow-Reserved-Names. For tests only.
	AllowReservedNamesHeader bool `toml:"allow_reserved_names_header"`
}

func build(_ middleware.Host, c Config) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return &filter{c, next} }}, nil
}

type filter struct {
	config Config
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.request(r)
	a := &answer{state: request.From(r.Context())}
	a.out.Begin(w, a)
	f.next.ServeHTTP(&a.out, r)
	a.out.Finish()
}

// An answer is one response on its way out.
type answer struct {
	out   respw.HeaderWriter
	state *request.State
}

// EditHead cleans what goes to the client.
func (a *answer) EditHead(code int, h http.Header) int {
	meta.StripInternal(h)
	if a.state.RelativeLocation {
		relative(h)
	}
	return code
}

// request cleans what comes from the client.
func (f *filter) request(r *http.Request) {
	meta.StripInternal(r.Header)
	if f.config.ShuntInboundXTimestamp {
		move(r.Header, "X-Timestamp", "X-Backend-Inbound-X-Timestamp")
	}
	if f.config.AllowReservedNamesHeader {
		move(r.Header, "X-Allow-Reserved-Names", "X-Backend-Allow-Reserved-Names")
	}
}

// move renames a header, if it is there.
func move(h http.Header, from, to string) {
	if v, ok := h[from]; ok {
		delete(h, from)
		h[to] = v
	}
}

// relative reduces an absolute Location to path, query and fragment, and does not touch how they are spelt.
func relative(h http.Header) {
	location := h.Get("Location")
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return
	}
	i := strings.IndexAny(rest, "/?#")
	if i < 0 {
		i = len(rest)
	}
	h.Set("Location", rest[i:])
}
