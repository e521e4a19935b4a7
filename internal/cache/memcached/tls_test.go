package memcached

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
)

// selfSigned makes a certificate for 127.0.0.1 and stores it as name.crt and name.key, and both in name.pem.
func selfSigned(t *testing.T, dir, name string) (base string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	base = filepath.Join(dir, name)
	for suffix, data := range map[string][]byte{".crt": crt, ".key": private, ".pem": append(private, crt...)} {
		if err := os.WriteFile(base+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if pair, err = tls.X509KeyPair(crt, private); err != nil {
		t.Fatal(err)
	}
	return base, pair
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	server, pair := selfSigned(t, dir, "server")
	client, clientPair := selfSigned(t, dir, "client")
	clients := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(clientPair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	clients.AddCert(leaf)
	conf := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}

	tests := []struct {
		name   string
		change func(*Config)
		ok     bool
	}{
		{"with certificate and key", func(c *Config) { c.TLSCertFile, c.TLSKeyFile = client+".crt", client+".key" }, true},
		{"with both in one file", func(c *Config) { c.TLSCertFile = client + ".pem" }, true},
		{"without the certificate that the server wants", func(*Config) {}, false},
		{"with a server that nobody vouches for", func(c *Config) {
			c.TLSCAFile, c.TLSCertFile = client+".crt", client+".pem"
		}, false},
		{"without encryption", func(c *Config) { c.TLSEnabled = false }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeTLS(t, conf)
			c := open(t, []string{f.addr()}, func(cfg *Config, _ *Options) {
				cfg.TLSEnabled, cfg.TLSCAFile = true, server+".crt"
				tt.change(cfg)
			})
			err := c.Set(t.Context(), "k", cache.Text("v"), 0)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, cache.ErrUnavailable) {
				t.Errorf("Set: got %v, want success %v", err, tt.ok)
			}
		})
	}
}
