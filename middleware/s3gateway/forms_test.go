package s3gateway_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/closedport"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
)

// A pair is a field of a form.
type pair struct{ name, value string }

// A page is a form as a browser sends it. What is empty is as it should be.
type page struct {
	fields   []pair
	limits   []any // conditions beside those that name the fields
	unsigned []pair
	file     string
	filename string
	bucket   string // of the policy
	expires  time.Duration
	after    []pair
	v2       bool
	nobody   bool
	change   func(fields []pair)
	cut      int // bytes at the end that do not come
}

const formBoundary = "----WebKitFormBoundaryAb0123"

// signed are the fields of a form, with a policy that names them.
func (p page) signed(key, bucket string) []pair {
	fields := slices.Clone(p.fields)
	if p.nobody {
		return fields
	}
	now := time.Now().UTC()
	scope := sigv4.NewScope(now, "us-east-1", "s3")
	if p.v2 {
		fields = append(fields, pair{"AWSAccessKeyId", key})
	} else {
		fields = append(fields, pair{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"}, pair{"X-Amz-Credential", key + "/" + scope.String()},
			pair{"X-Amz-Date", now.Format("20060102T150405Z")})
	}
	if p.bucket != "" {
		bucket = p.bucket
	}
	conditions := append([]any{map[string]string{"bucket": bucket}}, p.limits...)
	for _, f := range fields {
		conditions = append(conditions, []string{"starts-with", "$" + f.name, ""})
	}
	if p.expires == 0 {
		p.expires = time.Hour
	}
	document, _ := json.Marshal(map[string]any{"expiration": now.Add(p.expires).Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	policy := base64.StdEncoding.EncodeToString(document)
	fields = append(fields, pair{"Policy", policy})
	if p.v2 {
		return append(fields, pair{"Signature", sigv2.Sign(secrets[key], policy)})
	}
	return append(fields, pair{"X-Amz-Signature", sigv4.Derive(secrets[key], scope).Sign(policy)})
}

// head is the form up to its file.
func (p page) head(key, bucket string) (*bytes.Buffer, *multipart.Writer) {
	body := new(bytes.Buffer)
	w := multipart.NewWriter(body)
	_ = w.SetBoundary(formBoundary)
	fields := p.signed(key, bucket)
	if p.change != nil {
		p.change(fields)
	}
	for _, f := range append(fields, p.unsigned...) {
		_ = w.WriteField(f.name, f.value)
	}
	if p.filename == "" {
		p.filename = "photo.png"
	}
	_, _ = w.CreateFormFile("file", p.filename)
	return body, w
}

// post sends a form.
func (s *s3) post(bucket string, p page) answer {
	s.t.Helper()
	body, w := p.head(s.key, bucket)
	body.WriteString(p.file)
	for _, f := range p.after {
		_ = w.WriteField(f.name, f.value)
	}
	w.Close()
	length := body.Len()
	body.Truncate(length - p.cut)
	return s.sent(s.request(http.MethodPost, s.pathOf(bucket), body.String(), "Content-Type", w.FormDataContentType(), "User-Agent", "a browser"))
}

// pathOf is where a bucket is: its host, if it is that of the URL, or a path.
func (s *s3) pathOf(bucket string) string {
	if strings.Contains(s.url, "//"+bucket+".") {
		return "/"
	}
	return "/" + bucket
}

// posts sends a form and compares what it comes to.
func (s *s3) posts(want any, bucket string, p page) answer {
	s.t.Helper()
	a := s.post(bucket, p)
	if fmt.Sprint(want) != fmt.Sprint(a.status) && want != a.code {
		s.t.Errorf("%s posts to %s: got %v, want %v", s.key, bucket, a, want)
	}
	return a
}

var userKey = pair{"key", "user/${filename}"}

const formsRoute = `
[[filter.s3gateway.route]]
bucket = ["photos"]
upstreams = ["far"]
upstream_bucket = "archive"
[[filter.s3gateway.route]]
bucket = ["old-*"]
upstreams = ["far"]
allow_v2 = true
[[filter.s3gateway.route]]
bucket = ["near-*"]
upstreams = ["near"]
`

// limited are identities with fewer rights.
const limited = `
[filter.s3gateway.identity.tenant]
access_key = "AKTENANT"
secret = "the tenant's secret"
rights = ["write"]
prefixes = ["2026/"]
[filter.s3gateway.identity.anybody]
anonymous = true
rights = ["write"]
buckets = ["near-inbox"]
`

func TestFormsArePosted(t *testing.T) {
	secrets["AKTENANT"] = "the tenant's secret"
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, limited, formsRoute)
	for _, bucket := range []string{"photos", "old-1", "near-1", "near-inbox"} {
		g.want(200, "PUT", "/"+bucket, "")
	}
	full := page{
		file: "line\r\n--not the end\r\n", filename: `C:\pictures\photo.png`,
		fields: []pair{userKey, {"Content-Type", "image/png"}, {"x-amz-meta-Colour", "blue ${filename}"}, {"Cache-Control", "no-cache"}, {"acl", "private"}, {"weird field", "1"}},
		limits: []any{[]any{"content-length-range", 1, 100}}, unsigned: []pair{{"x-ignore-me", "1"}}, after: []pair{{"key", "other"}, {"submit", "Send"}},
	}
	for _, c := range []struct {
		bucket string
		v2     bool
		store  *store
		theirs string
	}{{"photos", false, far, "archive"}, {"old-1", true, far, "old-1"}, {"old-1", false, far, "old-1"}, {"near-1", false, near, "near-1"}} {
		p := full
		p.v2 = c.v2
		near.requests()
		far.requests()
		a := g.posts(204, c.bucket, p)
		if a.header.Get("Location") != g.url+"/"+c.bucket+"/user/photo.png" || a.header.Get("Etag") == "" || a.body != "" {
			t.Errorf("%s: answered %v", c.bucket, a)
		}
		if got := c.store.requests(); !slices.Equal(got, []string{"POST /" + c.theirs}) {
			t.Errorf("%s: the store was asked %v", c.bucket, got)
		}
		c.store.has("/"+c.theirs+"/user/photo.png", p.file)
		b := g.want(200, "GET", "/"+c.bucket+"/user/photo.png", "")
		if h := b.header; h.Get("Content-Type") != "image/png" || h.Get("X-Amz-Meta-Colour") != "blue photo.png" || h.Get("Cache-Control") != "no-cache" || b.body != p.file {
			t.Errorf("%s: stored %v", c.bucket, b)
		}
		g.want(204, "DELETE", "/"+c.bucket+"/user/photo.png", "")
	}
	g.posts(204, "photos", page{fields: []pair{{"key", "empty"}}})
	far.has("/archive/empty", "")
	odd := "sp ace/\u00fc+%41\"'$.txt"
	a := g.posts(201, "photos", page{fields: []pair{{"key", odd}, {"success_action_status", "201"}}, file: "odd"})
	far.has("/archive/sp%20ace/%C3%BC%2B%2541%22%27%24.txt", "odd")
	if want := "<Location>" + g.url + "/photos/sp%20ace/"; !strings.Contains(a.body, want) || between(a.body, "<Bucket>", "<") != "photos" {
		t.Errorf("answered %s, want %s", a.body, want)
	}
	// Who has prefixes, and who is nobody.
	g.as("AKTENANT").posts(204, "photos", page{fields: []pair{{"key", "2026/a"}}, file: "t"})
	far.has("/archive/2026/a", "t")
	g.posts(204, "near-inbox", page{fields: []pair{{"key", "n"}}, file: "anybody's", nobody: true})
	near.has("/near-inbox/n", "anybody's")
	g.posts("AccessDenied", "near-1", page{fields: []pair{{"key", "n"}}, file: "anybody's", nobody: true})
}

func TestFormsSayHowTheyAreAnswered(t *testing.T) {
	far, near := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, formsRoute)
	g.want(200, "PUT", "/photos", "")
	const etag = "900150983cd24fb0d6963f7d28e17f72"
	for name, c := range map[string]struct {
		fields   []pair
		status   int
		body     string
		location string
	}{
		"200": {[]pair{{"success_action_status", "200"}}, 200, "", "HERE"},
		"201": {[]pair{{"success_action_status", "201"}}, 201, `<?xml version="1.0" encoding="UTF-8"?>` + "\n<PostResponse><Location>HERE</Location><Bucket>photos</Bucket>" +
			"<Key>user/photo.png</Key><ETag>&#34;" + etag + "&#34;</ETag></PostResponse>", "HERE"},
		"another status": {[]pair{{"success_action_status", "404"}}, 204, "", "HERE"},
		"a redirect": {[]pair{{"success_action_redirect", "https://site/done?a=b"}, {"success_action_status", "201"}}, 303, "",
			"https://site/done?a=b&bucket=photos&key=user%2Fphoto.png&etag=%22" + etag + "%22"},
		"a redirect under its old name": {[]pair{{"redirect", "http://site"}}, 303, "", "http://site?bucket=photos&key=user%2Fphoto.png&etag=%22" + etag + "%22"},
		"no place to go to":             {[]pair{{"success_action_redirect", "javascript:alert(1)"}}, 204, "", "HERE"},
	} {
		here := g.url + "/photos/user/photo.png"
		a := g.posts(c.status, "photos", page{fields: append([]pair{userKey}, c.fields...), file: "abc"})
		if a.body != strings.ReplaceAll(c.body, "HERE", here) || a.header.Get("Location") != strings.Replace(c.location, "HERE", here, 1) || a.header.Get("Etag") != `"`+etag+`"` {
			t.Errorf("%s: got %v", name, a)
		}
	}
}

// TestETagsOfForms has a store that says the ETag of a form in its document alone, without quotes, as Ceph does.
func TestETagsOfForms(t *testing.T) {
	far := newStore(t)
	far.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("Location", far.server.URL+"/archive/other")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "<PostResponse><Location>x</Location><Bucket>archive</Bucket><Key>k</Key><ETag>abc</ETag></PostResponse>")
		return true
	})
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['far']\nupstream_bucket = 'archive'\n")
	for status, want := range map[string]string{"201": g.url + "/photos/user/photo.png", "204": g.url + "/photos/user/photo.png"} {
		a := g.posts(status, "photos", page{fields: []pair{userKey, {"success_action_status", status}}})
		if a.header.Get("Etag") != `"abc"` || a.header.Get("Location") != want || strings.Contains(a.body, "archive") || status == "204" && a.header.Get("Content-Type") != "" {
			t.Errorf("%s: got %v", status, a)
		}
	}
}

func TestFormsAreHeldToTheirPolicy(t *testing.T) {
	secrets["AKTENANT"] = "the tenant's secret"
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, limited, formsRoute)
	for _, bucket := range []string{"photos", "old-1", "near-1"} {
		g.want(200, "PUT", "/"+bucket, "")
	}
	set := func(name, value string) func([]pair) {
		return func(fields []pair) {
			for i := range fields {
				if strings.EqualFold(fields[i].name, name) {
					fields[i].value = value
				}
			}
		}
	}
	rule := func(conditions ...any) page { return page{limits: conditions} }
	for name, c := range map[string]struct {
		page page
		who  string
		code string
		sent bool // the store sees a part of it
	}{
		"expired":                     {page: page{expires: -time.Second}, code: "AccessDenied"},
		"another bucket":              {page: page{bucket: "near-1"}, code: "AccessDenied"},
		"the bucket's name there":     {page: page{bucket: "archive"}, code: "AccessDenied"},
		"the key":                     {page: rule([]string{"starts-with", "$key", "other/"}), code: "AccessDenied"},
		"the key, exactly":            {page: rule([]string{"eq", "$key", "user/${filename}"}), code: "AccessDenied"},
		"the type":                    {page: page{fields: []pair{userKey, {"Content-Type", "text/html"}}, limits: []any{[]string{"starts-with", "$Content-Type", "image/"}}}, code: "AccessDenied"},
		"metadata":                    {page: page{fields: []pair{userKey, {"x-amz-meta-a", "1"}}, limits: []any{map[string]string{"x-amz-meta-a": "2"}}}, code: "AccessDenied"},
		"a field that is not there":   {page: rule(map[string]string{"acl": "private"}), code: "AccessDenied"},
		"a field that it lacks":       {page: page{unsigned: []pair{{"acl", "public-read"}}}, code: "AccessDenied"},
		"a redirect that it lacks":    {page: page{unsigned: []pair{{"success_action_redirect", "https://evil"}}}, code: "AccessDenied"},
		"too large":                   {page: rule([]any{"content-length-range", 0, 2}), code: "EntityTooLarge", sent: true},
		"much too large":              {page: page{file: strings.Repeat("f", 1<<20), limits: []any{[]any{"content-length-range", 0, 2}}}, code: "EntityTooLarge", sent: true},
		"too small":                   {page: rule([]any{"content-length-range", 4, 9}), code: "EntityTooSmall", sent: true},
		"too small, filled up":        {page: page{limits: []any{[]any{"content-length-range", 4, 999}}, after: []pair{{"x", "more of it"}}}, code: "EntityTooSmall", sent: true},
		"cut off in the file's end":   {page: page{cut: 3}, code: "IncompleteBody", sent: true},
		"cut off in the file":         {page: page{file: strings.Repeat("f", 1<<20), cut: 1 << 19}, code: "IncompleteBody", sent: true},
		"a policy that was tampered":  {page: page{change: set("policy", base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2100-01-01T00:00:00Z","conditions":[]}`)))}, code: "SignatureDoesNotMatch"},
		"a policy of version 2, same": {page: page{v2: true, change: set("policy", "e30=")}, code: "SignatureDoesNotMatch"},
		"another's key":               {page: page{change: func(f []pair) { f[2].value = strings.Replace(f[2].value, alice, "AKTENANT", 1) }}, code: "SignatureDoesNotMatch"},
		"an unknown key":              {page: page{change: func(f []pair) { f[2].value = strings.Replace(f[2].value, alice, "AKWHO", 1) }}, code: "InvalidAccessKeyId"},
		"the store's key":             {who: storeKey, code: "InvalidAccessKeyId"},
		"a reader":                    {who: bob, code: "AccessDenied"},
		"outside of the prefixes":     {who: "AKTENANT", code: "AccessDenied"},
		"outside by dots":             {who: "AKTENANT", page: page{fields: []pair{{"key", "2026/../2025/a"}}}, code: "AccessDenied"},
		"version 2 where it is not":   {page: page{v2: true}, code: "InvalidRequest"},
		"a wrong checksum":            {page: page{fields: []pair{userKey, {"x-amz-checksum-crc32", "AAAAAA=="}}}, code: "BadDigest", sent: true},
		"what the store has not":      {page: page{fields: []pair{userKey, {"tagging", "<Tagging/>"}}}, code: "NotImplemented", sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			near.requests()
			far.requests()
			p, bucket, who := c.page, "photos", alice
			if c.who != "" {
				who = c.who
			}
			if p.file == "" {
				p.file = "abc"
			}
			if p.fields == nil {
				p.fields = []pair{userKey}
			}
			if c.code == "SignatureDoesNotMatch" && p.v2 {
				bucket = "old-1"
			}
			var a answer
			if p.cut > 0 {
				a = g.postCut(bucket, p)
			} else {
				a = g.as(who).post(bucket, p)
			}
			if a.code != c.code {
				t.Errorf("got %v, want %s", a, c.code)
			}
			g.settle()
			if got := append(far.requests(), near.requests()...); len(got) > 0 && !c.sent {
				t.Errorf("a store was asked %v", got)
			}
			if p.bucket != "archive" && strings.Contains(a.body, "archive") {
				t.Errorf("the store's name is in %s", a.body)
			}
			for _, bucket := range []string{"photos", "old-1"} {
				if list := g.want(200, "GET", "/"+bucket, ""); strings.Contains(list.body, "<Key>") {
					t.Errorf("stored: %s", list.body)
				}
			}
		})
	}
}

// postCut sends a form whose end does not come, over a connection that can still be answered.
func (g *gateway) postCut(bucket string, p page) answer {
	g.t.Helper()
	body, w := p.head(alice, bucket)
	body.WriteString(p.file)
	w.Close()
	raw := fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", bucket, w.FormDataContentType(), body.Len(),
		body.String()[:body.Len()-p.cut])
	status, code, err := attacks.Send(strings.TrimPrefix(g.url, "http://"), []byte(raw))
	if err != nil {
		g.t.Fatal(err)
	}
	return answer{status: status, code: code}
}

// TestFormsFailOver posts while the first store is down, and while it breaks off.
func TestFormsFailOver(t *testing.T) {
	first, second := newStore(t), newStore(t)
	g := newGateway(t, first.upstream("first"), second.upstream("second"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['first', 'second']\n")
	for _, s := range []*store{first, second} {
		s.want(200, "PUT", "/photos", "")
	}
	p := page{fields: []pair{userKey}, file: "abc"}
	g.posts(204, "photos", p)
	first.has("/photos/user/photo.png", "abc")
	second.want("NoSuchKey", "GET", "/photos/user/photo.png", "")
	// A store that broke off when it had a part of the form may have acted on it.
	second.requests()
	first.meet(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if a := g.post("photos", p); a.status < 500 {
		t.Errorf("a store that breaks off: %v", a)
	}
	if got := second.requests(); len(got) > 0 {
		t.Errorf("the second store was asked %v", got)
	}
	first.server.CloseClientConnections()
	first.server.Listener.Close()
	closedport.Keep(t, first.server.Listener.Addr().String())
	g.posts(204, "photos", page{fields: []pair{userKey}, file: "second"})
	second.has("/photos/user/photo.png", "second")
}

// TestFormsNeedSignatures has forms refused by a store that takes bearer tokens.
func TestFormsNeedSignatures(t *testing.T) {
	far := newStore(t)
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"access_token": "token", "expires_in": 3600}`)
	}))
	defer tokens.Close()
	g := newGateway(t, "[filter.s3gateway.upstream.far]\nendpoint = '"+far.server.URL+"'\ncredentials = 'api_key'\napi_key = 'k'\ntoken_endpoint = '"+tokens.URL+"'\n", clients,
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	g.posts("NotImplemented", "photos", page{fields: []pair{userKey}, file: "abc"})
	if got := far.requests(); len(got) > 0 {
		t.Errorf("the store was asked %v", got)
	}
}

// TestOperatorsAreAskedAboutForms asks the operator's function about a PUT of the key.
func TestOperatorsAreAskedAboutForms(t *testing.T) {
	far := newStore(t)
	script := filepath.Join(t.TempDir(), "f.star")
	err := os.WriteFile(script, []byte("def secret(key):\n    return \"s\"\n\ndef authorize(token, bucket, method, path):\n    return method == \"PUT\" and path == \"user/photo.png\" and bucket == \"photos\"\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, far.upstream("far"), "[filter.s3gateway.callable.f]\nstarlark = '"+script+"'\n[filter.s3gateway.identity.carol]\ncallable = 'f'\nrights = ['write']\n",
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	far.want(200, "PUT", "/photos", "")
	secrets["AKANY"] = "s"
	g.as("AKANY").posts(204, "photos", page{fields: []pair{userKey}, file: "abc"})
	g.as("AKANY").posts("AccessDenied", "photos", page{fields: []pair{{"key", "other"}}, file: "abc"})
}

// TestFormsStream posts a file that is larger than memory should grow, to a store that has the bytes and the form as they should be.
func TestFormsStream(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['far']\nupstream_bucket = 'archive'\n")
	const size = 64 << 20
	var got int64
	fields := map[string]string{}
	far.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		parts, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return true
		}
		for {
			part, err := parts.NextPart()
			if err != nil {
				break
			}
			if part.FormName() == "file" {
				got, _ = io.Copy(io.Discard, part)
				continue
			}
			value, _ := io.ReadAll(part)
			fields[part.FormName()] = string(value)
		}
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
		return true
	})
	head, w := page{fields: []pair{userKey, {"x-amz-meta-a", "b"}}, limits: []any{[]any{"content-length-range", 5, 99 << 20}}}.head(alice, "photos")
	tail := "\r\n--" + formBoundary + "--\r\n"
	body := io.MultiReader(bytes.NewReader(head.Bytes()), io.LimitReader(letters{}, size), strings.NewReader(tail))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/photos", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(head.Len()) + size + int64(len(tail))
	r.Header.Set("Content-Type", w.FormDataContentType())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := send(r)
	runtime.ReadMemStats(&after)
	if err != nil || a.status != 204 || got != size {
		t.Fatalf("got %v, %v; %d bytes at the store, want %d", a, err, got, size)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("a file of %d MiB took %d KiB of memory", size>>20, used>>10)
	}
	document, _ := base64.StdEncoding.DecodeString(fields["policy"])
	for _, want := range []string{`{"key":"user/photo.png"}`, `{"x-amz-meta-a":"b"}`, `{"bucket":"archive"}`, `["content-length-range",5,103809024]`} {
		if !strings.Contains(string(document), want) {
			t.Errorf("the store's policy is %s, want %s", document, want)
		}
	}
	delete(fields, "policy")
	for name, value := range fields {
		if strings.Contains(value, alice) || !slices.Contains([]string{"key", "x-amz-meta-a", "success_action_status", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}, name) {
			t.Errorf("the store got %s: %s", name, value)
		}
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestFormsAreForgottenByTheCache reads what a form has replaced.
func TestFormsAreForgottenByTheCache(t *testing.T) {
	g, at := newCaching(t, "trust_for = 3600")
	g.posts(204, "photos", page{fields: []pair{userKey}, file: "first"})
	g.want(200, "PUT", "/photos/other", "other")
	g.warm("/photos/user/photo.png", "first", at)
	g.warm("/photos/other", "other", at)
	g.has("/photos/user/photo.png", "first")
	at.asked() // it is kept
	g.posts(204, "photos", page{fields: []pair{userKey}, file: "second"})
	g.has("/photos/user/photo.png", "second")
	at.requests()
	g.has("/photos/other", "other")
	at.asked() // what is not the form's is kept
}
