package etagquoter

import (
	"maps"
	"net/http"
	"testing"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// The suite does not know the lookups that come before requests for objects, so it is run on what is not the API's: the
// allocations are the error about that.
func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(3), mt.Path("/info")) }

func BenchmarkPass(b *testing.B) {
	h := mt.Build(b, Filter, "", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	infos := &request.Infos{}
	infos.Put(lookup.AccountKey("a"), &lookup.Account{Status: 204})
	infos.Put(lookup.ContainerKey("a", "c"), &lookup.Container{Status: 204})
	r, _ := http.NewRequest("GET", "/v1/a/c/o", nil)
	r = request.With(r, &request.State{Infos: infos})
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(nil, r)
	}
}

func TestQuoting(t *testing.T) {
	for etag, want := range map[string]string{
		"x": `"x"`, `"x"`: `"x"`, `W/"x"`: `W/"x"`, `"x`: `""x"`, `x"`: `"x""`, "": `""`, "W/x": `"W/x"`, "x;s3_etag=y": `"x;s3_etag=y"`,
	} {
		app := mt.NewApp().On("HEAD /v1/a/c", mt.Answer{Code: 204}).On("HEAD /v1/a", mt.Answer{Code: 204}).
			On("GET /v1/a/c/o", mt.Answer{Header: map[string]string{"Etag": etag}})
		h := mt.Build(t, Filter, "enable_by_default = true", app)
		if got := mt.Get(t, h, "/v1/a/c/o").Header.Get("Etag"); got != want {
			t.Errorf("Etag %s: became %s, want %s", etag, got, want)
		}
	}
}

func TestWhoDecides(t *testing.T) {
	const none = "none"
	for _, tc := range []struct {
		account, container string // values of the sysmeta
		missing            int    // 1: the account, 2: the container
		byDefault, want    bool
	}{
		{none, none, 0, false, false}, {none, none, 0, true, true},
		{"True", none, 0, false, true}, {"False", none, 0, true, false},
		{"True", "False", 0, true, false}, {"False", "True", 0, false, true},
		{none, "", 0, true, false}, {"", none, 0, true, false},
		{none, none, 1, true, false}, {none, none, 2, true, false}, {none, "True", 1, false, true},
	} {
		answer := func(kind, v string, missing bool) mt.Answer {
			a := mt.Answer{Code: 204, Header: map[string]string{}}
			if v != none {
				a.Header["X-"+kind+"-Sysmeta-Rfc-Compliant-Etags"] = v
			}
			if missing {
				a.Code = 404
			}
			return a
		}
		app := mt.NewApp().On("HEAD /v1/a", answer("Account", tc.account, tc.missing == 1)).
			On("HEAD /v1/a/c", answer("Container", tc.container, tc.missing == 2)).
			On("GET /v1/a/c/o", mt.Answer{Header: map[string]string{"Etag": "x"}})
		config := ""
		if tc.byDefault {
			config = "enable_by_default = true"
		}
		got := mt.Get(t, mt.Build(t, Filter, config, app), "/v1/a/c/o").Header.Get("Etag") == `"x"`
		if got != tc.want {
			t.Errorf("account %q, container %q, missing %d, default %v: quoted %v, want %v", tc.account, tc.container, tc.missing, tc.byDefault, got, tc.want)
		}
		for _, c := range app.Calls() {
			if c.Method == "HEAD" && c.State.Log.Source != "EQ" {
				t.Errorf("lookup with source %q, want EQ", c.State.Log.Source)
			}
		}
	}
}

func TestHeadersOfAccountsAndContainers(t *testing.T) {
	const client, remove, sysmeta = "X-Container-Rfc-Compliant-Etags", "X-Remove-Container-Rfc-Compliant-Etags", "X-Container-Sysmeta-Rfc-Compliant-Etags"
	for _, tc := range []struct {
		name   string
		header map[string]string
		stored string // "-": nothing
	}{
		{"yes", map[string]string{client: "yes"}, "True"},
		{"no", map[string]string{client: "nope"}, "False"},
		{"empty", map[string]string{client: ""}, ""},
		{"removed", map[string]string{remove: "x"}, ""},
		{"removed with no value", map[string]string{remove: ""}, "-"},
		{"both", map[string]string{client: "yes", remove: "x"}, ""},
		{"the account's on a container", map[string]string{"X-Account-Rfc-Compliant-Etags": "yes"}, "-"},
	} {
		app := mt.NewApp().On("POST /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{sysmeta: "True", "Etag": "x"}})
		got := mt.Do(t, mt.Build(t, Filter, "enable_by_default = true", app), "POST", "/v1/a/c", func(r *http.Request) {
			for k := range maps.Keys(tc.header) {
				r.Header.Set(k, tc.header[k])
			}
		})
		stored, ok := app.Last().Header[sysmeta]
		if ok == (tc.stored == "-") || ok && stored[0] != tc.stored {
			t.Errorf("%s: sysmeta %q, want %q", tc.name, stored, tc.stored)
		}
		if got.Header.Get(client) != "True" || got.Header.Get(sysmeta) != "" || got.Header.Get("Etag") != "x" {
			t.Errorf("%s: headers of the answer %v", tc.name, got.Header)
		}
	}
}

func TestOtherPathsPass(t *testing.T) {
	for _, path := range []string{"/info", "/v2/a/c/o", "/v1", "/v1//c"} {
		app := mt.NewApp().Otherwise(mt.Answer{Header: map[string]string{"Etag": "x"}})
		got := mt.Get(t, mt.Build(t, Filter, "enable_by_default = true", app), path)
		if got.Header.Get("Etag") != "x" || len(app.Calls()) != 1 {
			t.Errorf("%s: Etag %s after %v", path, got.Header.Get("Etag"), app.URIs())
		}
	}
}
