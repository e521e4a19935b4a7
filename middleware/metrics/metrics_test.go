package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(1)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

var local = mt.From("127.0.0.1:1234")

func TestRequestsAreCounted(t *testing.T) {
	var now time.Time
	host := mt.Host(t)
	host.Clock = clock.Func(func() time.Time { now = now.Add(time.Second / 5); return now })
	policy := func(index string, code int) mt.Answer {
		return mt.Answer{Code: code, Header: map[string]string{"X-Backend-Storage-Policy-Index": index}}
	}
	app := mt.NewApp().
		On("GET /v1/a/c/o", policy("1", 200)).
		On("PUT /v1/a/c/o", policy("0", 201)).
		On("BREW /v1/a/c/o", policy("77", 400)).
		On("GET /v1/a", mt.Answer{Code: 204}).
		On("GET /abort", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}}).
		On("GET /nothing", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {}})
	h := mt.BuildOn(t, host, Filter, "", app)
	for range 3 {
		mt.Get(t, h, "/v1/a/c/o")
	}
	mt.Do(t, h, "PUT", "/v1/a/c/o")
	mt.Do(t, h, "BREW", "/v1/a/c/o")
	mt.Get(t, h, "/v1/a")
	mt.Get(t, h, "/nothing")
	mt.Do(t, h, "PUT", "/v1/a", mt.Header("X-Backend-Storage-Policy-Index", "1")) // as a node gets it
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("recovered %v, want %v", v, http.ErrAbortHandler)
			}
		}()
		mt.Get(t, h, "/abort")
	}()
	page := mt.Get(t, h, "/metrics", local)
	for _, want := range []string{
		`apus_http_requests_total{class="2xx",filter="metrics",method="GET",policy="silver",server="proxy"} 3`,
		`apus_http_requests_total{class="2xx",filter="metrics",method="PUT",policy="gold",server="proxy"} 1`,
		`apus_http_requests_total{class="4xx",filter="metrics",method="other",policy="",server="proxy"} 1`,
		`apus_http_requests_total{class="2xx",filter="metrics",method="GET",policy="",server="proxy"} 2`,
		`apus_http_requests_total{class="4xx",filter="metrics",method="PUT",policy="silver",server="proxy"} 1`,
		`apus_http_requests_total{class="aborted",filter="metrics",method="GET",policy="",server="proxy"} 1`,
		`apus_http_request_duration_seconds_count{class="2xx",filter="metrics",method="GET",policy="silver",server="proxy"} 3`,
		`apus_http_request_duration_seconds_bucket{class="2xx",filter="metrics",method="PUT",policy="gold",server="proxy",le="0.1"} 0`,
		`apus_http_request_duration_seconds_bucket{class="2xx",filter="metrics",method="PUT",policy="gold",server="proxy",le="0.25"} 1`,
		`apus_http_requests_in_flight{filter="metrics",server="proxy"} 0`,
	} {
		if !strings.Contains(page.Body, want+"\n") {
			t.Errorf("no %s in\n%s", want, page.Body)
		}
	}
	if ct := page.Header.Get("Content-Type"); page.Code != 200 || !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("page: %d %s", page.Code, ct)
	}
}

func TestAPipelineThatReplacesAnotherGoesOnCounting(t *testing.T) {
	host := mt.Host(t)
	app := mt.NewApp().Otherwise(mt.Answer{})
	for want := 1; want < 4; want++ {
		p, err := mt.TryBuild(host, Filter, "", app)
		if err != nil {
			t.Fatal(err)
		}
		mt.Get(t, p, "/v1/a")
		page := mt.Get(t, p, "/metrics", local).Body
		if line := `policy="",server="proxy"} ` + string(rune('0'+want)) + "\n"; !strings.Contains(page, line) {
			t.Errorf("no %q in\n%s", line, page)
		}
		p.Close()
	}
}

func TestServersInOneProcessAreToldApart(t *testing.T) {
	host := mt.Host(t)
	for _, server := range []string{"proxy", "object"} {
		host.Server = server
		mt.Get(t, mt.BuildOn(t, host, Filter, "", mt.NewApp()), "/v1/a")
	}
	page := mt.Get(t, mt.BuildOn(t, host, Filter, "", mt.NewApp()), "/metrics", local).Body
	for _, server := range []string{"proxy", "object"} {
		if want := `policy="",server="` + server + `"} 1`; !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	for _, tc := range []struct {
		name, config, addr string
		header             string
		code               int
	}{
		{"the machine itself", "", "127.0.0.1:1", "", 200},
		{"the machine itself by IPv6", "", "[::1]:1", "", 200},
		{"the machine itself by mapped IPv4", "", "[::ffff:127.0.0.1]:1", "", 200},
		{"a Unix socket", "", "@", "", 200},
		{"a neighbour", "", "10.0.0.1:1", "", 403},
		{"the world", "", "192.0.2.1:1", "", 403},
		{"something that is no address", "", "nonsense", "", 403},
		{"a local balancer's client", "", "127.0.0.1:1", "X-Forwarded-For", 403},
		{"another local balancer's client", "", "127.0.0.1:1", "Forwarded", 403},
		{"a neighbour where that is allowed", `allow = ["private"]`, "192.168.1.1:1", "", 200},
		{"a link-local neighbour with a zone", `allow = "private"`, "[fe80::1%eth0]:1", "", 200},
		{"the machine itself where that is not allowed", `allow = ["private"]`, "127.0.0.1:1", "", 403},
		{"a listed network", `allow = ["loopback", "192.0.2.0/24"]`, "192.0.2.1:1", "", 200},
		{"outside of a listed network", `allow = ["loopback", "192.0.2.0/24"]`, "192.0.3.1:1", "", 403},
		{"a listed address", `allow = ["192.0.2.1"]`, "192.0.2.1:1", "", 200},
		{"beside a listed address", `allow = ["192.0.2.1"]`, "192.0.2.2:1", "", 403},
		{"everybody", `allow = ["any"]`, "[2001:db8::1]:1", "", 200},
		{"nobody", `allow = []`, "127.0.0.1:1", "", 403},
	} {
		options := []mt.Option{mt.From(tc.addr)}
		if tc.header != "" {
			options = append(options, mt.Header(tc.header, "192.0.2.1"))
		}
		app := mt.NewApp()
		if got := mt.Get(t, mt.Build(t, Filter, tc.config, app), "/metrics", options...); got.Code != tc.code || len(app.Calls()) != 0 {
			t.Errorf("%s (%s, %s): %d, want %d", tc.name, tc.addr, tc.config, got.Code, tc.code)
		}
	}
}

func TestThePage(t *testing.T) {
	app := mt.NewApp()
	h := mt.Build(t, Filter, `path = "/internal/counts"`, app)
	for _, tc := range []struct {
		method, target string
		code           int
	}{
		{"GET", "/internal/counts", 200}, {"HEAD", "/internal/counts", 200}, {"POST", "/internal/counts", 405},
		{"GET", "/metrics", 404}, {"GET", "/internal/counts/", 404},
	} {
		if got := mt.Do(t, h, tc.method, tc.target, local); got.Code != tc.code {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.target, got.Code, tc.code)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, tc := range []struct{ config, want string }{
		{`path = "metrics"`, "test.toml:6: filter.metrics.path: must be a path outside of the Swift API"},
		{`path = "/v1/metrics"`, "test.toml:6: filter.metrics.path: must be a path outside of the Swift API"},
		{`path = ""`, "test.toml:6: filter.metrics.path: must be a path outside of the Swift API"},
		{`allow = ["loopback", "lan"]`, `test.toml:6: filter.metrics.allow: "lan" is no network`},
		{`allow = "10.0.0.0/64"`, `test.toml:6: filter.metrics.allow: "10.0.0.0/64" is no network`},
	} {
		_, err := mt.TryBuild(mt.Host(t), Filter, tc.config, http.NotFoundHandler())
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s...", tc.config, err, tc.want)
		}
	}
}

func TestRunningRequestsAreSeen(t *testing.T) {
	var h http.Handler
	var page string
	h = mt.Build(t, Filter, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := httptest.NewRequest("GET", "/metrics", nil)
		inner.RemoteAddr = "127.0.0.1:1"
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, inner)
		page = rec.Body.String()
	}))
	mt.Get(t, h, "/v1/a")
	if want := `apus_http_requests_in_flight{filter="metrics",server="proxy"} 1`; !strings.Contains(page, want) {
		t.Errorf("no %s in\n%s", want, page)
	}
}
