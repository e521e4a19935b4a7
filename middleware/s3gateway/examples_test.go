package s3gateway_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/closedport"
	"github.com/apus-storage/apus/internal/disk"
)

// The examples of docs/s3-gateway.md are run as they are written there, with other hosts and files.

var block = regexp.MustCompile("(?s)<!-- example: (\\S+) -->\n```\\w+\n(.*?)```")

// example returns a block of the documentation.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/s3-gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		if m[1] == name {
			return m[2]
		}
	}
	t.Fatalf("docs/s3-gateway.md has no example %s", name)
	return ""
}

// adapted puts stores that are there in the place of those of an example, and files for its secrets. Endpoints are pairs.
func adapted(t *testing.T, text string, endpoints ...string) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"alice.secret": secrets[alice], "sales.apikey": "key of sales", "research.apikey": "key of research",
		"ceph.secret": storeSecret, "here.secret": storeSecret, "there.secret": storeSecret, "new.secret": storeSecret, "old.secret": storeSecret,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.NewReplacer(append(endpoints, "/etc/apus/", dir+"/", `"AKSTORE"`, fmt.Sprintf("%q", storeKey))...).Replace(text)
	if strings.Contains(text, "example.net") || strings.Contains(text, "appdomain.cloud") {
		t.Fatalf("the example asks strangers:\n%s", text)
	}
	return text
}

func TestExampleFirst(t *testing.T) {
	ceph := newStore(t)
	g := startGateway(t, adapted(t, example(t, "first"), "https://ceph.example.net", ceph.server.URL), nil)
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/photos/a", "a")
	ceph.has("/photos/a", "a")
	if got := names(g.want(200, "GET", "/", "").body, "Name"); !slices.Equal(got, []string{"photos"}) {
		t.Errorf("the buckets are %q", got)
	}
}

func TestExampleFailover(t *testing.T) {
	here, there := newStore(t), newStore(t)
	for _, s := range []*store{here, there} {
		s.want(200, "PUT", "/photos", "")
		s.want(200, "PUT", "/photos/a", "a")
	}
	g := newGateway(t, adapted(t, example(t, "failover"), "https://s3.here.example.net", here.server.URL, "https://s3.there.example.net", there.server.URL))
	g.has("/photos/a", "a")
	if got := there.requests(); !slices.Equal(got, []string{"PUT /photos", "PUT /photos/a"}) {
		t.Errorf("the second store was asked %q", got)
	}
	here.server.Close()
	closedport.Keep(t, here.server.Listener.Addr().String())
	g.has("/photos/a", "a")
	g.want(200, "PUT", "/photos/b", "b")
	there.has("/photos/b", "b")
}

// TestExampleAPIKeys stands between the gateway and a store that takes bearer tokens.
func TestExampleAPIKeys(t *testing.T) {
	var mu sync.Mutex // guards what follows
	asked := map[string]string{}
	ibm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path != "/identity/token" {
			asked[r.URL.Path] = r.Header.Get("Authorization")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		token := map[string]any{"access_token": "token-for-" + strings.ReplaceAll(r.FormValue("apikey"), " ", "-"), "token_type": "Bearer", "expires_in": 3600,
			"expiration": time.Now().Add(time.Hour).Unix()}
		if err := json.NewEncoder(w).Encode(token); err != nil {
			t.Error(err)
		}
	}))
	defer ibm.Close()
	text := adapted(t, example(t, "api-keys"), "https://iam.cloud.ibm.com", ibm.URL,
		"https://s3.eu-de.cloud-object-storage.appdomain.cloud", ibm.URL, "https://s3.us-south.cloud-object-storage.appdomain.cloud", ibm.URL)
	// The second upstream has the token endpoint by default.
	text = strings.Replace(text, "api_key_file = \"", fmt.Sprintf("token_endpoint = %q\napi_key_file = \"", ibm.URL+"/identity/token"), 2)
	text = strings.Replace(text, fmt.Sprintf("token_endpoint = %q     # the default\n", ibm.URL+"/identity/token"), "", 1)
	g := newGateway(t, text)
	g.want(200, "GET", "/sales-eu/x", "")
	g.want(200, "GET", "/research/y", "")
	g.want(404, "GET", "/other/z", "")
	mu.Lock()
	defer mu.Unlock()
	for path, want := range map[string]string{"/sales-eu/x": "Bearer token-for-key-of-sales", "/research-2026-q1/y": "Bearer token-for-key-of-research"} {
		if asked[path] != want {
			t.Errorf("GET %s came with %q, want %q", path, asked[path], want)
		}
	}
}

func TestExampleMirror(t *testing.T) {
	fresh, old := newStore(t), newStore(t)
	fresh.want(200, "PUT", "/photos", "")
	old.want(200, "PUT", "/photos", "")
	old.want(200, "PUT", "/photos/a", "a")
	old.want(200, "PUT", "/photos/b", "b")
	g := newGateway(t, adapted(t, example(t, "mirror"), "https://new.example.net", fresh.server.URL, "https://old.example.net", old.server.URL))
	g.want(200, "PUT", "/photos/c", "c")
	old.want(404, "GET", "/photos/c", "")
	g.has("/photos/a", "a")
	g.settle()
	fresh.has("/photos/a", "a")
	if got := names(g.want(200, "GET", "/photos?list-type=2", "").body, "Key"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the listing has %q", got)
	}
	g.want(204, "DELETE", "/photos/b", "")
	g.want(404, "GET", "/photos/b", "")
	old.want(404, "GET", "/photos/b", "")
}

var pipelineOf = regexp.MustCompile(`(?s)\[pipeline\.main\]\npipeline = \[.*?\n\]\n`)

// TestExampleProxy has a cluster whose own buckets stand beside those of a store.
func TestExampleProxy(t *testing.T) {
	ceph := newStore(t)
	sample, err := os.ReadFile("../../etc/functional-test.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := adapted(t, example(t, "proxy"), "https://ceph.example.net", ceph.server.URL)
	pipeline := pipelineOf.FindString(text)
	path := filepath.Join(t.TempDir(), "proxy-server.toml")
	whole := pipelineOf.ReplaceAllLiteralString(string(sample), pipeline) + strings.Replace(text, pipeline, "", 1)
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{
		Data: t.TempDir(), Config: path, Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e.Proxy)
	defer func() {
		server.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	remote, local := &s3{t, server.URL, alice, nil}, &s3{t, server.URL, storeKey, nil}
	remote.want(200, "PUT", "/photos-1", "")
	remote.want(200, "PUT", "/photos-1/a", "far")
	ceph.has("/photos-1/a", "far")
	local.want(200, "PUT", "/films", "")
	local.want(200, "PUT", "/films/a", "near")
	local.has("/films/a", "near")
	remote.want(403, "GET", "/films/a", "")
	local.want("InvalidAccessKeyId", "GET", "/photos-1/a", "")
	for who, want := range map[*s3]string{remote: "photos-1", local: "films"} {
		if got := names(who.want(200, "GET", "/", "").body, "Name"); !slices.Equal(got, []string{want}) {
			t.Errorf("the buckets of %s are %q, want %s", who.key, got, want)
		}
	}
}

func TestExampleStarlark(t *testing.T) {
	ceph := newStore(t)
	ceph.want(200, "PUT", "/photos", "")
	t.Setenv("STORE_SECRET", storeSecret)
	text := adapted(t, example(t, "starlark"), "https://ceph.example.net", ceph.server.URL)
	path := between(text, `starlark = "`, `"`)
	script := strings.Replace(example(t, "tokens.star"), `"AKSTORE"`, fmt.Sprintf("%q", storeKey), 1)
	keys := fmt.Sprintf(`{%q: {"secret": %q, "folder": "alice/"}}`, alice, secrets[alice])
	for name, content := range map[string]string{path: script, filepath.Join(filepath.Dir(path), "keys.json"): keys} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := newGateway(t, text)
	g.want(200, "PUT", "/photos/alice/a", "a")
	g.has("/photos/alice/a", "a")
	g.want(200, "GET", "/photos", "")
	g.want("AccessDenied", "PUT", "/photos/bob/a", "a")
	g.as(bob).want("InvalidAccessKeyId", "GET", "/photos/alice/a", "")
}

// TestExampleWebhook runs the webhook in Python.
func TestExampleWebhook(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	ceph := newStore(t)
	ceph.want(200, "PUT", "/photos", "")
	ceph.want(200, "PUT", "/photos/a", "a")
	// The port is the system's choice, which the script says.
	script := strings.Replace(example(t, "decide.py"), "http.server.ThreadingHTTPServer((\"127.0.0.1\", 9001), Decide).serve_forever()",
		"s = http.server.ThreadingHTTPServer((\"127.0.0.1\", 0), Decide)\nprint(s.server_port, flush=True)\ns.serve_forever()", 1)
	cmd := exec.CommandContext(t.Context(), python, "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill() // it serves for ever
		cmd.Wait()
	}()
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, adapted(t, example(t, "webhook"), "https://ceph.example.net", ceph.server.URL, "127.0.0.1:9001", fmt.Sprint("127.0.0.1:", port)))
	g.has("/photos/a", "a")
	g.want("AccessDenied", "PUT", "/photos/b", "b")
	g.as(bob).want("InvalidAccessKeyId", "GET", "/photos/a", "")
}

// TestExampleClient runs the client in Python, if it has boto3.
func TestExampleClient(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("there is no boto3")
	}
	ceph := newStore(t)
	ceph.want(200, "PUT", "/photos", "")
	g := startGateway(t, adapted(t, example(t, "first"), "https://ceph.example.net", ceph.server.URL), nil)
	cmd := exec.CommandContext(t.Context(), python, "-c", example(t, "client.py"))
	cmd.Env = []string{"ENDPOINT=" + g.url, "SECRET=" + secrets[alice], "PATH=" + os.Getenv("PATH"), "no_proxy=*", "HOME=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSDKPolars reads a few rows of a file with the reader of Parquet that people use, which asks for ranges. It is fetched, so
// this is part of make sdks.
func TestSDKPolars(t *testing.T) {
	if os.Getenv("APUS_TEST_PROGRAMS") == "" {
		t.Skip("make sdks runs this")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("its library is named for linux/amd64")
	}
	dir := t.TempDir()
	run := func(env []string, name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return out
	}
	run(nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "nodejs-polars@0.25.2", "nodejs-polars-linux-x64-gnu@0.25.2")
	run(nil, "node", "-e", `
const pl = require("nodejs-polars"), rows = [...Array(300000).keys()];
pl.DataFrame({id: rows, v: rows.map(Math.sin), s: rows.map((i) => "row " + i)}).writeParquet("t.parquet", {compression: "zstd", rowGroupSize: 20000});`)
	file, err := os.ReadFile(filepath.Join(dir, "t.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	ceph := newStore(t)
	ceph.want(200, "PUT", "/photos", "")
	g := startGateway(t, adapted(t, example(t, "first"), "https://ceph.example.net", ceph.server.URL), nil)
	g.want(200, "PUT", "/photos/t.parquet", string(file))
	var sent atomic.Int64
	ceph.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.Header.Get("Range") == "" {
			t.Error("the file was asked for as a whole")
		}
		var from, to int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil {
			sent.Add(to - from + 1)
		}
		return false
	})
	out := run([]string{"ENDPOINT=" + g.url, "SECRET=" + secrets[alice], "no_proxy=*"}, "node", "-e", example(t, "polars.js"))
	var rows []struct {
		ID int    `json:"id"`
		S  string `json:"s"`
	}
	if err := json.Unmarshal(out, &rows); err != nil || len(rows) != 9 || rows[8].ID != 299999 || rows[8].S != "row 299999" {
		t.Errorf("read %v, %v from %s", rows, err, out)
	}
	if n := sent.Load(); n == 0 || n > int64(len(file))/2 {
		t.Errorf("%d of %d bytes were asked for", n, len(file))
	}
}
