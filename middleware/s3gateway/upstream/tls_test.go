package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clientCert writes a certificate of a client's, signed by itself, and its key.
func clientCert(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	pool := x509.NewCertPool()
	pool.AddCert(clientCert(t, dir, "first"))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	c := base(s.URL)
	c.CAFile = caFile(t, s)
	if resp, err := open(t, c, Deps{}).Send(t.Context(), get("k")); err == nil {
		resp.Body.Close()
		t.Error("taken without a certificate")
	}
	c.CertFile, c.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	at := time.Now()
	u := open(t, c, Deps{Clock: clockFunc(func() time.Time { return at })})
	if _, got := send(t, u, get("k")); got != "first" {
		t.Errorf("known as %s", got)
	}
	pool.AddCert(clientCert(t, dir, "second, of another length"))
	at = at.Add(time.Second)
	u.transport.CloseIdleConnections()
	if _, got := send(t, u, get("k")); !strings.HasPrefix(got, "second") {
		t.Errorf("after the files have changed known as %s", got)
	}
	c.KeyFile += ".none"
	if _, err := New("store", c, Deps{}); err == nil {
		t.Error("a key that is not there was taken")
	}
}

func TestTrust(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
		s.EnableHTTP2 = true
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]
		c := base(s.URL)
		c.HTTP2 = h2
		if _, err := open(t, c, Deps{}).Send(t.Context(), get("k")); err == nil || err.(*Error).Kind != TLS {
			t.Errorf("an authority that nobody knows: %v", err)
		}
		for _, edit := range []func(){func() { c.CAFile = caFile(t, s) }, func() { c.CAFile, c.InsecureSkipVerify = "", true }} {
			edit()
			if _, got := send(t, open(t, c, Deps{}), get("k")); got != want {
				t.Errorf("spoke %s, want %s", got, want)
			}
		}
		c.InsecureSkipVerify = false
		for name, text := range map[string]string{"none.pem": "", "no.pem": "no certificate"} {
			c.CAFile = filepath.Join(t.TempDir(), name)
			if text != "" {
				write(t, c.CAFile, text)
			}
			if _, err := New("store", c, Deps{}); err == nil || !strings.Contains(err.Error(), "ca_file") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestAPIKeysNeedTrust has a token endpoint that nobody knows: it gets no API key, though the store need not be known.
func TestAPIKeysNeedTrust(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	c := base(s.URL)
	c.KeyPair, c.Credentials, c.APIKey, c.TokenEndpoint, c.InsecureSkipVerify = KeyPair{}, fromAPIKey, "k", s.URL, true
	_, err := open(t, c, Deps{}).Send(t.Context(), get("k"))
	if e, ok := err.(*Error); !ok || e.Kind != Credentials {
		t.Errorf("got %v", err)
	}
}
