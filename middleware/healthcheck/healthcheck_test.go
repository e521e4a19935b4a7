package healthcheck

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func TestCheck(t *testing.T) {
	down := filepath.Join(t.TempDir(), "down")
	if err := os.WriteFile(down, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, config, method, target string
		code                         int
		body, length                 string
	}{
		{"is answered", "", "GET", "/healthcheck", 200, "OK", "2"},
		{"is answered with a query", "", "GET", "/healthcheck?x=y", 200, "OK", "2"},
		{"is answered to any method", "", "BREW", "/healthcheck", 200, "OK", "2"},
		{"has no body for HEAD", "", "HEAD", "/healthcheck", 200, "", "2"},
		{"fails by file", "disable_path = " + strconv.Quote(down), "GET", "/healthcheck", 503, "DISABLED BY FILE", "16"},
		{"does not fail without the file", "disable_path = " + strconv.Quote(down+"x"), "GET", "/healthcheck", 200, "OK", "2"},
		{"is exact about the end of the path", "", "GET", "/healthcheck/", 404, "not known to the fake app", "25"},
		{"is exact about the path", "", "GET", "/v1/healthcheck", 404, "not known to the fake app", "25"},
	} {
		got := mt.Do(t, mt.Build(t, Filter, tc.config, mt.NewApp()), tc.method, tc.target)
		if got.Code != tc.code || got.Body != tc.body || got.Header.Get("Content-Length") != tc.length || got.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("a check that %s: %s %s: %d %q %v; want %d %q, length %s, text/plain",
				tc.name, tc.method, tc.target, got.Code, got.Body, got.Header, tc.code, tc.body, tc.length)
		}
	}
}

func TestTheFileIsLookedForEachTime(t *testing.T) {
	down := filepath.Join(t.TempDir(), "down")
	h := mt.Build(t, Filter, "disable_path = "+strconv.Quote(down), mt.NewApp())
	for i, want := range []int{200, 503, 200} {
		switch i {
		case 1:
			os.WriteFile(down, nil, 0o600)
		case 2:
			os.Remove(down)
		}
		if got := mt.Get(t, h, "/healthcheck"); got.Code != want {
			t.Errorf("step %d: %d, want %d", i, got.Code, want)
		}
	}
}
