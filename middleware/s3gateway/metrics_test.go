package s3gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// values returns the metrics whose names begin so, as name{label values} value. Of histograms it is the count.
func (g *gateway) values(prefix string) []string {
	g.t.Helper()
	families, err := g.metrics.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		name, ok := strings.CutPrefix(f.GetName(), prefix)
		if !ok {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetValue() != "s3gateway" { // of the section
					labels = append(labels, l.GetValue())
				}
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			all = append(all, fmt.Sprintf("%s%v %g", name, labels, value))
		}
	}
	slices.Sort(all)
	return all
}

func (g *gateway) wantValues(prefix string, want ...string) {
	g.t.Helper()
	slices.Sort(want)
	if got := g.values(prefix); !slices.Equal(got, want) {
		g.t.Errorf("%s\n%s\nwant\n%s", prefix, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMetricsOfTheCache(t *testing.T) {
	g, at := newCaching(t, "max_entries = 2")
	tag := at.want(200, "PUT", "/photos/x", lines).header.Get("Etag")
	g.warm("/photos/x", lines)                                           // a miss, kept
	g.has("/photos/x", lines)                                            // a hit
	g.want(206, "GET", "/photos/x", "", "Range", "bytes=0-9")            // and one of ten bytes
	g.want(304, "GET", "/photos/x", "", "If-None-Match", tag)            // no body from anywhere
	g.want("InvalidRange", "GET", "/photos/x", "", "Range", "bytes=99-") // a miss: the store refuses
	g.want("NoSuchKey", "GET", "/photos/none", "")                       // a miss
	g.want(200, "GET", "/photos?list-type=2", "")                        // nothing for the cache
	at.want(200, "PUT", "/photos/x", "other")
	g.warm("/photos/x", "other") // it is another by now: a miss, kept
	for i := range 3 {           // each a miss; two make room
		path := fmt.Sprintf("/photos/%d", i)
		at.want(200, "PUT", path, lines)
		g.warm(path, lines)
	}
	size := 0.0
	for _, v := range g.values("apus_s3gateway_cache_bytes") {
		fmt.Sscanf(v, "[] %g", &size)
	}
	if size < 2*float64(len(lines)) {
		t.Errorf("the cache holds %g bytes", size)
	}
	g.wantValues("apus_s3gateway_cache_", "hits_total[] 2", "misses_total[] 7", fmt.Sprintf("served_bytes_total[] %d", len(lines)+10),
		"fills_total[] 5", "stale_total[] 1", "aborts_total[] 0", "evictions_total[] 2", "damaged_total[] 0", "entries[] 2", fmt.Sprintf("bytes[] %g", size))
}

func TestMetricsOfFunctions(t *testing.T) {
	f := callable.Functions{
		Secret: inGo.Secret,
		Credentials: func(_ context.Context, _, bucket string) (callable.Credentials, error) {
			if bucket == "broken" {
				return callable.Credentials{}, errors.New("broken")
			}
			return callable.Credentials{Bearer: "b"}, nil
		},
		Authorize: inGo.Authorize,
	}
	g, _ := newAsking(t, f, "timeout = 0.2", "error_ttl = 0", "negative_ttl = 3600")
	for range 3 {
		g.as(carol).want(200, "GET", "/one/x", "")
	}
	g.as(dan).want("AccessDenied", "GET", "/one/private/x", "")
	g.as(carol).want("ServiceUnavailable", "GET", "/one/raises", "")
	g.as(carol).want("ServiceUnavailable", "GET", "/one/hangs", "")
	g.as(carol).want("ServiceUnavailable", "GET", "/broken/x", "")
	// What clients make up is no label.
	for i := range 20 {
		key := fmt.Sprintf("AKMADEUP%d", i)
		secrets[key] = "x"
		g.as(key).want("InvalidAccessKeyId", "GET", "/one/x", "")
	}
	g.as(carol).do(fmt.Sprintf("METHOD%d", 1), "/one/x", "")
	g.wantValues("apus_s3gateway_callable_",
		"calls_total[decide secret answered] 2", "calls_total[decide secret unknown] 20",
		"calls_total[decide authorize answered] 3", // GET x in two buckets, and the made up method
		"calls_total[decide authorize no] 1", "calls_total[decide authorize failed] 1", "calls_total[decide authorize timeout] 1",
		"calls_total[decide credentials answered] 1", "calls_total[decide credentials failed] 1",
		"seconds[decide secret] 22", "seconds[decide authorize] 6", "seconds[decide credentials] 2",
		"cached_total[decide secret] 6", "cached_total[decide authorize] 2", "cached_total[decide credentials] 3",
	)
	for _, v := range g.values("apus_s3gateway_") {
		if strings.Contains(v, "MADEUP") || strings.Contains(v, "METHOD") {
			t.Errorf("a client's word is a label: %s", v)
		}
	}
}
