package s3gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/closedport"
)

// raw is a store that answers each connection as a test says, with whatever bytes.
func raw(t *testing.T, answer func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				answer(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wait.Wait() })
	return l.Addr().String()
}

// head reads the head of a request.
func head(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
			return
		}
	}
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		head(c)
		io.WriteString(c, text)
	}
}

// TestFaultsOfAStore has the client hear of every fault, in bounded time, and never get a part for the whole.
func TestFaultsOfAStore(t *testing.T) {
	gone := raw(t, func(net.Conn) {})
	hold := make(chan struct{})
	defer close(hold)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it says that the gateway does not trust it
	untrusted.StartTLS()
	defer untrusted.Close()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
	}))
	defer busy.Close()
	for _, test := range []struct {
		name, endpoint string
		status         int
		code           string
		broken         bool // a GET's answer breaks off
	}{
		{"nobody listens", "http://" + closedport.New(t), 503, "ServiceUnavailable", false},
		{"no such host", "http://no-such-host.invalid", 503, "ServiceUnavailable", false},
		{"a certificate of somebody else", untrusted.URL, 503, "ServiceUnavailable", false},
		{"no TLS where TLS should be", "https://" + raw(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), 503, "ServiceUnavailable", false},
		{"hangs up", "http://" + gone, 502, "InternalError", false},
		{"does not answer", "http://" + raw(t, func(net.Conn) { <-hold }), 504, "ServiceUnavailable", false},
		{"answers nonsense", "http://" + raw(t, says("220 mail ready\r\n")), 502, "InternalError", false},
		{"a head without an end", "http://" + raw(t, says("HTTP/1.1 200 OK\r\nX-A: b")), 502, "InternalError", false},
		{"a head too large", "http://" + raw(t, says("HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 12<<20))), 502, "InternalError", false},
		{"a body too short", "http://" + raw(t, says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")), 0, "", true},
		{"a body without its last chunk", "http://" + raw(t, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n")), 0, "", true},
		{"a body that stalls", "http://" + raw(t, func(c net.Conn) {
			says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")(c)
			<-hold
		}), 0, "", true},
		{"asks for fewer requests", busy.URL, 503, "SlowDown", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			patience := "response_timeout = 20\nstall_timeout = 20\n"
			if strings.HasSuffix(test.name, "not answer") || strings.HasSuffix(test.name, "stalls") { // nothing but time ends these
				patience = "response_timeout = 1\nstall_timeout = 1\n"
			}
			g := newGateway(t, "[filter.s3gateway.upstream.bad]\nendpoint = '"+test.endpoint+`'
access_key = "k"
secret = "the store's secret"
health_path = ""
connect_timeout = 20
payload = "unsigned"
`+patience, clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['bad']\n")
			began := time.Now()
			for _, method := range []string{"GET", "PUT"} {
				body := ""
				if method == "PUT" {
					body = "something"
				}
				r, err := http.NewRequestWithContext(t.Context(), method, g.url+"/photos/x", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				g.sign(r)
				a, err := send(r)
				switch {
				case test.broken && method == "PUT": // such an answer to a PUT is none to rely on
				case test.broken:
					if err == nil {
						t.Errorf("GET: half an answer came whole: %v", a)
					}
				case err != nil:
					t.Errorf("%s: %v", method, err)
				case a.status != test.status || a.code != test.code:
					t.Errorf("%s: got %.400s, want %d %s", method, a, test.status, test.code)
				}
				if strings.Contains(a.String(), "the store's secret") || strings.Contains(a.String(), strings.TrimPrefix(test.endpoint, "http://")) {
					t.Errorf("%s: the answer tells of the store: %v", method, a)
				}
			}
			if took := time.Since(began); took > 40*time.Second {
				t.Errorf("it took %v", took)
			}
			if strings.Contains(g.log.String(), "the store's secret") {
				t.Error("the log tells a secret")
			}
		})
	}
}

// TestAnUploadThatBreaksOffIsNotStored has an upload end early in every way: nothing of it may be there.
func TestAnUploadThatBreaksOffIsNotStored(t *testing.T) {
	at := newStore(t)
	g := newGateway(t, at.upstream("at"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n")
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/photos/x", "before")
	big := strings.Repeat("0123456789abcdef", 1<<17)
	r, err := http.NewRequestWithContext(t.Context(), "PUT", g.url+"/photos/x", io.MultiReader(strings.NewReader(big), failing{}))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(big) + 10)
	g.sign(r)
	if a, err := send(r); err == nil && a.status < 400 {
		t.Errorf("the client went away and got %v", a)
	}
	g.settle()
	g.has("/photos/x", "before")

	g.want("XAmzContentSHA256Mismatch", "PUT", "/photos/x", big, "sha256", "wrong")
	g.want("BadDigest", "PUT", "/photos/x", big, "Content-MD5", "saCew/2Dq5dQ6qnZCXppLg==")
	g.has("/photos/x", "before")

	// The store goes away in the middle of it.
	at.meet(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		io.CopyN(io.Discard, r.Body, 1<<20)
		panic(http.ErrAbortHandler)
	})
	if a := g.do("PUT", "/photos/x", big); a.status < 500 {
		t.Errorf("the store went away, and the client got %v", a)
	}
	at.meet(nil)
	g.has("/photos/x", "before")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestNoReadIsLostWhenAStoreDies reads from two stores while one of them dies.
func TestNoReadIsLostWhenAStoreDies(t *testing.T) {
	for _, policy := range []string{"failover", "round_robin"} {
		t.Run(policy, func(t *testing.T) {
			var dead atomic.Bool
			serve := func(mortal bool) string {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if mortal && dead.Load() {
						panic(http.ErrAbortHandler)
					}
					io.WriteString(w, "the bytes")
				}))
				t.Cleanup(s.Close)
				return s.URL
			}
			store := func(name, url string) string {
				return fmt.Sprintf("[filter.s3gateway.upstream.%s]\nendpoint = '%s'\naccess_key = 'k'\nsecret = 's'\nhealth_interval = 0.05\nhealth_down = 2\n", name, url)
			}
			g := newGateway(t, store("one", serve(true)), store("two", serve(false)), clients,
				"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['one', 'two']\npolicy = '"+policy+"'\n")
			var wait sync.WaitGroup
			var lost atomic.Int64
			for range 4 {
				wait.Go(func() {
					for i := range 50 {
						if i == 20 {
							dead.Store(true)
						}
						r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/x", nil)
						if err != nil {
							t.Error(err)
							return
						}
						g.sign(r)
						if a, err := send(r); err != nil || a.status != 200 || a.body != "the bytes" {
							lost.Add(1)
							t.Logf("%v, %v", a, err)
						}
					}
				})
			}
			wait.Wait()
			if lost.Load() > 0 {
				t.Errorf("%d reads were lost", lost.Load())
			}
			if a := g.sent(g.request("GET", "/healthz", "")); a.body != `{"status":"ok"}` {
				t.Errorf("one store is left, and health is %v", a)
			}
		})
	}
}

// TestHealth tells load balancers when a route has no store.
// TestAStoreThatDoesNotTakeTheGatewaysKey: it is no fault of the client's, who learns nothing of the key.
func TestAStoreThatDoesNotTakeTheGatewaysKey(t *testing.T) {
	far := newStore(t)
	far.want(200, "PUT", "/photos", "")
	route := clients + "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n"
	for name, table := range map[string]string{
		"an unknown key": strings.Replace(far.upstream("far"), storeKey, "test:nobody", 1),
		"a wrong secret": strings.Replace(far.upstream("far"), "secret = \"testing\"", "secret = \"other\"", 1),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, table, route)
			for _, r := range [][2]string{{"GET", "/photos/a"}, {"PUT", "/photos/a"}, {"GET", "/photos"}} {
				a := g.do(r[0], r[1], "")
				if a.status != 503 || a.code != "ServiceUnavailable" {
					t.Errorf("%s %s: got %v, want 503 ServiceUnavailable", r[0], r[1], a)
				}
				for _, theirs := range []string{"test:", "StringToSign", "SignatureProvided"} {
					if strings.Contains(a.body, theirs) {
						t.Errorf("%s %s: the client sees %q: %v", r[0], r[1], theirs, a)
					}
				}
			}
		})
	}
}

// TestARedirectionIsNotTheClients: nobody has a key for where it leads.
func TestARedirectionIsNotTheClients(t *testing.T) {
	far := newStore(t)
	far.meet(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Location", "https://photos.s3.elsewhere.test"+r.URL.Path)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusTemporaryRedirect)
		io.WriteString(w, "<Error><Code>TemporaryRedirect</Code><Endpoint>photos.s3.elsewhere.test</Endpoint></Error>")
		return true
	})
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	for _, method := range []string{"GET", "PUT", "HEAD"} {
		a := g.do(method, "/photos/a", map[string]string{"PUT": "body"}[method])
		if a.status != 502 || a.header.Get("Location") != "" || strings.Contains(a.body, "elsewhere.test") {
			t.Errorf("%s: got %v, want 502 and no way to the store", method, a)
		}
	}
}

func TestHealth(t *testing.T) {
	var dead atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if dead.Load() {
			panic(http.ErrAbortHandler)
		}
	}))
	defer s.Close()
	g := newGateway(t, "[filter.s3gateway.upstream.one]\nendpoint = '"+s.URL+"'\naccess_key = 'k'\nsecret = 's'\nhealth_interval = 0.02\n", clients,
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['one']\n")
	health := func() answer {
		return g.sent(g.request("GET", "/healthz", ""))
	}
	wait := func(status int, body string) {
		t.Helper()
		var a answer
		for range 500 {
			if a = health(); a.status == status && a.body == body {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("health is %v, want %d %s", a, status, body)
	}
	wait(200, `{"status":"ok"}`)
	dead.Store(true)
	wait(450, `{"status":"nok"}`)
	dead.Store(false)
	wait(200, `{"status":"ok"}`)
}
