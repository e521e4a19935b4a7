package formpost

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/digest"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/statsd"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

const (
	key     = "secret"
	target  = "/v1/a/c/p-"
	expires = 4102444800
)

// cluster is an app whose container has the key and takes every object.
func cluster() *mt.App {
	return mt.NewApp().Otherwise(mt.Answer{Code: 201}).
		On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{"X-Container-Meta-Temp-Url-Key-2": key}}).
		On("HEAD /v1/a", mt.Answer{Code: 204})
}

// puts are the uploads that the app saw.
func puts(app *mt.App) []mt.Call {
	var out []mt.Call
	for _, c := range app.Calls() {
		if c.Method == http.MethodPut {
			out = append(out, c)
		}
	}
	return out
}

func field(name, value string) string {
	return fmt.Sprintf("--X\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", name, value)
}

func file(name, content string, headers ...string) string {
	return fmt.Sprintf("--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"%s\"\r\n%s\r\n%s\r\n", name, strings.Join(headers, ""), content)
}

// fields are those of a form for one file or two of at most 1000 bytes.
func fields(redirect string) string {
	sum := digest.HMAC(digest.SHA256, key, fmt.Sprintf("%s\n%s\n1000\n2\n%d", target, redirect, expires))
	text := field("max_file_size", "1000") + field("max_file_count", "2") + field("expires", fmt.Sprint(expires)) + field("signature", hex.EncodeToString(sum))
	if redirect != "" {
		text += field("redirect", redirect)
	}
	return text
}

func post(t testing.TB, h http.Handler, body string, options ...mt.Option) mt.Response {
	t.Helper()
	options = append([]mt.Option{mt.Header("Content-Type", "multipart/form-data; boundary=X"), mt.Body(body + "--X--\r\n")}, options...)
	return mt.Do(t, h, "POST", target, options...)
}

// TestAnUploadIsNothingButTheFile lists all that reaches the rest of the pipeline, of forms that try to bring more.
func TestAnUploadIsNothingButTheFile(t *testing.T) {
	app := cluster()
	h := mt.Build(t, Filter, "", app)
	evil := map[string]string{
		"X-Object-Sysmeta-A": "s", "X_Object_Sysmeta_A": "s", "X-Object-Transient-Sysmeta-A": "s", "X-Backend-Storage-Policy-Index": "1", "X-Timestamp": "1",
		"X-Object-Meta-A": "m", "X-Object-Manifest": "d/x", "X-Symlink-Target": "d/x", "X-Copy-From": "d/x", "X-Static-Large-Object": "true", "Etag": "e",
		"Content-Length": "1", "Transfer-Encoding": "gzip", "If-None-Match": "*", "X-Newest": "1", "X-Delete-At": "1", "X-Auth-Token": "t", "Cookie": "c", "Range": "bytes=0-1",
	}
	form, head := fields(""), []string{}
	var options []mt.Option
	for name, value := range evil {
		form += field(name, value) + field(strings.ToLower(name), value)
		head = append(head, name+": "+value+"\r\n")
		if !strings.HasPrefix(name, "Content-") && !strings.HasPrefix(name, "Transfer-") {
			options = append(options, mt.Header(name, value))
		}
	}
	options = append(options, mt.Header("User-Agent", "browser"), mt.Header("Referer", "http://site/"), mt.Header("Origin", "http://site"))
	got := post(t, h, form+file("a.txt", "hello", append(head, "Content-Type: text/plain\r\n", "Content-Encoding: br\r\n")...), options...)
	if got.Code != 201 || got.Body != "201 Created" {
		t.Fatalf("got %d %q", got.Code, got.Body)
	}
	calls := puts(app)
	if len(calls) != 1 {
		t.Fatalf("uploads: %v", app.URIs())
	}
	c := calls[0]
	want := http.Header{
		"Content-Type": {"text/plain"}, "Content-Encoding": {"br"},
		"User-Agent": {"browser FormPost"}, "Referer": {"http://site/"}, "Origin": {"http://site"},
	}
	if diff := cmp.Diff(want, c.Header); diff != "" {
		t.Errorf("headers of the upload, -want +got\n%s", diff)
	}
	if c.URI != "/v1/a/c/p-a.txt" || c.Body != "hello" || c.BodyErr != nil {
		t.Errorf("upload %s of %q, %v", c.URI, c.Body, c.BodyErr)
	}
	if s := c.State; !s.AuthOverride || s.User != request.PreAuthed || s.Log.Source != "FP" || s.Reseller {
		t.Errorf("state of the upload: %+v", s)
	}
}

// TestWhatIsStoredOfAForm checks names, expiry, and that what is sent in the query does not matter.
func TestWhatIsStoredOfAForm(t *testing.T) {
	for _, tc := range []struct {
		name, form, path string
		header           http.Header
	}{
		{"x_delete_at", field("x_delete_at", " +12_3 ") + file("a", "x"), "/v1/a/c/p-a", http.Header{"X-Delete-At": {"123"}}},
		{"x_delete_after", field("x_delete_after", "60") + file("a", "x"), "/v1/a/c/p-a", http.Header{"X-Delete-After": {"60"}}},
		{"both", field("x_delete_at", "5") + field("X_DELETE_AFTER", "6") + file("a", "x"), "/v1/a/c/p-a", http.Header{"X-Delete-At": {"5"}, "X-Delete-After": {"6"}}},
		{"a type for all", field("content-type", "a/b") + file("a", "x", "Content-Type: c/d\r\n"), "/v1/a/c/p-a", http.Header{"Content-Type": {"a/b"}}},
		{"a folded type", file("a", "x", "Content-Type: a/b;\r\n\tc=d\r\n"), "/v1/a/c/p-a", http.Header{"Content-Type": {"a/b; c=d"}}},
		{"fields after the file", file("a", "x") + field("x_delete_at", "5") + field("content-type", "a/b"), "/v1/a/c/p-a", http.Header{}},
		{"slashes and dots", file("../../d/x", "x"), "/v1/a/c/p-../../d/x", http.Header{}},
		{"what means something in paths", file("a?b#c%2Fd e", "x"), "/v1/a/c/p-a?b#c%2Fd e", http.Header{}},
	} {
		app := cluster()
		got := mt.Do(t, mt.Build(t, Filter, "", app), "POST", target+"?multipart-manifest=put&x", mt.Header("Content-Type", "multipart/form-data; boundary=X"),
			mt.Body(fields("")+tc.form+"--X--"))
		calls := puts(app)
		if got.Code != 201 || len(calls) != 1 {
			t.Errorf("%s: got %d %q, %d uploads", tc.name, got.Code, got.Body, len(calls))
			continue
		}
		tc.header.Set("User-Agent", "FormPost")
		if diff := cmp.Diff(tc.header, calls[0].Header); diff != "" || calls[0].Path != tc.path || calls[0].Body != "x" {
			t.Errorf("%s: upload %s of %q, want %s; headers, -want +got\n%s", tc.name, calls[0].Path, calls[0].Body, tc.path, diff)
		}
	}
}

func TestRefusals(t *testing.T) {
	signed := fields("")
	for _, tc := range []struct {
		name, config, form string
		code               int
		body               string
		uploads            int
	}{
		{"a digest that is not allowed", `allowed_digests = "sha1 sha512"`, signed + file("a", "x"), 401, "FormPost: Invalid Signature", 0},
		{"a line end in the type", "", signed + field("content-type", "a/b\r\nX-Timestamp: 1") + file("a", "x"), 400, "FormPost: content-type not a header's value", 0},
		{"a control character in the encoding of a file", "", signed + file("a", "x", "Content-Encoding: a\x01b\r\n"), 400, "FormPost: content-encoding not a header's value", 0},
		{"headers that are too long", "", signed + file("a", "x", strings.Repeat("A: b\r\n", 5000)), 400, "FormPost: headers of a part too long", 0},
		{"the second file is not signed any more", "", signed + file("a", "x") + field("max_file_size", "2000") + file("b", "x"), 401, "FormPost: Invalid Signature", 1},
		{"a third file", "", signed + file("a", "x") + file("b", "x") + file("c", "x"), 400, "400 Bad Request\r\nFormPost: Max File Count Exceeded", 2},
		{"a third file, and a redirect to it", "", fields("http://r") + file("a", "x") + file("b", "x") + file("c", "x"), 303, `<html><body><p><a href="http://r?status=400&message=max%20file%20count%20exceeded">Click to continue...</a></p></body></html>`, 2},
		{"a file that is too large", "", signed + file("a", strings.Repeat("x", 1001)), 400, "FormPost: max_file_size exceeded", 1},
	} {
		app := cluster()
		got := post(t, mt.Build(t, Filter, tc.config, app), tc.form)
		calls := puts(app)
		if got.Code != tc.code || got.Body != tc.body || len(calls) != tc.uploads {
			t.Errorf("%s: got %d %q after %d uploads, want %d %q after %d", tc.name, got.Code, got.Body, len(calls), tc.code, tc.body, tc.uploads)
		}
		for _, c := range calls {
			if (c.BodyErr != nil) != (tc.name == "a file that is too large") {
				t.Errorf("%s: the body of %s ends with %v", tc.name, c.URI, c.BodyErr)
			}
		}
	}
}

func TestTheMomentOfExpiry(t *testing.T) {
	for after, want := range map[time.Duration]int{-time.Second: 201, 0: 201, time.Nanosecond: 401, time.Hour: 401} {
		host := mt.Host(t)
		host.Clock = fixed(time.Unix(expires, 0).Add(after))
		app := cluster()
		if got := post(t, mt.BuildOn(t, host, Filter, "", app), fields("")+file("a", "x")); got.Code != want || (len(puts(app)) > 0) != (want == 201) {
			t.Errorf("%v after expiry: got %d after %v, want %d", after, got.Code, app.URIs(), want)
		}
	}
}

type fixed time.Time

func (f fixed) Now() time.Time { return time.Time(f) }

// TestWhoseKeysCount asks for containers that have no keys, or none of their own.
func TestWhoseKeysCount(t *testing.T) {
	for _, tc := range []struct {
		path string
		want int
	}{
		{"/v1/a/c/p-", 201}, {"/v1.0/a/c/p-", 201}, {"/v1/a/c", 201}, {"/v1/a/c/", 201},
		{"/v1/a/d/p-", 401}, {"/v1/b/c/p-", 401}, {"/v1/a/", 401}, {"/v1/a", 401}, {"/v1/a//c/p-", 401}, {"/v2/a/c/p-", 401}, {"/info", 401}, {"//v1/a/c/p-", 401},
	} {
		sum := digest.HMAC(digest.SHA512, key, fmt.Sprintf("%s\n\n9\n1\n%d", tc.path, expires))
		form := field("max_file_size", "9") + field("max_file_count", "1") + field("expires", fmt.Sprint(expires)) +
			field("signature", "sha512:"+base64.RawURLEncoding.EncodeToString(sum)) + file("o", "x") + "--X--"
		app := cluster()
		app.On("HEAD /v1/a/d", mt.Answer{Code: 204}).On("HEAD /v1/b", mt.Answer{Code: 204}).On("HEAD /v1/b/c", mt.Answer{Code: 204})
		got := mt.Do(t, mt.Build(t, Filter, "", app), "POST", "http://h"+tc.path, mt.Header("Content-Type", "multipart/form-data; boundary=X"), mt.Body(form))
		if got.Code != tc.want || (len(puts(app)) > 0) != (tc.want == 201) {
			t.Errorf("%s: got %d %q after %v, want %d", tc.path, got.Code, got.Body, app.URIs(), tc.want)
		}
	}
}

func TestAnEmptyKeySignsNothing(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 204, Header: map[string]string{"X-Account-Meta-Temp-Url-Key": "", "X-Container-Meta-Temp-Url-Key": ""}})
	sum := digest.HMAC(digest.SHA256, "", fmt.Sprintf("%s\n\n1000\n2\n%d", target, expires))
	form := field("max_file_size", "1000") + field("max_file_count", "2") + field("expires", fmt.Sprint(expires)) + field("signature", hex.EncodeToString(sum))
	if got := post(t, mt.Build(t, Filter, "", app), form+file("a", "x")); got.Code != 401 || len(puts(app)) > 0 {
		t.Errorf("got %d after %v, want 401", got.Code, app.URIs())
	}
}

func TestOtherRequestsPass(t *testing.T) {
	for _, tc := range []struct{ method, kind string }{
		{"PUT", "multipart/form-data; boundary=X"}, {"GET", "multipart/form-data; boundary=X"}, {"POST", "multipart/form-data"},
		{"POST", "application/x-www-form-urlencoded"}, {"POST", ""}, {"POST", "multipart/form-data; boundary="},
	} {
		app := cluster()
		mt.Do(t, mt.Build(t, Filter, "", app), tc.method, target, mt.Header("Content-Type", tc.kind), mt.Header("User-Agent", "x"), mt.Body("body"))
		if c := app.Calls(); len(c) != 1 || c[0].Method != tc.method || c[0].Body != "body" || c[0].Header.Get("User-Agent") != "x" {
			t.Errorf("%s of %q: the app saw %+v", tc.method, tc.kind, c)
		}
	}
}

func TestRedirects(t *testing.T) {
	for _, tc := range []struct{ redirect, location, link string }{
		{"http://r/?a=b", "http://r/?a=b&status=201&message=", ""},
		{"http://r/\u00e9 \x7f", "http://r/%C3%A9 %7F?status=201&message=", "http://r/\u00e9 \x7f?status=201&message="},
		{"http://r/\r\nSet-Cookie: a", "http://r/%0D%0ASet-Cookie: a?status=201&message=", "http://r/\r\nSet-Cookie: a?status=201&message="},
		{`"><script>`, `"><script>?status=201&message=`, "&quot;&gt;&lt;script&gt;?status=201&message="},
	} {
		app := cluster().On("PUT /v1/a/c/p-a", mt.Answer{Code: 201, Header: map[string]string{"Access-Control-Allow-Origin": "*", "Etag": "e"}})
		server := httptest.NewServer(mt.Build(t, Filter, "", app))
		r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+target, strings.NewReader(fields(tc.redirect)+file("a", "x")+"--X--"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=X")
		got, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if tc.link == "" {
			tc.link = tc.location
		}
		want := `<html><body><p><a href="` + tc.link + `">Click to continue...</a></p></body></html>`
		if err != nil || got.StatusCode != 303 || got.Header.Get("Location") != tc.location || string(body) != want || got.Header["Content-Type"] != nil ||
			got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Etag") != "" {
			t.Errorf("%q: got %d %v %q, %v", tc.redirect, got.StatusCode, got.Header, body, err)
		}
		_ = got.Body.Close()
		server.Close()
	}
}

func TestTheAnswerToAFailedUpload(t *testing.T) {
	failure := mt.Answer{Code: 413, Header: map[string]string{"Content-Type": "text/html", "Access-Control-Allow-Origin": "http://o", "X-Backend-A": "b"}, Body: "Upload exceeds quota."}
	app := cluster().On("PUT /v1/a/c/p-b", failure)
	got := post(t, mt.Build(t, Filter, "", app), fields("")+file("b", "x")+file("a", "x"))
	if got.Code != 413 || got.Body != "Upload exceeds quota." || got.Header.Get("Content-Type") != "text/plain" || got.Header.Get("Access-Control-Allow-Origin") != "http://o" ||
		got.Header.Get("X-Backend-A") != "" || len(puts(app)) != 1 {
		t.Errorf("got %d %q %v after %v", got.Code, got.Body, got.Header, app.URIs())
	}
}

func TestInfoAndOptions(t *testing.T) {
	for _, tc := range []struct{ config, info, log string }{
		{"", `{"formpost":{"allowed_digests":["sha1","sha256","sha512"],"deprecated_digests":["sha1"]}}`, "digests are deprecated"},
		{`allowed_digests = "sha512 md5 sha256"`, `{"formpost":{"allowed_digests":["sha256","sha512"]}}`, "digests are not known and left out"},
	} {
		host := mt.Host(t)
		log := mt.Capture(&host)
		got, err := json.Marshal(mt.BuildOn(t, host, Filter, tc.config, mt.NewApp()).Info().Public)
		if err != nil || string(got) != tc.info || !strings.Contains(log.String(), tc.log) {
			t.Errorf("%s: info %s, want %s; %v; log %s", tc.config, got, tc.info, err, log)
		}
	}
	if _, err := mt.TryBuild(mt.Host(t), Filter, `allowed_digests = "md5"`, mt.NewApp()); err == nil || !strings.Contains(err.Error(), "allowed_digests") {
		t.Errorf("no digest that is known: %v", err)
	}
}

func TestSourceAndMetrics(t *testing.T) {
	var sent []string
	host := mt.Host(t)
	host.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) { sent = append(sent, packet) })
	app := cluster()
	h := mt.BuildOn(t, host, Filter, "", app)
	post(t, h, fields("")+file("a", "x"))
	post(t, h, fields("")+field("expires", "5")+file("a", "x"))
	for _, c := range app.Calls() {
		if c.State.Log.Source != "FP" {
			t.Errorf("%s %s with source %q, want FP", c.Method, c.URI, c.State.Log.Source)
		}
	}
	if len(sent) != 1 || !strings.Contains(sent[0], "formpost.digests.sha256:1|c") {
		t.Errorf("metrics %q", sent)
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-5": -5, "+5": 5, " 7\n": 7, "1_0": 10, "007": 7, "9223372036854775807": 9223372036854775807, "99999999999999999999": 9223372036854775807,
		"-99999999999999999999": -9223372036854775808,
	} {
		if got, ok := number(text); got != want || !ok {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", " ", "-", "+-5", "--5", "5-", "_5", "5_", "5__0", "0x5", "5.0", "1e3", "5 6", "- 5", "-_5", "\u0665"} {
		if got, ok := number(text); ok {
			t.Errorf("%q: got %d, want none", text, got)
		}
	}
}
