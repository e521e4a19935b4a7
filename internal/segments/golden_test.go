package segments_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files testdata/*.txt are conversations with a proxy, each a sequence of requests with what OpenStack Swift answered:
//
//	== what this is about
//	why: why Apus answers otherwise, if it does     (then the lines with "=" count, which need not be all)
//	> PUT /{c}/manifest?multipart-manifest=put
//	> User: other
//	>
//	> body
//	< 201
//	< Header: value
//	<
//	< body
//
// {c} is the container of the file, in an account of the rig's; a target that begins with // is taken as it is. The
// pseudo-header User names who asks: me (the default), other, nobody. Lines of a body are joined by line feeds; in a body,
// \r, \n and \xNN are escapes, and {repeat:TEXT:N} repeats.
//
// To record the answers of an OpenStack Swift anew:
//
//	go test ./internal/segments -run TestGolden -endpoint 127.0.0.1:8080 -update
var (
	endpoint = flag.String("endpoint", "", "host:port of a proxy to talk to, instead of one of our own")
	update   = flag.Bool("update", false, "record the answers of -endpoint, which must be an OpenStack Swift")
)

// A step is one request and its answers.
type step struct {
	name, why            string
	send, recorded, ours []string
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	addr := *endpoint
	if addr == "" {
		addr = newCluster(t, "")
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			steps := parseSteps(t, string(text))
			c := newClient(t, addr, "segments-golden-"+strings.TrimSuffix(filepath.Base(name), ".txt"))
			for i := range steps {
				got := c.play(t, steps[i].send)
				if *update {
					steps[i].recorded = got
				} else {
					steps[i].compare(t, got)
				}
			}
			if *update {
				if err := os.WriteFile(name, []byte(formatSteps(steps)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func (s step) compare(t *testing.T, got []string) {
	if s.why == "" {
		if diff := cmp.Diff(s.recorded, got); diff != "" {
			t.Errorf("%s\n%s\n(-OpenStack Swift +got):\n%s", s.name, strings.Join(s.send, "\n"), diff)
		}
		return
	}
	for _, line := range s.ours {
		if !slices.Contains(got, line) {
			t.Errorf("%s\n%s\nmissing %q in\n%s", s.name, strings.Join(s.send, "\n"), line, strings.Join(got, "\n"))
		}
	}
}

func parseSteps(t *testing.T, text string) (steps []step) {
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			steps = append(steps, step{name: name})
			continue
		}
		mark, rest, _ := strings.Cut(line, " ")
		if line == "" {
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("line %d: %q before the first step", n+1, line)
		}
		s := &steps[len(steps)-1]
		switch mark {
		case "why:":
			s.why = rest
		case ">":
			s.send = append(s.send, rest)
		case "<":
			s.recorded = append(s.recorded, rest)
		case "=":
			s.ours = append(s.ours, rest)
		default:
			t.Fatalf("line %d: %q", n+1, line)
		}
	}
	return steps
}

func formatSteps(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "== %s\n", s.name)
		if s.why != "" {
			fmt.Fprintf(&b, "why: %s\n", s.why)
		}
		writeLines(&b, ">", s.send)
		writeLines(&b, "<", s.recorded)
		writeLines(&b, "=", s.ours)
	}
	return b.String()
}

func writeLines(b *strings.Builder, mark string, lines []string) {
	for _, l := range lines {
		b.WriteString(strings.TrimRight(mark+" "+l, " ") + "\n")
	}
}

// A client talks to a proxy.
type client struct {
	http      *http.Client
	base      string
	account   string
	container string
	tokens    map[string]string
}

func newClient(t *testing.T, addr, container string) *client {
	c := &client{
		base: "http://" + addr, container: container, tokens: map[string]string{},
		http: &http.Client{
			Transport:     &http.Transport{DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(c.http.CloseIdleConnections)
	for name, user := range map[string]string{"me": "test6:tester6 testing6", "other": "test2:tester2 testing2"} {
		user, key, _ := strings.Cut(user, " ")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/auth/v1.0", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-User", user)
		r.Header.Set("X-Auth-Key", key)
		resp, err := c.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		c.tokens[name] = resp.Header.Get("X-Auth-Token")
		if name == "me" {
			url := resp.Header.Get("X-Storage-Url")
			c.account = url[strings.LastIndexByte(url, '/')+1:]
		}
	}
	c.sweep(t)
	t.Cleanup(func() { c.sweep(t) })
	return c
}

// sweep removes the client's containers.
func (c *client) sweep(t *testing.T) {
	for _, container := range c.lines(t, "/v1/"+c.account+"?prefix="+c.container) {
		for _, o := range c.lines(t, "/v1/"+c.account+"/"+container) {
			c.do(t, "DELETE", "/v1/"+c.account+"/"+container+"/"+strings.ReplaceAll(o, " ", "%20"), nil, "")
		}
		c.do(t, "DELETE", "/v1/"+c.account+"/"+container, nil, "")
	}
}

func (c *client) lines(t *testing.T, path string) []string {
	resp, body := c.do(t, "GET", path, nil, "")
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	return strings.Fields(string(body))
}

func (c *client) do(t *testing.T, method, target string, header []string, body string) (*http.Response, []byte) {
	t.Helper()
	// Not the test's context: sweep runs after its end.
	r, err := http.NewRequest(method, c.base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	user := "me"
	for _, h := range header {
		name, value, _ := strings.Cut(h, ":")
		if value = strings.TrimSpace(value); name == "User" {
			user = value
			continue
		}
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	if token := c.tokens[user]; token != "" {
		r.Header["X-Auth-Token"] = []string{token}
	}
	if r.Header.Get("Transfer-Encoding") == "chunked" {
		r.Header.Del("Transfer-Encoding")
		r.ContentLength = -1
	}
	resp, err := c.http.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, resp.Body); err != nil {
		b.WriteString("[cut]")
	}
	return resp, b.Bytes()
}

var repeat = regexp.MustCompile(`\{repeat:([^{}]*):(\d+)\}`)

func (c *client) expand(s string) string {
	s = strings.NewReplacer("{c}", c.container, "{a}", c.account, `\r`, "\r", `\n`, "\n", `\\`, `\`).Replace(s)
	return repeat.ReplaceAllStringFunc(s, func(m string) string {
		parts := repeat.FindStringSubmatch(m)
		n := 0
		fmt.Sscan(parts[2], &n)
		out := make([]string, n)
		for i := range out {
			out[i] = strings.ReplaceAll(parts[1], "#", fmt.Sprint(i))
		}
		return strings.Join(out, "")
	})
}

// play sends a request and returns the answer, normalised.
func (c *client) play(t *testing.T, send []string) []string {
	t.Helper()
	method, target, _ := strings.Cut(c.expand(send[0]), " ")
	if rest, ok := strings.CutPrefix(target, "//"); ok {
		target = "/" + rest
	} else {
		target = "/v1/" + c.account + target
	}
	header, body := send[1:], ""
	if i := slices.Index(header, ""); i >= 0 {
		header, body = header[:i], c.expand(strings.Join(header[i+1:], "\n"))
	}
	for i := range header {
		header = slices.Clone(header)
		header[i] = c.expand(header[i])
	}
	resp, got := c.do(t, method, target, header, body)
	return c.normal(method, resp, got)
}

var (
	isoTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}`)
	httpDay = regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT`)
	md5sum  = regexp.MustCompile(`[0-9a-f]{32}`)
	hash    = regexp.MustCompile(`"hash": "[0-9a-f]{32}`) // of a listing: that of a manifest depends on times
	epoch   = regexp.MustCompile(`\d{10}\.\d{5}`)
)

// dropped are headers that differ from answer to answer, or are the connection's.
var dropped = []string{"Date", "X-Trans-Id", "X-Openstack-Request-Id", "Connection", "Keep-Alive", "Transfer-Encoding", "X-Storage-Policy"}

func (c *client) normal(method string, resp *http.Response, body []byte) []string {
	out := []string{fmt.Sprint(resp.StatusCode)}
	boundary := ""
	if _, b, ok := strings.Cut(resp.Header.Get("Content-Type"), "boundary="); ok {
		boundary = strings.Trim(b, `"`)
	}
	clean := func(s string) string {
		if boundary != "" {
			s = strings.ReplaceAll(s, boundary, "{boundary}")
		}
		s = hash.ReplaceAllString(s, `"hash": "{md5}`)
		s = isoTime.ReplaceAllString(s, "{iso}")
		s = httpDay.ReplaceAllString(s, "{day}")
		return strings.ReplaceAll(strings.ReplaceAll(s, c.account, "{a}"), c.container, "{c}")
	}
	for name, values := range resp.Header {
		for _, v := range values {
			switch {
			case slices.Contains(dropped, name), strings.HasPrefix(name, "X-Container-"), name == "Content-Length" && resp.StatusCode == 304,
				name == "Content-Type" && resp.StatusCode == 304, name == "Content-Length" && resp.StatusCode == 204,
				name == "Content-Length" && v == fmt.Sprint(len(body)) && method != http.MethodHead: // or it would have been cut
				continue
			case name == "X-Manifest-Etag", name == "Etag" && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json"):
				v = md5sum.ReplaceAllString(v, "{md5}")
			case name == "X-Timestamp":
				v = epoch.ReplaceAllString(v, "{timestamp}")
			case name == "Allow":
				set := strings.Split(v, ", ")
				slices.Sort(set)
				v = strings.Join(set, ", ")
			}
			out = append(out, strings.TrimSpace(name+": "+clean(v)))
		}
	}
	slices.Sort(out)
	if len(body) == 0 {
		return out
	}
	out = append(out, "")
	lines := bufio.NewScanner(strings.NewReader(strings.ReplaceAll(clean(string(body)), "\r", `\r`)))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		out = append(out, strings.TrimRight(lines.Text(), " "))
	}
	return out
}
