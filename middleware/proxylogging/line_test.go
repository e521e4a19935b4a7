package proxylogging

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// bytesOf undoes what Python's servers do to the bytes of a request: each is a character of its own.
func bytesOf(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func timeOf(s float64) time.Time {
	whole, frac := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(frac*1e9)))
}

// made is a line that OpenStack Swift's own filter wrote, and what it was told.
type made struct {
	Method, Path, Query, Remote, Host string
	Headers                           map[string]string
	Source, Trans, Orig, Policy       *string
	Info                              []string
	Status                            int
	Recvd, Sent                       int64
	Start, End                        float64
	Template                          string
	Conf                              map[string]string
	Line                              string
	Metrics                           [][]any
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (m *made) config(t *testing.T) Config {
	t.Helper()
	text := "[x]\nlog_msg_template = " + strconv.Quote(m.Template) + "\n"
	for k, v := range m.Conf {
		text += k + " = " + strconv.Quote(v) + "\n"
	}
	f, err := config.Parse("x.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := f.Section("x")
	c := defaults()
	if _, err := s.Decode(&c, config.Section{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *made) entry(t *testing.T) *entry {
	c := m.config(t)
	template, err := parseTemplate(c.MsgTemplate)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := c.anonymizer()
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{
		Method: m.Method, URL: &url.URL{Path: bytesOf(m.Path), RawQuery: bytesOf(m.Query)}, Proto: "HTTP/1.1",
		Header: http.Header{}, Host: m.Host, RemoteAddr: m.Remote,
	}
	for k, v := range m.Headers {
		r.Header.Set(k, bytesOf(v))
	}
	return &entry{
		filter: &filter{template: template, hash: hash, headers: c.headers(), reveal: c.RevealSensitivePrefix,
			cluster: middlewaretest.Host(t).Cluster},
		r: r, meter: respw.Meter{Bytes: m.Sent}, body: countedBody{n: m.Recvd}, start: timeOf(m.Start), end: timeOf(m.End),
		policy: deref(m.Policy), status: m.Status, wire: m.Status,
		state: &request.State{TransID: deref(m.Trans), Method: deref(m.Orig), Log: request.Log{Source: deref(m.Source), Info: m.Info}},
	}
}

func TestLinesAreSwifts(t *testing.T) {
	data, err := os.ReadFile("testdata/lines.json")
	if err != nil {
		t.Fatal(err)
	}
	var lines []made
	if err := json.Unmarshal(data, &lines); err != nil {
		t.Fatal(err)
	}
	for _, m := range lines {
		e := m.entry(t)
		if got := string(e.append(nil)); got != m.Line {
			t.Errorf("%s %q?%q %v %v\n got %s\nwant %s", m.Method, m.Path, m.Query, m.Headers, m.Conf, got, m.Line)
		}
		if strings.HasPrefix(m.Path, "/v1/") {
			checkMetrics(t, e, m)
		}
	}
}

// checkMetrics compares names and sums; what is of no resource has no name in the Swift that made the fixtures.
func checkMetrics(t *testing.T, e *entry, m made) {
	t.Helper()
	var got, want []string
	c := defaults()
	s, err := c.stats(middlewaretest.Host(t))
	if err != nil {
		t.Fatal(err)
	}
	s.client = statsd.ToFunc(statsd.Defaults(), func(packet string) {
		name, value, _ := strings.Cut(packet, ":")
		if !strings.Contains(name, "first-byte") {
			if strings.HasSuffix(name, ".timing") {
				value = ""
			}
			got = append(got, name+" "+strings.TrimSuffix(value, "|c"))
		}
	})
	s.report(e)
	for _, w := range m.Metrics {
		value := ""
		if w[0] == "xfer" {
			value = strconv.Itoa(int(w[2].(float64)))
		}
		want = append(want, w[1].(string)+" "+value)
	}
	if m.Policy != nil && len(want) == 2 {
		// The process that made the fixtures had no policy of this index; this cluster has.
		for _, w := range want[:2] {
			want = append(want, strings.Replace(w, "object.", "object.policy."+*m.Policy+".", 1))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("metrics of %s %s:\n got %q\nwant %q", m.Method, m.Path, got, want)
	}
}

func TestTemplatesThatCannotBe(t *testing.T) {
	for _, tc := range []struct{ template, want string }{
		{"{metod}", `unknown field {metod}; did you mean {method}?`},
		{"{whatever_it_is}", `unknown field {whatever_it_is}; known are access_user_id, account`},
		{"{}", `unknown field {}; known are`},
		{"{method.anonymized}", `{method.anonymized}: the field has no other forms`},
		{"{path.hidden}", `{path.hidden}: the only other form is {path.anonymized}`},
		{"{end_time.Q}", `{end_time.Q}: unknown form of a time; known are A, B`},
		{"{path!r}", `{path!r}: conversions, widths and indices are not supported`},
		{"{status_int:>5}", `{status_int:>5}: conversions, widths and indices are not supported`},
		{"{method", `a { without its } in "{method"`},
		{"method}", `a } without its { after "method"`},
	} {
		_, err := middlewaretest.TryBuild(middlewaretest.Host(t), Filter, "log_msg_template = "+strconv.Quote(tc.template), http.NotFoundHandler())
		if want := "test.toml:6: filter.proxy_logging.log_msg_template: " + tc.want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("template %q: %v, want %s...", tc.template, err, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(defaultTemplate)
	f.Add("{{{path.anonymized}}} {end_time.ms")
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := parseTemplate(s)
		if (err != nil) && parts != nil {
			t.Errorf("%q: parts and %v", s, err)
		}
	})
}

// FuzzLine holds that nothing a client sends puts a blank, a line break or a whole secret into a line.
func FuzzLine(f *testing.F) {
	f.Add("/v1/a/c/o", "temp_url_sig=0123456789abcdef0123", "agent", "AUTH_tk0123456789abcdef")
	f.Add("/v1/a\n/c/ o", "%74emp_url_sig=0123456789abcdef0123&a b", "\xff\x00", "")
	f.Add("/b/k", "X-Amz-Security-Token=0123456789abcdef0123&a=b", "agent", "")
	f.Add("/b/k", "AWSAccessKeyId=a&Signature=0123456789abcdef0123&x-amz-security-token=0123456789abcdef0123", "agent", "")
	f.Fuzz(func(t *testing.T, path, query, agent, token string) {
		m := made{Method: "GET", Template: defaultTemplate}
		e := m.entry(t)
		e.r.URL.Path, e.r.URL.RawQuery = path, query
		e.r.Header.Set("User-Agent", agent)
		e.r.Header.Set("X-Auth-Token", token)
		line := string(e.append(nil))
		if n := len(strings.Split(line, " ")); n != 22 {
			t.Errorf("%d fields, want 22: %q", n, line)
		}
		for i := range len(line) {
			if line[i] < ' ' || line[i] > '~' {
				t.Errorf("byte %#x in %q", line[i], line)
			}
		}
		for _, p := range params(query) {
			if secret := []string{"temp_url_sig", "X-Amz-Security-Token", "x-amz-security-token"}; slices.Contains(secret, p.name) && len(p.value) > 16 {
				if whole := string(appendQuoted(nil, p.name+"="+url.QueryEscape(p.value))); strings.Contains(line, whole) {
					t.Errorf("a whole signature in %q", line)
				}
			}
		}
	})
}

func BenchmarkLine(b *testing.B) {
	template, _ := parseTemplate(defaultTemplate)
	e := &entry{
		filter: &filter{template: template, reveal: 16},
		r: &http.Request{
			Method: "GET", URL: &url.URL{Path: "/v1/AUTH_test/photos/2024/a b.jpg", RawQuery: "multipart-manifest=get"}, Proto: "HTTP/1.1",
			Header:     http.Header{"User-Agent": {"python-swiftclient-4.0"}, "X-Auth-Token": {"AUTH_tk0123456789abcdef0123456789abcdef"}},
			RemoteAddr: "192.0.2.1:4711",
		},
		meter: respw.Meter{Bytes: 4096}, state: &request.State{TransID: "tx968a0db257364dc5b6e6a-006b01fe67"},
		start: time.Unix(1700000000, 1), end: time.Unix(1700000001, 1), status: 200, wire: 200,
	}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.append(buf[:0])
	}
}
