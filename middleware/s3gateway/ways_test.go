package s3gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// domain is where buckets are addressed by host: of the stores' configuration.
const domain = "s3.example.net"

// resolveHere has all names of hosts be this machine's, until the test is over. It must be called before what uses them is started.
func resolveHere(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			for answerName(there) == nil {
			}
		}()
		return here, nil
	}}
}

// answerName answers one question for an address, over a stream (RFC 1035, 4.1 and 4.2.2).
func answerName(conn net.Conn) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	q := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, q); err != nil {
		return err
	}
	end := 12 // of the question, behind the head
	for q[end] != 0 {
		end += 1 + int(q[end])
	}
	end += 5
	a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
	if binary.BigEndian.Uint16(q[end-4:]) == 1 { // A
		a[7] = 1
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
	return err
}

// An authority is a certificate that says it is its own authority.
type authority struct {
	tls  tls.Certificate
	pool *x509.CertPool
	file string
}

// newAuthority makes a certificate for this machine and the domain.
func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{domain, "*." + domain}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c := authority{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, x509.NewCertPool(), filepath.Join(t.TempDir(), "ca.pem")}
	c.pool.AppendCertsFromPEM(text)
	if err := os.WriteFile(c.file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

// serve serves a handler by TLS too, and returns its port.
func (c authority) serve(t *testing.T, h http.Handler) (port string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS, s.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{c.tls}}, true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // health checks that end with the test
	s.StartTLS()
	t.Cleanup(s.Close)
	return portOf(s.URL)
}

// transport is for clients who trust the certificate.
func (c authority) transport(t *testing.T, http2 bool) http.RoundTripper {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.pool}, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetHTTP2(http2)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }
