package tempauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
)

// hostVariable stands for scheme and host of the request in a storage URL.
const hostVariable = "$HOST"

var errNoCache = errors.New("no cache in the pipeline")

// A grant is what the cache holds of a token.
type grant struct {
	expires float64 // seconds since 1970
	groups  string  // comma list
}

// MarshalJSON writes the grant as Swift does: a list of the two.
func (g grant) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{cache.Float(g.expires), g.groups})
}

// readGrant returns what the cache holds under key. Whatever is not a grant is none.
func readGrant(ctx context.Context, c cache.Cache, key string) (grant, bool) {
	parts, err := cache.GetShared[[]any](ctx, c, key)
	if err != nil || len(*parts) != 2 {
		return grant{}, false
	}
	expires, okExpires := (*parts)[0].(float64)
	groups, okGroups := (*parts)[1].(string)
	return grant{expires, groups}, okExpires && okGroups && groups != ""
}

func (a *auth) tokenKey(token string) string { return a.prefixes[0] + "/token/" + token }
func (a *auth) userKey(id string) string     { return a.prefixes[0] + "/user/" + id }

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// groups returns the groups that a token stands for, as a comma list, "" if it is not good. The error is the client's answer.
func (a *auth) groups(r *http.Request, state *request.State, token string) (string, error) {
	if state.Cache == nil {
		return "", reply.Status(http.StatusInternalServerError).Because(errNoCache)
	}
	g, ok := readGrant(r.Context(), state.Cache, a.tokenKey(token))
	if !ok || g.expires < seconds(a.clock.Now()) {
		return "", nil // gone and out of reach are one: the client gets a new token
	}
	return g.groups, nil
}

// userGroups are the groups that a token of the user stands for.
func (a *auth) userGroups(id string, u user) []string {
	groups := append([]string{u.account, id}, u.groups...)
	i := slices.Index(groups, accountAdmin)
	if i < 0 {
		return groups
	}
	groups = slices.Delete(groups, i, i+1)
	for _, p := range a.prefixes {
		if p != "" {
			groups = append(groups, p+u.account)
		}
	}
	if account := u.accountID(); !slices.Contains(groups, account) {
		groups = append(groups, account)
	}
	return groups
}

// serveAuth answers what is asked below auth_prefix.
func (a *auth) serveAuth(w http.ResponseWriter, r *http.Request, path string) {
	answer, err := a.answerAuth(r, path)
	if err != nil {
		e := reply.As(err)
		if e.Code >= http.StatusInternalServerError {
			if e.Code == http.StatusInternalServerError {
				a.stats.Increment("errors")
			}
			a.log.ErrorContext(r.Context(), "no token", slog.String("txn", request.From(r.Context()).TransID), slog.Any("err", err))
		}
		answer = e
	}
	reply.Write(w, r, answer)
}

func (a *auth) answerAuth(r *http.Request, path string) (*reply.Error, error) {
	if r.Method != http.MethodGet {
		return nil, reply.Status(http.StatusMethodNotAllowed)
	}
	segments, err := apipath.SplitRest(nil, path, 1, 3)
	if err != nil {
		a.stats.Increment("errors")
		return nil, reply.Status(http.StatusNotFound).Because(err)
	}
	segments = append(segments, "", "")
	var c credentials
	switch {
	case segments[0] == "v1" && segments[2] == "auth":
		c = credentialsOf(r, segments[1])
	case segments[0] == "auth" || segments[0] == "v1.0":
		c = credentialsOf(r, "")
	case segments[0] == "v1":
		return nil, reply.Status(http.StatusBadRequest)
	default:
		a.stats.Increment("errors")
		return nil, reply.Status(http.StatusBadRequest)
	}
	u, ok := a.check(c)
	if !ok {
		a.stats.Increment("token_denied")
		return nil, reply.Status(http.StatusUnauthorized).With("Www-Authenticate", `Swift realm="`+quotable(c.realm)+`"`)
	}
	token, expires, err := a.token(r.Context(), c.account+":"+c.user, u)
	if err != nil {
		return nil, err
	}
	left := strconv.Itoa(int(max(0, math.Floor(expires-seconds(a.clock.Now())))))
	return reply.Raw(http.StatusOK, "").With("X-Auth-Token", token).With("X-Storage-Token", token).
		With("X-Auth-Token-Expires", left).With("X-Storage-Url", a.storageURL(r, u)), nil
}

// quotable returns a name as it may stand between quotes: Swift puts it there as it came, but a quote must not end it.
func quotable(name string) string {
	return strings.NewReplacer(`"`, "%22", `\`, "%5C", "\r", "%0D", "\n", "%0A").Replace(name)
}

// credentials are what a client shows to get a token; without a user they are none.
type credentials struct {
	realm              string // for the challenge
	account, user, key string
}

// credentialsOf reads a client's headers. The account is that of the path, or empty where the path has none.
func credentialsOf(r *http.Request, account string) credentials {
	first := func(a, b string) string {
		if v := r.Header.Get(a); v != "" {
			return v
		}
		return r.Header.Get(b)
	}
	if account == "" {
		id := first("X-Auth-User", "X-Storage-User")
		c := credentials{realm: "unknown", key: first("X-Auth-Key", "X-Storage-Pass")}
		var ok bool
		if c.account, c.user, ok = strings.Cut(id, ":"); ok && c.account != "" {
			c.realm = c.account
		}
		return c
	}
	c := credentials{realm: account, account: account, key: first("X-Storage-Pass", "X-Auth-Key")}
	if c.user = r.Header.Get("X-Storage-User"); c.user == "" {
		of, name, _ := strings.Cut(r.Header.Get("X-Auth-User"), ":")
		if of == account {
			c.user = name
		}
	}
	return c
}

// check finds the user. An unknown one takes as long as a wrong key.
func (a *auth) check(c credentials) (user, bool) {
	u, known := a.users[c.account+":"+c.user]
	want, have := sha256.Sum256([]byte(u.key)), sha256.Sum256([]byte(c.key))
	equal := subtle.ConstantTimeCompare(want[:], have[:]) == 1
	return u, equal && known && c.account != "" && c.user != "" && c.key != ""
}

// token returns the user's token: the one that is out, while it stands for the same groups, else a new one.
func (a *auth) token(ctx context.Context, id string, u user) (token string, expires float64, err error) {
	c := request.From(ctx).Cache
	if c == nil {
		return "", 0, (&reply.Error{
			Code: http.StatusInternalServerError, Type: "text/plain", Body: "Internal server error.\n",
		}).Because(errNoCache)
	}
	groups := a.userGroups(id, u)
	now := a.clock.Now()
	if cache.GetJSON(ctx, c, a.userKey(id), &token) == nil && token != "" {
		old, ok := readGrant(ctx, c, a.tokenKey(token))
		if ok && old.expires > seconds(now) && sameSet(groups, strings.Split(old.groups, ",")) {
			return token, old.expires, nil
		}
	}
	var random [16]byte
	rand.Read(random[:]) // cannot fail
	// Swift's are version 4 UUIDs without hyphens.
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	token = a.prefixes[0] + "tk" + hex.EncodeToString(random[:])
	life := a.config.TokenLife.Duration
	expires = seconds(now.Add(life))
	if err := cache.SetJSON(ctx, c, a.tokenKey(token), grant{expires, strings.Join(groups, ",")}, life); err != nil {
		return "", 0, reply.Status(http.StatusServiceUnavailable).Because(err)
	}
	if err := cache.SetJSON(ctx, c, a.userKey(id), token, life); err != nil {
		return "", 0, reply.Status(http.StatusServiceUnavailable).Because(err)
	}
	return token, expires, nil
}

func sameSet(a, b []string) bool {
	within := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
	}
	return within(a, b) && within(b, a)
}

// storageURL is where the user's account is.
func (a *auth) storageURL(r *http.Request, u user) string {
	scheme, port := "http", ":80"
	if r.TLS != nil {
		scheme, port = "https", ":443"
	}
	url := strings.ReplaceAll(u.url, hostVariable, scheme+"://"+strings.TrimSuffix(r.Host, port))
	if _, rest, ok := strings.Cut(url, ":"); ok && a.config.StorageURLScheme != schemeDefault {
		url = a.config.StorageURLScheme + ":" + rest
	}
	return url
}
