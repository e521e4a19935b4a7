// Package webhook makes callable.Functions of a URL. Each call is a POST of a JSON object with the name of the function and its
// arguments:
//
//	{"call": "secret", "access_key": "AKALICE"}
//	{"call": "credentials", "token": "AKALICE", "bucket": "photos"}
//	{"call": "authorize", "token": "AKALICE", "bucket": "photos", "method": "GET", "path": "2026/a.jpg"}
//
// The answer is 200 with JSON, as a function in Starlark would return it:
//
//	secret       "the secret"
//	credentials  {"access_key": ..., "secret_key": ..., "session_token": ...} or {"api_key": ...} or {"bearer": ...}, each with "expires"
//	             (seconds since 1970, or text as of RFC 3339) if they end
//	authorize    true, false, or {"allow": true, "prefix": "2026/"} for all paths that begin with the prefix (see callable.HoldsFor)
//
// 404, or null, says that the token is unknown: that is no for authorize. All else is a failure.
//
// Invariants:
//
//   - A call ends within Config.Timeout, and reads at most 64 KiB.
//   - Nothing is sent anywhere but to the URL: redirects are failures, and no proxy is asked.
//   - What is asked is what is meant: arguments that JSON cannot hold as they are (not UTF-8) are not sent in another form but fail.
//   - Errors hold neither arguments nor answers.
//
// A question changes nothing: one that is lost with a connection that the other side has closed is asked again.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// Config says where to ask.
type Config struct {
	// URL to post to, http or https.
	URL string
	// BearerFile or BearerEnv holds a secret that goes along as "Authorization: Bearer". The file is read at each call.
	BearerFile, BearerEnv string
	// CAFile has the certificates that the other side's is checked with, in PEM, instead of the system's.
	CAFile string
	// Functions that are there: secret, credentials, authorize.
	Functions []string
	// Timeout of a call. Zero: DefaultTimeout.
	Timeout time.Duration
}

// DefaultTimeout is how long a call may take if nothing else is said.
const DefaultTimeout = 5 * time.Second

const (
	maxAnswer = 64 << 10
	maxBearer = 16 << 10
)

// A Webhook asks a URL. Create one with New.
type Webhook struct {
	Config
	host   string
	client *http.Client
}

// New checks the configuration. It does not ask yet.
func New(c Config) (*Webhook, error) {
	if err := callable.CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	u, _ := url.Parse(c.URL)
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("webhook: %s has no certificate in PEM", c.CAFile)
		}
	}
	w := &Webhook{Config: c, host: u.Host}
	w.client = &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: t, ForceAttemptHTTP2: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout,
		},
	}
	_, err := w.bearer()
	return w, err
}

// Close closes the connections that no call is on.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }

// Functions returns those that Config names.
func (w *Webhook) Functions() callable.Functions {
	var f callable.Functions
	if slices.Contains(w.Config.Functions, "secret") {
		f.Secret = w.secret
	}
	if slices.Contains(w.Config.Functions, "credentials") {
		f.Credentials = w.credentials
	}
	if slices.Contains(w.Config.Functions, "authorize") {
		f.Authorize = w.authorize
	}
	return f
}

func (w *Webhook) secret(ctx context.Context, accessKey string) (string, error) {
	data, err := w.ask(ctx, question{Call: "secret", AccessKey: &accessKey})
	if err != nil {
		return "", err
	}
	s, err := toSecret(data)
	return s, w.fault("secret", err)
}

func (w *Webhook) credentials(ctx context.Context, token, bucket string) (callable.Credentials, error) {
	data, err := w.ask(ctx, question{Call: "credentials", Token: &token, Bucket: &bucket})
	if err != nil {
		return callable.Credentials{}, err
	}
	c, err := toCredentials(data)
	return c, w.fault("credentials", err)
}

func (w *Webhook) authorize(ctx context.Context, token, bucket, method, path string) (bool, error) {
	data, err := w.ask(ctx, question{Call: "authorize", Token: &token, Bucket: &bucket, Method: &method, Path: &path})
	if err != nil {
		return false, err
	}
	yes, prefix, err := toDecision(data, path)
	if err != nil {
		return false, w.fault("authorize", err)
	}
	if prefix != nil {
		callable.HoldsFor(ctx, *prefix)
	}
	return yes, nil
}

type question struct {
	Call      string  `json:"call"`
	AccessKey *string `json:"access_key,omitempty"`
	Token     *string `json:"token,omitempty"`
	Bucket    *string `json:"bucket,omitempty"`
	Method    *string `json:"method,omitempty"`
	Path      *string `json:"path,omitempty"`
}

// ask posts a question and returns the answer's body.
func (w *Webhook) ask(ctx context.Context, q question) ([]byte, error) {
	for _, s := range []*string{q.AccessKey, q.Token, q.Bucket, q.Method, q.Path} {
		if s != nil && !utf8.ValidString(*s) {
			return nil, w.fault(q.Call, errors.New("cannot be asked about a name that is not UTF-8"))
		}
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, w.fault(q.Call, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return nil, w.fault(q.Call, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header["Idempotency-Key"] = nil // not sent: tells the transport that it may ask again
	if bearer, err := w.bearer(); err != nil {
		return nil, err
	} else if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return nil, w.fault(q.Call, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, w.fault(q.Call, err)
	case resp.StatusCode == http.StatusNotFound:
		return nil, callable.ErrUnknown
	case resp.StatusCode != http.StatusOK:
		return nil, w.fault(q.Call, fmt.Errorf("answered %d", resp.StatusCode))
	case len(data) > maxAnswer:
		return nil, w.fault(q.Call, fmt.Errorf("answered more than %d bytes", maxAnswer))
	}
	return data, nil
}

// fault says where an error has come from. It leaves out the URL, whose query may hold a secret.
func (w *Webhook) fault(call string, err error) error {
	if err == nil || err == callable.ErrUnknown {
		return err
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		timeout := u.Timeout()
		if err = u.Err; timeout && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%w: %w", callable.ErrTimeout, err)
		}
	} else if t, ok := err.(net.Error); ok && t.Timeout() {
		err = fmt.Errorf("%w: %w", callable.ErrTimeout, err)
	}
	return fmt.Errorf("webhook at %s, %s: %w", w.host, call, err)
}

// bearer returns the secret that goes along, "" if there is none.
func (w *Webhook) bearer() (string, error) {
	var s string
	switch {
	case w.BearerFile != "":
		f, err := os.Open(w.BearerFile)
		if err != nil {
			return "", fmt.Errorf("webhook: %w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxBearer))
		if err != nil {
			return "", fmt.Errorf("webhook: %w", err)
		}
		if s = strings.TrimSpace(string(data)); s == "" {
			return "", fmt.Errorf("webhook: %s is empty", w.BearerFile)
		}
	case w.BearerEnv != "":
		if s = os.Getenv(w.BearerEnv); s == "" {
			return "", fmt.Errorf("webhook: the environment has no %s", w.BearerEnv)
		}
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("webhook: the bearer secret is not one line of text")
	}
	return s, nil
}
