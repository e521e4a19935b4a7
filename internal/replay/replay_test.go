package replay

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	header := func() map[string]string { return map[string]string{"Etag": "e", "X-A": "1"} }
	recorded := row{Status: 200, Answer: header(), Text: "hi"}
	with := func(f func(*answer)) answer {
		a := answer{Status: 200, Header: header(), Text: "hi"}
		f(&a)
		return a
	}
	same := with(func(*answer) {})
	no := 404
	for _, tc := range []struct {
		name   string
		ignore string
		apus   *override
		got    answer
		want   string
	}{
		{"the same", "", nil, same, ""},
		{"another status", "", nil, with(func(a *answer) { a.Status = 201 }), "201"},
		{"another text", "", nil, with(func(a *answer) { a.Text = "ho" }), `"ho"`},
		{"a header too few", "", nil, with(func(a *answer) { delete(a.Header, "Etag") }), "Etag"},
		{"a header too many", "", nil, with(func(a *answer) { a.Header["X-B"] = "2" }), "X-B"},
		{"another header", "", nil, with(func(a *answer) { a.Header["X-A"] = "2" }), "X-A"},
		{"an answer that breaks off", "", nil, with(func(a *answer) { a.Cut = true }), "Cut"},
		{"a length where Swift gave none", "", nil, with(func(a *answer) { a.Header["Content-Length"] = "2" }), ""},
		{"an ignored header", "X-A", nil, with(func(a *answer) { a.Header["X-A"] = "2" }), ""},
		{"an ignored header that is missing", "X-A", nil, with(func(a *answer) { delete(a.Header, "X-A") }), ""},
		{"ignored headers", "X-*", nil, with(func(a *answer) { a.Header["X-A"], a.Header["X-B"] = "2", "3" }), ""},
		{"another header than those ignored", "X-*", nil, with(func(a *answer) { a.Header["Y"] = "2" }), `"Y"`},
		{"another answer on purpose", "", &override{Why: "w", Status: &no}, with(func(a *answer) { a.Status = 404 }), ""},
		{"not the other answer", "", &override{Why: "w", Status: &no}, with(func(a *answer) { a.Status = 405 }), "405"},
		{"Swift's answer after all", "", &override{Why: "w", Status: &no}, same, "take out"},
		{"another answer without a reason", "", &override{Status: &no}, with(func(a *answer) { a.Status = 404 }), "no reason"},
		{"a header that must be absent", "", &override{Why: "w", Answer: map[string]*string{"etag": nil}},
			with(func(a *answer) { delete(a.Header, "Etag") }), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, c := recorded, Conversation{}
			r.Apus = tc.apus
			if tc.ignore != "" {
				c.Ignore = map[string]string{tc.ignore: "a reason"}
			}
			if got := c.compare(r, tc.got); got != tc.want && (tc.want == "" || !strings.Contains(got, tc.want)) {
				t.Errorf("%+v: got %q, want %q", tc.got, got, tc.want)
			}
		})
	}
}

func TestReduce(t *testing.T) {
	c := Conversation{Reduce: func(header map[string]string, text string) string {
		delete(header, "X-Length")
		return strings.ToLower(text)
	}}
	r := row{Status: 200, Answer: map[string]string{"X-Length": "1"}, Text: "HI"}
	for text, same := range map[string]bool{"Hi": true, "Ho": false} {
		got := answer{Status: 200, Header: map[string]string{"X-Length": "2"}, Text: text}
		if problem := c.compare(r, got); (problem == "") != same {
			t.Errorf("HI and %s: %q", text, problem)
		}
	}
	other := "ho"
	r.Apus = &override{Why: "w", Text: &other}
	if problem := c.compare(r, answer{Status: 200, Header: map[string]string{}, Text: "HO"}); problem != "" {
		t.Errorf("another answer on purpose: %s", problem)
	}
}

// stub is a server that answers what the header X-Answer says, and its own request.
func stub(t *testing.T) *player {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/v1.0" {
			w.Header().Set("X-Auth-Token", "token of "+r.Header.Get("X-Auth-User")+" "+r.Header.Get("X-Auth-Key"))
			return
		}
		if r.Header.Get("X-Silent") != "" {
			panic(http.ErrAbortHandler)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Asked", r.Method+" "+r.RequestURI+" "+r.Host+" "+r.Header.Get("X-Auth-Token")+" "+strings.Join(r.TransferEncoding, ",")+".")
		w.Header().Set("Allow", "PUT, GET")
		w.Header().Set("X-Trans-Id", "txfedcbafedcbafedcbafed-00fedcba00-x")
		w.Header().Set("X-Answer", r.Header.Get("X-Answer"))
		if r.Header.Get("X-Short") != "" {
			w.Header().Set("Content-Length", "100")
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return newPlayer(s.Listener.Addr().String())
}

func TestPlay(t *testing.T) {
	p := stub(t)
	now := time.Now().UTC()
	date := now.Format(http.TimeFormat)
	for _, tc := range []struct {
		name             string
		row              row
		asked, says, txt string
	}{
		{"as nobody", row{Method: "GET", Path: "/a"}, "GET /a {host}  .", "", ""},
		{"as a user", row{Method: "GET", Path: "/a%20b?c", User: "test:tester"}, "GET /a%20b?c {host} token of test:tester testing .", "", ""},
		{"with a host", row{Method: "GET", Path: "/a", Header: map[string]string{"Host": "h.example"}}, "GET /a h.example  .", "", ""},
		{"a body", row{Method: "PUT", Path: "/a", Body: "body"}, "PUT /a {host}  .", "", "body"},
		{"a body in chunks", row{Method: "PUT", Path: "/a", Body: "body", Chunked: true}, "PUT /a {host}  chunked.", "", "body"},
		{"an empty body in chunks", row{Method: "PUT", Path: "/a", Chunked: true}, "PUT /a {host}  chunked.", "", ""},
		{"a body of bytes", row{Method: "PUT", Path: "/a", Base64: []byte("\xff{no}")}, "PUT /a {host}  .", "", "\xff{no}"},
		{"a capture", row{Method: "PUT", Path: "/a", Body: `{"l": [{"id": "12345678"}]}`, Header: map[string]string{"X-Answer": "abcdefgh"},
			Capture: map[string]string{"h": "header:X-Answer", "id": "json:l.0.id"}}, "PUT /a {host}  .", "{h}", `{"l": [{"id": "{id}"}]}`},
		{"what was captured", row{Method: "PUT", Path: "/{id}", Body: "<{h}>", Header: map[string]string{"X-Answer": "{id}"},
			Capture: map[string]string{"t": "text:<(.*)>"}}, "PUT /{id} {host}  .", "{id}", "<{h}>"},
		{"times", row{Method: "PUT", Path: "/a", Body: date + " Fri, 01 Jan 2100 00:00:00 GMT"}, "PUT /a {host}  .", "", "{date} Fri, 01 Jan 2100 00:00:00 GMT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := p.play(tc.row)
			if err != nil {
				t.Fatal(err)
			}
			if _, found := got.Header["X-Trans-Id"]; found || got.Text != tc.txt || got.Header["X-Asked"] != tc.asked || got.Header["X-Answer"] != tc.says || got.Header["Allow"] != "GET, PUT" {
				t.Errorf("%+v: got %+v, want asked %q, answer %q, text %q", tc.row, got, tc.asked, tc.says, tc.txt)
			}
		})
	}
	p.also = []string{"X-Trans-Id"}
	if got, err := p.play(row{Method: "GET", Path: "/a"}); err != nil || got.Header["X-Trans-Id"] != "{txid}-x" {
		t.Errorf("a header that is compared after all: got %+v, %v", got, err)
	}
	if got, err := p.play(row{Method: "GET", Path: "/a", Header: map[string]string{"X-Silent": "yes"}}); err != nil || !got.Cut || got.Status != 0 {
		t.Errorf("no answer: got %+v, %v", got, err)
	}
	if got, err := p.play(row{Method: "PUT", Path: "/a", Body: "body", Header: map[string]string{"X-Short": "yes"}}); err != nil || !got.Cut || got.Text != "body" {
		t.Errorf("an answer that breaks off: got %+v, %v", got, err)
	}
	for name, r := range map[string]row{
		"an unknown name":             {Method: "GET", Path: "/{unknown}"},
		"an unknown name in a body":   {Method: "GET", Path: "/", Body: "{unknown}"},
		"an unknown name in a header": {Method: "GET", Path: "/", Header: map[string]string{"A": "{unknown}"}},
		"a short capture":             {Method: "GET", Path: "/", Body: "12345", Capture: map[string]string{"x": "text:(.*)"}},
		"no such header":              {Method: "GET", Path: "/", Capture: map[string]string{"x": "header:X-None"}},
		"no such element":             {Method: "GET", Path: "/", Body: "[]", Capture: map[string]string{"x": "json:0"}},
		"an unknown capture":          {Method: "GET", Path: "/", Capture: map[string]string{"x": "banana:0"}},
	} {
		if got, err := p.play(r); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "base.toml")
	const base = "[DEFAULT]\nbind_port = 1\n[pipeline.main]\npipeline = [\"a\", \"proxy-server\"]\n[filter.a]\nx = 1\n[filter.b]\ny = 1\n"
	if err := os.WriteFile(path, []byte(base), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Conversation{Pipeline: []string{"b", "c"}, Sections: "[filter.b]\nz = 2\n[filter.c]\n"}.config(path)
	const want = "[DEFAULT]\n  bind_port = 1\n\n[filter]\n  [filter.a]\n    x = 1\n  [filter.b]\n    z = 2\n  [filter.c]\n\n" +
		"[pipeline]\n  [pipeline.main]\n    pipeline = [\"b\", \"c\", \"proxy-server\"]\n"
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v: -want +got\n%s", err, diff)
	}
}

// TestPythonNormalisesTheSame has record.py put names into texts.
func TestPythonNormalisesTheSame(t *testing.T) {
	now := time.Unix(1763776812, 0).UTC() // 2025-11-22T02:00:12Z
	texts := map[string]string{
		"Sat, 22 Nov 2025 01:00:00 GMT":                   "{date}",
		"Wed, 01 Oct 2025 01:00:00 GMT":                   "Wed, 01 Oct 2025 01:00:00 GMT",
		"Xxx, 99 Yyy 2025 01:00:00 GMT":                   "Xxx, 99 Yyy 2025 01:00:00 GMT",
		`"2025-11-22T02:00:12.123450", 2025-11-22T02:00Z`: `"{iso}", 2025-11-22T02:00Z`,
		"2025-11-22T02:00:12 2025-11-22T02:00:12.123Z":    "{iso} {iso}",
		"2100-01-01T00:00:00Z 2025-13-22T02:00:12":        "2100-01-01T00:00:00Z 2025-13-22T02:00:12",
		"1763776812.12345 1763776812 1000000000.00000":    "{timestamp} {epoch} 1000000000.00000",
		"17637768120 a1763776812 1763776812ab 4102444800": "17637768120 a1763776812 1763776812ab 4102444800",
		"tx0123456789abcdef01234-0123456789 tx01":         "{txid} tx01",
		"1766368812.00000 1766368811.00000":               "1766368812.00000 {timestamp}",
	}
	for text, want := range texts {
		if got := normalise(text, now); got != want {
			t.Errorf("normalise(%q): got %q, want %q", text, got, want)
		}
	}
	if exec.Command("python3", "-c", "").Run() != nil {
		t.Skip("python3 is not installed")
	}
	const script = "import json, sys\nsys.dont_write_bytecode = True\nimport record\n" +
		"print(json.dumps({t: record.normalise(t, float(sys.argv[1])) for t in json.load(sys.stdin)}))"
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-c", script, "1763776812")
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(in)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Errorf("record.py: -want +got\n%s", diff)
	}
}
