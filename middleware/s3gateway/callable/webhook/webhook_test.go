package webhook

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var all = []string{"secret", "credentials", "authorize"}

// hook asks a server that answers with h.
func hook(t *testing.T, c Config, h http.HandlerFunc) callable.Functions {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	if c.URL == "" {
		c.URL = s.URL
	}
	if c.Functions == nil {
		c.Functions = all
	}
	w, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w.Functions()
}

// call calls one of the functions and shows what it has given.
func call(ctx context.Context, f callable.Functions, name string) (string, error) {
	switch name {
	case "secret":
		return f.Secret(ctx, "AKALICE")
	case "credentials":
		c, err := f.Credentials(ctx, "AKALICE", "photos")
		s := strings.Join([]string{c.AccessKey, c.Secret, c.SessionToken, c.APIKey, c.Bearer}, ",")
		if !c.Expires.IsZero() {
			s += c.Expires.UTC().Format(time.RFC3339Nano)
		}
		return s, err
	}
	yes, err := f.Authorize(ctx, "AKALICE", "photos", "GET", "2026/a \"é.jpg")
	return fmt.Sprint(yes), err
}

func TestWhatIsSent(t *testing.T) {
	bearer := filepath.Join(t.TempDir(), "bearer")
	if err := os.WriteFile(bearer, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	f := hook(t, Config{BearerFile: bearer}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s %s", r.Method, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header["Idempotency-Key"], body)
		w.Write([]byte("null"))
	})
	for name, want := range map[string]string{
		"secret":      `{"call":"secret","access_key":"AKALICE"}`,
		"credentials": `{"call":"credentials","token":"AKALICE","bucket":"photos"}`,
		"authorize":   `{"call":"authorize","token":"AKALICE","bucket":"photos","method":"GET","path":"2026/a \"é.jpg"}`,
	} {
		if _, err := call(t.Context(), f, name); err != callable.ErrUnknown {
			t.Errorf("%s: %v", name, err)
		}
		if want = "POST application/json Bearer hush [] " + want; got != want {
			t.Errorf("%s sent\n%s, want\n%s", name, got, want)
		}
	}
	if _, err := f.Authorize(t.Context(), "t", "b", "PUT", ""); err != callable.ErrUnknown || !strings.HasSuffix(got, `"method":"PUT","path":""}`) {
		t.Errorf("of a bucket: sent %s, %v", got, err)
	}
	got = ""
	if _, err := f.Authorize(t.Context(), "t", "b", "PUT", "a\xff"); err == nil || errors.Is(err, callable.ErrUnknown) || got != "" {
		t.Errorf("of a path that is not UTF-8: sent %q, %v", got, err)
	}
	if err := os.WriteFile(bearer, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t.Context(), f, "secret"); err != callable.ErrUnknown || !strings.Contains(got, "Bearer new") {
		t.Errorf("after the secret was renewed: sent %s, %v", got, err)
	}
}

const failed = "!"

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		call   string
		status int
		answer string
		want   string // or the error after a "!", "?" for unknown
	}{
		{"secret", 200, `"s3"`, "s3"}, {"secret", 200, " \n\"s3\" \n", "s3"}, {"secret", 200, `null`, "?"}, {"secret", 404, `<html>`, "?"}, {"secret", 404, "", "?"},
		{"secret", 200, ``, "!answered nothing"}, {"secret", 200, `""`, "!answered an empty secret"}, {"secret", 200, `7`, "!answered a JSON number where string was wanted"},
		{"secret", 200, `"a" "b"`, "!more than one JSON value"}, {"secret", 200, `"a"x`, "!more than one JSON value"}, {"secret", 200, `"a`, "!half a JSON value"},
		{"secret", 200, `{"secret": "a"}`, "!answered a JSON object where string"}, {"secret", 204, ``, "!answered 204"}, {"secret", 500, `"s3"`, "!answered 500"},
		{"secret", 302, `"s3"`, "!answered 302"}, {"secret", 401, `null`, "!answered 401"}, {"secret", 200, `"` + strings.Repeat("x", 1<<17) + `"`, "!answered more than 65536 bytes"},
		{"secret", 201, `"s3"`, "!answered 201"}, {"secret", 200, `nope`, "!what is not JSON"},
		{"credentials", 200, `{"access_key": "a", "secret_key": "b"}`, "a,b,,,"}, {"credentials", 200, `{"access_key": "a", "secret_key": "b", "session_token": "c", "expires": 1700000000.5}`, "a,b,c,,2023-11-14T22:13:20.5Z"},
		{"credentials", 200, `{"api_key": "a", "expires": "2027-01-01T00:00:00+01:00"}`, ",,,a,2026-12-31T23:00:00Z"}, {"credentials", 200, `{"bearer": "a", "expires": null, "api_key": null}`, ",,,,a"},
		{"credentials", 200, `null`, "?"}, {"credentials", 404, ``, "?"}, {"credentials", 200, `{}`, "!have none"}, {"credentials", 200, `{"access_key": "a"}`, "!go together"},
		{"credentials", 200, `{"bearer": "a", "api_key": "b"}`, "!only one"}, {"credentials", 200, `{"secret": "hush"}`, `!unknown field "secret"`}, {"credentials", 200, `{"bearer": 1234}`, "!answered a JSON number where string"},
		{"credentials", 200, `{"bearer": "a", "expires": "soon"}`, "!seconds since 1970"}, {"credentials", 200, `{"bearer": "a", "expires": -1}`, "!out of range"}, {"credentials", 200, `{"bearer": "a", "expires": 1e300}`, "!out of range"},
		{"credentials", 200, `[]`, "!answered a JSON array where object"}, {"credentials", 200, `"x"`, "!answered a JSON string where object"},
		{"authorize", 200, `true`, "true"}, {"authorize", 200, `false`, "false"}, {"authorize", 200, `null`, "?"}, {"authorize", 404, `true`, "?"}, {"authorize", 200, ` {"allow": true}`, "true"},
		{"authorize", 200, `{"allow": false, "prefix": "2026/"}`, "false"}, {"authorize", 200, `{"allow": true, "prefix": ""}`, "true"}, {"authorize", 200, `{"allow": true, "prefix": "2025/"}`, "!prefix that is not a folder"},
		{"authorize", 200, `{"allow": true, "prefix": "2026/a"}`, "!prefix that is not a folder"}, {"authorize", 200, `{"prefix": "2026/"}`, "!without allow"}, {"authorize", 200, `{"allow": "true"}`, "!answered a JSON string where bool"},
		{"authorize", 200, `"true"`, "!answered a JSON string where bool"}, {"authorize", 200, `1`, "!answered a JSON number where bool"}, {"authorize", 200, `{"allow": true}{"allow": false}`, "!more than one"},
		{"authorize", 200, `true false`, "!more than one"}, {"authorize", 403, `false`, "!answered 403"}, {"authorize", 200, `{"allow": true, "deny": true}`, `!unknown field "deny"`}, {"authorize", 200, ``, "!answered nothing"},
	} {
		f := hook(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if c.status == 302 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.answer)
		})
		got, err := call(t.Context(), f, c.call)
		text, bad := strings.CutPrefix(c.want, failed)
		switch {
		case bad:
			if err == nil || errors.Is(err, callable.ErrUnknown) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), c.call) || got == "true" || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "1234") {
				t.Errorf("%s, %d %.80s: got %q, %v, want %s", c.call, c.status, c.answer, got, err, text)
			}
		case c.want == "?":
			if !errors.Is(err, callable.ErrUnknown) || got == "true" {
				t.Errorf("%s, %d %.80s: got %q, %v, want unknown", c.call, c.status, c.answer, got, err)
			}
		case got != c.want || err != nil:
			t.Errorf("%s, %d %.80s: got %q, %v, want %q", c.call, c.status, c.answer, got, err, c.want)
		}
	}
}

func TestThePrefixIsBelieved(t *testing.T) {
	asked := 0
	f := hook(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		asked++
		io.WriteString(w, `{"allow": true, "prefix": "2026/"}`)
	})
	c := callable.Cached(f, callable.CacheConfig{TTL: time.Minute}, nil)
	for _, path := range []string{"2026/a", "2026/b", "2026/c/d"} {
		if yes, err := c.Authorize(t.Context(), "t", "b", "GET", path); !yes || err != nil {
			t.Errorf("%s: %v, %v", path, yes, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}

// untilGone waits until the other side has gone away.
func untilGone(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestFaults(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct {
		name, url string
		h         http.HandlerFunc
		want      string
		timeout   bool
	}{
		{"nobody there", gone.URL + "/?key=hush", nil, "connection refused", false},
		{"no answer", "", func(_ http.ResponseWriter, r *http.Request) { untilGone(r) }, "gave no answer in time", true},
		{"half an answer", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `"hush`)
		}, "unexpected EOF", false},
		{"no end of an answer", "", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `"hush`)
			http.NewResponseController(w).Flush()
			untilGone(r)
		}, "gave no answer in time", true},
		{"cut", "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := hook(t, Config{URL: c.url, Timeout: 300 * time.Millisecond}, c.h)
			start := time.Now()
			got, err := call(t.Context(), f, "secret")
			if err == nil || got != "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%q, %v", got, err)
			}
			if errors.Is(err, callable.ErrTimeout) != c.timeout {
				t.Errorf("is a time-out: %v: %v", !c.timeout, err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := hook(t, Config{}, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		untilGone(r)
	})
	if _, err := call(ctx, f, "authorize"); !errors.Is(err, context.Canceled) || errors.Is(err, callable.ErrTimeout) {
		t.Errorf("%v", err)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `"s3"`) }))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, good := range map[string]bool{ca: true, "": false} {
		f := hook(t, Config{URL: s.URL, CAFile: file}, nil)
		got, err := call(t.Context(), f, "secret")
		if good && (got != "s3" || err != nil) || !good && (got != "" || err == nil || !strings.Contains(err.Error(), "certificate")) {
			t.Errorf("with certificates %q: %q, %v", file, got, err)
		}
	}
}

func TestOnlyWhatIsThere(t *testing.T) {
	f := hook(t, Config{Functions: []string{"secret"}}, nil)
	if f.Secret == nil || f.Credentials != nil || f.Authorize != nil {
		t.Errorf("want secret alone: %v", f)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte("hush\nhush"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{}, "want a URL"}, {Config{URL: "ftp://x"}, "want a URL"}, {Config{URL: "http://u:hush@h/"}, "without user"}, {Config{URL: "http://h\x7f/?hush"}, "not a URL"},
		{Config{URL: "http://h", CAFile: "/nowhere"}, "no such file"}, {Config{URL: "http://h", CAFile: empty}, "no certificate"},
		{Config{URL: "http://h", BearerFile: "/nowhere"}, "no such file"}, {Config{URL: "http://h", BearerFile: empty}, "is empty"},
		{Config{URL: "http://h", BearerFile: lines}, "not one line"}, {Config{URL: "http://h", BearerEnv: "APUS_NOT_THERE"}, "has no APUS_NOT_THERE"},
	} {
		_, err := New(c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%+v: %v, want %s", c.config, err, c.want)
		}
	}
}

// FuzzAnswers reads whatever a webhook may answer: what passes is whole.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`"s"`, `null`, `true`, `{"allow":true,"prefix":"a/"}`, `{"bearer":"b","expires":17e8}`, `{"access_key":"a","secret_key":"b"}`, `{"expires":"2027-01-01T00:00:00Z"}`, ` `, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := toSecret(data); (s == "") == (err == nil) {
			t.Errorf("secret %q, %v", s, err)
		}
		if c, err := toCredentials(data); err == nil && c.Check() != nil || err != nil && c != (callable.Credentials{}) {
			t.Errorf("credentials %#v, %v", c, err)
		}
		yes, prefix, err := toDecision(data, "a/b/c")
		if err != nil && (yes || prefix != nil) {
			t.Errorf("decision %v, %v, %v", yes, prefix, err)
		}
		if prefix != nil && *prefix != "" && *prefix != "a/" && *prefix != "a/b/" {
			t.Errorf("prefix %q", *prefix)
		}
	})
}
