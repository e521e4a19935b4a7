package interop

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// talker sends requests to one proxy as the users of one account.
type talker struct {
	t       *testing.T
	client  *http.Client
	base    string // http://host:port
	account string
	admin   string // tokens
	guest   string
}

// request is one request of a conversation. Path follows the account; {a} in headers is the account's name, without its prefix.
type request struct {
	method, path string
	head         string // "Key: value" lines
	body         string
	guest        bool
	bare         bool // without a token
	chunked      bool
}

func newTalker(t *testing.T, base, account string) *talker {
	t.Helper()
	k := &talker{t: t, base: base, account: "AUTH_" + account, client: &http.Client{
		Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second},
		Timeout:   2 * time.Minute,
	}}
	t.Cleanup(k.client.CloseIdleConnections)
	k.admin, k.guest = k.logIn(account+":admin"), k.logIn(account+":guest")
	return k
}

func (k *talker) logIn(user string) string {
	k.t.Helper()
	req, _ := http.NewRequest("GET", k.base+"/auth/v1.0", nil)
	req.Header.Set("X-Auth-User", user)
	req.Header.Set("X-Auth-Key", "key")
	resp, err := k.client.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		k.t.Fatalf("log in as %s at %s: %s", user, k.base, resp.Status)
	}
	return resp.Header.Get("X-Auth-Token")
}

// answer is what came back.
type answer struct {
	status int
	head   http.Header
	body   string
}

func (k *talker) send(r request) answer {
	k.t.Helper()
	var body io.Reader = strings.NewReader(r.body)
	if r.chunked {
		body = io.MultiReader(body) // hides the length
	}
	req, err := http.NewRequest(r.method, k.base+"/v1/"+k.account+r.path, body)
	if err != nil {
		k.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	switch {
	case r.bare:
	case r.guest:
		req.Header.Set("X-Auth-Token", k.guest)
	default:
		req.Header.Set("X-Auth-Token", k.admin)
	}
	for line := range strings.SplitSeq(r.head, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Add(name, strings.ReplaceAll(value, "{a}", strings.TrimPrefix(k.account, "AUTH_")))
		}
	}
	return k.do(req)
}

func (k *talker) do(req *http.Request) answer {
	k.t.Helper()
	req.Header.Set("User-Agent", "interop")
	resp, err := k.client.Do(req)
	if err != nil {
		k.t.Errorf("%s %s: %v", req.Method, req.URL, err)
		return answer{head: http.Header{}}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Errorf("%s %s: body: %v", req.Method, req.URL, err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// must sends a request that has to succeed.
func (k *talker) must(r request) answer {
	k.t.Helper()
	a := k.send(r)
	if a.status/100 != 2 {
		k.t.Fatalf("%s %s: %d %s", r.method, r.path, a.status, a.body)
	}
	return a
}

var (
	isoTime  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?`)
	txn      = regexp.MustCompile(`tx[0-9a-f]{21}-[0-9a-f]{10}[-0-9a-zA-Z]*`)
	stamp    = regexp.MustCompile(`\b\d{10}\.\d{5}(_[0-9a-f]{16})?\b`)
	boundary = regexp.MustCompile(`[0-9a-f]{32,64}`)
	digits   = regexp.MustCompile(`\d`)
	weekday  = regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT`)
)

// exact writes down all of an answer that does not differ from one request to the next.
func exact(a answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", a.status)
	for _, name := range slices.Sorted(maps.Keys(a.head)) {
		switch name {
		case "Date", "X-Trans-Id", "X-Openstack-Request-Id", "Connection", "Keep-Alive":
			continue
		}
		values := slices.Clone(a.head[name])
		for i, v := range values {
			if strings.HasPrefix(v, "multipart/byteranges") {
				values[i] = boundary.ReplaceAllString(v, "BOUNDARY")
			}
			if name == "Content-Type" {
				values[i] = strings.ReplaceAll(values[i], "charset=UTF-8", "charset=utf-8")
			}
		}
		slices.Sort(values)
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, " | "))
	}
	body := txn.ReplaceAllString(a.body, "TXN")
	if strings.HasPrefix(a.head.Get("Content-Type"), "multipart/byteranges") {
		body = boundary.ReplaceAllString(body, "BOUNDARY")
	}
	if len(body) > 20000 {
		body = fmt.Sprintf("%d bytes with MD5 %s", len(body), sum(body))
	}
	b.WriteString("\n" + body)
	return b.String()
}

// form is exact without times: what must be the same for two clusters that are told the same.
func (k *talker) form(a answer) string {
	s := exact(a)
	s = strings.ReplaceAll(s, strings.TrimPrefix(k.account, "AUTH_"), "ACCOUNT")
	s = isoTime.ReplaceAllStringFunc(s, func(m string) string { return digits.ReplaceAllString(m, "0") })
	s = weekday.ReplaceAllString(s, "SOME DAY")
	return stamp.ReplaceAllStringFunc(s, func(m string) string { return digits.ReplaceAllString(m, "0") })
}

func sum(s string) string {
	m := md5.Sum([]byte(s))
	return hex.EncodeToString(m[:])
}

// diff shows the lines that two texts do not share.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var b bytes.Buffer
	for _, l := range w {
		if !slices.Contains(g, l) {
			fmt.Fprintf(&b, "    - %s\n", l)
		}
	}
	for _, l := range g {
		if !slices.Contains(w, l) {
			fmt.Fprintf(&b, "    + %s\n", l)
		}
	}
	if b.Len() == 0 && want != got {
		return "    the lines are in another order\n"
	}
	return b.String()
}
