package s3gateway_test

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
)

// A sink is a store that takes everything. It counts the requests that reached it whole.
type sink struct {
	mu     sync.Mutex
	begun  []string
	whole  []string
	bodies []string
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.Method + " " + r.URL.RequestURI()
	s.mu.Lock()
	s.begun = append(s.begun, what)
	s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // what is not there whole is not stored
	}
	s.mu.Lock()
	s.whole = append(s.whole, what)
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	w.Header().Set("Etag", `"d41d8cd98f00b204e9800998ecf8427e"`)
}

func (s *sink) reset() (begun, whole, bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun, whole, bodies = s.begun, s.whole, s.bodies
	s.begun, s.whole, s.bodies = nil, nil, nil
	return begun, whole, bodies
}

// sinkGateway is a gateway before a sink, for those whom attacks are made for.
func sinkGateway(t *testing.T) (*gateway, *sink) {
	t.Helper()
	s := new(sink)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return newGateway(t, "[filter.s3gateway]\nstorage_domain = '"+attacks.Domain+"'\n[filter.s3gateway.upstream.sink]\nendpoint = '"+server.URL+`'
access_key = "k"
secret = "the store's secret"
payload = "unsigned"
health_path = ""
`+attacks.Identities("filter.s3gateway")+"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['sink']\n"), s
}

// joined are attacks by a header that is there twice. The server makes one line of them, as Swift does: it means something
// else then, or another fault of it is seen.
var joined = map[string]string{
	"a second date says now":  "AccessDenied",
	"a copy from two sources": "", // from one, with a comma in its name
}

// TestAttacksReachNoStore has every attack refused with AWS' code, and nothing whole at the store.
func TestAttacksReachNoStore(t *testing.T) {
	g, s := sinkGateway(t)
	at, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	cases := attacks.Cases()
	// A store may notice late that a body has broken off, so nothing may reach it before any has.
	slices.SortStableFunc(cases, func(a, b attacks.Case) int { return cmp.Compare(number(a.Body), number(b.Body)) })
	for _, c := range cases {
		if what, ok := joined[c.Name]; ok {
			c.Code = what
		}
		t.Run(c.Name, func(t *testing.T) {
			if c.Code == "" {
				t.Skip("it is another request by the time it comes here")
			}
			status, code, err := attacks.Send(at.Host, c.Raw(attacks.World{Host: at.Host, Region: "us-east-1", Now: time.Now()}))
			if err != nil {
				t.Fatal(err)
			}
			if status < 400 || code != c.Code && c.Method != http.MethodHead {
				t.Errorf("answered %d %s, want %s", status, code, c.Code)
			}
			begun, whole, _ := s.reset()
			if len(whole) > 0 || len(begun) > 0 && !c.Body {
				t.Errorf("the store got %v, whole %v", begun, whole)
			}
		})
	}
	if log := g.log.String(); strings.Contains(log, attacks.Owner.Secret) || strings.Contains(log, "the store's secret") {
		t.Error("the log tells a secret")
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestWhatLooksLikeAttacksPasses has requests that are right reach the store, with their bodies as they are meant.
func TestWhatLooksLikeAttacksPasses(t *testing.T) {
	g, s := sinkGateway(t)
	at, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range attacks.Controls() {
		t.Run(c.Name, func(t *testing.T) {
			status, code, err := attacks.Send(at.Host, c.Raw(attacks.World{Host: at.Host, Region: "us-east-1", Now: time.Now()}))
			if err != nil {
				t.Fatal(err)
			}
			_, whole, bodies := s.reset()
			if status >= 300 || len(whole) != 1 {
				t.Fatalf("answered %d %s; the store got %v", status, code, whole)
			}
			if body := plain(bodies[0]); body != c.Sent {
				t.Errorf("the store got %d bytes, %.100q, want %d", len(body), body, len(c.Sent))
			}
		})
	}
}

// plain takes a body out of the chunks that the gateway sends it in, if it does.
func plain(body string) string {
	size, rest, ok := strings.Cut(body, "\r\n")
	if _, err := strconv.ParseInt(size, 16, 64); !ok || err != nil {
		return body
	}
	var b strings.Builder
	for {
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n == 0 || int(n) > len(rest) {
			return b.String()
		}
		b.WriteString(rest[:n])
		size, rest, _ = strings.Cut(strings.TrimPrefix(rest[n:], "\r\n"), "\r\n")
	}
}
