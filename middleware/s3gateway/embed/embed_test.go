package embed_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/embed"
)

// A gateway before one store lets everybody read what is public, as a function in Go says.
func Example() {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed := strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKSTORE/")
		fmt.Fprintf(w, "%s, signed with the store's key: %v", r.URL.Path, signed)
	}))
	defer store.Close()
	dir, err := os.MkdirTemp("", "embed")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s3-gateway.toml")
	if err := os.WriteFile(path, []byte(`
[pipeline.main]
pipeline = ["catch_errors", "s3gateway", "s3gateway_end"]
[filter.catch_errors]
[app.s3gateway_end]

[filter.s3gateway.upstream.store]
endpoint = "`+store.URL+`"
access_key = "AKSTORE"
secret = "the store's secret"

[filter.s3gateway.callable.rules]
go = "rules"

[filter.s3gateway.identity.everybody]
anonymous = true
callable = "rules"
rights = ["read"]

[[filter.s3gateway.route]]
bucket = "photos"
upstreams = ["store"]
`), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	g, err := embed.Open(path, map[string]callable.Functions{"rules": {
		Authorize: func(_ context.Context, _, bucket, method, path string) (bool, error) {
			return strings.HasPrefix(path, "public/"), nil
		},
	}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	server := httptest.NewServer(g)
	defer server.Close()

	for _, key := range []string{"public/a.jpg", "private/b.jpg"} {
		resp, err := http.Get(server.URL + "/photos/" + key)
		if err != nil {
			fmt.Println(err)
			return
		}
		if resp.StatusCode == http.StatusOK {
			io.Copy(os.Stdout, resp.Body)
			fmt.Println()
		} else {
			fmt.Println(resp.Status)
		}
		resp.Body.Close()
	}
	// Output:
	// /photos/public/a.jpg, signed with the store's key: true
	// 403 Forbidden
}

func TestWhatCannotBeOpened(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "s3-gateway.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const gateway = `
[pipeline.main]
pipeline = ["s3gateway", "s3gateway_end"]
[app.s3gateway_end]
[filter.s3gateway.upstream.store]
endpoint = "http://127.0.0.1:1"
health_path = ""
access_key = "AKSTORE"
secret = "the store's secret"
[filter.s3gateway.callable.rules]
go = "rules"
[filter.s3gateway.identity.everybody]
callable = "rules"
rights = ["read"]
[[filter.s3gateway.route]]
bucket = "photos"
upstreams = ["store"]
`
	secret := func(context.Context, string) (string, error) { return "", callable.ErrUnknown }
	for _, test := range []struct {
		name, path string
		functions  map[string]callable.Functions
		want       string
	}{
		{"no file", filepath.Join(t.TempDir(), "none"), nil, "no such file"},
		{"a key that nobody knows", write(gateway + "[filter.s3gateway.cache]\nsize = 1\n"), nil, "size"},
		{"a proxy's file", write("[DEFAULT]\nbind_port = 1\n[pipeline.main]\npipeline = ['proxy-server']\n[app.proxy-server]\n"), nil, "not gateway"},
		{"no functions", write(gateway), nil, `the program has no functions named "rules"`},
		{"functions of another name", write(gateway), map[string]callable.Functions{"other": {Secret: secret}}, `the program has no functions named "rules"`},
		{"functions that are none", write(gateway), map[string]callable.Functions{"rules": {}}, `the program's "rules" has no function`},
		{"good", write(gateway), map[string]callable.Functions{"rules": {Secret: secret}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, err := embed.Open(test.path, test.functions, nil)
			switch {
			case err == nil && test.want == "":
				// Two may be open at once.
				other, err := embed.Open(test.path, test.functions, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range []*embed.Gateway{g, other} {
					if err := g.Close(); err != nil {
						t.Error(err)
					}
				}
			case err == nil:
				g.Close()
				t.Errorf("it is open, want %q", test.want)
			case test.want == "" || !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
