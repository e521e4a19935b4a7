package bulk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func TestOptions(t *testing.T) {
	for _, option := range []string{
		"max_containers_per_extraction = -1", "max_failed_extractions = 0", "max_deletes_per_request = 0", "max_failed_deletes = 0",
		"yield_frequency = 0", "delete_container_retry_count = -1", "delete_container_retry_count = 16", "delete_concurrency = 0",
		"delete_concurrency = 1001", "client_timeout = 0",
	} {
		key, _, _ := strings.Cut(option, " ")
		p, err := mt.TryBuild(mt.Host(t), Filter, option, mt.NewApp())
		if err == nil {
			p.Close()
			t.Errorf("%s is taken", option)
		} else if !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v does not name it", option, err)
		}
	}
}

func TestInfo(t *testing.T) {
	in, err := Filter.Build(mt.Host(t), Filter.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"bulk_upload": map[string]any{"max_containers_per_extraction": 10000, "max_failed_extractions": 1000},
		"bulk_delete": map[string]any{"max_deletes_per_request": 10000, "max_failed_deletes": 1000},
	}
	if diff := cmp.Diff(want, in.Info); diff != "" {
		t.Error(diff)
	}
}

// entry is a part of an archive.
type entry struct {
	name, body string
	flag       byte
	pax        map[string]string
}

// pack makes an archive.
func pack(t testing.TB, entries ...entry) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.body)), Typeflag: e.flag, PAXRecords: e.pax, Mode: 0o644}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink {
			h.Linkname = "elsewhere"
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: h.Typeflag, PAXRecords: h.PAXRecords}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compress(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func text(stored int, status, body string, errs ...string) string {
	s := fmt.Sprintf("Number Files Created: %d\nResponse Body: %s\nResponse Status: %s\nErrors:\n", stored, body, status)
	for _, e := range errs {
		s += e + "\n"
	}
	return s
}

// stores is an app that has the containers c and d and takes everything.
func stores() *mt.App { return mt.NewApp().Otherwise(mt.Answer{Code: 201}) }

func TestExtract(t *testing.T) {
	a, b := entry{name: "c/a", body: "aa"}, entry{name: "d/b", body: "b"}
	for _, test := range []struct {
		name, target, archive, toml string
		app                         *mt.App
		want                        string
		calls                       []string
	}{
		{"two files", "/v1/AUTH_t", pack(t, a, b), "", stores(), text(2, "201 Created", ""),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a", "HEAD /v1/AUTH_t/d", "PUT /v1/AUTH_t/d/b"}},
		{"into a container", "/v1/AUTH_t/x/", pack(t, a, b), "", stores(), text(2, "201 Created", ""),
			[]string{"HEAD /v1/AUTH_t/x", "PUT /v1/AUTH_t/x/c/a", "PUT /v1/AUTH_t/x/d/b"}},
		{"below a name", "/v1/AUTH_t/x/y", pack(t, a), "", stores(), text(1, "201 Created", ""),
			[]string{"HEAD /v1/AUTH_t/x", "PUT /v1/AUTH_t/x/y/c/a"}},
		{"a container is made", "/v1/AUTH_t", pack(t, a), "", stores().On("HEAD /v1/AUTH_t/c", mt.Answer{Code: 404}), text(1, "201 Created", ""),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a"}},
		{"what is not a file", "/v1/AUTH_t", pack(t, entry{name: "c/", flag: tar.TypeDir}, entry{name: "c/l", flag: tar.TypeSymlink}, entry{name: "c/h", flag: tar.TypeLink},
			entry{name: "c/dev", flag: tar.TypeChar}, entry{name: "c/blk", flag: tar.TypeBlock}, entry{name: "c/pipe", flag: tar.TypeFifo}, a), "", stores(),
			text(1, "201 Created", ""), []string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a"}},
		{"names that would be paths", "/v1/AUTH_t", pack(t, entry{name: "/c/abs"}, entry{name: "./c/dot"}, entry{name: ".//c/dots"}, entry{name: "../AUTH_other/c/o"}, entry{name: "c/../../up"}), "", stores(),
			text(5, "201 Created", ""), []string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/abs", "PUT /v1/AUTH_t/c/dot", "PUT /v1/AUTH_t/c/dots",
				"HEAD /v1/AUTH_t/..", "PUT /v1/AUTH_t/../AUTH_other/c/o", "PUT /v1/AUTH_t/c/../../up"}},
		{"files without a container", "/v1/AUTH_t", pack(t, entry{name: "readme", body: "r"}, entry{name: "./x"}), "", stores(), text(0, "400 Bad Request", "Invalid Tar File: No Valid Files"), nil},
		{"a name that is no UTF-8", "/v1/AUTH_t", pack(t, entry{name: "c/\xff\xfe"}, a), "", stores(), text(1, "400 Bad Request", "", "c/%FF%FE, 412 Precondition Failed"),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a"}},
		{"a name too long is cut in the report", "/v1/AUTH_t", pack(t, entry{name: "c/" + strings.Repeat("x", 5000)}), "", stores().On("PUT /v1/AUTH_t/c/"+strings.Repeat("x", 5000), mt.Answer{Code: 400}),
			text(0, "400 Bad Request", "", "c/"+strings.Repeat("x", 1280)+", 400 Bad Request"), []string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/" + strings.Repeat("x", 5000)}},
		{"one may not be stored", "/v1/AUTH_t", pack(t, a, b), "", stores().On("PUT /v1/AUTH_t/c/a", mt.Answer{Code: 403}), text(1, "400 Bad Request", "", "c/a, 403 Forbidden"),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a", "HEAD /v1/AUTH_t/d", "PUT /v1/AUTH_t/d/b"}},
		{"a server fails", "/v1/AUTH_t", pack(t, a, b), "", stores().On("PUT /v1/AUTH_t/c/a", mt.Answer{Code: 503}), text(1, "502 Bad Gateway", "", "c/a, 503 Service Unavailable"),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a", "HEAD /v1/AUTH_t/d", "PUT /v1/AUTH_t/d/b"}},
		{"the container may not be seen, the object be stored", "/v1/AUTH_t", pack(t, a), "", stores().On("HEAD /v1/AUTH_t/c", mt.Answer{Code: 403}), text(1, "201 Created", ""),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a"}},
		{"neither", "/v1/AUTH_t", pack(t, a, entry{name: "c/b"}), "", stores().On("HEAD /v1/AUTH_t/c", mt.Answer{Code: 403}).On("PUT /v1/AUTH_t/c/a", mt.Answer{Code: 404}),
			text(1, "400 Bad Request", "", "/v1/AUTH_t/c, 403 Forbidden", "c/a, 404 Not Found"), []string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a", "PUT /v1/AUTH_t/c/b"}},
		{"nobody is let in", "/v1/AUTH_t", pack(t, a, b), "", mt.NewApp().Otherwise(mt.Answer{Code: 401}), text(0, "401 Unauthorized", ""), []string{"HEAD /v1/AUTH_t/c"}},
		{"nobody may make containers", "/v1/AUTH_t", pack(t, a, b), "", mt.NewApp().On("PUT /v1/AUTH_t/c", mt.Answer{Code: 401}), text(0, "401 Unauthorized", ""), []string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c"}},
		{"nobody may write", "/v1/AUTH_t", pack(t, a, b), "", stores().On("PUT /v1/AUTH_t/c/a", mt.Answer{Code: 401}), text(0, "401 Unauthorized", "", "c/a, 401 Unauthorized"),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a"}},
		{"too many containers", "/v1/AUTH_t", pack(t, a, b), "max_containers_per_extraction = 1", mt.NewApp().On("PUT /v1/AUTH_t/c", mt.Answer{Code: 201}).On("PUT /v1/AUTH_t/c/a", mt.Answer{Code: 201}),
			text(1, "400 Bad Request", "More than 1 containers to create from tar."), []string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a", "HEAD /v1/AUTH_t/d"}},
		{"too many failures", "/v1/AUTH_t", pack(t, a, a, a), "max_failed_extractions = 2", mt.NewApp().On("HEAD /v1/AUTH_t/c"), text(0, "400 Bad Request", "", "c/a, 404 Not Found", "c/a, 404 Not Found"),
			[]string{"HEAD /v1/AUTH_t/c", "PUT /v1/AUTH_t/c/a", "PUT /v1/AUTH_t/c/a"}},
		{"no name for the object", "/v1/AUTH_t", pack(t, entry{name: "c/", body: "x", flag: tar.TypeCont}), "", stores(), text(0, "400 Bad Request", "", "c/, 400 Bad Request"), nil},
		{"no name for the container", "/v1/AUTH_t//x", pack(t, a), "", stores(), text(0, "400 Bad Request", "", "/x/c/a, 400 Bad Request"), nil},
		{"no account", "/v1", pack(t, a), "", stores(), text(0, "404 Not Found", ""), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := mt.Do(t, mt.Build(t, Filter, test.toml, test.app), "PUT", test.target+"?extract-archive=tar", mt.Body(test.archive))
			if res.Code != 200 || res.Body != test.want || res.Header.Get("Content-Type") != "text/plain" {
				t.Errorf("%d %s %s\nwant %s", res.Code, res.Header, res.Body, test.want)
			}
			if diff := cmp.Diff(test.calls, test.app.URIs()); diff != "" {
				t.Errorf("subrequests, -want +got\n%s", diff)
			}
		})
	}
}

func TestExtractPassesOn(t *testing.T) {
	app := stores()
	h := mt.Build(t, Filter, "", app)
	archive := pack(t,
		entry{flag: tar.TypeXGlobalHeader, pax: map[string]string{"SCHILY.xattr.user.meta.all": "g", "SCHILY.xattr.user.meta.some": "g", "comment": "x"}},
		entry{name: "c/o", body: "content", pax: map[string]string{
			"SCHILY.xattr.user.mime_type": "a/b", "SCHILY.xattr.user.meta.some": "own", "LIBARCHIVE.xattr.user.meta.lib_x": "\u2603",
			"SCHILY.xattr.user.meta.color": "blue", "SCHILY.xattr.user.other": "x", "SCHILY.xattr.security.selinux": "x", "SCHILY.acl.access": "x",
		}})
	res := mt.Do(t, h, "PUT", "/v1/AUTH_t?extract-archive=tar.gz", mt.Body(compress(t, archive)), mt.Header("User-Agent", "me"),
		mt.Header("X-Auth-Token", "tok"), mt.Header("X-Object-Meta-Color", "red"), mt.Header("X-Object-Meta-Shape", "round"), mt.Header("X-Delete-After", "60"),
		mt.Header("X-Delete-At", "9999999999"), mt.Header("Content-Type", "x/y"), mt.Header("X-Timestamp", "1"), mt.Header("If-None-Match", "*"),
		mt.Header("X-Object-Manifest", "c/x"), mt.Header("X-Container-Meta-A", "b"), mt.Header("Etag", "x"))
	if res.Body != text(1, "201 Created", "") {
		t.Fatal(res.Body)
	}
	want := http.Header{
		"Content-Type": {"a/b"}, "X-Object-Meta-Color": {"blue"}, "X-Object-Meta-Some": {"own"}, "X-Object-Meta-All": {"g"}, "X-Object-Meta-Lib-X": {"\u2603"},
		"X-Object-Meta-Shape": {"round"}, "X-Delete-After": {"60"}, "X-Delete-At": {"9999999999"}, "X-Auth-Token": {"tok"}, "User-Agent": {"me BulkExpand"},
	}
	call := app.Last()
	if diff := cmp.Diff(want, call.Header); diff != "" {
		t.Errorf("headers, -want +got\n%s", diff)
	}
	if call.Body != "content" || call.State.Log.Source != "EA" || call.State.AuthOverride {
		t.Errorf("body %q, state %+v", call.Body, call.State)
	}
	if h := app.Calls()[0].Header; h.Get("X-Object-Meta-Color") != "" || h.Get("X-Auth-Token") != "tok" {
		t.Errorf("the container is asked for with %v", h)
	}
}

// TestRightsAreForOnePath gives the request what container_sync gives it, and what it knows of a container.
func TestRightsAreForOnePath(t *testing.T) {
	for target, body := range map[string]string{"PUT /v1/AUTH_t/c/o?extract-archive=tar": pack(t, entry{name: "x"}), "POST /v1/AUTH_t/c/o?bulk-delete": "c/p"} {
		app := stores()
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		state := &request.State{AuthOverride: true, Infos: &request.Infos{}}
		mt.Build(t, Filter, "", app).ServeHTTP(httptest.NewRecorder(), request.With(r, state))
		if len(app.Calls()) == 0 {
			t.Errorf("%s: nothing was asked", target)
		}
		for _, call := range app.Calls() {
			if call.State.AuthOverride || call.State.Infos == state.Infos {
				t.Errorf("%s: %s has the state %+v", target, call.URI, call.State)
			}
		}
	}
}

func TestAttributesSmuggleNothing(t *testing.T) {
	for _, record := range []string{
		"meta.x\r\nX-Object-Sysmeta-Y", "meta.x: y\nx", "meta.x y", "meta.\u2603", "meta.x:y", "meta.(", "meta.x\ty",
	} {
		app := stores()
		archive := pack(t, entry{name: "c/o", pax: map[string]string{"SCHILY.xattr.user." + record: "v"}}, entry{name: "c/p"})
		res := mt.Do(t, mt.Build(t, Filter, "", app), "PUT", "/v1/AUTH_t?extract-archive=tar", mt.Body(archive))
		if want := text(1, "400 Bad Request", "", "c/o, 400 Bad Request"); res.Body != want {
			t.Errorf("%q: %s", record, res.Body)
		}
	}
	for _, value := range []string{"a\r\nX-Object-Sysmeta-Y: z", "a\nb", "a\rb", "\x01", "\x7f", strings.Repeat("x", 9000)} {
		for _, record := range []string{"mime_type", "meta.x"} {
			archive := pack(t, entry{name: "c/o", pax: map[string]string{"SCHILY.xattr.user." + record: value}})
			res := mt.Do(t, mt.Build(t, Filter, "", stores()), "PUT", "/v1/AUTH_t?extract-archive=tar", mt.Body(archive))
			if want := text(0, "400 Bad Request", "", "c/o, 400 Bad Request"); res.Body != want {
				t.Errorf("%s = %.50q: %s", record, value, res.Body)
			}
		}
	}
	// What is another header by its whole name stays user metadata.
	app := stores()
	archive := pack(t, entry{name: "c/o", pax: map[string]string{
		"SCHILY.xattr.user.meta.x-backend-a": "v", "SCHILY.xattr.user.x-object-sysmeta-a": "v", "SCHILY.xattr.user.x-timestamp": "1",
		"SCHILY.xattr.user.content-type": "a/b", "X-Object-Sysmeta-B": "v", "SCHILY.xattr.user.meta": "v", "SCHILY.xattr.x.user.meta.q": "v",
	}})
	mt.Do(t, mt.Build(t, Filter, "", app), "PUT", "/v1/AUTH_t?extract-archive=tar", mt.Body(archive))
	var names []string
	for k := range app.Last().Header {
		names = append(names, k)
	}
	slices.Sort(names)
	if want := []string{"User-Agent", "X-Object-Meta-X-Backend-A"}; !slices.Equal(names, want) {
		t.Errorf("headers %q, want %q", names, want)
	}
}

func TestForms(t *testing.T) {
	h := mt.Build(t, Filter, "", stores().On("PUT /v1/AUTH_t/c/a&b<", mt.Answer{Code: 403}))
	archive := pack(t, entry{name: "c/a&b<"})
	for accept, want := range map[string][2]string{
		"":                 {"text/plain", text(0, "400 Bad Request", "", "c/a%26b%3C, 403 Forbidden")},
		"application/json": {"application/json", `{"Response Status": "400 Bad Request", "Response Body": "", "Number Files Created": 0, "Errors": [["c/a%26b%3C", "403 Forbidden"]]}`},
		"text/xml": {"text/xml", "<extract>\n<number_files_created>0</number_files_created>\n<response_body></response_body>\n<response_status>400 Bad Request</response_status>\n" +
			"<errors>\n<object><name>c/a%26b%3C</name><status>403 Forbidden</status></object>\n</errors>\n</extract>\n"},
		"image/png": {"text/html; charset=UTF-8", text(0, "406 Not Acceptable", "")},
		"nonsense;": {"text/html; charset=UTF-8", text(0, "406 Not Acceptable", "")},
	} {
		res := mt.Do(t, h, "PUT", "/v1/AUTH_t?extract-archive=tar", mt.Body(archive), mt.Header("Accept", accept))
		if res.Code != 200 || res.Body != want[1] || res.Header.Get("Content-Type") != want[0] {
			t.Errorf("%s: %d %v %s", accept, res.Code, res.Header, res.Body)
		}
	}
}

func TestWhatIsNotOurs(t *testing.T) {
	for _, uri := range []string{
		"GET /v1/AUTH_t?bulk-delete", "PUT /v1/AUTH_t?bulk-delete", "POST /v1/AUTH_t?extract-archive=tar", "GET /v1/AUTH_t/c/o?extract-archive=tar", "PUT /v1/AUTH_t/c/o",
	} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 204})
		method, target, _ := strings.Cut(uri, " ")
		if res := mt.Do(t, mt.Build(t, Filter, "", app), method, target); res.Code != 204 || !slices.Equal(app.URIs(), []string{uri}) {
			t.Errorf("%s: %d, %q", uri, res.Code, app.URIs())
		}
	}
	for _, format := range []string{"zip", "", "tar.xz", "tar/", "tgz"} {
		res := mt.Do(t, mt.Build(t, Filter, "", mt.NewApp()), "PUT", "/v1/AUTH_t?extract-archive="+format, mt.Body("x"))
		if res.Code != 400 || res.Body != "Unsupported archive format" {
			t.Errorf("%s: %d %s", format, res.Code, res.Body)
		}
	}
	for _, format := range []string{"tar", "TAR", ".tar", "Tar."} {
		res := mt.Do(t, mt.Build(t, Filter, "", stores()), "PUT", "/v1/AUTH_t?extract-archive="+format, mt.Body(pack(t, entry{name: "c/o"})))
		if res.Body != text(1, "201 Created", "") {
			t.Errorf("%s: %s", format, res.Body)
		}
	}
}

func TestKeepsTheConnectionAlive(t *testing.T) {
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			time.Sleep(25 * time.Second)
		}
		w.WriteHeader(http.StatusCreated)
	})
	h := mt.Build(t, Filter, "", slow)
	archive := pack(t, entry{name: "c/o"}, entry{name: "c/p"})
	for accept, want := range map[string]string{
		"text/plain":       "     \r\n\r\nNumber ",
		"application/json": "     \r\n\r\n{",
		"application/xml":  `<?xml version="1.0" encoding="UTF-8"?>` + "\n    \r\n\r\n<",
	} {
		synctest.Test(t, func(t *testing.T) {
			res := mt.Do(t, h, "PUT", "/v1/AUTH_t?extract-archive=tar", mt.Body(archive), mt.Header("Accept", accept))
			if !strings.HasPrefix(res.Body, want) {
				t.Errorf("extract, %s: %q", accept, res.Body)
			}
			res = mt.Do(t, h, "POST", "/v1/AUTH_t?bulk-delete", mt.Body("c/o\nc/p\nc/q\n"), mt.Header("Accept", accept))
			if !strings.HasPrefix(res.Body, want) {
				t.Errorf("delete, %s: %q", accept, res.Body)
			}
		})
	}
}
