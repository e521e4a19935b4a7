package reply

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path string
		err          error
		code         int
		header       map[string]string
		body         string
	}{
		"a standard page": {"GET", "/v1/a", Status(404), 404,
			map[string]string{"Content-Type": TypeHTML, "Content-Length": "70"},
			"<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"},
		"HEAD has no body":              {"HEAD", "/v1/a", Status(404), 404, map[string]string{"Content-Length": "0"}, ""},
		"HEAD has the length of a text": {"HEAD", "/v1/a", Text(400, "no"), 400, map[string]string{"Content-Length": "2"}, ""},
		"401 names the account as realm": {"HEAD", "/v1/AUTH x/c/o", Status(401), 401,
			map[string]string{"Www-Authenticate": `Swift realm="AUTH%20x"`}, ""},
		"401 without an account":                      {"HEAD", "/info", Status(401), 401, map[string]string{"Www-Authenticate": `Swift realm="unknown"`}, ""},
		"plain text, wrapped twice":                   {"PUT", "/", fmt.Errorf("x: %w", Text(400, "no").With("X-A", "b")), 400, map[string]string{"X-A": "b", "Content-Type": TypeText}, "no"},
		"any other error is a 500 that tells nothing": {"HEAD", "/", errors.New("disk sdb on fire"), 500, nil, ""},
		"204 has no length":                           {"GET", "/", Status(204), 204, map[string]string{"Content-Length": ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			Write(w, &http.Request{Method: tc.method, URL: httptest.NewRequest("GET", "http://h/", nil).URL.JoinPath(tc.path)}, tc.err)
			if w.Code != tc.code || w.Body.String() != tc.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tc.code, tc.body)
			}
			for k, v := range tc.header {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: got %q, want %q", k, got, v)
				}
			}
		})
	}
}

func TestAddingKeepsTheOriginal(t *testing.T) {
	a := Status(404)
	b := a.With("X-A", "1").Because(errors.New("why"))
	if a.Header != nil || a.Err != nil || b.Header.Get("X-A") != "1" || b.Error() != "404 Not Found: why" {
		t.Errorf("%+v, %+v", a, b)
	}
}
