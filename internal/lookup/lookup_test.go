package lookup

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/request"
)

// What Swift's proxy stores for a container, byte for byte.
const swiftsContainer = `{"status": 204, "read_acl": null, "write_acl": null, "sync_to": null, "sync_key": null, "object_count": "0", "bytes": "0", "versions": null, "storage_policy": "0", "cors": {"allow_origin": null, "expose_headers": null, "max_age": null}, "meta": {"color": "blue"}, "sysmeta": {}, "sharding_state": "unsharded", "created_at": "1795292775.95749", "put_timestamp": "1795292775.90819", "delete_timestamp": "0000000000.00000", "status_changed_at": "1795292775.90819"}`

func header(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func newRequest(c cache.Cache) (*http.Request, *request.State) {
	s := &request.State{Infos: &request.Infos{}, Cache: c, User: "me"}
	return request.With(httptest.NewRequest("GET", "/v1/a/c/o", nil), s), s
}

func TestContainerIsStoredAsSwiftStoresIt(t *testing.T) {
	c := memory.New(memory.Options{})
	r, _ := newRequest(c)
	info := ContainerFromHeaders(204, header("X-Container-Object-Count", "0", "X-Container-Bytes-Used", "0", "X-Container-Meta-Color", "blue",
		"X-Backend-Timestamp", "1795292775.95749", "X-Backend-Put-Timestamp", "1795292775.90819",
		"X-Backend-Delete-Timestamp", "0000000000.00000", "X-Backend-Status-Changed-At", "1795292775.90819"))
	StoreContainer(r.Context(), Lifetimes{Container: time.Minute}, "a", "c", info)
	v, err := c.Get(t.Context(), "container/a/c")
	if err != nil || string(v.Data) != swiftsContainer || !v.JSON {
		t.Errorf("got %s, %v\nwant %s", v.Data, err, swiftsContainer)
	}
}

func TestReadsWhatOtherReleasesStored(t *testing.T) {
	c := memory.New(memory.Options{})
	err := c.Set(t.Context(), "container/a/c", cache.Value{JSON: true, Data: []byte(`{"status": 200, "object_count": 5, "bytes": 17, "storage_policy": 1, "read_acl": ".r:*", "new_key": []}`)}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := newRequest(c)
	got := GetContainer(r, Subrequest{Next: http.NotFoundHandler()}, "a", "c")
	if !got.Exists() || got.Objects.Int() != 5 || got.Bytes.Int() != 17 || got.Policy != "1" || got.ReadACL != ".r:*" {
		t.Errorf("got %+v", got)
	}
}

func TestAccountFromHeaders(t *testing.T) {
	gold := policy.Policy{Index: 0, Name: "gold"}
	a := AccountFromHeaders(204, header("X-Account-Container-Count", "3", "X-Account-Object-Count", "4", "X-Account-Bytes-Used", "5",
		"X-Account-Storage-Policy-Gold-Container-Count", "3", "X-Account-Storage-Policy-Gold-Bytes-Used", "5", "X-Account-Meta-Temp-Url-Key", "k",
		"X-Account-Sysmeta-Core-Access-Control", "{}"), gold)
	if a.Containers.Int() != 3 || a.Objects.Int() != 4 || a.Bytes.Int() != 5 || a.Policies["0"] != (Usage{Containers: 3, Bytes: 5}) ||
		a.Meta["temp-url-key"] != "k" || a.Sysmeta["core-access-control"] != "{}" || !a.ReallyExists {
		t.Errorf("got %+v", a)
	}
	if AccountFromHeaders(200, header("X-Backend-Fake-Account-Listing", "yes")).ReallyExists {
		t.Error("an account that is only pretended exists")
	}
}

func TestLookupAsksOnceAndAsNobody(t *testing.T) {
	c := memory.New(memory.Options{})
	asked := 0
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		s := request.From(r.Context())
		if r.Method != "HEAD" || r.URL.Path != "/v1/a/c" || r.Header.Get("Origin") != "" || r.Header.Get("X-Auth-Token") != "" ||
			r.Header.Get("X-Backend-Allow-Reserved-Names") != "true" || s.User != request.PreAuthed || !s.Owner || s.Log.Source != "GET_CONTAINER_INFO" {
			t.Errorf("asked %s %s %v as %q", r.Method, r.URL, r.Header, s.User)
		}
		// As the proxy does.
		StoreContainer(r.Context(), Lifetimes{Container: time.Minute}, "a", "c", ContainerFromHeaders(204, header("X-Container-Read", "acl")))
		w.WriteHeader(204)
	})
	r, _ := newRequest(c)
	r.Header = header("Origin", "http://x", "X-Auth-Token", "tk")
	for range 2 {
		if got := GetContainer(r, Subrequest{Next: next}, "a", "c"); got.ReadACL != "acl" {
			t.Errorf("got %+v", got)
		}
	}
	other, _ := newRequest(c)
	GetContainer(other, Subrequest{Next: next}, "a", "c")
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	third, _ := newRequest(c)
	GetContainer(third, Subrequest{Next: next, SkipCache: true}, "a", "c")
	if asked != 2 {
		t.Errorf("asked %d times when the cache is to be skipped, want 2", asked)
	}
	Forget(third.Context(), "a", "c")
	GetContainer(third, Subrequest{Next: next}, "a", "c")
	if asked != 3 {
		t.Errorf("asked %d times after Forget, want 3", asked)
	}
}

// TestLookupsGoByWayOfTheLog has a lookup of a container, which takes one of its account.
func TestLookupsGoByWayOfTheLog(t *testing.T) {
	for _, tc := range []struct {
		name, source string
		want         []string
	}{
		{"a filter's", "CQ", []string{"/v1/a CQ", "/v1/a/c CQ"}},
		{"the proxy's own", "", []string{"/v1/a GET_ACCOUNT_INFO", "/v1/a/c GET_CONTAINER_INFO"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			r, state := newRequest(nil)
			r.Header = header("User-Agent", "curl/8")
			state.Lookups = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/a/c" {
					GetAccount(r, Subrequest{}, "a") // as the proxy does
				}
				if ua := r.Header.Get("User-Agent"); ua != "Swift" {
					t.Errorf("%s comes from %q", r.URL, ua)
				}
				got = append(got, r.URL.Path+" "+request.From(r.Context()).Log.Source)
				w.WriteHeader(204)
			})
			passed := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("passed the log by") })
			GetContainer(r, Subrequest{Next: passed, Source: tc.source}, "a", "c")
			if !slices.Equal(got, tc.want) {
				t.Errorf("asked %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFailuresAreNotShared(t *testing.T) {
	c := memory.New(memory.Options{})
	r, _ := newRequest(c)
	for code, kept := range map[int]bool{204: true, 404: true, 410: true, 503: false, 403: false} {
		StoreAccount(r.Context(), Lifetimes{Account: time.Minute}, "a", AccountFromHeaders(code, http.Header{}))
		if _, err := c.Get(t.Context(), "account/a"); (err == nil) != kept {
			t.Errorf("%d: kept %v, want %v", code, err == nil, kept)
		}
		Forget(r.Context(), "a", "")
	}
}

func TestSigningKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		meta map[string]string
		want []string
	}{
		"none":             {nil, nil},
		"both":             {map[string]string{"temp-url-key": "a", "temp-url-key-2": "b", "temp-url-key-3": "c"}, []string{"a", "b"}},
		"the second alone": {map[string]string{"temp-url-key": "", "temp-url-key-2": "b"}, []string{"b"}},
	} {
		if got := SigningKeys(tc.meta); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
