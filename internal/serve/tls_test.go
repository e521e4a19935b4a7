package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/headname"
)

// writePair writes a certificate for name, which signs itself, and its key.
func writePair(t *testing.T, name, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"store.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if file == "" {
			continue
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// secureServer is a server with TLS.
type secureServer struct {
	Config
	plain, secure string // addresses; plain may be empty
	pool          *x509.CertPool
	listener      *gathered
	log           *lockedBuffer
}

// secured runs h behind TLS, and also without if both.
func secured(t *testing.T, both bool, set func(*Config), h http.Handler) *secureServer {
	t.Helper()
	others := goleak.IgnoreCurrent()
	dir := t.TempDir()
	s := &secureServer{Config: Defaults(), log: &lockedBuffer{}}
	s.BindIP, s.CutStalled, s.CertFile, s.KeyFile = "127.0.0.1", true, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	s.pool = writePair(t, "first", s.CertFile, s.KeyFile)
	if both {
		s.HTTPSPort = freePort(t)
	}
	if set != nil {
		set(&s.Config)
	}
	ctx, stop := context.WithCancel(context.Background())
	l, err := s.Listen(ctx)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	s.listener = l.(*gathered)
	s.secure = s.listener.listeners[0].Addr().String()
	if both {
		s.plain, s.secure = s.secure, s.listener.listeners[1].Addr().String()
	}
	done := make(chan error)
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	go func() { done <- s.Run(ctx, l, Bound(constraint.Default(), h), log) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, others)
	})
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// client is one that speaks HTTP/2 if it is offered.
func (s *secureServer) client(t *testing.T) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// tells answers what it sees of a request.
var tells = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s tls=%v host=%s body=%d", r.Proto, r.TLS != nil && r.TLS.HandshakeComplete, r.Host, len(body))
})

func TestTheProtocolsOfTLS(t *testing.T) {
	for _, tc := range []struct {
		name  string
		http2 bool
		force bool
		want  string
	}{{"HTTP/2", true, true, "HTTP/2.0"}, {"HTTP/2 not offered", false, true, "HTTP/1.1"}, {"HTTP/2 not asked for", true, false, "HTTP/1.1"}} {
		t.Run(tc.name, func(t *testing.T) {
			s := secured(t, false, func(c *Config) { c.HTTP2 = tc.http2 }, tells)
			c := s.client(t)
			c.Transport.(*http.Transport).ForceAttemptHTTP2 = tc.force
			for range 3 {
				resp, body := get(t, c, "https://"+s.secure+"/x")
				if want := tc.want + " tls=true host=" + s.secure + " body=0"; body != want || resp.Proto != tc.want {
					t.Errorf("got %s, want %s", body, want)
				}
			}
			resp, err := c.Post("https://"+s.secure+"/x", "", io.LimitReader(neverEnding('x'), 1<<20))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); !strings.HasSuffix(string(body), "body=1048576") || err != nil {
				t.Errorf("%s, %v", body, err)
			}
		})
	}
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestBothPortsAtOnce(t *testing.T) {
	s := secured(t, true, nil, tells)
	if s.TLS() || s.listener.Addr().String() != s.plain {
		t.Errorf("the plain port is not the first")
	}
	c := s.client(t)
	if _, body := get(t, c, "http://"+s.plain+"/"); !strings.HasPrefix(body, "HTTP/1.1 tls=false") {
		t.Error(body)
	}
	if _, body := get(t, c, "https://"+s.secure+"/"); !strings.HasPrefix(body, "HTTP/2.0 tls=true") {
		t.Error(body)
	}
	// Who does not know the ports is told.
	resp, body := get(t, c, "http://"+s.secure+"/")
	if resp.StatusCode != 400 || !strings.Contains(body, "HTTP request to an HTTPS server") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestHeadsWithinTLS sends what net/http refuses: names with equals signs and hosts of any bytes. Within TLS they pass as they do
// without.
func TestHeadsWithinTLS(t *testing.T) {
	s := secured(t, true, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := http.Header{"X-Object-Meta-A=5Fb": r.Header["X-Object-Meta-A=5Fb"], "X-Host": {fmt.Sprintf("%q", r.Host)}}
		headname.Send(r, h)
		for k, v := range h {
			w.Header()[k] = v
		}
		io.Copy(w, r.Body)
	}))
	for name, dial := range map[string]func() (net.Conn, error){
		"without TLS": func() (net.Conn, error) { return net.Dial("tcp", s.plain) },
		"within TLS": func() (net.Conn, error) {
			return tls.Dial("tcp", s.secure, &tls.Config{RootCAs: s.pool, NextProtos: []string{"http/1.1"}})
		},
	} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for i := range 3 { // on one connection
			value := fmt.Sprint("v", i)
			fmt.Fprintf(c, "PUT /x HTTP/1.1\r\nHost: caf\xc3\xa9.example\r\nX-Object-Meta-A=5Fb: %s\r\nContent-Length: 6\r\n\r\na=b|c\n", value)
			head := ""
			for !strings.HasSuffix(head, "\r\n\r\n") {
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatalf("%s: %v after %s", name, err, head)
				}
				head += line
			}
			body := make([]byte, 6)
			if _, err := io.ReadFull(r, body); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(head, "HTTP/1.1 200") || !strings.Contains(head, "X-Object-Meta-A=5Fb: "+value) || !strings.Contains(head, `X-Host: "café.example"`) || string(body) != "a=b|c\n" {
				t.Errorf("%s: got %s%s", name, head, body)
			}
		}
	}
}

// TestBodiesWithinTLS sends two requests at once in two records, of which the second may begin anywhere.
func TestBodiesWithinTLS(t *testing.T) {
	s := secured(t, false, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%q %s", r.Host, body)
	}))
	c, err := tls.Dial("tcp", s.secure, &tls.Config{RootCAs: s.pool, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const body = "\nGET / HTTP/1.1\r\nHost: \xc3\xa9\r\nA=b: c\r\n\r\n"
	message := fmt.Sprintf("PUT /1 HTTP/1.1\r\nHost: \xc3\xa9\r\nContent-Length: %d\r\n\r\n%sPUT /2 HTTP/1.1\nHost: h\nContent-Length: %d\n\n%s", len(body), body, len(body), body)
	answers := bufio.NewReader(c)
	for cut := range message {
		io.WriteString(c, message[:cut])
		io.WriteString(c, message[cut:])
		for _, want := range []string{`"é" ` + body, `"h" ` + body} {
			if head, got := readAnswer(t, answers); got != want {
				t.Fatalf("cut at %d: got %q %q, want %q", cut, head, got, want)
			}
		}
	}
}

// TestCertificatesAreRenewed changes the files under a running server: new connections see the new certificate, those that are
// open go on, and a pair that does not load changes nothing.
func TestCertificatesAreRenewed(t *testing.T) {
	s := secured(t, false, nil, tells)
	served := func() string {
		t.Helper()
		s.listener.cert.looked.Store(0) // a second has passed
		c, err := tls.Dial("tcp", s.secure, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	c := s.client(t)
	before, _ := get(t, c, "https://"+s.secure+"/")
	is := func(want, logged string) {
		t.Helper()
		for range 2 {
			if got := served(); got != want {
				t.Errorf("serves %s, want %s", got, want)
			}
		}
		if log := s.log.String(); strings.Count(log, "\n") != strings.Count(logged, "|") || !holdsAll(log, logged) {
			t.Errorf("logged %swant %s", log, logged)
		}
	}
	is("first", "")
	other := filepath.Join(t.TempDir(), "other")
	writePair(t, "second", s.CertFile, other) // its key has not come yet
	is("first", "does not load|")
	key, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.KeyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	is("second", "does not load|loaded again|")
	if err := os.Remove(s.CertFile); err != nil {
		t.Fatal(err)
	}
	is("second", "does not load|loaded again|no such file|")
	s.pool = writePair(t, "third", s.CertFile, s.KeyFile)
	is("third", "does not load|loaded again|no such file|loaded again|")
	after, _ := get(t, c, "https://"+s.secure+"/") // on the first connection
	if before.TLS.PeerCertificates[0].Subject.CommonName != "first" || after.TLS.PeerCertificates[0].Subject.CommonName != "first" {
		t.Error("the open connection was not used again")
	}
	if resp, _ := get(t, s.client(t), "https://"+s.secure+"/"); resp.TLS.PeerCertificates[0].Subject.CommonName != "third" {
		t.Error("a new client does not get the new certificate")
	}
}

func holdsAll(log, parts string) bool {
	for p := range strings.SplitSeq(strings.TrimSuffix(parts, "|"), "|") {
		if !strings.Contains(log, p) {
			return false
		}
	}
	return true
}

// TestHandshakesThatDoNotCome holds connections open that say nothing, or nonsense: others are served, they are closed in time,
// and stopping does not wait for them.
func TestHandshakesThatDoNotCome(t *testing.T) {
	s := secured(t, false, func(c *Config) { c.ClientTimeout = config.Seconds(1) }, tells)
	var silent []net.Conn
	for i := range 20 {
		c, err := net.Dial("tcp", s.secure)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 1 {
			fmt.Fprint(c, "\x16\x03\x01\x00") // the beginning of a hello
		}
		silent = append(silent, c)
	}
	if _, body := get(t, s.client(t), "https://"+s.secure+"/"); !strings.HasPrefix(body, "HTTP/2.0") {
		t.Error(body)
	}
	for _, c := range silent {
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection that never shakes hands stays open")
		}
	}
	s2 := secured(t, false, nil, tells) // a minute's patience, but stopped at once
	c, err := net.Dial("tcp", s2.secure)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
}

// TestStreamsThatAreNotRead asks for an endless body by HTTP/2 and does not read it, while the connection is in use: the handler
// is let go in time.
func TestStreamsThatAreNotRead(t *testing.T) {
	released := make(chan error, 1)
	s := secured(t, false, func(c *Config) { c.ClientTimeout = config.Seconds(1) }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			_, err := io.Copy(w, neverEnding('x'))
			released <- err
			panic(http.ErrAbortHandler)
		}
		tells(w, r)
	}))
	c := s.client(t)
	resp, err := c.Get("https://" + s.secure + "/endless")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-released:
			if err == nil {
				t.Error("the copy has ended without an error")
			}
			return
		case <-deadline:
			t.Fatal("the handler is still there")
		case <-tick.C:
			get(t, c, "https://"+s.secure+"/") // the connection is alive
		}
	}
}

func TestPortsThatDoNotGoTogether(t *testing.T) {
	for _, tc := range []struct {
		set  func(*Config)
		want string
	}{
		{func(c *Config) { c.HTTPSPort = 8443 }, "https_port: needs cert_file"},
		{func(c *Config) { c.HTTPSPort, c.CertFile, c.KeyFile = 8080, "c", "k" }, "https_port: want a port"},
		{func(c *Config) { c.HTTPSPort, c.CertFile, c.KeyFile = 70000, "c", "k" }, "https_port: want a port"},
		{func(c *Config) { c.HTTPSPort, c.CertFile, c.KeyFile = 8443, "c", "k" }, ""},
	} {
		c := Defaults()
		c.BindPort = 8080
		tc.set(&c)
		err := c.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestAPairThatDoesNotLoad(t *testing.T) {
	others := goleak.IgnoreCurrent()
	c := Defaults()
	c.BindIP, c.CertFile, c.KeyFile = "127.0.0.1", "/nowhere/cert", "/nowhere/key"
	for _, port := range []int{0, freePort(t)} {
		c.HTTPSPort = port
		if _, err := c.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "load TLS certificate /nowhere/cert") {
			t.Errorf("%v", err)
		}
	}
	goleak.VerifyNone(t, others)
}
