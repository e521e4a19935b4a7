package proxylogging

import (
	"strconv"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/statsd"
)

// stats sends metrics of requests.
type stats struct {
	client   *statsd.Client // nil discards
	own      *statsd.Client // to be closed with the filter
	clock    clock.Clock
	policies policy.Set
	versions []string
	valid    map[string]bool // methods that have metrics of their own

	// For metrics with labels.
	streamEvery time.Duration // between two counts of passing bytes; below 0 there are none
	s3          bool          // the pipeline has somebody who understands S3
	domains     []string      // that buckets stand in front of, with a dot
}

func (s *stats) close() error { return s.own.Close() }

// report sends what Swift sends of a request.
func (s *stats) report(e *entry) {
	if s.client == nil {
		return
	}
	shown := s.method(e)
	kind := s.kind(e)
	s.send(e, kind+"."+shown+".")
	if kind == "object" && s.policy(e) != "" {
		s.send(e, "object.policy."+e.policy+"."+shown+".")
	}
	if s.client.HasLabels() {
		s.sendLabelled(e)
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

// method is the client's, if it is one that is counted by its name.
func (s *stats) method(e *entry) string {
	if m := e.method(); s.valid[m] {
		return m
	}
	return "BAD_METHOD"
}

// policy is the request's, if there is such a policy.
func (s *stats) policy(e *entry) string {
	if i, ok := policy.ParseIndex(e.policy); ok {
		if _, ok := s.policies.ByIndex(i); ok {
			return e.policy
		}
	}
	return ""
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
