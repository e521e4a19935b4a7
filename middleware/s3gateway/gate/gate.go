// Package gate is who may pass the S3 gateway: it knows the identities that clients have here, checks who has signed a
// request and everything that was signed, and says what an identity may do.
//
//	[filter.s3gateway.identity.alice]
//	access_key = "AKALICE"
//	secret_file = "/etc/apus/alice.secret"
//	rights = ["read", "list"]
//	buckets = ["photos-*"]
//	prefixes = ["2026/"]
//	expires = "2027-01-01T00:00:00Z"
//
// One request's way:
//
//	claim, err := g.Claim(r, target)          // who it says it is from; nothing is proved
//	way := table.Find(claim.Operation.Way(), r.Method, claim.Identity.Name)
//	caller, err := claim.Admit(gate.Options{AllowV2: way.AllowV2, SkipSignature: way.Skip})
//	err = caller.Authorize(ctx)               // also of a copy's source
//	payload, err := caller.Body(r)            // decoded, and checked as it is read
//
// Invariants:
//
//   - Nothing that a client sends switches a check off. Skew and expiry are enforced for whatever has a date, on every route.
//   - A request that could be read in two ways is refused: one with two signatures, with a parameter twice (in any case of
//     letters), or with a known parameter in another case.
//   - What an identity may not do is refused before a byte of the body is read, but for the fields of a form (PostObject), which have a
//     bounded size and say who asks, for what. What only the body can tell is checked while
//     it streams: its last byte and io.EOF come only after everything that the client signed or said of it was found right.
//   - An identity with prefixes does nothing to a bucket itself, lists only within them, and has the keys of a request that deletes
//     many objects looked at. Keys with segments of dots are outside of every prefix.
//   - Secrets reach no error and no log.
//
// Non-goals: temporary credentials are refused. The answer is the caller's to make: errors are those of packages awserr and s3err,
// and s3err.From knows their status.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// Deps are what a gate needs of the rest of the gateway.
type Deps struct {
	Region string        // that clients must sign for; empty for any
	Skew   time.Duration // how far a client's clock may be off; 0 is 15 minutes
	Clock  clock.Clock
	Log    *slog.Logger
}

// A Gate knows the identities. It is for many goroutines.
type Gate struct {
	deps      Deps
	keys      *sigv4.Keys
	known     map[string]*holder // by access key
	others    []*holder          // who have keys that are not in the configuration, in order of the identities' names
	anonymous *Identity          // nil if there is none
}

// A holder is an identity, and where its secrets are.
type holder struct {
	identity *Identity
	secrets  secrets
}

// derivedKeys are how many keys of version 4 are remembered: one per access key and day.
const derivedKeys = 4096

// New makes a gate of the identities of the configuration, of which no two have one access key, and one at most is anonymous. The functions are those that identities name as callable.
func New(configs map[string]Config, functions map[string]callable.Functions, d Deps) (*Gate, error) {
	if d.Clock == nil {
		d.Clock = clock.System
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gate{deps: d, keys: sigv4.NewKeys(derivedKeys), known: make(map[string]*holder)}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		if err := g.add(name, configs[name], functions); err != nil {
			errs = append(errs, fmt.Errorf("identity %s: %w", name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Gate) add(name string, c Config, functions map[string]callable.Functions) error {
	if err := c.Validate(); err != nil {
		return err
	}
	id, err := newIdentity(name, c, functions)
	if err != nil {
		return err
	}
	if c.Anonymous {
		g.anonymous = id
		return nil
	}
	s, err := newSecrets(c, functions, g.deps)
	if err != nil {
		return err
	}
	h := &holder{id, s}
	if c.AccessKey == "" {
		g.others = append(g.others, h)
		return nil
	}
	g.known[c.AccessKey] = h
	return nil
}

// Anonymous says whether requests without a signature are somebody's.
func (g *Gate) Anonymous() bool { return g.anonymous != nil }

// find returns whose access key it is, and its secret.
func (g *Gate) find(ctx context.Context, accessKey string) (*Identity, string, error) {
	if h, ok := g.known[accessKey]; ok {
		secret, err := h.secrets.secret(ctx, accessKey)
		return h.identity, secret, lookupError(err, accessKey)
	}
	for _, h := range g.others {
		secret, err := h.secrets.secret(ctx, accessKey)
		if errors.Is(err, callable.ErrUnknown) {
			continue
		}
		return h.identity, secret, lookupError(err, accessKey)
	}
	return nil, "", lookupError(callable.ErrUnknown, accessKey)
}

func lookupError(err error, accessKey string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, callable.ErrUnknown):
		return s3err.InvalidAccessKeyID.With("AWSAccessKeyId", accessKey)
	case errors.Is(err, context.Canceled):
		return err
	}
	// The client did nothing wrong, and may try again.
	return s3err.ServiceUnavailable.With().Because(fmt.Errorf("look up the secret of a client's key: %w", err))
}

// Admit is Claim and Claim.Admit in one, for whoever has the same options for everybody.
func (g *Gate) Admit(r *http.Request, t route.Target, o Options) (*Caller, error) {
	claim, err := g.Claim(r, t)
	if err != nil {
		return nil, err
	}
	return claim.Admit(o)
}
