package gatekeeper

import (
	"net/http"
	"testing"

	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(1)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// internal are headers that belong to the cluster, in spellings that a client might try.
var internal = []string{
	"X-Account-Sysmeta-A", "X-Container-Sysmeta-A", "X-Object-Sysmeta-A", "x-object-sysmeta-slo-etag", "X-OBJECT-SYSMETA-A",
	"X-Object-Transient-Sysmeta-A", "X-Backend-Storage-Policy-Index", "X-Backend", "X-Backendwards",
	"X-Account-Host", "X-Account-Device", "X-Account-Partition",
	"X-Container-Host", "X-Container-Device", "X-Container-Partition", "X-Container-Root-Db-State",
	"X-Delete-At-Host", "X-Delete-At-Device", "X-Delete-At-Partition", "X-Delete-At-Container",
}

// public are headers that look like them.
var public = []string{
	"X-Object-Meta-A", "X-Object-Sysmet", "X-Delete-At", "X-Account-Hosts", "X-Container-Device-A", "X-Container-Meta-Sysmeta-A", "X-Auth-Token",
}

func TestInternalHeadersStayInside(t *testing.T) {
	answer := mt.Answer{Header: map[string]string{}}
	var headers []mt.Option
	for _, name := range append(append([]string{}, internal...), public...) {
		answer.Header[name] = "from the app"
		headers = append(headers, mt.Header(name, "from the client"))
	}
	app := mt.NewApp().On("GET /v1/a/c/o", answer)
	res := mt.Get(t, mt.Build(t, Filter, "", app), "/v1/a/c/o", headers...)
	seen := app.Last().Header
	for _, name := range internal {
		if v := seen.Get(name); v != "" {
			t.Errorf("request: %s: %s reached the app", name, v)
		}
		if v := res.Header.Get(name); v != "" {
			t.Errorf("response: %s: %s reached the client", name, v)
		}
	}
	for _, name := range public {
		if v := seen.Get(name); v != "from the client" {
			t.Errorf("request: %s is %q at the app, want %q", name, v, "from the client")
		}
		if v := res.Header.Get(name); v != "from the app" {
			t.Errorf("response: %s is %q at the client, want %q", name, v, "from the app")
		}
	}
}

func TestInternalHeadersStayInsideWhenNothingIsWritten(t *testing.T) {
	app := mt.NewApp().On("GET /", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend-Timestamp", "1")
	}})
	if res := mt.Get(t, mt.Build(t, Filter, "", app), "/"); len(res.Header["X-Backend-Timestamp"]) != 0 {
		t.Errorf("headers %v", res.Header)
	}
}

func TestClientsTimestamps(t *testing.T) {
	for _, tc := range []struct {
		name, config  string
		given         []mt.Option
		plain, inside string
	}{
		{"is set aside", "", []mt.Option{mt.Header("X-Timestamp", "1")}, "", "1"},
		{"is let through when told so", "shunt_inbound_x_timestamp = false", []mt.Option{mt.Header("X-Timestamp", "1")}, "1", ""},
		{"is absent", "", nil, "", ""},
		{"cannot be smuggled in", "", []mt.Option{mt.Header("X-Backend-Inbound-X-Timestamp", "2")}, "", ""},
	} {
		app := mt.NewApp().On("PUT /v1/a/c/o", mt.Answer{Code: 201})
		mt.Do(t, mt.Build(t, Filter, tc.config, app), "PUT", "/v1/a/c/o", tc.given...)
		h := app.Last().Header
		if p, i := h.Get("X-Timestamp"), h.Get("X-Backend-Inbound-X-Timestamp"); p != tc.plain || i != tc.inside {
			t.Errorf("a timestamp that %s: X-Timestamp %q, inbound %q; want %q, %q", tc.name, p, i, tc.plain, tc.inside)
		}
	}
}

func TestReservedNames(t *testing.T) {
	for _, tc := range []struct {
		name, config, header string
		want                 string
	}{
		{"are refused by default", "", "X-Allow-Reserved-Names", ""},
		{"are allowed by header when told so", "allow_reserved_names_header = true", "X-Allow-Reserved-Names", "yes"},
		{"are never allowed by the internal header", "allow_reserved_names_header = true", "X-Backend-Allow-Reserved-Names", ""},
	} {
		app := mt.NewApp().On("GET /v1/a/c", mt.Answer{})
		mt.Get(t, mt.Build(t, Filter, tc.config, app), "/v1/a/c", mt.Header(tc.header, "yes"))
		if got := app.Last().Header.Get("X-Backend-Allow-Reserved-Names"); got != tc.want {
			t.Errorf("reserved names %s: internal header %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestLocations(t *testing.T) {
	for _, tc := range []struct {
		name, location string
		relative       bool
		want           string
	}{
		{"a redirect elsewhere", "http://h:1/v1/a?x=y#z", false, "http://h:1/v1/a?x=y#z"},
		{"within the account", "http://h:1/v1/a/c/o?x=y#z", true, "/v1/a/c/o?x=y#z"},
		{"with escapes, which stay as they are", "https://h/v1/a/c%2Fo%20%7E?a=%2f", true, "/v1/a/c%2Fo%20%7E?a=%2f"},
		{"that is relative already", "/v1/a/c/o", true, "/v1/a/c/o"},
		{"that is relative and mentions another", "/v1/a?next=http://h/", true, "/v1/a?next=http://h/"},
		{"without a path", "http://h", true, ""},
		{"none", "", true, ""},
	} {
		app := mt.NewApp().On("GET /v1/a", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			request.From(r.Context()).RelativeLocation = tc.relative
			if tc.location != "" {
				w.Header().Set("Location", tc.location)
			}
			w.WriteHeader(http.StatusFound)
		}})
		if got := mt.Get(t, mt.Build(t, Filter, "", app), "/v1/a").Header.Get("Location"); got != tc.want {
			t.Errorf("a location %s: %q became %q, want %q", tc.name, tc.location, got, tc.want)
		}
	}
}
