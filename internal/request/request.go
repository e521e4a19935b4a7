// Package request holds what the parts of a pipeline tell each other about one request, beyond what HTTP says: who asks,
// who decides, what has been looked up, what is to be logged. In Swift this is the WSGI environment.
//
// A [State] is made once, by the pipeline, before the first filter, and found with [From]. It is mutable and belongs to
// the goroutine that serves the request. A subrequest has a State of its own, made with [State.Child], which says field
// by field what a subrequest inherits.
package request

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/cache"
)

// State is what is known about one request. The comment on each field says who sets it and who reads it.
type State struct {
	// TransID is the transaction id. Set by catch_errors; read by everything that logs or talks to nodes.
	TransID string

	// Method is the client's method where a filter has changed r.Method: COPY, turned into PUT by copy. Empty if
	// unchanged. Read by proxy-logging.
	Method string

	// Log is what the access log is to say. Added to by any filter; read by proxy-logging.
	Log Log

	// Authorize decides whether the request may go on, given State.ACL; nil error means yes, otherwise an answer
	// (*reply.Error). Set by the auth filter; called by the proxy's controllers once the container's ACL is known. Nil
	// when nobody guards the pipeline.
	Authorize func(r *http.Request) error

	// ACL is the access list that Authorize is to judge by: the container's read or write ACL. Set by the controllers.
	ACL string

	// AuthOverride says that the request is allowed whatever Authorize would say. Set by filters that have checked for
	// themselves (tempurl, formpost, container-sync) and by pre-authorised subrequests; read by auth filters.
	AuthOverride bool

	// CleanACL checks and normalises a container ACL given by a client; its error is the client's text. Set by the auth
	// filter; called by the container controller.
	CleanACL func(header, value string) (string, error)

	// Ratelimited says that ratelimit has counted the request, so that a second one in the pipeline does not. Set and
	// read by ratelimit.
	Ratelimited bool

	// Owner says that the user owns the account and so sees and sets its private headers. Set by Authorize.
	Owner bool

	// Reseller says that the user may do what only resellers may. Set by the auth filter.
	Reseller bool

	// User is the authenticated user as a comma list of groups, the user's own name first. Set by the auth filter; read
	// by it and by the log. Empty means anonymous.
	User string

	// S3 is the signature of an S3 request. Set by s3api; read by the auth filter, which answers the first request that
	// has one itself, see [S3]. Nil for requests of the Swift API.
	S3 *S3

	// Cache is shared with the other processes of the cluster. Set by the cache filter; nil without one.
	Cache cache.Cache

	// Infos are the account and container infos looked up for this request and its subrequests. Used by lookup.
	Infos *Infos

	// AsStored says that what is written is a copy of what another cluster has stored, and is to be stored as it comes:
	// manifests are not looked into, targets of links not checked. Set by container_sync; read by slo and symlink.
	AsStored bool

	// Manifest is the say that a filter has in the large object that the request stores. Set by s3api; read by slo.
	Manifest *Manifest

	// Lookups is where HEADs of accounts and containers go whose answers are for the cluster itself: to the app, by way of
	// the rightmost proxy-logging, so that each has its line in the access log. Set by the pipeline; used by lookup. Nil
	// in a pipeline without a log: they go to the rest of the pipeline as it is seen by who asks.
	Lookups http.Handler

	// LookupSource names, in the HEAD that a filter's lookup makes, that filter, so that the lookups which answering it
	// takes are the filter's as well. Set and read by lookup.
	LookupSource string

	// RelativeLocation asks for redirects within the cluster: an absolute Location loses scheme and host. Set by filters
	// that redirect to a resource of the same account; read by gatekeeper.
	RelativeLocation bool

	// LegacyVersioning and ObjectVersioning say that a versioned_writes takes care of the request, in the one way or the
	// other, so that a second one in the pipeline does not. Set and read by versioned_writes, for as long as it serves
	// the request.
	LegacyVersioning, ObjectVersioning bool

	// NullVersions says that versions without an id are what they are in S3: of each object there is at most one, called null.
	// Set by s3api; read by versioned_writes.
	NullVersions bool

	// RawListing says that the listing goes to the client as the JSON that it is, whatever the client prefers. Set by
	// filters with listings of a form of their own; read by listing_formats.
	RawListing bool

	// Footers, if set, is called when the object's body has been read and its MD5 is known, and may add headers to be
	// stored with the object. Set by filters that learn something from the body; called by the object controller.
	Footers []func(footer http.Header)

	// Copied, if set, gets all bytes of a copy on their way from its source. Set by filters that learn something from them; written
	// by copy.
	Copied io.Writer

	// Segment, if set, gets "/container/object" of the segment that the answer to ?part-number is. Set by s3api; written by slo.
	Segment *string
}

// S3 is what an S3 request says of who signed it, and what the auth filter has made of that.
//
// S3api first sends a request for nothing: GET /v1 with an S3 whose Account is empty. The auth filter that knows the access
// key and finds the signature good sets Account and the identity in the request's state (User, Authorize, CleanACL,
// Reseller), and answers 204 without asking anybody to its right. It answers 403 otherwise, or passes a key that it does
// not know on to the next auth filter. What s3api sends after that inherits the identity: where Account is set, auth
// filters leave it as it is.
type S3 struct {
	// AccessKey names who has signed. With tempauth it is account:user.
	AccessKey string
	// Signature is the one of the request; StringToSign is what it signs. Version is 2 or 4.
	Signature, StringToSign string
	Version                 int
	// Check says whether this secret made the signature. It takes the same time for every wrong one.
	Check func(secret string) bool
	// Known says that there is such a key, whether or not it has signed. Set by the auth filter.
	Known bool
	// Account is the account whose containers are the user's buckets: AUTH_test. Set by the auth filter.
	Account string
}

// Log is what a request adds to its line in the access log.
type Log struct {
	// Source names the filter that made a subrequest: "SSC", "TA". Empty for a client's request.
	Source string
	// Info are short facts, such as "x-delete-at:1700000000".
	Info []string
	// Status, if not 0, is logged in place of the status sent.
	Status int
	// Done says that some proxy-logging has taken the request on itself, so that a second one stays silent.
	Done bool
}

// AddInfo adds a fact to the log line.
func (l *Log) AddInfo(fact string) { l.Info = append(l.Info, fact) }

// PreAuthed is the user of subrequests that a filter makes on its own account.
const PreAuthed = ".wsgi.pre_authed"

// TempURL is the user of requests that a signed URL allows. Set by tempurl; read by what treats them in their own way.
const TempURL = ".wsgi.tempurl"

// Child returns the state of a subrequest made by source. Identity, decisions and caches are inherited; what
// concerns one request's own course (log line, ACL, footers) starts anew.
func (s *State) Child(source string) *State {
	return &State{
		TransID:      s.TransID,
		Log:          Log{Source: source},
		Authorize:    s.Authorize,
		AuthOverride: s.AuthOverride,
		CleanACL:     s.CleanACL,
		Reseller:     s.Reseller,
		Owner:        s.Owner,
		User:         s.User,
		S3:           s.S3,
		Cache:        s.Cache,
		Infos:        s.Infos,
		Lookups:      s.Lookups,
		NullVersions: s.NullVersions,
	}
}

// PreAuthedChild is Child with the right to do anything.
func (s *State) PreAuthedChild(source string) *State {
	c := s.Child(source)
	c.AuthOverride, c.User = true, PreAuthed
	c.Authorize = nil
	c.Owner = true
	return c
}

// Groups splits User.
func (s *State) Groups() []string {
	if s.User == "" {
		return nil
	}
	return strings.Split(s.User, ",")
}

// Authorize asks the auth filter whether the request is allowed under an access list, before anything is done for it.
// The controllers ask again when the request comes to them.
func Authorize(r *http.Request, acl string) error {
	s := From(r.Context())
	if s.Authorize == nil {
		return nil
	}
	before := s.ACL
	s.ACL = acl
	defer func() { s.ACL = before }()
	return s.Authorize(r)
}

type key struct{}

// From returns the request's state. A request that did not come through a pipeline has an empty one, which changes to
// are lost.
func From(ctx context.Context) *State {
	if s, ok := ctx.Value(key{}).(*State); ok {
		return s
	}
	return &State{Infos: &Infos{}}
}

// Has says whether ctx has a state.
func Has(ctx context.Context) bool {
	_, ok := ctx.Value(key{}).(*State)
	return ok
}

// With returns r with the state.
func With(r *http.Request, s *State) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key{}, s))
}

// Begin gives requests that have no state a new one, with what the pipeline has for lookups.
func Begin(next, lookups http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Has(r.Context()) {
			b := &begun{Context: r.Context()}
			b.state.Infos, b.state.Lookups = &b.infos, lookups
			r = r.WithContext(b)
		}
		next.ServeHTTP(w, r)
	})
}

// begun is the context of a request that a pipeline begins. Every request has one, so what belongs to it is made at once.
type begun struct {
	context.Context
	state State
	infos Infos
}

// Value finds the state.
func (b *begun) Value(k any) any {
	if k == (key{}) {
		return &b.state
	}
	return b.Context.Value(k)
}

// Infos keeps what lookups found, for as long as the request lasts. It is safe for concurrent use: a filter's
// subrequests may run in parallel.
type Infos struct {
	mu  sync.Mutex
	few [4]info // as a rule a request is about one account and one container
	m   map[string]any
}

type info struct {
	key   string
	value any
}

// Get returns what was kept under key, or nil.
func (i *Infos) Get(key string) any {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := i.place(key); n >= 0 {
		return i.few[n].value
	}
	return i.m[key]
}

// Put keeps v under key; a nil v forgets it.
func (i *Infos) Put(key string, v any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.place(key)
	if n < 0 && v != nil {
		delete(i.m, key)
		n = i.place("")
	}
	switch {
	case n >= 0 && v == nil:
		i.few[n] = info{}
		return
	case n >= 0:
		i.few[n] = info{key, v}
		return
	case v == nil:
		delete(i.m, key)
		return
	}
	if i.m == nil {
		i.m = map[string]any{}
	}
	i.m[key] = v
}

// place returns where key is among the few, -1 if it is not there.
func (i *Infos) place(key string) int {
	for n := range i.few {
		if i.few[n].key == key {
			return n
		}
	}
	return -1
}
