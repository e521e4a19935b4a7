// Package tempauth is the filter that knows users from the configuration, hands out tokens and decides who may do what:
//
//	[filter.tempauth]
//	reseller_prefix = "AUTH, SERVICE"
//	SERVICE_require_group = "service"
//	token_life = 86400
//	user_admin_admin = "secret .admin .reseller_admin"      # user_ACCOUNT_USER = "key group ... [storage URL]"
//	user_test_tester = "testing .admin"
//	user64_dW5kZXJfc2NvcmU_YV9i = "testing4 .admin"          # the same with names in base64
//	user_swift_glance = "secret service"
//
// A client gets a token with GET /auth/v1.0, its name in X-Auth-User and its key in X-Auth-Key. Tokens are kept in the
// shared cache as OpenStack Swift keeps them, so proxies of both kinds accept each other's.
//
// The filter decides nothing by itself when a request passes: it leaves its decision in State.Authorize, which the proxy
// calls as soon as it knows the container's access list. Only a token that carries its reseller prefix and that nobody
// has handed out is refused at once.
//
// Who may do what, in this order: a .reseller_admin everything; a .reseller_reader every GET and HEAD; an account's .admin
// everything in it but creating and deleting it; a container sync with the container's key what the object takes; anybody
// OPTIONS; and whom the access lists of container and account name.
//
// Invariants: no token, key or signature is ever logged. Keys are compared in constant time, and a wrong key looks the
// same as an unknown user. Whoever is not let in by a rule above is kept out.
//
// It must stand to the right of the cache filter and of filters that decide for themselves (tempurl, formpost,
// container_sync), and to the left of those that make requests in the client's name (copy, slo, dlo, staticweb).
//
// A request that is signed for S3 is that of the user whom its access key names, as account:user, if the signature was
// made with the user's key. Its account is that of the user's storage URL.
//
// Non-goals: changing users at run time, other directories of users, self-contained tokens (fernet_key_ options are
// refused as unknown).
package tempauth

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/acl"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("tempauth", Config{
	ResellerPrefix: config.List{"AUTH"}, AuthPrefix: "/auth/", TokenLife: config.Seconds(86400), AllowOverrides: true,
	StorageURLScheme: schemeDefault,
}, build).
	After("gatekeeper", "memcache", "tempurl", "formpost", "container_sync", "s3api").
	Before("staticweb", "copy", "slo", "dlo", "versioned_writes", "container_quotas", "account_quotas")

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	prefixes := c.prefixes()
	users, err := c.users()
	if err != nil {
		return middleware.Instance{}, err
	}
	if !slices.Contains(host.Pipeline, "memcache") {
		host.Log.Warn("no cache filter to the left: no token can be kept, so none is handed out or accepted")
	}
	a := &auth{
		config: c, authPrefix: c.authPrefix(), prefixes: prefixes, required: c.requiredGroups(prefixes), users: users,
		clock: host.Clock, log: host.Log, stats: host.Stats.WithPrefix("tempauth." + statsName(prefixes[0])),
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler {
			f := *a
			f.next = next
			f.decide = f.authorize
			return &f
		},
		Info: map[string]any{"tempauth": map[string]any{"account_acls": true}},
	}, nil
}

func statsName(prefix string) string {
	if prefix == "" {
		return "NONE"
	}
	return prefix
}

// source is the filter's code in the log.
const source = "TA"

// auth is the filter. It does not change.
type auth struct {
	config     Config
	authPrefix string
	prefixes   []string          // of accounts, with their underscore; the first is that of tokens
	required   map[string]string // prefix -> group that members of an account need as well, if any
	users      map[string]user   // by account:user
	clock      clock.Clock
	log        *slog.Logger
	stats      *statsd.Client
	next       http.Handler
	decide     func(*http.Request) error // authorize: made once, since each request is given it
}

func (a *auth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := request.From(r.Context())
	if a.config.AllowOverrides && state.AuthOverride {
		a.next.ServeHTTP(w, r)
		return
	}
	if state.S3 != nil {
		a.serveS3(w, r, state)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, a.authPrefix); ok {
		a.serveAuth(w, r, "/"+rest)
		return
	}
	if err := a.identify(r, state); err != nil {
		reply.Write(w, r, err)
		return
	}
	a.next.ServeHTTP(w, r)
}

// identify finds out who asks and leaves in state who is to decide. An error is the answer to the client.
func (a *auth) identify(r *http.Request, state *request.State) error {
	token := clientToken(r)
	if token == "" || !strings.HasPrefix(token, a.prefixes[0]) {
		a.anonymous(r, state)
		return nil
	}
	groups, err := a.groups(r, state, token)
	if err != nil {
		return err
	}
	if groups == "" {
		if a.prefixes[0] != "" {
			a.stats.Increment("unauthorized")
			return reply.Status(http.StatusUnauthorized)
		}
		// Without a prefix the token may be some other auth filter's: that one's decision stands.
		if state.Authorize == nil {
			state.Authorize = a.deny
		}
		return nil
	}
	if service := r.Header.Get("X-Service-Token"); service != "" {
		more, err := a.groups(r, state, service)
		if err != nil {
			return err
		}
		if more != "" {
			groups += "," + more
		}
	}
	a.accept(state, groups)
	if a.log.Enabled(r.Context(), slog.LevelDebug) {
		a.log.LogAttrs(r.Context(), slog.LevelDebug, "token accepted",
			slog.String("txn", state.TransID), slog.String("user", userName(state.Groups())))
	}
	return nil
}

// accept makes the request that of a user with these groups.
func (a *auth) accept(state *request.State, groups string) {
	state.User = groups
	state.Reseller = hasGroup(groups, resellerAdmin)
	state.Authorize, state.CleanACL = a.decide, cleanACL
}

// anonymous leaves the decision to this filter where it is in charge, and to another one where there is one.
func (a *auth) anonymous(r *http.Request, state *request.State) {
	prefix, mine := a.accountPrefix(accountOf(r.URL.Path))
	switch {
	case mine && prefix != "":
		state.Authorize, state.CleanACL = a.decide, cleanACL
	case state.Authorize != nil:
	case a.prefixes[0] == "":
		state.Authorize, state.CleanACL = a.decide, cleanACL
	default:
		state.Authorize = a.deny
	}
}

// clientToken is the token that counts: X-Storage-Token does only where X-Auth-Token is absent.
func clientToken(r *http.Request) string {
	if v, ok := r.Header["X-Auth-Token"]; ok {
		return v[0]
	}
	return r.Header.Get("X-Storage-Token")
}

func accountOf(path string) string {
	var names [3]string
	segments, err := apipath.SplitRest(names[:0], path, 1, 3)
	if err != nil || len(segments) < 2 {
		return ""
	}
	return segments[1]
}

// accountPrefix returns the reseller prefix of an account. The empty prefix is everybody's, after all others.
func (a *auth) accountPrefix(account string) (prefix string, mine bool) {
	if account == "" {
		return "", false
	}
	for _, p := range a.prefixes {
		if p != "" && strings.HasPrefix(account, p) {
			return p, true
		}
	}
	return "", slices.Contains(a.prefixes, "")
}

// hasGroup says whether a comma list has the group.
func hasGroup(groups, group string) bool {
	for groups != "" {
		var g string
		if g, groups, _ = strings.Cut(groups, ","); g == group {
			return true
		}
	}
	return false
}

// userName is what may be logged of a user: its second group, account:user. It is empty for nobody.
func userName(groups []string) string {
	switch len(groups) {
	case 0:
		return ""
	case 1:
		return groups[0]
	}
	return groups[1]
}

// cleanACL is State.CleanACL.
func cleanACL(header, value string) (string, error) {
	clean, err := acl.Clean(header, value)
	if e, ok := errors.AsType[*acl.SyntaxError](err); ok {
		return "", &aclError{e}
	}
	return clean, err
}

// aclError is a bad access list: its text is the client's, and it holds the answer.
type aclError struct{ syntax *acl.SyntaxError }

func (e *aclError) Error() string { return e.syntax.Text() }

func (e *aclError) Unwrap() error {
	return reply.Raw(http.StatusBadRequest, e.syntax.Text()).Because(e.syntax)
}
