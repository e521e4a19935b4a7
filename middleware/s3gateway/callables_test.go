package s3gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

const carol, dan = "AKCAROL", "AKDAN"

func init() { secrets[carol], secrets[dan] = "carol's secret", "dan's secret" }

var errDetail = errors.New("the detail that no client sees")

// inGo are the operator's functions, as a program has them.
var inGo = callable.Functions{
	Secret: func(_ context.Context, accessKey string) (string, error) {
		switch accessKey {
		case carol, dan:
			return secrets[accessKey], nil
		case "AKRAISES":
			return "", errDetail
		}
		return "", callable.ErrUnknown
	},
	Credentials: func(_ context.Context, token, bucket string) (callable.Credentials, error) {
		switch bucket {
		case "pair":
			return callable.Credentials{AccessKey: storeKey, Secret: storeSecret}, nil
		case "ibm":
			return callable.Credentials{APIKey: "the key of " + token}, nil
		case "bearer":
			return callable.Credentials{Bearer: "bearer-of-" + token}, nil
		case "raises":
			return callable.Credentials{}, errDetail
		}
		return callable.Credentials{}, callable.ErrUnknown
	},
	Authorize: func(ctx context.Context, token, _, method, path string) (bool, error) {
		switch {
		case path == "raises":
			return false, errDetail
		case path == "panics":
			panic(errDetail)
		case path == "hangs":
			<-ctx.Done()
			return true, nil
		case strings.HasPrefix(path, "private/"):
			return token == carol, nil
		}
		return token == carol || method != http.MethodDelete, nil
	},
}

// inStarlark are the same functions, in a file.
const inStarlark = `
SECRETS = {"AKCAROL": "carol's secret", "AKDAN": "dan's secret"}

def secret(access_key):
    if access_key == "AKRAISES":
        fail("the detail that no client sees")
    return SECRETS.get(access_key)

def credentials(token, bucket):
    if bucket == "pair":
        return {"access_key": "test:tester", "secret_key": "testing"}
    if bucket == "ibm":
        return {"api_key": "the key of " + token}
    if bucket == "bearer":
        return {"bearer": "bearer-of-" + token}
    if bucket == "raises":
        fail("the detail that no client sees")
    return None

def authorize(token, bucket, method, path):
    if path in ("raises", "panics"):
        fail("the detail that no client sees")
    if path == "hangs":
        for i in range(1000000000):
            pass
    if path.startswith("private/"):
        return token == "AKCAROL"
    return token == "AKCAROL" or method != "DELETE"
`

// asWebhook has functions answer at a URL.
func asWebhook(t *testing.T, f callable.Functions) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Call, Token, Bucket, Method, Path string
			AccessKey                         string `json:"access_key"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		var answer any
		var err error
		switch q.Call {
		case "secret":
			answer, err = f.Secret(r.Context(), q.AccessKey)
		case "credentials":
			var c callable.Credentials
			c, err = f.Credentials(r.Context(), q.Token, q.Bucket)
			said := map[string]string{}
			for name, value := range map[string]string{"access_key": c.AccessKey, "secret_key": c.Secret, "api_key": c.APIKey, "bearer": c.Bearer} {
				if value != "" {
					said[name] = value
				}
			}
			answer = said
		case "authorize":
			answer, err = f.Authorize(r.Context(), q.Token, q.Bucket, q.Method, q.Path)
		}
		switch {
		case errors.Is(err, callable.ErrUnknown):
			w.WriteHeader(http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			json.NewEncoder(w).Encode(answer)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of panics
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// source writes a file in Starlark, and returns the line that names it.
func source(t *testing.T, text string) (line, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "decide.star")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("starlark = %q", path), path
}

// askedFor is the identity of all whose keys the functions know.
const askedFor = `
[filter.s3gateway.identity.members]
callable = "decide"
rights = ["read", "write", "list"]
`

func decide(lines ...string) string {
	return "[filter.s3gateway.callable.decide]\n" + strings.Join(lines, "\n") + "\n"
}

// A cloud is a store that takes bearer tokens, and where API keys are exchanged for them.
type cloud struct {
	*httptest.Server
	mu        sync.Mutex // guards what follows
	exchanged []string
	seen      []string
}

func newCloud(t *testing.T) *cloud {
	c := new(cloud)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.URL.Path == "/token" {
			key := r.FormValue("apikey")
			c.exchanged = append(c.exchanged, key)
			fmt.Fprintf(w, `{"access_token": "token-for-%s", "expires_in": 3600}`, strings.ReplaceAll(key, " ", "-"))
			return
		}
		if r.URL.Path != "/" {
			c.seen = append(c.seen, r.Header.Get("Authorization"))
		}
		io.WriteString(w, "the bytes")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *cloud) requests() (exchanged, seen []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	exchanged, seen = c.exchanged, c.seen
	c.exchanged, c.seen = nil, nil
	return exchanged, seen
}

// TestFunctionsDecide has functions in each of the three ways decide everything.
func TestFunctionsDecide(t *testing.T) {
	for name, line := range map[string]func(t *testing.T) string{
		"Go":       func(*testing.T) string { return `go = "mine"` },
		"webhook":  func(t *testing.T) string { return fmt.Sprintf("webhook = %q", asWebhook(t, inGo)) },
		"Starlark": func(t *testing.T) string { line, _ := source(t, inStarlark); return line },
	} {
		t.Run(name, func(t *testing.T) {
			at, cloud := newStore(t), newCloud(t)
			g := newGatewayWith(t, map[string]callable.Functions{"mine": inGo}, decide(line(t), "timeout = 0.5"), askedFor, fmt.Sprintf(`
[filter.s3gateway.upstream.at]
endpoint = %q
credentials = "callable"
callable = "decide"
[filter.s3gateway.upstream.cloud]
endpoint = %q
credentials = "callable"
callable = "decide"
token_endpoint = %q
[[filter.s3gateway.route]]
bucket = ["ibm", "bearer"]
upstreams = ["cloud"]
[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["at"]
`, at.server.URL, cloud.URL, cloud.URL+"/token"))
			at.want(200, "PUT", "/pair", "")
			secrets["AKNOBODY"], secrets["AKRAISES"] = "a secret", "a secret"
			c, d := g.as(carol), g.as(dan)
			c.want(200, "PUT", "/pair/private/x", "the bytes")
			c.has("/pair/private/x", "the bytes")
			d.want(200, "PUT", "/pair/y", "the bytes")
			at.requests()
			nothing := func() {
				t.Helper()
				at.asked()
			}

			// Who asks.
			g.as("AKNOBODY").want("InvalidAccessKeyId", "GET", "/pair/y", "")
			g.as("AKRAISES").want("ServiceUnavailable", "GET", "/pair/y", "")
			secrets[dan] += " no more"
			d.want("SignatureDoesNotMatch", "GET", "/pair/y", "")
			secrets[dan] = "dan's secret"

			// What is allowed: by path, by method, of what a copy reads, and of what a document names.
			d.want("AccessDenied", "GET", "/pair/private/x", "")
			if a := d.want(403, "HEAD", "/pair/private/x", ""); a.body != "" {
				t.Errorf("HEAD has a body: %v", a)
			}
			d.want("AccessDenied", "DELETE", "/pair/y", "")
			d.want("AccessDenied", "PUT", "/pair/stolen", "", "x-amz-copy-source", "/pair/private/x")
			document := "<Delete><Object><Key>y</Key></Object></Delete>"
			d.want("AccessDenied", "POST", "/pair?delete", document, "Content-MD5", md5Of(document))
			began := time.Now()
			for _, path := range []string{"raises", "panics", "hangs"} {
				if a := d.want("ServiceUnavailable", "GET", "/pair/"+path, ""); a.status != 503 || strings.Contains(a.body, "detail") {
					t.Errorf("%s: the client is told %v", path, a)
				}
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			// Which credentials.
			c.want("AccessDenied", "GET", "/nobody-has-any/y", "")
			if a := c.want("ServiceUnavailable", "GET", "/raises/y", ""); strings.Contains(a.body, "detail") {
				t.Errorf("the client is told %v", a)
			}
			nothing()
			if !strings.Contains(g.log.String(), "the detail") && name != "webhook" { // whose answers are not repeated
				t.Error("the operator is not told")
			}
			d.has("/pair/y", "the bytes")
			c.want(200, "PUT", "/pair/copy", "", "x-amz-copy-source", "/pair/private/x")
			c.want(204, "DELETE", "/pair/copy", "")

			for range 3 {
				c.has("/ibm/x", "the bytes")
			}
			d.has("/ibm/x", "the bytes")
			d.has("/bearer/x", "the bytes")
			exchanged, seen := cloud.requests()
			if want := []string{"the key of AKCAROL", "the key of AKDAN"}; !slices.Equal(exchanged, want) {
				t.Errorf("exchanged %q, want %q", exchanged, want)
			}
			ofCarol := "Bearer token-for-the-key-of-AKCAROL"
			if want := []string{ofCarol, ofCarol, ofCarol, "Bearer token-for-the-key-of-AKDAN", "Bearer bearer-of-AKDAN"}; !slices.Equal(seen, want) {
				t.Errorf("the store has seen %q, want %q", seen, want)
			}
			for _, secret := range []string{"carol's secret", "the key of AKCAROL", "token-for", "bearer-of", storeSecret + "\""} {
				if strings.Contains(g.log.String(), secret) {
					t.Errorf("the log tells %q", secret)
				}
			}
		})
	}
}

// counted counts what functions are asked.
type counted struct {
	mu    sync.Mutex // guards what follows
	asked []string
}

func (c *counted) note(what ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, strings.Join(what, " "))
}

func (c *counted) want(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.asked, want) {
		t.Errorf("the functions were asked %q, want %q", c.asked, want)
	}
	c.asked = nil
}

func (c *counted) around(f callable.Functions) callable.Functions {
	return callable.Functions{
		Secret: func(ctx context.Context, accessKey string) (string, error) {
			c.note("secret", accessKey)
			return f.Secret(ctx, accessKey)
		},
		Credentials: func(ctx context.Context, token, bucket string) (callable.Credentials, error) {
			c.note("credentials", token, bucket)
			return f.Credentials(ctx, token, bucket)
		},
		Authorize: func(ctx context.Context, token, bucket, method, path string) (bool, error) {
			c.note("authorize", token, bucket, method, path)
			return f.Authorize(ctx, token, bucket, method, path)
		},
	}
}

// newAsking starts a gateway that asks Go functions, before a cloud.
func newAsking(t *testing.T, f callable.Functions, lines ...string) (*gateway, *cloud) {
	t.Helper()
	cloud := newCloud(t)
	return newGatewayWith(t, map[string]callable.Functions{"mine": f}, decide(append(lines, `go = "mine"`)...), askedFor, fmt.Sprintf(`
[filter.s3gateway.upstream.cloud]
endpoint = %q
credentials = "callable"
callable = "decide"
[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["cloud"]
`, cloud.URL)), cloud
}

// TestDecisionsHoldForWhatTheyWereAskedAbout has each answer used again for the same, and for nothing else.
func TestDecisionsHoldForWhatTheyWereAskedAbout(t *testing.T) {
	var asked counted
	f := inGo
	f.Credentials = func(_ context.Context, token, bucket string) (callable.Credentials, error) {
		return callable.Credentials{Bearer: token + "-at-" + bucket}, nil
	}
	g, cloud := newAsking(t, asked.around(f), "ttl = 3600")
	for range 3 {
		g.as(carol).want(200, "GET", "/one/private/x", "")
	}
	asked.want(t, "secret AKCAROL", "authorize AKCAROL one GET private/x", "credentials AKCAROL one")
	g.as(dan).want("AccessDenied", "GET", "/one/private/x", "")
	asked.want(t, "secret AKDAN", "authorize AKDAN one GET private/x")
	g.as(dan).want("AccessDenied", "GET", "/one/private/x", "")
	asked.want(t)
	g.as(carol).want(200, "GET", "/two/private/x", "")
	asked.want(t, "authorize AKCAROL two GET private/x", "credentials AKCAROL two")
	g.as(carol).want(200, "PUT", "/one/private/x", "")
	asked.want(t, "authorize AKCAROL one PUT private/x")
	g.as(carol).want(200, "GET", "/one/private/y", "")
	asked.want(t, "authorize AKCAROL one GET private/y")
	g.as(dan).want(200, "GET", "/one/y", "")
	asked.want(t, "authorize AKDAN one GET y", "credentials AKDAN one")
	g.as(carol).want(200, "GET", "/one/private/x?versionId=1", "")
	asked.want(t)
	_, seen := cloud.requests()
	if want := "Bearer AKDAN-at-one"; seen[len(seen)-2] != want {
		t.Errorf("the store has seen %q, want %q", seen, want)
	}
	// A copy asks about its source too, and once only.
	g.as(dan).want("AccessDenied", "PUT", "/one/z", "", "x-amz-copy-source", "/two/private/x")
	asked.want(t, "authorize AKDAN one PUT z", "authorize AKDAN two GET private/x")
}

// TestFoldersAreAskedAboutOnce has path_depth and HoldsFor give one answer for a folder, and for no other.
func TestFoldersAreAskedAboutOnce(t *testing.T) {
	t.Run("path_depth", func(t *testing.T) {
		var asked counted
		g, _ := newAsking(t, asked.around(callable.Functions{
			Secret: inGo.Secret,
			Credentials: func(context.Context, string, string) (callable.Credentials, error) {
				return callable.Credentials{Bearer: "b"}, nil
			},
			Authorize: inGo.Authorize,
		}), "path_depth = 1")
		g.as(dan).want(200, "GET", "/one/public/a", "")
		asked.want(t, "secret AKDAN", "authorize AKDAN one GET public/", "credentials AKDAN one")
		g.as(dan).want(200, "GET", "/one/public/b/c", "")
		asked.want(t)
		g.as(dan).want("AccessDenied", "GET", "/one/private/a", "")
		asked.want(t, "authorize AKDAN one GET private/")
		g.as(dan).want("AccessDenied", "GET", "/one/private/b", "")
		asked.want(t)
		// What a store might take for another place is asked about as it is.
		for range 2 {
			g.as(dan).want(200, "GET", "/one/public/../private/a", "")
		}
		asked.want(t, "authorize AKDAN one GET public/../private/a")
	})
	t.Run("HoldsFor", func(t *testing.T) {
		var asked counted
		g, _ := newAsking(t, asked.around(callable.Functions{
			Secret: inGo.Secret,
			Credentials: func(context.Context, string, string) (callable.Credentials, error) {
				return callable.Credentials{Bearer: "b"}, nil
			},
			Authorize: func(ctx context.Context, token, bucket, method, path string) (bool, error) {
				if strings.HasPrefix(path, "public/") {
					return callable.HoldsFor(ctx, "public/"), nil
				}
				return false, nil
			},
		}))
		g.as(dan).want(200, "GET", "/one/public/a", "")
		g.as(dan).want(200, "GET", "/one/public/b/c", "")
		asked.want(t, "secret AKDAN", "authorize AKDAN one GET public/a", "credentials AKDAN one")
		g.as(dan).want("AccessDenied", "GET", "/one/publicity", "")
		asked.want(t, "authorize AKDAN one GET publicity")
		g.as(dan).want(200, "GET", "/one/public/../private", "")
		asked.want(t, "authorize AKDAN one GET public/../private")
		g.as(carol).want(200, "GET", "/one/public/a", "")
		asked.want(t, "secret AKCAROL", "authorize AKCAROL one GET public/a", "credentials AKCAROL one")
	})
}

// TestConcurrentCallsAreMadeOnce has many requests ask the same at once.
func TestConcurrentCallsAreMadeOnce(t *testing.T) {
	var asked counted
	gate := make(chan struct{})
	f := callable.Functions{
		Secret: func(_ context.Context, accessKey string) (string, error) {
			<-gate
			return secrets[accessKey], nil
		},
		Credentials: func(context.Context, string, string) (callable.Credentials, error) {
			<-gate
			return callable.Credentials{Bearer: "b"}, nil
		},
		Authorize: func(context.Context, string, string, string, string) (bool, error) {
			<-gate
			return true, nil
		},
	}
	g, _ := newAsking(t, asked.around(f), "ttl = 0")
	const many = 20
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() { g.as(carol).want(200, "GET", "/one/x", "") })
	}
	for range 1000 {
		if g.busy.Load() == many {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // they are on their way to the function, and those that come later ask again
	asked.want(t, "secret AKCAROL")
	close(gate)
	wait.Wait()
}

// TestAHangingFunctionHoldsUpNobodyElse has functions that heed nothing: their callers hear of it in time, others are not held up, and
// what they answer in the end counts for nothing.
func TestAHangingFunctionHoldsUpNobodyElse(t *testing.T) {
	release := make(chan struct{})
	f := inGo
	f.Credentials = func(context.Context, string, string) (callable.Credentials, error) {
		return callable.Credentials{Bearer: "b"}, nil
	}
	f.Authorize = func(_ context.Context, _, _, _, path string) (bool, error) {
		if path == "hangs" {
			<-release
		}
		return true, nil
	}
	g, cloud := newAsking(t, f, "timeout = 0.3", "error_ttl = 0")
	began := time.Now()
	g.as(carol).want("ServiceUnavailable", "GET", "/one/hangs", "")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	g.as(carol).want(200, "GET", "/one/x", "")
	if _, seen := cloud.requests(); len(seen) != 1 {
		t.Errorf("the store has seen %q", seen)
	}
	close(release)
	g.as(carol).want(200, "GET", "/one/hangs", "")
}

// TestAScriptIsReadAgain changes a script while it is in use.
func TestAScriptIsReadAgain(t *testing.T) {
	at := newStore(t)
	at.want(200, "PUT", "/pair", "")
	at.want(200, "PUT", "/pair/private/x", "the bytes")
	line, path := source(t, inStarlark)
	g := newGateway(t, decide(line, "ttl = 3600", "negative_ttl = 3600"), askedFor, at.upstream("at"), "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n")
	d := g.as(dan)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	until := func(done func() bool) {
		t.Helper()
		for range 500 {
			if done() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("it does not come to be")
	}
	d.want("AccessDenied", "GET", "/pair/private/x", "")
	write(strings.Replace(inStarlark, `return token == "AKCAROL"`+"\n", "return True\n", 1))
	until(func() bool { return d.do("GET", "/pair/private/x", "").status == 200 })

	// A version that is broken is reported, and the one before goes on.
	write(inStarlark + "\ndef broken(:\n")
	until(func() bool {
		d.has("/pair/private/x", "the bytes")
		return strings.Contains(g.log.String(), "decide.star:")
	})
	// A key that is taken away gets in no more, whatever is remembered.
	write(strings.Replace(inStarlark, `, "AKDAN": "dan's secret"`, "", 1))
	until(func() bool { return d.do("GET", "/pair/y", "").code == "InvalidAccessKeyId" })
}

// TestANoEndsWhatTheCacheGives has the function asked before anything comes from the read cache.
func TestANoEndsWhatTheCacheGives(t *testing.T) {
	at := newStore(t)
	at.want(200, "PUT", "/photos", "")
	at.want(200, "PUT", "/photos/x", "bytes")
	var no atomic.Bool
	f := callable.Functions{Secret: inGo.Secret, Authorize: func(_ context.Context, token, _, _, _ string) (bool, error) {
		return token == carol && !no.Load(), nil
	}}
	g := newGatewayWith(t, map[string]callable.Functions{"mine": f}, decide(`go = "mine"`, "ttl = 0"), askedFor, at.upstream("at"), cacheIn(t, "trust_for = 3600"),
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n")
	g.as(carol).has("/photos/x", "bytes")
	g.settle()
	at.requests()
	g.as(carol).has("/photos/x", "bytes")
	g.as(dan).want("AccessDenied", "GET", "/photos/x", "")
	no.Store(true)
	g.as(carol).want("AccessDenied", "GET", "/photos/x", "")
	at.asked()
}
