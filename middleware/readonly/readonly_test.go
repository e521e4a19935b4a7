package readonly

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// The suite does not know the lookup that comes before a write, so it is run on what is not the API's.
func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0), mt.Path("/info")) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// TestAnswersAreThoseOfSwift replays what testdata/record.py recorded.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, Method, Path, Text, Type string
			Config, Accounts, Header       map[string]string
			Passed                         bool
			Status                         int
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 20 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	for _, row := range golden.Rows {
		if row.Header["Destination-Account"] == "b%2Fc" {
			continue // Swift checks the quoted name, see TestTheAccountThatIsCheckedIsTheOneWrittenTo
		}
		config := ""
		for k, v := range row.Config {
			config += fmt.Sprintf("%s = %s\n", k, v)
		}
		app := mt.NewApp().Otherwise(mt.Answer{})
		h := mt.Build(t, Filter, config, app)
		state := &request.State{Infos: &request.Infos{}}
		for _, name := range []string{"a", "b"} {
			info := &lookup.Account{Status: 204}
			if v, ok := row.Accounts[name]; ok {
				info.Sysmeta = map[string]string{"read-only": v}
			}
			state.Infos.Put(lookup.AccountKey(name), info)
		}
		got := mt.Do(t, h, row.Method, row.Path, func(r *http.Request) {
			*r = *request.With(r, state)
			for k, v := range row.Header {
				r.Header.Set(k, v)
			}
		})
		if passed := len(app.Calls()) > 0; passed != row.Passed || got.Code != row.Status || got.Body != row.Text || !passed && got.Header.Get("Content-Type") != row.Type {
			t.Errorf("%s: %s %s %v with %v: got %d %q, passed %v; want %d %q, passed %v",
				row.Name, row.Method, row.Path, row.Header, row.Config, got.Code, got.Body, passed, row.Status, row.Text, row.Passed)
		}
	}
}

func TestTheAccountThatIsCheckedIsTheOneWrittenTo(t *testing.T) {
	for _, tc := range []struct {
		name, destination string
		want              int
	}{
		{"plain", "b", 405},
		{"quoted, which copy undoes", "%62", 405},
		{"another account", "c", 200},
		{"a quoted slash", "b%2Fc", 412},
	} {
		app := mt.NewApp().On("COPY /v1/a/c/o", mt.Answer{}).
			On("HEAD /v1/b", mt.Answer{Code: 204, Header: map[string]string{"X-Account-Sysmeta-Read-Only": "true"}})
		got := mt.Do(t, mt.Build(t, Filter, "", app), "COPY", "/v1/a/c/o", mt.Header("Destination-Account", tc.destination))
		if got.Code != tc.want {
			t.Errorf("%s: COPY to %s: got %d, want %d", tc.name, tc.destination, got.Code, tc.want)
		}
	}
}

func TestLookupsAreTheFiltersOwn(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 503})
	got := mt.Do(t, mt.Build(t, Filter, "", app), "PUT", "/v1/a/c/o")
	calls := app.Calls()
	if got.Code != 503 || len(calls) != 2 || calls[0].State.Log.Source != "RO" || !calls[0].State.AuthOverride {
		t.Errorf("got %d after %v, want a pre-authorised lookup by RO, then the app's 503", got.Code, app.URIs())
	}
}

func TestInfo(t *testing.T) {
	for config, want := range map[string]bool{"": false, "read_only = true": true} {
		p := mt.BuildOn(t, mt.Host(t), Filter, config, mt.NewApp())
		if _, got := p.Info().Public["read_only"]; got != want {
			t.Errorf("%q: shown in /info: %v, want %v", config, got, want)
		}
	}
}
