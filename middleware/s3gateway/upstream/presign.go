package upstream

import (
	"context"
	"fmt"
	"net/http"
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
