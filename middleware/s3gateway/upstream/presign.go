package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/apus-storage/apus/internal/sigv4"
)

// Presign returns a URL of the store's that does what the call says, with any body, for some time, of which there is at
// most a week, and the headers that must be sent with it. It is for clients that are to be sent to the store themselves:
// who has the URL needs no credentials.
func (u *Upstream) Presign(ctx context.Context, c Call, life time.Duration) (string, http.Header, error) {
	k, err := u.keysOf(ctx, c)
	if err != nil {
		return "", nil, err
	}
	if k.bearer != "" {
		return "", nil, &Error{Upstream: u.name, Kind: Credentials, Err: errBearer}
	}
	at, err := u.address(c)
	if err != nil {
		return "", nil, err
	}
	h := clean(c.Header)
	for _, name := range []string{"Accept-Encoding", "User-Agent"} {
		delete(h, name) // they are the other client's own
	}
	r := (&http.Request{Method: c.Method, URL: at, Host: at.Host, Header: h}).WithContext(ctx)
	link, header, err := u.signers.get(k, u.regionOf(c)).Presign(r, min(life, sigv4.MaxExpires), u.clock.Now())
	if err != nil {
		return "", nil, fmt.Errorf("upstream %s: %w", u.name, err)
	}
	return link, header, nil
}

// presign signs a request in its query, for as long as the client's own URL is good.
func (u *Upstream) presign(r *http.Request, c Call, k keys) error {
	now := u.clock.Now()
	link, header, err := u.signers.get(k, u.regionOf(c)).Presign(r, max(min(c.Expires.Sub(now), sigv4.MaxExpires), time.Second), now)
	if err != nil {
		return unsignable(err)
	}
	if r.URL, err = url.Parse(link); err != nil {
		return fmt.Errorf("upstream %s: %w", u.name, err)
	}
	for name := range r.Header {
		if header[name] == nil && len(name) > 6 && name[:6] == "X-Amz-" {
			delete(r.Header, name) // it is in the query now
		}
	}
	return nil
}
