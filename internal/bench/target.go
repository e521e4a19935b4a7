package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ErrAuth is wrapped when an endpoint does not give a token.
var ErrAuth = errors.New("authentication failed")

// A Target is an account to drive.
type Target struct {
	// StorageURL is the account's URL, such as http://host/v1/AUTH_test; with S3, the endpoint's, such as http://host.
	StorageURL string
	// Token goes into X-Auth-Token; empty sends none.
	Token string
	// S3, if set, has it driven by the S3 API.
	S3 *S3
}

// Credentials are what version 1 authentication takes.
type Credentials struct {
	URL, User, Key string
}

// Authenticate gets a storage URL and token with Swift's version 1 authentication. Errors wrap [ErrAuth] when the server
// answered and did not give them; the key is in no error.
func Authenticate(ctx context.Context, rt http.RoundTripper, c Credentials) (Target, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return Target{}, fmt.Errorf("authenticate %s: %w: %w", c.User, ErrInvalid, err)
	}
	req.Header.Set("X-Auth-User", c.User)
	req.Header.Set("X-Auth-Key", c.Key)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return Target{}, fmt.Errorf("authenticate %s at %s: %w", c.User, c.URL, err)
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10)
	t := Target{StorageURL: resp.Header.Get("X-Storage-Url"), Token: resp.Header.Get("X-Auth-Token")}
	if resp.StatusCode/100 != 2 || t.StorageURL == "" || t.Token == "" {
		return Target{}, fmt.Errorf("authenticate %s at %s: %w: %s", c.User, c.URL, ErrAuth, resp.Status)
	}
	return t, nil
}

// api makes the API that it is driven by.
func (t Target) api(r *Runner) (api, error) {
	if t.S3 != nil {
		return newS3(r, t)
	}
	return newSwift(r, t)
}

// payload is how bodies are sent, empty for Swift.
func (t Target) payload() string {
	if t.S3 == nil {
		return ""
	}
	return string(t.S3.Payload)
}

// base checks the storage URL and returns it without a final slash.
func (t Target) base() (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(t.StorageURL, "/"))
	if err != nil {
		return nil, fmt.Errorf("%w: storage url: %w", ErrInvalid, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(u.Path) < 2 || u.RawQuery != "" {
		return nil, fmt.Errorf("%w: storage url %q is not like http://host/v1/AUTH_account", ErrInvalid, t.StorageURL)
	}
	return u, nil
}

// NewTransport is a transport for that many connections that stay open: no proxies, no HTTP/2, no compression, and
// buffers that carry a large object in few system calls.
func NewTransport(connections int) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: connections,
		DisableCompression:  true,
		WriteBufferSize:     128 << 10,
		ReadBufferSize:      64 << 10,
	}
}
