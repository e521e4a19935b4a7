package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// signedBy is a store that says who signed a request, with which token, or what its Authorization is if it is not signed.
func signedBy(t *testing.T, secrets map[string]string) *store {
	t.Helper()
	s := newStore(t, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		if strings.HasPrefix(auth, "Bearer ") {
			fmt.Fprint(w, auth, r.Header.Get("Ibm-Service-Instance-Id"), r.Header.Get("X-Amz-Content-Sha256"))
			return
		}
		sig, err := sigv4.Parse(r, sigv4.Rules{Now: time.Now()})
		if err == nil {
			err = sig.Verify(sigv4.Derive(secrets[sig.AccessKey], sig.Scope))
		}
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(w, sig.AccessKey, " ", sig.SecurityToken)
	})
	return s
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWaysOfASecret(t *testing.T) {
	s := signedBy(t, map[string]string{"AK": "first"})
	file := filepath.Join(t.TempDir(), "secret")
	write(t, file, "first\n")
	env := func(name string) string { return map[string]string{"MY_SECRET": "first\n", "EMPTY": "\n"}[name] }
	for name, test := range map[string]struct {
		pair KeyPair
		want string // part of the error
	}{
		"as it is":                {KeyPair{Secret: "first"}, ""},
		"in a file":               {KeyPair{SecretFile: file}, ""},
		"in the environment":      {KeyPair{SecretEnv: "MY_SECRET"}, ""},
		"printed by a command":    {KeyPair{SecretCommand: []string{"echo", "first"}}, ""},
		"a file that is not":      {KeyPair{SecretFile: file + ".none"}, "no such file"},
		"no such variable":        {KeyPair{SecretEnv: "NONE"}, "secret_env NONE: it is empty"},
		"an empty variable":       {KeyPair{SecretEnv: "EMPTY"}, "secret_env EMPTY: it is empty"},
		"a command that fails":    {KeyPair{SecretCommand: []string{"sh", "-c", "echo first; exit 3"}}, "exit status 3"},
		"a command that is not":   {KeyPair{SecretCommand: []string{"/no/such/command"}}, "no such file"},
		"a command of many lines": {KeyPair{SecretCommand: []string{"printf", "first\\nsecond"}}, "more than one line"},
		"a command without end":   {KeyPair{SecretCommand: []string{"yes"}}, "secret_command: run yes: "},
	} {
		c := base(s.URL)
		c.KeyPair = test.pair
		c.AccessKey = "AK"
		u, err := New("store", c, Deps{Getenv: env})
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "first") {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, got := send(t, u, get("k")); got != "AK " {
			t.Errorf("%s: signed by %s", name, got)
		}
		u.Close()
	}
}

// TestFilesThatChange has secrets and profiles change, and become bad.
func TestFilesThatChange(t *testing.T) {
	secrets := map[string]string{"AK": "one"}
	s := signedBy(t, secrets)
	at := time.Now()
	tick := func() { at = at.Add(time.Second) }
	file := filepath.Join(t.TempDir(), "secret")
	write(t, file, "one")
	c := base(s.URL)
	c.KeyPair = KeyPair{AccessKey: "AK", SecretFile: file}
	log, text := logged()
	u := open(t, c, Deps{Clock: clockFunc(func() time.Time { return at }), Log: log})
	want := func(who string) {
		t.Helper()
		if _, got := send(t, u, get("k")); got != who {
			t.Errorf("signed by %q, want %q", got, who)
		}
	}
	want("AK ")
	write(t, file, "second")
	secrets["AK"] = "second"
	tick()
	want("AK ")
	os.Remove(file)
	tick()
	want("AK ")
	if !strings.Contains(text.String(), "cannot be read") || strings.Contains(text.String(), "second") {
		t.Errorf("the log has %s", text)
	}
	write(t, file, "third")
	secrets["AK"] = "third"
	tick()
	want("AK ")

	file = filepath.Join(t.TempDir(), "credentials")
	profiles := "# mine\n[default]\naws_access_key_id=A1\naws_secret_access_key = s1\n\n[ other ]\nAWS_ACCESS_KEY_ID = A2\naws_secret_access_key = s=2\naws_session_token = tok\nregion = x\n"
	write(t, file, profiles)
	secrets["A1"], secrets["A2"], secrets["A3"] = "s1", "s=2", "s3"
	c = base(s.URL)
	c.KeyPair, c.Credentials, c.CredentialsFile, c.Profile = KeyPair{}, fromFile, file, "other"
	u = open(t, c, Deps{Clock: clockFunc(func() time.Time { return at }), Log: log})
	want("A2 tok")
	write(t, file, "[other]\naws_access_key_id")
	tick()
	want("A2 tok")
	write(t, file, "[default]\n")
	tick()
	want("A2 tok")
	write(t, file, "[other]\naws_access_key_id=A3\naws_secret_access_key=s3\n")
	tick()
	want("A3 ")
	c.Profile = "none"
	if _, err := New("store", c, Deps{}); err == nil || !strings.Contains(err.Error(), `no profile "none"`) {
		t.Errorf("got %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	s := signedBy(t, map[string]string{"AKENV": "sec"})
	env := map[string]string{"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "sec", "AWS_SESSION_TOKEN": "tok"}
	c := base(s.URL)
	c.KeyPair, c.Credentials = KeyPair{}, fromEnvironment
	u := open(t, c, Deps{Getenv: func(n string) string { return env[n] }})
	if _, got := send(t, u, get("k")); got != "AKENV tok" {
		t.Errorf("signed by %s", got)
	}
	if _, err := New("store", c, Deps{Getenv: func(string) string { return "" }}); err == nil {
		t.Error("an empty environment was taken")
	}
}

func TestIdentities(t *testing.T) {
	s := signedBy(t, map[string]string{"AKA": "a", "AKB": "b"})
	c := base(s.URL)
	c.KeyPair, c.Credentials = KeyPair{}, fromIdentity
	c.Identity = map[string]KeyPair{"alice": {AccessKey: "AKA", Secret: "a"}, "bob": {AccessKey: "AKB", SecretCommand: []string{"echo", "b"}, SessionToken: "t"}}
	u := open(t, c, Deps{})
	for who, want := range map[string]string{"alice": "AKA ", "bob": "AKB t"} {
		call := get("k")
		call.Identity = who
		if _, got := send(t, u, call); got != want {
			t.Errorf("%s: signed by %s", who, got)
		}
	}
	call := get("k")
	call.Identity = "carol"
	if _, err := u.Send(t.Context(), call); !is(err, awserr.AccessDenied) {
		t.Errorf("one without a key: %v", err)
	}
}

func TestCallables(t *testing.T) {
	s := signedBy(t, map[string]string{"AKT": "sec"})
	answers := map[string]callable.Credentials{
		"pair":    {AccessKey: "AKT", Secret: "sec", SessionToken: "tok", Expires: time.Now().Add(time.Hour)},
		"bearer":  {Bearer: "abc"},
		"expired": {AccessKey: "AKT", Secret: "sec", Expires: time.Now().Add(-time.Second)},
		"split":   {Bearer: "abc\r\nX-Evil: 1"},
		"nothing": {},
	}
	asked := ""
	f := callable.Functions{Credentials: func(ctx context.Context, token, bucket string) (callable.Credentials, error) {
		asked = bucket
		switch token {
		case "failing":
			return callable.Credentials{}, errors.New("the vault is shut")
		case "hanging":
			<-ctx.Done()
			return callable.Credentials{}, ctx.Err()
		}
		c, ok := answers[token]
		if !ok {
			return c, callable.ErrUnknown
		}
		return c, nil
	}}
	c := base(s.URL)
	c.KeyPair, c.Credentials, c.Callable, c.ServiceInstanceID = KeyPair{}, fromCallable, "tokens", "-instance-"
	if _, err := New("store", c, Deps{}); err == nil {
		t.Error("a callable that is not there was taken")
	}
	u := open(t, c, Deps{Functions: map[string]callable.Functions{"tokens": f}})
	for token, want := range map[string]any{
		"pair": "AKT tok", "bearer": "Bearer abc-instance-", "expired": Credentials, "split": Credentials, "nothing": Credentials,
		"failing": Credentials, "none": awserr.AccessDenied, "hanging": Canceled,
	} {
		ctx, stop := context.WithCancel(t.Context())
		if token == "hanging" {
			time.AfterFunc(20*time.Millisecond, stop)
		}
		call := get("k")
		call.Token, call.ClientBucket = token, "photos"
		resp, err := u.Send(ctx, call)
		var got any
		switch e := err.(type) {
		case nil:
			b := make([]byte, 100)
			n, _ := resp.Body.Read(b)
			resp.Body.Close()
			got = string(b[:n])
		case *Error:
			got = e.Kind
		case *awserr.Error:
			got = e.Code
		}
		if got != want || asked != "photos" {
			t.Errorf("%s: got %v (%v), want %v; asked for %s", token, got, err, want, asked)
		}
		stop()
	}
}

func TestSignersAreBounded(t *testing.T) {
	var s signers
	for i := range 3 * maxSigners {
		s.get(keys{accessKey: fmt.Sprint(i)}, "r")
	}
	one := s.get(keys{accessKey: "a"}, "r")
	if len(s.all) > maxSigners || one != s.get(keys{accessKey: "a"}, "r") {
		t.Errorf("%d signers are kept", len(s.all))
	}
	if s.get(keys{accessKey: "a"}, "r") == s.get(keys{accessKey: "a", secret: "x"}, "r") || s.get(keys{accessKey: "a"}, "r") == s.get(keys{accessKey: "a"}, "q") {
		t.Error("one signer for two")
	}
}

// TestSecretsStayHidden lets everything go wrong, and looks for secrets in what is said of it.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "hush-hush"
	log, text := logged()
	said := &strings.Builder{}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "creds"), "[default]\naws_secret_access_key "+secret+"\n")
	write(t, filepath.Join(dir, "two"), secret+"\n"+secret+"\n")
	tokens := newStore(t, nil)
	tokens.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "bad key "+r.FormValue("apikey")+secret, 400)
	})
	for _, edit := range []func(*Config){
		func(c *Config) { c.Secret = secret },
		func(c *Config) { c.Secret = ""; c.SecretFile = filepath.Join(dir, "two") },
		func(c *Config) {
			c.KeyPair, c.Credentials, c.CredentialsFile = KeyPair{}, fromFile, filepath.Join(dir, "creds")
		},
		func(c *Config) {
			c.KeyPair, c.Credentials, c.APIKey, c.TokenEndpoint = KeyPair{}, fromAPIKey, secret, tokens.URL
		},
		func(c *Config) {
			c.KeyPair, c.Credentials, c.APIKey, c.TokenEndpoint = KeyPair{}, fromAPIKey, secret, "http://127.0.0.1:1/token"
		},
		func(c *Config) { c.KeyPair, c.Credentials, c.Callable = KeyPair{}, fromCallable, "f" },
	} {
		c := base("http://127.0.0.1:1")
		c.BreakerFailures = 1
		edit(&c)
		u, err := New("store", c, Deps{Log: log, Functions: map[string]callable.Functions{"f": {
			Credentials: func(context.Context, string, string) (callable.Credentials, error) {
				return callable.Credentials{AccessKey: "AK", Secret: secret}, nil
			},
		}}})
		fmt.Fprintln(said, err)
		if err != nil {
			continue
		}
		for range 3 {
			_, err := u.Send(t.Context(), get("k"))
			fmt.Fprintf(said, "%v %+v %#v\n", err, err, err)
		}
		k, _ := u.source(t.Context(), get("k"))
		fmt.Fprintf(said, "%v %+v %s %#v\n", k, k, k, k)
		u.Close()
	}
	if strings.Contains(said.String(), secret) || strings.Contains(text.String(), secret) {
		t.Errorf("errors:\n%s\nlog:\n%s", said, text)
	}
}

// TestUnsigned: what asks without a key sends no trace of one, whatever is said of bodies.
func TestUnsigned(t *testing.T) {
	for _, c := range []Config{
		{Credentials: "static", KeyPair: KeyPair{Unsigned: true}, Payload: "chunked"},
		{Credentials: "identity", Identity: map[string]KeyPair{"anybody": {Unsigned: true}}, Payload: "signed"},
	} {
		var head http.Header
		var body []byte
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			head = r.Header.Clone()
			body, _ = io.ReadAll(r.Body)
		}))
		full := Config{}
		full.SetDefaults()
		full.Endpoint, full.Credentials, full.KeyPair, full.Identity, full.Payload, full.HealthPath = server.URL, c.Credentials, c.KeyPair, c.Identity, c.Payload, ""
		if err := full.Validate(); err != nil {
			t.Fatal(err)
		}
		u, err := New("s", full, Deps{Clock: clock.System, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := u.Send(t.Context(), Call{Method: "PUT", Bucket: "b", Key: "k", Identity: "anybody", Body: strings.NewReader("body"), Length: 4, Header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		u.Close()
		server.Close()
		if string(body) != "body" || head.Get("Authorization") != "" || head.Get("Content-Encoding") != "" {
			t.Errorf("%s: got %v, %q", c.Credentials, head, body)
		}
	}
	if err := (KeyPair{Unsigned: true, AccessKey: "AK", Secret: "s"}).validate(""); err == nil {
		t.Error("a key that is not used was taken")
	}
}
