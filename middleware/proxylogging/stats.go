package proxylogging

import (
	"strconv"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/statsd"
)

// stats sends metrics of requests.
type stats struct {
	client   *statsd.Client // nil discards
	own      *statsd.Client // to be closed with the filter
	policies policy.Set
	versions []string
	valid    map[string]bool // methods that have metrics of their own
}

func (s *stats) close() error { return s.own.Close() }

// report sends what Swift sends of a request.
func (s *stats) report(e *entry) {
	if s.client == nil {
		return
	}
	method := e.method()
	shown := method
	if !s.valid[method] {
		shown = "BAD_METHOD"
	}
	kind := s.kind(e)
	s.send(e, kind+"."+shown+".")
	if kind != "object" || e.policy == "" {
		return
	}
	i, ok := policy.ParseIndex(e.policy)
	if !ok {
		return
	}
	if _, ok := s.policies.ByIndex(i); ok {
		s.send(e, "object.policy."+e.policy+"."+shown+".")
	}
}

func (s *stats) send(e *entry, prefix string) {
	if first := e.firstByte(); first > 0 {
		// Sent when the head goes out, in Swift: with the status on the wire, whatever comes after.
		s.client.Timing(prefix+strconv.Itoa(e.wire)+".first-byte.timing", first)
	}
	name := prefix + strconv.Itoa(e.status)
	s.client.Timing(name+".timing", e.end.Sub(e.start))
	s.client.Count(name+".xfer", e.body.n+e.sent())
}

// kind says what the request was for.
func (s *stats) kind(e *entry) string {
	p, err := apipath.Parse(e.r.URL.Path)
	if err == nil && apipath.ValidVersion(p.Version, s.versions) && p.Level() != apipath.LevelNone {
		return p.Level().String()
	}
	if e.state.Log.Source != "" {
		return e.state.Log.Source
	}
	return "UNKNOWN"
}
