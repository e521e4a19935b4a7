package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/secret"
)

const (
	keepAlive  = 30 * time.Second
	pingAfter  = 15 * time.Second
	maxHead    = 256 << 10
	bufferSize = 16 << 10
)

// newTransport makes the connections' owner. Redirects are never followed, proxies never used, and bodies never unpacked.
func newTransport(c *Config, deps Deps, config *tls.Config) *http.Transport {
	dial := deps.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: c.ConnectTimeout.Duration, KeepAlive: keepAlive}).DialContext
	}
	timed := func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, stop := context.WithTimeout(ctx, c.ConnectTimeout.Duration)
		defer stop()
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, closed: make(chan struct{})}, nil
	}
	t := &http.Transport{
		DialContext:            timed,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    c.ConnectTimeout.Duration,
		ResponseHeaderTimeout:  c.ResponseTimeout.Duration,
		ExpectContinueTimeout:  c.ExpectTimeout.Duration,
		IdleConnTimeout:        c.IdleTimeout.Duration,
		MaxIdleConns:           c.MaxIdle,
		MaxIdleConnsPerHost:    c.MaxIdle,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		ReadBufferSize:         bufferSize,
		WriteBufferSize:        bufferSize,
		Protocols:              new(http.Protocols),
	}
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter, WriteByteTimeout: c.StallTimeout.Duration}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(c.HTTP2)
	return t
}

// newPlain makes the owner of connections over which objects are read without TLS. It asks and reads in the goroutine of who asks, which
// is what counts for a small object; see docs/decisions/node-transport.md. It bounds what is idle by address, so it is not for a store
// whose buckets have an address each.
func newPlain(c *Config, deps Deps) *nodes.TCP {
	if deps.Dial != nil || c.Addressing == addressVirtual {
		return nil
	}
	return nodes.NewTCP(nodes.TCPOptions{ConnTimeout: c.ConnectTimeout.Duration, IdlePerNode: c.MaxIdle, IdleTimeout: c.IdleTimeout.Duration})
}

// isPlain says whether a request is for that owner: all that net/http would do with it beside sending it would be to do it again.
func (u *Upstream) isPlain(r *http.Request) bool {
	return u.plain != nil && r.URL.Scheme == "http" && (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength == 0
}

// trust makes the TLS configuration without what is for the store alone.
func trust(c *Config) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool()
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file: there is no certificate in it")
	}
	return config, nil
}

// present adds the client's certificate and what is for the store alone.
func present(c *Config, deps Deps, config *tls.Config) (*tls.Config, error) {
	config = config.Clone()
	config.InsecureSkipVerify = c.InsecureSkipVerify
	if c.CertFile == "" {
		return config, nil
	}
	load := func([]byte) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		return &pair, err
	}
	// The key is written before or after the certificate; a pair that does not fit is tried again a second later.
	cert := &secret.File[*tls.Certificate]{Path: c.CertFile, Parse: load, Clock: deps.Clock, Keep: true, Log: deps.Log}
	if _, err := cert.Get(); err != nil {
		return nil, fmt.Errorf("cert_file: %w", err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert.Get() }
	return config, nil
}
