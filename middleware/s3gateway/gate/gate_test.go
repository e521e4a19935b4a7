package gate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// signed makes a server's request, signed.
func signed(t testing.TB, method, target, body string, k attacks.Key, when time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if _, err := sigv4.NewSigner(k.Access, k.Secret, "", "us-east-1").Sign(r, sigv4.UnsignedPayload, when); err != nil {
		t.Fatal(err)
	}
	return r
}

func admit(t testing.TB, g *gate.Gate, r *http.Request, o gate.Options) (*gate.Caller, error) {
	t.Helper()
	to, err := route.Address(r, domains)
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Admit(r, to, o)
	if err != nil {
		return nil, err
	}
	return c, c.Authorize(r.Context())
}

func get(t testing.TB, g *gate.Gate, k attacks.Key) error {
	t.Helper()
	_, err := admit(t, g, signed(t, "GET", "/photos-1/a", "", k, now), gate.Options{})
	return err
}

const anyRights = "rights = [\"read\", \"write\", \"list\"]\n"

// TestNewRefuses has configurations refused with the key that is wrong.
func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := gate.Config{AccessKey: "AK", Secret: "topsecret", SecretRefresh: config.Seconds(300), Rights: []string{"read"}}
	with := func(change func(*gate.Config)) map[string]gate.Config {
		c := good
		change(&c)
		return map[string]gate.Config{"alice": c}
	}
	functions := map[string]callable.Functions{"f": {}}
	for _, test := range []struct {
		name    string
		configs map[string]gate.Config
		wants   []string
	}{
		{"no rights", with(func(c *gate.Config) { c.Rights = nil }), []string{"alice", "rights"}},
		{"an unknown right", with(func(c *gate.Config) { c.Rights = []string{"delete"} }), []string{"alice", "rights", `"delete"`}},
		{"a bad glob", with(func(c *gate.Config) { c.Buckets = []string{"[a"} }), []string{"buckets", "[a"}},
		{"an empty prefix", with(func(c *gate.Config) { c.Prefixes = []string{""} }), []string{"prefixes"}},
		{"a prefix of dots", with(func(c *gate.Config) { c.Prefixes = []string{"a/../b"} }), []string{"prefixes"}},
		{"a prefix with a slash before it", with(func(c *gate.Config) { c.Prefixes = []string{"/a"} }), []string{"prefixes"}},
		{"a date that is none", with(func(c *gate.Config) { c.Expires = "tomorrow" }), []string{"expires", "tomorrow"}},
		{"two secrets", with(func(c *gate.Config) { c.SecretEnv = "X" }), []string{"secret_env", "secret already"}},
		{"no secret", with(func(c *gate.Config) { c.Secret = "" }), []string{"secret_file", "no secret"}},
		{"no access key", with(func(c *gate.Config) { c.AccessKey = "" }), []string{"access_key", "missing"}},
		{"an access key with blanks", with(func(c *gate.Config) { c.AccessKey = "A K" }), []string{"access_key"}},
		{"an anonymous one with a key", with(func(c *gate.Config) { c.Anonymous = true }), []string{"anonymous"}},
		{"keys beside a key", with(func(c *gate.Config) { c.KeysFile = "x" }), []string{"keys_file"}},
		{"a command in one string", with(func(c *gate.Config) { c.Secret, c.SecretCommand = "", []string{"cat x"} }), []string{"secret_command", "array"}},
		{"a command that is always run", with(func(c *gate.Config) {
			c.Secret, c.SecretCommand, c.SecretRefresh = "", []string{"true"}, config.Duration{}
		}), []string{"secret_refresh", "above 0"}},
		{"a command that fails", with(func(c *gate.Config) { c.Secret, c.SecretCommand = "", []string{"false"} }), []string{"secret_command", "false"}},
		{"a command that is not there", with(func(c *gate.Config) { c.Secret, c.SecretCommand = "", []string{"/nowhere/x"} }), []string{"secret_command"}},
		{"a command that prints without end", with(func(c *gate.Config) { c.Secret, c.SecretCommand = "", []string{"head", "-c", "1000000", "/dev/zero"} }), []string{"secret_command"}},
		{"a file that is not there", with(func(c *gate.Config) { c.Secret, c.SecretFile = "", "/nowhere/x" }), []string{"identity alice: secret_file: ", "/nowhere/x"}},
		{"an empty file", with(func(c *gate.Config) { c.Secret, c.SecretFile = "", empty }), []string{"secret_file", empty}},
		{"an environment without it", with(func(c *gate.Config) { c.Secret, c.SecretEnv = "", "APUS_NOT_THERE" }), []string{"secret_env", "APUS_NOT_THERE"}},
		{"an unknown callable", with(func(c *gate.Config) { c.Callable = "g" }), []string{"callable", `"g"`}},
		{"a callable without secrets", with(func(c *gate.Config) { c.Secret, c.Callable = "", "f" }), []string{"callable", `"f"`}},
	} {
		_, err := gate.New(test.configs, functions, gate.Deps{})
		if err == nil {
			t.Errorf("%s: is accepted", test.name)
			continue
		}
		for _, want := range test.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %s", test.name, err, want)
			}
		}
		if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: the error tells the secret", test.name)
		}
	}
}

// TestAnonymous lets requests without a signature do what an anonymous identity may.
func TestAnonymous(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway")+"[s3gateway.identity.all]\nanonymous = true\nrights = [\"read\"]\nbuckets = [\"public\"]\n", nil)
	for _, test := range []struct{ method, target, header, code string }{
		{"GET", "/public/a", "", "none"},
		{"HEAD", "/public/a", "", "none"},
		{"GET", "/public", "", "AccessDenied"},
		{"PUT", "/public/a", "", "AccessDenied"},
		{"GET", "/photos-1/a", "", "AccessDenied"},
		{"GET", "/public/a?X-Amz-Signature=0", "", "AuthorizationQueryParametersError"},
		{"GET", "/public/a?Signature=0", "", "AccessDenied"},
		{"GET", "/public/a", "Authorization: Basic x", "InvalidArgument"},
		{"GET", "/public/a", "X-Amz-Security-Token: x", "InvalidToken"},
		{"GET", "/public/a", "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "InvalidRequest"},
		{"GET", "/public/a", "X-Amz-Content-Sha256: " + strings.Repeat("0", 64), "XAmzContentSHA256Mismatch"},
	} {
		head := test.method + " " + test.target + " HTTP/1.1\r\nHost: h\r\n"
		if test.header != "" {
			head += test.header + "\r\n"
		}
		_, _, _, err := pass(g, []byte(head+"\r\n"), gate.Options{AllowV2: true})
		if code(err) != test.code {
			t.Errorf("%s %s %s: got %v, want %s", test.method, test.target, test.header, err, test.code)
		}
	}
}

// TestVersion2 takes what version 2 signs where it is allowed, and nothing that it does not sign.
func TestVersion2(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	k := attacks.Owner
	date := now.Format(http.TimeFormat)
	header := func(path string) string {
		return "Date: " + date + "\r\nAuthorization: AWS " + k.Access + ":" + sigv2.Sign(k.Secret, "GET\n\n\n"+date+"\n"+path)
	}
	query := func(path string, until time.Time) string {
		e := fmt.Sprint(until.Unix())
		signature := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(sigv2.Sign(k.Secret, "GET\n\n\n"+e+"\n"+path))
		return "AWSAccessKeyId=" + k.Access + "&Expires=" + e + "&Signature=" + signature
	}
	later := now.Add(time.Hour)
	for _, test := range []struct{ name, target, host, header, code string }{
		{"in the head", "/photos-1/a", "h", header("/photos-1/a"), "none"},
		{"in the head, with the bucket in the host", "/a", "photos-1.s3.example.net", header("/photos-1/a"), "none"},
		{"in the head, of another key", "/photos-1/b", "h", header("/photos-1/a"), "SignatureDoesNotMatch"},
		{"in the head, of a bucket in the host", "/a", "photos-2.s3.example.net", header("/photos-1/a"), "SignatureDoesNotMatch"},
		{"in the query", "/photos-1/a?" + query("/photos-1/a", later), "h", "X: y", "none"},
		{"in the query, expired", "/photos-1/a?" + query("/photos-1/a", now.Add(-time.Second)), "h", "X: y", "AccessDenied"},
		{"in the query, with a later expiry", "/photos-1/a?" + strings.Replace(query("/photos-1/a", later), "Expires=", "Expires=1", 1), "h", "X: y", "SignatureDoesNotMatch"},
		{"a sub-resource that is signed", "/photos-1/a?acl&" + query("/photos-1/a?acl", later), "h", "X: y", "none"},
		{"a sub-resource that is added", "/photos-1/a?acl&" + query("/photos-1/a", later), "h", "X: y", "SignatureDoesNotMatch"},
		{"a sub-resource that version 2 does not know", "/photos-1/a?retention&" + query("/photos-1/a", later), "h", "X: y", "AccessDenied"},
		{"a parameter that nobody knows", "/photos-1/a?x=y&" + query("/photos-1/a", later), "h", "X: y", "AccessDenied"},
		{"a listing's prefix, which it does not sign", "/photos-1?prefix=a&" + query("/photos-1", later), "h", "X: y", "none"},
		{"a header that is added", "/photos-1/a?" + query("/photos-1/a", later), "h", "x-amz-acl: public-read", "SignatureDoesNotMatch"},
		{"a token", "/photos-1/a?" + query("/photos-1/a", later), "h", "x-amz-security-token: t", "InvalidToken"},
	} {
		raw := []byte("GET " + test.target + " HTTP/1.1\r\nHost: " + test.host + "\r\n" + test.header + "\r\n\r\n")
		_, _, c, err := pass(g, raw, gate.Options{AllowV2: true})
		if code(err) != test.code {
			t.Errorf("%s: got %v, want %s", test.name, err, test.code)
		}
		if err == nil && (c.Version != 2 || c.Presigned != strings.Contains(test.target, "Signature") || strings.Contains(c.Query, "Sign")) {
			t.Errorf("%s: %+v", test.name, c)
		}
		if _, _, _, err := pass(g, raw, gate.Options{}); err == nil {
			t.Errorf("%s: is let through where it is not allowed", test.name)
		}
	}
}

// TestCaller has a caller know what a store's request is to be made of.
func TestCaller(t *testing.T) {
	soon := now.Add(2 * time.Minute)
	g := open(t, attacks.Identities("s3gateway")+
		"[s3gateway.identity.brief]\naccess_key = \"AKBRIEF\"\nsecret = \"brief\"\nexpires = "+soon.Format(time.RFC3339)+"\n"+anyRights, nil)
	presign := func(target string, k attacks.Key) *http.Request {
		r := httptest.NewRequest("GET", target, nil)
		link, _, err := sigv4.NewSigner(k.Access, k.Secret, "", "us-east-1").Presign(r, 5*time.Minute, now)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest("GET", link, nil)
	}
	c, err := admit(t, g, presign("/photos-1/a%20b?versionId=1%2F2&response-content-type=a%3Bb&x-amz-meta-a=1", attacks.Owner), gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Identity.Name != "owner" || c.Token != "AKOWNER" || !c.Presigned || c.Version != 4 || !c.Expires.Equal(now.Add(5*time.Minute)) {
		t.Errorf("got %+v", c)
	}
	if got := c.Query; strings.Contains(got, "X-Amz-") || !strings.Contains(got, "versionId=1%2F2") || !strings.Contains(got, "response-content-type=a%3Bb") || !strings.Contains(got, "x-amz-meta-a=1") {
		t.Errorf("the query is %s", got)
	}
	c, err = admit(t, g, presign("/photos-1/a", attacks.Key{Access: "AKBRIEF", Secret: "brief"}), gate.Options{})
	if err != nil || !c.Expires.Equal(soon) {
		t.Errorf("a presigned URL outlives its identity: %v, %v", c, err)
	}
	c, err = admit(t, g, signed(t, "PUT", "/photos-1/a?x-amz-copy-source=photos-2/b%252Bc%2520d&partNumber=1&uploadId=u", "", attacks.Owner, now), gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Operation.Source; s == nil || *s != (gate.Source{Bucket: "photos-2", Key: "b+c d"}) || s.Header("there") != "/there/b%2Bc%20d" || c.Query != "partNumber=1&uploadId=u" {
		t.Errorf("got %+v, query %s", s, c.Query)
	}
}

// TestAuthorize asks the operator's functions for what is done, for a copy's source, and for each key of a body.
func TestAuthorize(t *testing.T) {
	var asked []string
	functions := map[string]callable.Functions{"f": {
		Secret: func(context.Context, string) (string, error) { return "s", nil },
		Authorize: func(_ context.Context, token, bucket, method, path string) (bool, error) {
			asked = append(asked, token+" "+method+" "+bucket+" "+path)
			switch {
			case strings.Contains(path, "hidden"):
				return false, nil
			case strings.Contains(path, "unknown"):
				return true, callable.ErrUnknown
			case strings.Contains(path, "broken"):
				return true, errors.New("no answer")
			}
			return true, nil
		},
	}}
	g := open(t, "[s3gateway.identity.a]\ncallable = \"f\"\nrights = [\"read\", \"write\"]\n", functions)
	deletes := "<Delete><Object><Key>a</Key></Object><Object><Key>%s</Key></Object></Delete>"
	for _, test := range []struct {
		method, target, body, source, code string
		asks                               string
	}{
		{"GET", "/b/a", "", "", "none", "T GET b a"},
		{"GET", "/b/hidden", "", "", "AccessDenied", "T GET b hidden"},
		{"GET", "/b/unknown", "", "", "AccessDenied", "T GET b unknown"},
		{"GET", "/b/broken", "", "", "ServiceUnavailable", "T GET b broken"},
		{"GET", "/b", "", "", "AccessDenied", ""}, // it has not the right, so nobody is asked
		{"PUT", "/b/a", "", "/c/x", "none", "T PUT b a, T GET c x"},
		{"PUT", "/b/a", "", "/c/hidden", "AccessDenied", "T PUT b a, T GET c hidden"},
		{"POST", "/b?delete", fmt.Sprintf(deletes, "z"), "", "none", "T POST b , T DELETE b a, T DELETE b z"},
		{"POST", "/b?delete", fmt.Sprintf(deletes, "hidden"), "", "AccessDenied", "T POST b , T DELETE b a, T DELETE b hidden"},
		{"POST", "/b/a?delete", fmt.Sprintf(deletes, "hidden"), "", "AccessDenied", "T POST b a, T DELETE b a, T DELETE b hidden"},
	} {
		asked = nil
		r := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
		if test.source != "" {
			r.Header.Set("X-Amz-Copy-Source", test.source)
		}
		if _, err := sigv4.NewSigner("T", "s", "", "us-east-1").Sign(r, sigv4.UnsignedPayload, now); err != nil {
			t.Fatal(err)
		}
		c, err := admit(t, g, r, gate.Options{})
		if err == nil {
			_, err = c.Body(r)
		}
		if code(err) != test.code || strings.Join(asked, ", ") != test.asks {
			t.Errorf("%s %s %s: got %v, want %s; asked %q, want %q", test.method, test.target, test.source, err, test.code, asked, test.asks)
		}
	}
}

// TestClaim tells who a request says that it is from before anything is proved.
func TestClaim(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	r := signed(t, "GET", "/photos-1/a", "", attacks.Key{Access: attacks.Owner.Access, Secret: "wrong"}, now)
	c, err := g.Claim(r, route.Target{Bucket: "photos-1", Key: "a"})
	if err != nil || c.Identity.Name != "owner" {
		t.Fatalf("got %v, %v", c, err)
	}
	if _, err := c.Admit(gate.Options{}); code(err) != "SignatureDoesNotMatch" {
		t.Errorf("got %v", err)
	}
	if caller, err := c.Admit(gate.Options{SkipSignature: true}); err != nil || caller.Identity.Name != "owner" {
		t.Errorf("got %v", err)
	}
}

// TestSecretsDoNotPrint prints what a careless log might.
func TestSecretsDoNotPrint(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	configs := identities(t, attacks.Identities("s3gateway"))
	g, err := gate.New(configs, nil, gate.Deps{Region: "us-east-1", Clock: at(now), Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	c, err := admit(t, g, signed(t, "GET", "/photos-1/a", "", attacks.Owner, now), gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := g.Claim(signed(t, "GET", "/photos-1/a", "", attacks.Owner, now), route.Target{Bucket: "photos-1", Key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("all", "config", configs["owner"], "caller", c, "identity", c.Identity, "gate", g, "claim", claim)
	text := log.String() + fmt.Sprintf("%v %+v %#v %v %+v %#v %v %+v", configs["owner"], configs["owner"], configs["owner"], c, c, c, g, g) +
		fmt.Sprintf("%v %+v %#v %v %#v", claim, claim, claim, configs, configs)
	if strings.Contains(text, attacks.Owner.Secret) {
		t.Errorf("the secret is in %s", text)
	}
}

// TestAdmitAllocates keeps what every request costs from growing: nearly all of it is package sigv4's.
func TestAdmitAllocates(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	r := signed(t, "GET", "/photos-1/2026/a", "", attacks.Owner, now)
	n := testing.AllocsPerRun(100, func() {
		if _, err := admit(t, g, r, gate.Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 26 {
		t.Errorf("admitting a request takes %v allocations, want 26 at most", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	g := open(b, attacks.Identities("s3gateway"), nil)
	r := signed(b, "GET", "/photos-1/2026/a", "", attacks.Owner, now)
	b.ReportAllocs()
	for b.Loop() {
		t, err := route.Address(r, domains)
		if err != nil {
			b.Fatal(err)
		}
		c, err := g.Admit(r, t, gate.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Authorize(r.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
