package tempurl

import (
	"net/http"
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// TestContainers checks that a signed URL reaches a container only with an empty prefix, and gets only what staticweb makes.
func TestContainers(t *testing.T) {
	page := mt.Answer{Body: "page", Header: map[string]string{"X-Backend-Content-Generator": "staticweb", "X-Object-Meta-A": "a"}}
	whole := func(method string) string { return sign(method, "prefix:/v1/a/c/", key) + "&temp_url_prefix=" }
	const refused = "401 Unauthorized: Temp URL invalid\n"
	for _, tc := range []struct {
		name, method, target string
		answer               mt.Answer
		code                 int
		body                 string
	}{
		{"a page", "GET", "/v1/a/c" + whole("GET"), page, 200, "page"},
		{"a page with a slash", "GET", "/v1/a/c/" + whole("GET"), page, 200, "page"},
		{"a page's head", "HEAD", "/v1/a/c/" + whole("HEAD"), page, 200, ""},
		{"a page's head with a signature for GET", "HEAD", "/v1/a/c/" + whole("GET"), page, 200, ""},
		{"a listing", "GET", "/v1/a/c" + whole("GET"), mt.Answer{Body: `["secret"]`}, 401, refused},
		{"an empty listing", "GET", "/v1/a/c" + whole("GET"), mt.Answer{Code: 204, Header: map[string]string{"X-Container-Object-Count": "0"}}, 401, refused},
		{"a container's head", "HEAD", "/v1/a/c" + whole("GET"), mt.Answer{Code: 204, Header: map[string]string{"X-Container-Object-Count": "7"}}, 401, ""},
		{"a page of something else", "GET", "/v1/a/c" + whole("GET"), mt.Answer{Body: "x", Header: map[string]string{"X-Backend-Content-Generator": "other"}}, 401, refused},
		{"an error", "GET", "/v1/a/c/" + whole("GET"), mt.Answer{Code: 404, Body: "gone"}, 404, "gone"},
		{"a redirect", "GET", "/v1/a/c" + whole("GET"), mt.Answer{Code: 301, Header: map[string]string{"Location": "http://h/v1/a/c/"}}, 301, ""},
		{"a write", "PUT", "/v1/a/c" + whole("PUT"), page, 401, refused},
		{"a metadata write", "POST", "/v1/a/c" + whole("POST"), page, 401, refused},
		{"a deletion", "DELETE", "/v1/a/c" + whole("DELETE"), page, 401, refused},
		{"another prefix", "GET", "/v1/a/c" + sign("GET", "prefix:/v1/a/c/o", key) + "&temp_url_prefix=o", page, 401, refused},
		{"no prefix", "GET", "/v1/a/c" + sign("GET", "/v1/a/c", key), page, 401, refused},
		{"no prefix, with a slash", "GET", "/v1/a/c/" + sign("GET", "/v1/a/c/", key), page, 401, refused},
		{"another container", "GET", "/v1/a/d" + whole("GET"), page, 401, refused},
		{"an account", "GET", "/v1/a" + sign("GET", "prefix:/v1/a/", key) + "&temp_url_prefix=", page, 401, refused},
	} {
		app := keys("account").On(tc.method+" /v1/a/c", tc.answer).On(tc.method+" /v1/a/c/", tc.answer)
		got := mt.Do(t, mt.Build(t, Filter, "", app), tc.method, tc.target)
		if got.Code != tc.code || got.Body != tc.body {
			t.Errorf("%s: got %d %q, want %d %q", tc.name, got.Code, got.Body, tc.code, tc.body)
		}
		for _, name := range []string{"X-Container-Object-Count", "X-Object-Meta-A"} {
			if v := got.Header.Get(name); v != "" {
				t.Errorf("%s: %s: %s reached the client", tc.name, name, v)
			}
		}
		if d := got.Header.Get("Content-Disposition"); tc.code == 200 != (d == "inline") {
			t.Errorf("%s: Content-Disposition %q", tc.name, d)
		}
	}
}

// TestPagesAreShown checks that a page of staticweb is no download, as an object is.
func TestPagesAreShown(t *testing.T) {
	for query, want := range map[string]string{"": "inline", "&filename=f.html": `inline; filename="f.html"; filename*=UTF-8''f.html`} {
		app := keys("account").On("GET /v1/a/c/d/", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Backend-Content-Generator", "staticweb")
			w.WriteHeader(http.StatusOK)
		}})
		target := "/v1/a/c/d/" + sign("GET", "prefix:/v1/a/c/d", key) + "&temp_url_prefix=d" + query
		if got := mt.Get(t, mt.Build(t, Filter, "", app), target).Header.Get("Content-Disposition"); got != want {
			t.Errorf("with %q: got %q, want %q", query, got, want)
		}
	}
}
