package proxylogging

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/statsd"
)

// metricPrefix begins the names of metrics with labels.
const metricPrefix = "swift_proxy_server_"

// sendLabelled sends the metrics with labels of a request that is over.
func (s *stats) sendLabelled(e *entry) {
	if first := e.firstByte(); first > 0 {
		s.labelled(e, e.wire).Timing(metricPrefix+"request_ttfb", first)
	}
	l := s.labelled(e, e.status)
	l.Timing(metricPrefix+"request_timing", e.end.Sub(e.start))
	l.Count(metricPrefix+"request_body_bytes", e.body.n)
	l.Count(metricPrefix+"response_body_bytes", e.sent())
}

// labelled puts labels on what is known of a request. A status of 0 is not known yet.
func (s *stats) labelled(e *entry, status int) *statsd.Labelled {
	w := s.where(e.r)
	if w.resource == "" {
		w.resource = s.kind(e)
	}
	labels := []statsd.Label{
		{Name: "account", Value: w.account}, {Name: "api", Value: w.api}, {Name: "container", Value: w.container},
		{Name: "method", Value: s.method(e)}, {Name: "resource", Value: w.resource},
	}
	if status != 0 {
		labels = append(labels, statsd.Label{Name: "status", Value: strconv.Itoa(status)})
	}
	if w.resource == "object" {
		labels = append(labels, statsd.Label{Name: "policy", Value: s.policy(e)})
	}
	return s.client.Labelled(labels...)
}

// where is what a request is about.
type where struct{ api, resource, account, container string }

func (s *stats) where(r *http.Request) where {
	if s.s3 && signed(r) {
		bucket, key := s.bucket(r)
		w := where{api: "S3", resource: "account", container: bucket}
		switch {
		case bucket != "" && key != "":
			w.resource = "object"
		case bucket != "":
			w.resource = "container"
		}
		return w
	}
	p, err := apipath.Parse(r.URL.Path)
	if err != nil || !apipath.ValidVersion(p.Version, s.versions) {
		return where{api: "swift"}
	}
	return where{api: "swift", account: p.Account, container: p.Container}
}

// signed says whether a request carries a signature of S3's, whoever made it.
func signed(r *http.Request) bool {
	a := get(r.Header, "Authorization")
	if strings.HasPrefix(a, "AWS ") || strings.HasPrefix(a, "AWS4-HMAC-SHA256 ") {
		return true
	}
	for _, p := range params(r.URL.RawQuery) {
		if p.name == "AWSAccessKeyId" || p.name == "X-Amz-Credential" {
			return true
		}
	}
	return false
}

// bucket finds the bucket of an S3 request, in its Host or at the beginning of its path, and the key.
func (s *stats) bucket(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	for _, d := range s.domains {
		if name, ok := strings.CutSuffix(strings.ToLower(host), d); ok && name != "" {
			return name, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// A flow counts the bytes of a body while they pass. A nil flow does not.
type flow struct {
	every time.Duration
	clock clock.Clock
	name  string
	// labels is called for the first count, when what can be known is.
	labels func() *statsd.Labelled

	made  *statsd.Labelled
	sent  time.Time // when there was a count last, at first when the request came
	bytes int64     // since then
}

// streams makes the flows of a request's two bodies, if their bytes are to be counted as they pass.
func (s *stats) streams(e *entry) (body, answer *flow) {
	if s.streamEvery < 0 || !s.client.HasLabels() {
		return nil, nil
	}
	if e.r.Body != nil && e.r.Body != http.NoBody {
		// Made now: while the body is read, by whatever goroutine, the answer may be on its way.
		l := s.labelled(e, 0)
		body = &flow{
			every: s.streamEvery, clock: s.clock, sent: e.start,
			name: metricPrefix + "request_body_streaming_bytes", labels: func() *statsd.Labelled { return l },
		}
	}
	if e.r.Method != http.MethodHead { // else net/http drops what a handler writes
		answer = &flow{
			every: s.streamEvery, clock: s.clock, sent: e.start,
			name: metricPrefix + "response_body_streaming_bytes", labels: func() *statsd.Labelled { return s.labelled(e, e.meter.Status) },
		}
	}
	return body, answer
}

func (f *flow) pass(n int64) {
	if f == nil || n <= 0 {
		return
	}
	f.bytes += n
	if f.every > 0 {
		now := f.clock.Now()
		if now.Sub(f.sent) < f.every {
			return
		}
		f.sent = now
	}
	f.end()
}

// end sends what is left.
func (f *flow) end() {
	if f == nil || f.bytes == 0 {
		return
	}
	if f.made == nil {
		f.made = f.labels()
	}
	f.made.Count(f.name, f.bytes)
	f.bytes = 0
}
