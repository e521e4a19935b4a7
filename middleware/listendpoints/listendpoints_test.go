package listendpoints

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
	"github.com/apus-storage/apus/ring"
)

func TestConform(t *testing.T) { mt.ConformWith(t, host(t), Filter, "", nil, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) {
	h := mt.BuildOn(b, host(b), Filter, "", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, err := http.NewRequestWithContext(b.Context(), "GET", "/v1/AUTH_test/c/o", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(nil, r)
	}
}

// host is the cluster that the recording was made with: its rings are in testdata.
func host(t testing.TB) middleware.Host {
	t.Helper()
	h := mt.Host(t)
	cluster, err := swiftconf.ParseTOML("swift.toml", []byte(`
[swift-hash]
swift_hash_path_prefix = "changeme"
swift_hash_path_suffix = "changeme"
[storage-policy.0]
name = "gold"
default = true
[storage-policy.1]
name = "silver"
`))
	if err != nil {
		t.Fatal(err)
	}
	h.Cluster, h.Dir = cluster, "testdata"
	return h
}

// app answers lookups of containers: those called silver or with blank are of the second policy.
func app() *mt.App {
	return mt.NewApp().Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		switch _, container, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/"); container {
		case "gold":
			w.Header().Set("X-Backend-Storage-Policy-Index", "0")
		case "silver", "with blank":
			w.Header().Set("X-Backend-Storage-Policy-Index", "1")
		case "odd":
			w.Header().Set("X-Backend-Storage-Policy-Index", "7")
		case "slow":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		default:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}})
}

// answer is what is compared.
type answer struct {
	Status int
	Answer map[string]string
	Text   string
}

// TestAnswersAreThoseOfSwift asks what testdata/record.py asked. A cluster of package replay has rings of its own, so the
// filter stands alone here, with the rings of the recording.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, Method, Path string
			answer
			Apus *struct {
				answer
				Why string
			}
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 60 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	h := mt.BuildOn(t, host(t), Filter, "", app())
	for _, row := range golden.Rows {
		want := row.answer
		if row.Apus != nil {
			want.Status, want.Text = row.Apus.Status, row.Apus.Text
			maps.Copy(want.Answer, row.Apus.Answer)
		}
		res := mt.Do(t, h, row.Method, row.Path)
		got := answer{res.Code, map[string]string{}, res.Body}
		for k := range res.Header {
			got.Answer[k] = res.Header.Get(k)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s %s: -want +got\n%s", row.Name, row.Method, row.Path, diff)
		}
	}
}

func TestContainersAreLookedUpForObjectsOnly(t *testing.T) {
	a := app()
	h := mt.BuildOn(t, host(t), Filter, "", a)
	for path, want := range map[string]int{"/endpoints/a": 0, "/endpoints/a/c": 0, "/endpoints/a/c/o": 1, "/endpoints/v9/c/o": 0} {
		a.Forget()
		mt.Get(t, h, path)
		calls := a.Calls()
		if len(calls) != want {
			t.Errorf("%s: asked %v, want %d", path, a.URIs(), want)
		}
		for _, c := range calls {
			if c.Method != "HEAD" || c.Path != "/v1/a/c" || c.State.Log.Source != "LE" || !c.State.AuthOverride {
				t.Errorf("%s: asked %s %s as %q", path, c.Method, c.Path, c.State.Log.Source)
			}
		}
	}
}

func TestUnknownPoliciesAreNotGuessed(t *testing.T) {
	h := mt.BuildOn(t, host(t), Filter, "", app())
	for _, container := range []string{"odd", "slow"} {
		if got := mt.Get(t, h, "/endpoints/a/"+container+"/o"); got.Code != http.StatusServiceUnavailable {
			t.Errorf("container %s: got %d %s, want 503", container, got.Code, got.Body)
		}
	}
}

func TestAnotherPath(t *testing.T) {
	for config, where := range map[string]string{`list_endpoints_path = "/where/is"`: "/where/is/", `list_endpoints_path = "/where/"`: "/where/"} {
		a := app()
		h := mt.BuildOn(t, host(t), Filter, config, a)
		if got := mt.Get(t, h, where+"a"); got.Code != 200 || !strings.HasPrefix(got.Body, `["http://`) {
			t.Errorf("%s: got %d %s", config, got.Code, got.Body)
		}
		for _, path := range []string{strings.TrimSuffix(where, "/"), strings.TrimSuffix(where, "/") + "x/a", "/endpoints/a", "/"} {
			a.Forget()
			if mt.Get(t, h, path); len(a.Calls()) != 1 {
				t.Errorf("%s: %s is not passed on", config, path)
			}
		}
	}
	for _, config := range []string{`list_endpoints_path = ""`, `list_endpoints_path = "/"`, `list_endpoints_path = "where"`} {
		if p, err := mt.TryBuild(host(t), Filter, config, app()); err == nil {
			p.Close()
			t.Errorf("%s: accepted", config)
		}
	}
}

func TestRings(t *testing.T) {
	h := host(t)
	h.Dir = t.TempDir()
	for _, name := range []string{"account", "container", "object", "object-1"} {
		if p, err := mt.TryBuild(h, Filter, "", app()); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				p.Close()
			}
			t.Errorf("without the ring %s: got %v", name, err)
		}
		save(t, filepath.Join(h.Dir, name+".ring.gz"), "fd00::1")
	}
	got := mt.Get(t, mt.BuildOn(t, h, Filter, "", app()), "/endpoints/a")
	if want := `["http://[fd00::1]:6200/sdb1/0/a"]`; got.Body != want {
		t.Errorf("got %s, want %s", got.Body, want)
	}
}

func TestNewRingsAreSeen(t *testing.T) {
	h := host(t)
	h.Dir = t.TempDir()
	now := time.Unix(1_000_000, 0)
	h.Clock = clock.Func(func() time.Time { return now })
	for _, name := range []string{"account", "container", "object", "object-1"} {
		save(t, filepath.Join(h.Dir, name+".ring.gz"), "10.0.0.1")
	}
	p := mt.BuildOn(t, h, Filter, "", app())
	path := filepath.Join(h.Dir, "account.ring.gz")
	save(t, path, "10.0.0.2")
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10.0.0.1", "10.0.0.2"} {
		if got := mt.Get(t, p, "/endpoints/a"); got.Body != `["http://`+want+`:6200/sdb1/0/a"]` {
			t.Errorf("got %s, want %s", got.Body, want)
		}
		now = now.Add(ring.DefaultReloadInterval)
	}
}

// save writes a ring of one device.
func save(t *testing.T, path, ip string) {
	t.Helper()
	r, err := ring.New(ring.Parts{
		NextPartPower: -1, Devices: []*ring.Device{{IP: ip, Port: 6200, ReplicationIP: ip, ReplicationPort: 6200, Name: "sdb1", Weight: 1, Region: 1}},
		Assignments: [][]uint32{{0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Save(path, r, ring.Format1); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/a/c/o", "/v1/a", "/v2.0/a//", "/1e0/a", "//", "/vx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		q, err := parse(path)
		if err == nil && (q.version != 1 && q.version != 2 || len(q.names) == 0 || len(q.names) > 3 || q.names[0] == "") {
			t.Errorf("%q: got %+v", path, q)
		}
	})
}
