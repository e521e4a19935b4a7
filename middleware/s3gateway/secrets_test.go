package s3gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// secretWords are all the secrets of the gateway below, by how it gets them.
var secretWords = map[string]string{
	"identity in place": "Zk1InPlaceOfTheClient", "identity file": "Zk2FromAFile", "identity environment": "Zk3FromTheEnvironment",
	"identity command": "Zk4PrintedByACommand", "keys file": "Zk5OneOfManyKeys", "identity callable": "Zk6KnownToAScript",
	"store static": "Zk7InPlaceForTheStore", "store session token": "Zk8TemporaryToken", "store file": "Zk9StoreFile", "store environment": "ZkaStoreEnvironment",
	"store command": "ZkbStoreCommand", "AWS environment": "ZkcAWSEnvironment", "AWS file": "ZkdAWSFile", "store identity": "ZkeOfOneIdentity",
	"API key": "ZkfApiKeyOfIBM", "client's session token": "ZkjSessionTokenOfAClientWhoTriesIt", "bearer token": "ZkgBearerToken", "store callable": "ZkhFromAScript", "webhook": "ZkiBearerOfTheWebhook",
}

// spellings are forms that a secret could be printed in.
func spellings(secret string) []string {
	return []string{
		secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)], fmt.Sprint([]byte(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
	}
}

// TestSecretsAreNowhere has a gateway know every kind of secret, log all it can, and fail in every way, and looks for them in
// the log, the answers, the metrics, /info, and the configuration as it is shown.
func TestSecretsAreNowhere(t *testing.T) {
	w := secretWords
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("APUS_TEST_CLIENT", w["identity environment"])
	t.Setenv("APUS_TEST_STORE", w["store environment"])
	t.Setenv("APUS_TEST_WEBHOOK", w["webhook"])
	t.Setenv("AWS_ACCESS_KEY_ID", "AKENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", w["AWS environment"])
	cert, key := keyPair(t)

	store := httptest.NewUnstartedServer(http.HandlerFunc(tellTale))
	store.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	store.StartTLS()
	defer store.Close()
	tokens := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.FormValue("apikey") != w["API key"] {
			t.Errorf("the token endpoint got %v", r.Form)
		}
		fmt.Fprintf(rw, `{"access_token": %q, "expires_in": 3600}`, w["bearer token"])
	}))
	defer tokens.Close()
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Error(rw, "no: "+r.Header.Get("Authorization"), http.StatusInternalServerError)
	}))
	defer hook.Close()

	text := secretTables(w, write, store.URL, tokens.URL, hook.URL, write("ca.pem", certificate(store)), write("cert.pem", cert), write("key.pem", key))
	sample, err := os.ReadFile("../../etc/functional-test.toml")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Replace(string(sample), `"s3api", `, `"s3gateway", "s3api", `, 1) + text
	log := new(lockedBuffer)
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{
		Data: t.TempDir(), Config: write("proxy-server.toml", all), Policies: []string{"gold", "silver"}, NoDaemons: true,
		Log:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clock: clock.System, FS: disk.OS{}, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e.Proxy)
	var said strings.Builder
	ask := &asker{t: t, url: server.URL, said: &said}
	ask.everything(w)
	metrics, info := ask.get("/metrics"), ask.get("/info")
	server.Close()
	if err := e.Close(); err != nil {
		t.Error(err)
	}

	shown := showAll(t, all)
	if !strings.Contains(metrics, "apus_s3gateway_requests_total") || !strings.Contains(info, "s3gateway") || !strings.Contains(log.String(), "X-Amz-Signature") ||
		!strings.Contains(shown, "(secret)") {
		t.Error("what was to be looked at is not there")
	}
	w["private key"] = strings.Split(key, "\n")[1]
	defer delete(w, "private key")
	for where, text := range map[string]string{
		"the log": log.String(), "answers": said.String(), "metrics": metrics, "/info": info, "the configuration as shown": shown,
	} {
		for kind, secret := range w {
			for _, spelling := range spellings(secret) {
				if i := strings.Index(text, spelling); i >= 0 {
					t.Errorf("%s has the secret of %q: %q", where, kind, text[max(0, i-100):min(len(text), i+100)])
				}
			}
		}
	}
	// Nothing in the log is a whole signature, or a hash that one could be made from.
	if found := regexp.MustCompile(`[0-9a-f]{64}`).FindString(log.String()); found != "" {
		t.Errorf("the log has the signature %s", found)
	}
}

// secretTables is the configuration of the gateway.
func secretTables(w map[string]string, write func(name, text string) string, store, tokens, hook, ca, cert, key string) string {
	var b strings.Builder
	b.WriteString("\n[filter.s3gateway]\n")
	upstream := func(name string, lines ...string) {
		fmt.Fprintf(&b, "[filter.s3gateway.upstream.%s]\nendpoint = %q\nca_file = %q\ncert_file = %q\nkey_file = %q\nhealth_path = ''\nbreaker_failures = 0\n%s\n",
			name, store, ca, cert, key, strings.Join(lines, "\n"))
		fmt.Fprintf(&b, "[[filter.s3gateway.route]]\nbucket = '%s'\nupstreams = ['%[1]s']\nallow_v2 = true\n", name)
	}
	pair := func(key, value string) string { return fmt.Sprintf("access_key = 'AKSTORE'\n%s = %s", key, value) }
	upstream("static", pair("secret", quoted(w["store static"])), "session_token = "+quoted(w["store session token"]))
	upstream("file", pair("secret_file", quoted(write("store.secret", w["store file"]+"\n"))))
	upstream("env", pair("secret_env", "'APUS_TEST_STORE'"))
	upstream("command", pair("secret_command", fmt.Sprintf("['cat', '%s']", write("command.secret", w["store command"]))))
	upstream("awsenv", "credentials = 'environment'")
	upstream("awsfile", "credentials = 'file'", "credentials_file = "+quoted(write("credentials", "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = "+w["AWS file"]+"\n")))
	upstream("identity", "credentials = 'identity'", "[filter.s3gateway.upstream.identity.identity.place]", pair("secret", quoted(w["store identity"])))
	upstream("apikey", "credentials = 'api_key'", "api_key = "+quoted(w["API key"]), "token_endpoint = "+quoted(tokens))
	upstream("script", "credentials = 'callable'", "callable = 'script'")
	upstream("hook", "credentials = 'callable'", "callable = 'hook'")

	fmt.Fprintf(&b, "[filter.s3gateway.callable.script]\nstarlark = %q\n", write("functions.star", `
def secret(access_key):
    return "`+w["identity callable"]+`" if access_key == "AKSCRIPT" else None

def credentials(token, bucket):
    return {"access_key": "AKSTORE", "secret_key": "`+w["store callable"]+`", "session_token": "`+w["store session token"]+`"}
`))
	fmt.Fprintf(&b, "[filter.s3gateway.callable.hook]\nwebhook = %q\nbearer_env = 'APUS_TEST_WEBHOOK'\nfunctions = ['credentials']\n", hook)

	identity := func(name, lines string) {
		fmt.Fprintf(&b, "[filter.s3gateway.identity.%s]\nrights = ['read', 'write', 'list']\n%s\n", name, lines)
	}
	identity("place", "access_key = 'AKPLACE'\nsecret = "+quoted(w["identity in place"]))
	identity("file", "access_key = 'AKFILE'\nsecret_file = "+quoted(write("alice.secret", w["identity file"])))
	identity("env", "access_key = 'AKENV'\nsecret_env = 'APUS_TEST_CLIENT'")
	identity("command", fmt.Sprintf("access_key = 'AKCOMMAND'\nsecret_command = ['cat', '%s']", write("client.secret", w["identity command"])))
	identity("keys", "keys_file = "+quoted(write("keys", "AKKEYS "+w["keys file"]+"\n")))
	identity("script", "callable = 'script'")
	return b.String()
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// tellTale is a store that says all it knows of who asks, as some do, and breaks off where it is told to.
func tellTale(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	switch {
	case strings.HasSuffix(r.URL.Path, "/good"):
		io.WriteString(w, "an object")
	case strings.HasSuffix(r.URL.Path, "/breaks"):
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half of it")
		panic(http.ErrAbortHandler)
	case strings.HasSuffix(r.URL.Path, "/gone"):
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Token-0>%s</Token-0>"+
			"<CanonicalRequest>%s\nx-amz-security-token:%[1]s\nauthorization:%s</CanonicalRequest><StringToSign>%[3]s</StringToSign></Error>",
			r.Header.Get("X-Amz-Security-Token"), r.URL, r.Header.Get("Authorization"))
	}
}

// An asker notes all that it is answered.
type asker struct {
	t    *testing.T
	url  string
	said *strings.Builder
}

func (a *asker) get(path string) string {
	a.t.Helper()
	resp, err := http.Get(a.url + path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		a.t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return string(b)
}

// send sends a request and notes the answer, which may be anything.
func (a *asker) send(r *http.Request) int {
	a.t.Helper()
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Fprintln(a.said, err)
		return 0
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	fmt.Fprintln(a.said, resp.Status, resp.Header, string(b), err)
	return resp.StatusCode
}

// everything sends good and bad requests of everybody to all stores.
func (a *asker) everything(w map[string]string) {
	a.t.Helper()
	clients := map[string]string{
		"AKPLACE": "identity in place", "AKFILE": "identity file", "AKENV": "identity environment", "AKCOMMAND": "identity command", "AKKEYS": "keys file",
		"AKSCRIPT": "identity callable",
	}
	for _, bucket := range []string{"static", "file", "env", "command", "awsenv", "awsfile", "identity", "apikey", "script", "hook"} {
		for key, kind := range clients {
			signer := sigv4.NewSigner(key, w[kind], "", "us-east-1")
			want := http.StatusOK
			switch {
			case bucket == "identity" && key != "AKPLACE":
				want = http.StatusForbidden // it has no credentials there
			case bucket == "hook":
				want = http.StatusServiceUnavailable
			}
			if got := a.send(a.signed(signer, "GET", bucket+"/good")); got != want {
				a.t.Errorf("GET %s of %s: %d, want %d", bucket, key, got, want)
			}
			a.send(a.signed(signer, "PUT", bucket+"/bad"))
			a.send(a.presigned(signer, bucket+"/good"))
			a.refused(signer, bucket)
		}
		signer := sigv4.NewSigner("AKPLACE", w["identity in place"], "", "us-east-1")
		temporary := sigv4.NewSigner("AKPLACE", w["identity in place"], w["client's session token"], "us-east-1")
		a.send(a.signed(temporary, "GET", bucket+"/good"))
		a.send(a.presigned(temporary, bucket+"/good"))
		a.send(a.signed(signer, "GET", bucket+"/breaks"))
		a.send(a.signed(signer, "GET", bucket+"/gone"))
	}
}

// refused sends requests whose signature is wrong. The right one is not in the answer.
func (a *asker) refused(signer *sigv4.Signer, bucket string) {
	a.t.Helper()
	r := a.signed(signer, "GET", bucket+"/good")
	line := r.Header.Get("Authorization")
	right := line[len(line)-64:]
	r.Header.Set("Authorization", line[:len(line)-64]+strings.Repeat("0", 64))
	before := a.said.Len()
	if status := a.send(r); status != http.StatusForbidden || strings.Contains(a.said.String()[before:], right) {
		a.t.Errorf("a wrong signature: %d %s", status, a.said.String()[before:])
	}
	r = a.presigned(signer, bucket+"/good")
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Expires=60", "X-Amz-Expires=61", 1)
	a.send(r)
	r, err := http.NewRequestWithContext(a.t.Context(), "GET", a.url+"/"+bucket+"/good?AWSAccessKeyId=AKPLACE&Expires=9999999999&Signature="+
		url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("twenty bytes of noise"))), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	a.send(r)
}

func (a *asker) signed(signer *sigv4.Signer, method, path string) *http.Request {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+"/"+path, strings.NewReader(strings.Repeat("x", 10)))
	if err != nil {
		a.t.Fatal(err)
	}
	if method == "GET" {
		r.Body, r.ContentLength = nil, 0
	}
	if _, err := signer.Sign(r, sigv4.UnsignedPayload, time.Now()); err != nil {
		a.t.Fatal(err)
	}
	return r
}

func (a *asker) presigned(signer *sigv4.Signer, path string) *http.Request {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), "GET", a.url+"/"+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	link, _, err := signer.Presign(r, time.Minute, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	if r.URL, err = url.Parse(link); err != nil {
		a.t.Fatal(err)
	}
	return r
}

// showAll is the configuration as `apus config show` gives it, and as Go's verbs print its parts.
func showAll(t *testing.T, text string) string {
	t.Helper()
	file, err := config.Parse("proxy-server.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	setup, err := assembly.ReadFile(file, assembly.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range setup.Plan.Entries {
		for _, o := range e.Report.Options {
			fmt.Fprintln(&b, o.Key, o.Value, o.Source)
		}
	}
	w := secretWords
	pair := upstream.KeyPair{AccessKey: "AK", Secret: w["store static"], SessionToken: w["store session token"]}
	store := upstream.Config{KeyPair: pair, APIKey: w["API key"], Identity: map[string]upstream.KeyPair{"a": pair}}
	identity := gate.Config{Secret: w["identity in place"]}
	whole := s3gateway.Config{Upstreams: map[string]upstream.Config{"a": store}, Identities: map[string]gate.Config{"a": identity}}
	for _, v := range []any{pair, &pair, store, &store, identity, &identity, whole, &whole} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("a value", "value", v)
	}
	return b.String()
}

// keyPair is a certificate and its key, in PEM.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func certificate(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
