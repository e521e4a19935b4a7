package s3gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWhatOneRouteForgivesAnotherDoesNot has a signature that was good enough for a route be good for nothing else.
func TestWhatOneRouteForgivesAnotherDoesNot(t *testing.T) {
	at := newStore(t)
	g := newGateway(t, at.upstream("at"), clients, `
[[filter.s3gateway.route]]
bucket = "dev"
upstreams = ["at"]
skip_signature_validation = true
[[filter.s3gateway.route]]
bucket = "prod"
upstreams = ["at"]
`)
	g.want(200, "PUT", "/dev", "")
	g.want(200, "PUT", "/prod", "")
	g.want(200, "PUT", "/prod/secret", "the secret")
	forged := func(method, path string, headers ...string) answer {
		t.Helper()
		r := g.request(method, path, "", headers...)
		g.sign(r)
		r.Header.Set("Authorization", r.Header.Get("Authorization")[:len(r.Header.Get("Authorization"))-4]+"0000")
		return g.sent(r)
	}
	if a := forged("PUT", "/dev/x"); a.status != 200 {
		t.Fatalf("the route does not forgive: %v", a)
	}
	if a := forged("PUT", "/dev/stolen", "x-amz-copy-source", "/prod/secret"); a.code != "AccessDenied" {
		t.Errorf("copied with a forged signature: %v", a)
	}
	if a := forged("GET", "/"); a.code != "SignatureDoesNotMatch" {
		t.Errorf("listed buckets with a forged signature: %v", a)
	}
	at.want(404, "HEAD", "/dev/stolen", "")
}

// TestManyDeletionsTakeTheWayOfEach refuses a document whose keys would go elsewhere, or nowhere, one by one.
func TestManyDeletionsTakeTheWayOfEach(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, `
[[filter.s3gateway.route]]
name = "photos of this year"
bucket = "photos"
prefix = "2026/"
upstreams = ["near"]
[[filter.s3gateway.route]]
bucket = "photos"
upstreams = ["far"]
[[filter.s3gateway.route]]
bucket = "kept"
methods = ["GET", "HEAD", "PUT", "POST"]
upstreams = ["far"]
`)
	near.want(200, "PUT", "/photos", "")
	for _, path := range []string{"/photos", "/kept", "/kept/a", "/photos/a"} {
		far.want(200, "PUT", path, "")
	}
	g.want(200, "PUT", "/photos/2026/a", "near")
	document := func(keys ...string) string {
		return "<Delete><Object><Key>" + strings.Join(keys, "</Key></Object><Object><Key>") + "</Key></Object></Delete>"
	}
	g.want("AccessDenied", "POST", "/photos?delete", document("a", "2026/a"))
	g.want("AccessDenied", "POST", "/kept?delete", document("a"))
	g.want("MalformedXML", "POST", "/photos?delete", document(strings.Split(strings.Repeat("a ", 1000)+"a", " ")...))
	g.has("/photos/2026/a", "near")
	far.want(200, "HEAD", "/kept/a", "")
	g.want(200, "POST", "/photos?delete", document("a"), "Content-MD5", "aFPqFnlCon58cZ4Qt7zwvQ==")
	far.want(404, "HEAD", "/photos/a", "")
}

// TestBodiesWithoutALengthAreRefusedUnread has none of them gathered, whatever the request is.
func TestBodiesWithoutALengthAreRefusedUnread(t *testing.T) {
	at := newStore(t)
	g := newGateway(t, at.upstream("at"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n")
	for _, what := range []string{"GET /photos/x", "DELETE /photos/x", "PUT /photos?policy", "POST /photos?delete", "PUT /photos", "PUT /photos/x"} {
		method, path, _ := strings.Cut(what, " ")
		body := &endless{}
		r, err := http.NewRequestWithContext(t.Context(), method, g.url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		g.sign(r)
		a, err := send(r)
		if err == nil && a.status != http.StatusLengthRequired && a.status != http.StatusBadRequest {
			t.Errorf("%s: %v", what, a)
		}
		if given := body.given.Load(); given > 64<<20 {
			t.Errorf("%s: %d bytes were taken", what, given)
		}
	}
	if seen := at.requests(); len(seen) > 0 {
		t.Errorf("the store got %v", seen)
	}
}

// endless is a body that would fill any memory. It may be read after the answer has come.
type endless struct{ given atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.given.Add(int64(len(p))) > 128<<20 {
		return 0, io.ErrUnexpectedEOF
	}
	return len(p), nil
}

// TestIdentitiesWithBucketsNameNoOthers refuses what has the store use buckets that a document names.
func TestIdentitiesWithBucketsNameNoOthers(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer s.Close()
	secrets["AKERIN"] = "erin's secret"
	g := newGateway(t, "[filter.s3gateway.upstream.one]\nendpoint = '"+s.URL+"'\naccess_key = 'k'\nsecret = 's'\nhealth_path = ''\n", `
[filter.s3gateway.identity.erin]
access_key = "AKERIN"
secret = "erin's secret"
rights = ["read", "write", "list"]
buckets = ["photos"]
[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["one"]
`)
	for _, what := range []string{"replication", "logging", "inventory&id=1", "analytics&id=1"} {
		g.as("AKERIN").want("AccessDenied", "PUT", "/photos?"+what, "<Configuration><Bucket>payroll</Bucket></Configuration>")
	}
	if asked > 0 {
		t.Errorf("the store was asked %d times", asked)
	}
	g.as("AKERIN").want(200, "PUT", "/photos?versioning", "<VersioningConfiguration/>")
}

// TestASignatureOfTheStoresIsNotLogged follows a store that redirects with the query that it was asked with.
func TestASignatureOfTheStoresIsNotLogged(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example/photos/x?"+r.URL.RawQuery+"&X-Amz-Signature=deadbeef")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	g := newGateway(t, "[filter.s3gateway.upstream.one]\nendpoint = '"+s.URL+"'\naccess_key = 'k'\nsecret = 's'\nhealth_path = ''\n", clients,
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['one']\n")
	g.want(502, "GET", "/photos/x", "")
	if log := g.log.String(); !strings.Contains(log, "https://elsewhere.example/photos/x") || strings.Contains(log, "deadbeef") {
		t.Errorf("the log has %s", log)
	}
}
