package assembly

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/checksum"
)

// SDKs that people use with S3, each with its own defaults and with each of the checksums, over HTTP and over TLS, where most
// send bodies in another form: the bytes that the Swift API shows are those that were sent, always. They run when asked for
// (make sdks), and then must be there: Node.js with npm, Go, Python with boto3, and aws. The SDKs for JavaScript and Go are
// the newest, fetched for the test.

// sdkSite is a cluster to which SDKs talk.
type sdkSite struct {
	url, dir, ca string
	client       *http.Client // for the Swift API
	token        string
	files        map[int]string // by their size
}

// A step stores a file and fetches it.
type step struct {
	Name      string `json:"name"`
	File      string `json:"file"`
	How       string `json:"how"` // put, stream, upload, form
	Algorithm string `json:"algorithm,omitempty"`
	size      int
}

// sdkSizes are where chunks and parts end, and next to it.
var sdkSizes = []int{0, 1, 8191, 8192, 8193, 5<<20 - 1, 5 << 20, 5<<20 + 1, 20 << 20}

func newSDKSite(t *testing.T, secure bool) *sdkSite {
	t.Helper()
	s := &sdkSite{dir: t.TempDir(), client: &http.Client{}, files: map[int]string{}}
	text, err := os.ReadFile("../../etc/functional-test.toml")
	if err != nil {
		t.Fatal(err)
	}
	// Steps store by the Swift API too, and to a bucket made there nobody has rights with s3_acl.
	text = bytes.Replace(text, []byte("s3_acl = true"), []byte("s3_acl = false"), 1)
	if secure {
		key := s.makeCertificate(t)
		text = bytes.Replace(text, []byte("[DEFAULT]\n"), fmt.Appendf(nil, "[DEFAULT]\ncert_file = %q\nkey_file = %q\n", s.ca, key), 1)
	}
	path := s.write(t, "proxy.toml", text)
	_, s.url = start(t, EmbeddedOptions{Config: path})
	if secure {
		s.url = "https" + strings.TrimPrefix(s.url, "http")
	}
	resp, _ := s.swift(t, "GET", "/auth/v1.0", "X-Auth-User", "test:tester", "X-Auth-Key", "testing")
	if s.token = resp.Header.Get("X-Auth-Token"); s.token == "" {
		t.Fatalf("no token: %v", resp.Status)
	}
	if resp, _ := s.swift(t, "PUT", "/v1/AUTH_test/sdks"); resp.StatusCode != http.StatusCreated {
		t.Fatalf("create a bucket: %v", resp.Status)
	}
	random := rand.NewChaCha8([32]byte{3})
	for _, size := range sdkSizes {
		data := make([]byte, size)
		_, _ = random.Read(data)
		s.files[size] = s.write(t, fmt.Sprint("file-", size), data)
	}
	return s
}

func (s *sdkSite) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// makeCertificate makes one for 127.0.0.1, which is its own authority, and returns the path of its key.
func (s *sdkSite) makeCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.ca = s.write(t, "cert.pem", text)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return s.write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}))
}

// swift sends a request of the Swift API and returns the whole answer.
func (s *sdkSite) swift(t *testing.T, method, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", s.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, body
}

// env is that of SDKs. Nothing of the machine's own configuration counts.
func (s *sdkSite) env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C.UTF-8", "AWS_ACCESS_KEY_ID=test:tester", "AWS_SECRET_ACCESS_KEY=testing",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + filepath.Join(s.dir, "none"),
		"PYENV_ROOT=" + os.Getenv("PYENV_ROOT"),
	}
	if s.ca != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.ca, "NODE_EXTRA_CA_CERTS="+s.ca)
	}
	return env
}

// steps are all sizes in the SDK's own way, and all checksums with some sizes, in each of the ways.
func (s *sdkSite) steps(hows ...string) []step {
	var all []step
	add := func(how, algorithm string, size int) {
		name := fmt.Sprintf("%s/%s/%d", how, algorithm, size)
		all = append(all, step{Name: name, File: s.files[size], How: how, Algorithm: algorithm, size: size})
	}
	for _, how := range hows {
		for _, size := range sdkSizes {
			add(how, "", size)
		}
		if how == "form" {
			continue
		}
		for _, a := range checksum.All() {
			for _, size := range []int{0, 8193, 5<<20 + 1, 20 << 20} {
				add(how, string(a), size)
			}
		}
	}
	return all
}

// sdkResult is what a client says of a step.
type sdkResult struct {
	Version, Name, Error, Lacks, Checksum, Kind, ETag string
}

// check runs a client over the steps and compares what the Swift API shows.
func (s *sdkSite) check(t *testing.T, steps []step, dir, program string, args ...string) {
	t.Helper()
	plan, err := json.Marshal(map[string]any{
		"endpoint": s.url, "key": "test:tester", "secret": "testing", "bucket": "sdks", "ca": s.ca, "steps": steps,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, append(args, s.write(t, "plan.json", plan))...)
	cmd.Dir, cmd.Env = dir, s.env()
	var diag bytes.Buffer
	cmd.Stderr = &diag
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, tail(string(out)), tail(diag.String()))
	}
	said := map[string]sdkResult{}
	for line := range strings.Lines(string(out)) {
		var o sdkResult
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%s says %q: %v", program, line, err)
		}
		if o.Version != "" {
			t.Log(o.Version)
		}
		said[o.Name] = o
	}
	done, lacks := 0, map[string]bool{}
	for _, st := range steps {
		o, ok := said[st.Name]
		switch {
		case !ok:
			t.Errorf("%s: nothing said", st.Name)
		case o.Lacks != "" && st.Algorithm != "":
			lacks[st.Algorithm+": "+o.Lacks] = true
		case o.Error != "" || o.Lacks != "":
			t.Errorf("%s: %s%s", st.Name, o.Error, o.Lacks)
		default:
			s.compare(t, st)
			s.compareChecksum(t, st, o)
			done++
		}
	}
	for l := range lacks {
		t.Logf("the SDK cannot do %s", l)
	}
	t.Logf("%d steps of %d", done, len(steps))
	if done == 0 {
		t.Error("nothing was done")
	}
}

// compare compares what the Swift API shows with the file.
func (s *sdkSite) compare(t *testing.T, st step) {
	t.Helper()
	want, err := os.ReadFile(st.File)
	if err != nil {
		t.Fatal(err)
	}
	resp, got := s.swift(t, "GET", "/v1/AUTH_test/sdks/"+st.Name)
	if resp.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("%s: the Swift API shows %d bytes (%s) that are not the %d sent", st.Name, len(got), resp.Status, len(want))
	}
	if e := resp.Header.Get("Content-Encoding"); strings.Contains(e, "aws-chunked") {
		t.Errorf("%s: stored with Content-Encoding %s", st.Name, e)
	}
}

// compareChecksum compares the checksum that the object has with that of the file. It has to have the one that was asked for.
func (s *sdkSite) compareChecksum(t *testing.T, st step, o sdkResult) {
	t.Helper()
	name, value, ok := strings.Cut(o.Checksum, "=")
	if st.Algorithm != "" && name != st.Algorithm {
		t.Errorf("%s: stored with the checksum %q", st.Name, o.Checksum)
		return
	}
	if !ok || o.Kind != string(checksum.FullObject) {
		return
	}
	data, err := os.ReadFile(st.File)
	if err != nil {
		t.Fatal(err)
	}
	h := checksum.Algorithm(name).New()
	h.Write(data)
	if want := base64.StdEncoding.EncodeToString(h.Sum(nil)); value != want {
		t.Errorf("%s: stored with %s, want %s", st.Name, o.Checksum, want)
	}
}

// sdks leaves the tests of SDKs out if they are not asked for; if they are, what they need must be there.
func sdks(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("APUS_TEST_PROGRAMS") == "" {
		t.Skip("fetches SDKs and takes long; set APUS_TEST_PROGRAMS=1, or say make sdks")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s is not installed", p)
		}
	}
}

// both runs a test over HTTP and over TLS.
func both(t *testing.T, f func(t *testing.T, s *sdkSite)) {
	t.Run("HTTP", func(t *testing.T) { f(t, newSDKSite(t, false)) })
	t.Run("TLS", func(t *testing.T) { f(t, newSDKSite(t, true)) })
}

// prepare runs a program that makes an SDK ready, in the environment of this machine.
func prepare(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, tail(string(out)))
	}
}

// place copies a client from testdata to a directory of its own.
func place(t *testing.T, name string) (dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "sdks", name))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSDKJavaScript(t *testing.T) {
	sdks(t, "node", "npm")
	dir := place(t, "client.mjs")
	prepare(t, dir, "npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "@aws-sdk/client-s3@latest", "@aws-sdk/lib-storage@latest",
		"@aws-sdk/s3-presigned-post@latest")
	both(t, func(t *testing.T, s *sdkSite) {
		s.check(t, s.steps("put", "stream", "upload", "form"), dir, "node", "client.mjs")
	})
}

func TestSDKGo(t *testing.T) {
	sdks(t, "go")
	dir := place(t, "client.go")
	prepare(t, dir, "go", "mod", "init", "example.org/client")
	const sdk = "github.com/aws/aws-sdk-go-v2"
	prepare(t, dir, "go", "get", sdk+"@latest", sdk+"/config@latest", sdk+"/credentials@latest", sdk+"/service/s3@latest",
		sdk+"/feature/s3/transfermanager@latest")
	prepare(t, dir, "go", "build", "-o", "client", ".")
	both(t, func(t *testing.T, s *sdkSite) {
		hows := []string{"put", "upload"}
		if s.ca != "" {
			hows = append(hows, "stream") // the SDK refuses to send without TLS what it cannot sign
		}
		s.check(t, s.steps(hows...), dir, filepath.Join(dir, "client"))
	})
}

// pythons are those that have boto3: the one that people find, and Debian's.
func pythons(t *testing.T) (found []string) {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(python)
		if err != nil || len(found) > 0 && path == found[0] {
			continue
		}
		if exec.Command(path, "-c", "import boto3").Run() == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Fatal("boto3 is not installed")
	}
	return found
}

func TestSDKPython(t *testing.T) {
	sdks(t)
	for _, python := range pythons(t) {
		dir := place(t, "client.py")
		both(t, func(t *testing.T, s *sdkSite) {
			s.check(t, s.steps("put", "stream", "upload", "form"), dir, python, "client.py")
		})
	}
}

func TestSDKCommandLine(t *testing.T) {
	sdks(t, "aws")
	both(t, func(t *testing.T, s *sdkSite) {
		for _, aws := range []string{"aws", "/usr/bin/aws"} {
			if path, err := exec.LookPath(aws); err == nil {
				s.commandLine(t, path)
			}
		}
	})
}

// commandLine stores and fetches files with aws.
func (s *sdkSite) commandLine(t *testing.T, aws string) {
	t.Helper()
	run := func(stdin string, args ...string) (string, error) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		cmd := exec.CommandContext(ctx, aws, append([]string{"--endpoint-url", s.url}, args...)...)
		cmd.Dir, cmd.Env = s.dir, append(s.env(), "AWS_MAX_ATTEMPTS=1")
		if stdin != "" {
			f, err := os.Open(stdin)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			cmd.Stdin = io.MultiReader(f) // a pipe, of which nobody knows the length
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	version, err := run("", "--version")
	if err != nil {
		t.Fatalf("%s: %v\n%s", aws, err, version)
	}
	t.Log(strings.TrimSpace(version))
	v2 := strings.Contains(version, "aws-cli/2.9.")
	fetched, done := filepath.Join(s.dir, "fetched"), 0
	store := func(st step, stdin string, args ...string) {
		if out, err := run(stdin, args...); err != nil {
			if st.Algorithm != "" && (strings.Contains(out, "requires an additional dependency") || strings.Contains(out, "Unsupported checksum algorithm") ||
				v2 && strings.Contains(out, "argument --checksum-algorithm")) {
				t.Logf("it cannot do %s", st.Algorithm)
				return
			}
			t.Errorf("%q: %v\n%s", args, err, tail(out))
			return
		}
		if out, err := run("", "s3", "cp", "s3://sdks/"+st.Name, fetched); err != nil {
			t.Errorf("fetch %s: %v\n%s", st.Name, err, tail(out))
		}
		got, err := os.ReadFile(fetched)
		want, err2 := os.ReadFile(st.File)
		if err != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes came back that are not the %d sent (%v, %v)", st.Name, len(got), len(want), err, err2)
		}
		s.compare(t, st)
		done++
	}
	at := func(how, algorithm string, size int) step {
		return step{Name: fmt.Sprintf("aws/%s/%s/%d", how, algorithm, size), File: s.files[size], Algorithm: algorithm}
	}
	for _, size := range []int{0, 1, 8193, 5<<20 + 1, 20 << 20} { // it takes a second to start
		st := at("cp", "", size)
		store(st, "", "s3", "cp", st.File, "s3://sdks/"+st.Name)
	}
	for _, size := range []int{8193, 20 << 20} {
		st := at("pipe", "", size)
		store(st, st.File, "s3", "cp", "-", "s3://sdks/"+st.Name)
	}
	for _, a := range checksum.All() {
		st := at("put-object", string(a), 8193)
		store(st, "", "s3api", "put-object", "--bucket", "sdks", "--key", st.Name, "--body", st.File, "--checksum-algorithm", string(a))
	}
	t.Logf("%d files", done)
}
