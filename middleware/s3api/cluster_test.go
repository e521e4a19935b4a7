package s3api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/sigv4"
)

// The users of etc/functional-test.toml: two who own the account, one who does not, and nobody.
const (
	owner   = "test:tester"
	another = "test:tester2"
	guest   = "test:tester3"
)

var secrets = map[string]string{owner: "testing", another: "testing2", guest: "testing3"}

// A cluster is a whole Apus in this process.
type cluster struct {
	t    *testing.T
	addr string
}

const functional = "../../etc/functional-test.toml"

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return clusterOf(t, functional)
}

// newPromptCluster is a cluster that deletes segments at once: what is wrongly deleted is not there any more.
func newPromptCluster(t *testing.T) *cluster {
	t.Helper()
	text, err := os.ReadFile(functional)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "proxy-server.toml")
	const section = "[filter.slo]\n"
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), section, section+"allow_async_delete = false\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return clusterOf(t, file)
}

func clusterOf(t *testing.T, config string) *cluster {
	t.Helper()
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{
		Data: t.TempDir(), Config: config, Policies: []string{"gold", "silver"},
		Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Setup.Server.BindIP, e.Setup.Server.BindPort = "127.0.0.1", 0
	l, err := e.Setup.Server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cluster{t, l.Addr().String()}
}

// An answer is an S3 answer, with the code of an error.
type answer struct {
	status int
	code   string
	header http.Header
	body   string
}

// headers makes a header of pairs.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

var errorCode = regexp.MustCompile(`<Error><Code>(\w+)</Code>`)

// s3 sends a request that the user signs.
func (c *cluster) s3(user, method, path string, h http.Header, body string) answer {
	c.t.Helper()
	signed := maps.Clone(h)
	maps.DeleteFunc(signed, func(name string, _ []string) bool { return unsigned(name) })
	r := c.request(method, path, signed, body)
	if _, err := sigv4.NewSigner(user, secrets[user], "", "us-east-1").Sign(r, sigv4.UnsignedPayload, time.Now()); err != nil {
		c.t.Fatal(err)
	}
	for k, v := range h {
		if unsigned(k) {
			r.Header[k] = v
		}
	}
	return c.send(r)
}

// unsigned says whether a header is added after signing: the gatekeeper takes it out, and the signature could not be right.
func unsigned(name string) bool { return strings.Contains(name, "-Sysmeta-") }

// swift sends a request of the Swift API.
func (c *cluster) swift(user, method, path string, h http.Header, body string) answer {
	c.t.Helper()
	r := c.request(method, "/v1/AUTH_test"+path, h, body)
	r.Header.Set("X-Auth-Token", c.send(c.request("GET", "/auth/v1.0", headers("X-Auth-User", user, "X-Auth-Key", secrets[user]), "")).header.Get("X-Auth-Token"))
	return c.send(r)
}

func (c *cluster) request(method, path string, h http.Header, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addr+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for k, v := range h {
		r.Header[k] = v
	}
	return r
}

func (c *cluster) send(r *http.Request) answer {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := answer{resp.StatusCode, "", resp.Header, string(b)}
	if m := errorCode.FindStringSubmatch(a.body); m != nil {
		a.code = m[1]
	}
	return a
}

// want sends a request and compares what it comes to: a status, or the code of an error.
func (c *cluster) want(want any, what, user, method, path string, h http.Header, body string) answer {
	c.t.Helper()
	a := c.s3(user, method, path, h, body)
	if fmt.Sprint(want) != fmt.Sprint(a.status) && want != a.code {
		c.t.Errorf("%s: %s %s %s: got %d %s, want %v", what, user, method, path, a.status, a.body, want)
	}
	return a
}

// links is a manifest of a large object with these segments.
func links(paths ...string) string {
	var list []map[string]string
	for _, p := range paths {
		list = append(list, map[string]string{"path": p})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return string(b)
}
