package upstream

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// numbers are all counters and gauges of a registry, and how many observations its histograms have, by name and labels.
func numbers(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "apus_s3gateway_upstream_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	registry := prometheus.NewRegistry()
	u := open(t, base(s.URL), Deps{Metrics: registry})
	c := base("http://127.0.0.1:1")
	c.BreakerFailures = 1
	dead, err := New("dead", c, Deps{Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	send(t, u, get("k"))
	send(t, u, get("k"))
	send(t, u, Call{Method: "WHATEVER", Bucket: "bucket"})
	for range 2 {
		dead.Send(t.Context(), get("k"))
	}
	u.Send(t.Context(), Call{Method: "GET", Bucket: "a/b"})
	got := numbers(t, registry)
	want := map[string]float64{
		"requests_total 2xx GET store": 2, "requests_total 2xx other store": 1, "requests_total refused GET store": 1,
		"requests_total connect GET dead": 1, "requests_total refused GET dead": 1,
		"seconds GET store": 3, "seconds other store": 1, "seconds GET dead": 2,
		"healthy store": 1, "healthy dead": 1, "breaker_open store": 0, "breaker_open dead": 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	// A configuration that is read again opens it again.
	if _, err := numbers(t, registry), u.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, base(s.URL), Deps{Metrics: registry})
	send(t, again, get("k"))
	if n := numbers(t, registry)["requests_total 2xx GET store"]; n != 3 {
		t.Errorf("after opening it again there are %v requests", n)
	}
}
