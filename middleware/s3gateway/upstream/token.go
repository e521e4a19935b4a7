package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	grantType   = "urn:ibm:params:oauth:grant-type:apikey"
	tokenTime   = 10 * time.Second // for one exchange
	maxAnswer   = 64 << 10
	maxTokens   = 1024
	renewShare  = 5               // a token is renewed when a fifth of its life is left,
	renewLatest = 5 * time.Minute // or this, if that is less
	tokenMargin = 5 * time.Second // a token is not used any more so long before its end
)

// bearers are the tokens that API keys have been exchanged for.
type bearers struct {
	mu  sync.Mutex // guards all, and what is in it
	all map[string]*bearer
	// wait is for exchanges that nobody waits for.
	wait sync.WaitGroup
}

type bearer struct {
	token        string
	renew, until time.Time
	flight       *flight // an exchange on its way
}

// flight is one exchange, which any number of requests wait for.
type flight struct {
	done  chan struct{}
	token string
	err   error
}

// exchange returns a bearer token for an API key. While a token that ends soon is renewed it goes on being used; of several
// requests that need a new one, one exchange is made. It does not end with the request that began it, but in bounded time.
func (u *Upstream) exchange(ctx context.Context, apiKey string) (keys, error) {
	b := &u.bearers
	b.mu.Lock()
	now := u.clock.Now()
	have := b.all[apiKey]
	if have == nil {
		have = b.add(apiKey, now)
	}
	if have.flight == nil && !now.Before(have.renew) {
		if u.ctx.Err() != nil {
			b.mu.Unlock()
			return keys{}, errClosed
		}
		have.flight = &flight{done: make(chan struct{})}
		b.wait.Add(1)
		go u.renew(apiKey, have, have.flight)
	}
	token, f := have.token, have.flight
	usable := token != "" && now.Before(have.until)
	b.mu.Unlock()
	if usable {
		return keys{bearer: token, exchanged: apiKey}, nil
	}
	select {
	case <-f.done:
		return keys{bearer: f.token, exchanged: apiKey}, f.err
	case <-ctx.Done():
		return keys{}, ctx.Err()
	}
}

// add makes room for a key's token. The caller holds the lock.
func (b *bearers) add(apiKey string, now time.Time) *bearer {
	if len(b.all) >= maxTokens {
		for k, have := range b.all {
			if have.flight == nil && (!now.Before(have.until) || len(b.all) >= maxTokens) {
				delete(b.all, k)
			}
		}
	}
	if b.all == nil {
		b.all = make(map[string]*bearer)
	}
	made := &bearer{}
	b.all[apiKey] = made
	return made
}

// forget drops a token that the store does not take.
func (b *bearers) forget(k keys) {
	if k.exchanged == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.all[k.exchanged]; have != nil && have.token == k.bearer {
		*have = bearer{flight: have.flight}
	}
}

// retryExchange is how long after a failure the next exchange is tried while there is a token still.
const retryExchange = 10 * time.Second

func (u *Upstream) renew(apiKey string, have *bearer, f *flight) {
	defer u.bearers.wait.Done()
	ctx, stop := context.WithTimeout(u.ctx, tokenTime)
	defer stop()
	asked := u.clock.Now()
	token, until, err := u.fetchToken(ctx, apiKey, asked)
	u.bearers.mu.Lock()
	have.flight = nil
	if err == nil {
		life := until.Sub(asked)
		have.token, have.until = token, until.Add(-tokenMargin)
		have.renew = until.Add(-max(min(life/renewShare, renewLatest), tokenMargin))
	} else {
		have.renew = time.Time{}
		if have.token != "" {
			have.renew = u.clock.Now().Add(retryExchange)
			if have.renew.After(have.until) {
				have.renew = have.until
			}
		}
		u.log.Warn("no bearer token for an API key", "err", err)
	}
	u.bearers.mu.Unlock()
	f.token, f.err = token, err
	close(f.done)
}

// fetchToken asks for a token. Its errors hold nothing of what is answered: it might repeat the key.
func (u *Upstream) fetchToken(ctx context.Context, apiKey string, now time.Time) (string, time.Time, error) {
	form := url.Values{"grant_type": {grantType}, "apikey": {apiKey}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.config.TokenEndpoint, strings.NewReader(form))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("ask for a token: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, err := u.tokens.RoundTrip(r)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("ask for a token: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read a token: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", time.Time{}, fmt.Errorf("ask for a token: %s answers %d", r.URL.Host, resp.StatusCode)
	}
	return parseToken(body, now)
}

var errToken = errors.New("read a token: the answer has no access_token, or no time that it is good for")

// parseToken reads the answer to an exchange.
func parseToken(body []byte, now time.Time) (string, time.Time, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
		Expiration  float64 `json:"expiration"`
	}
	if len(body) > maxAnswer || json.Unmarshal(body, &answer) != nil {
		return "", time.Time{}, errToken
	}
	for i := range len(answer.AccessToken) {
		if c := answer.AccessToken[i]; c <= ' ' || c > '~' {
			return "", time.Time{}, errToken
		}
	}
	const longest = 365 * 24 * 3600
	var until time.Time
	switch {
	case answer.ExpiresIn > 0:
		until = now.Add(time.Duration(min(answer.ExpiresIn, longest) * float64(time.Second)))
	case answer.Expiration > 0:
		until = time.Unix(int64(min(answer.Expiration, float64(now.Unix())+longest)), 0)
	}
	if answer.AccessToken == "" || !until.After(now) {
		return "", time.Time{}, errToken
	}
	return answer.AccessToken, until, nil
}
