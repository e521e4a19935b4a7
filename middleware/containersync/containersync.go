// Package containersync is the filter that lets other clusters copy containers here:
//
//	[filter.container_sync]
//	allow_full_urls = true
//	current = "//US/DFW"
//
// Operators of clusters agree on a realm and its key in container-sync-realms.conf (package realms). An owner gives a
// container here and one there the same X-Container-Sync-Key, and one of them the other's place as X-Container-Sync-To. The
// cluster that copies signs each request, with both keys, in
//
//	X-Container-Sync-Auth: US NONCE SIGNATURE
//
// The filter checks that, gives the request the time that it comes with, and lets it pass whatever the auth filter would
// say. What is written is stored as it comes: manifests of large objects are not looked into, since their segments may come
// later, nor are the targets of links.
//
// It also refuses to make a container with object versioning the source of copies, and, if it is told to, destinations that
// are not named by realm and cluster. /info shows the realms, so that users know what they may name.
//
// Invariants:
//   - A signature is good for what is in its container. Nothing else is allowed by it, such as the source of a copy.
//   - A client's X-Timestamp counts in signed requests only.
//
// It must stand to the right of gatekeeper, which sets X-Timestamp aside, and to the left of the auth filter and of slo and
// symlink.
package containersync

import (
	"crypto/hmac"
	"encoding/hex"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/realms"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("container_sync", Config{AllowFullURLs: true}, build).Alias("container-sync").
	After("gatekeeper").Before("tempauth", "keystoneauth", "slo", "symlink")

// Config is the section of the filter.
type Config struct {
	// Let X-Container-Sync-To be a URL. Else it must be //realm/cluster/account/container.
	AllowFullURLs bool `toml:"allow_full_urls"`
	// The realm and the name of this cluster in it, //realm/cluster, for /info.
	Current string `toml:"current"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if _, _, ok := c.current(); c.Current != "" && !ok {
		return config.Invalid("current", "must be //realm/cluster, have %q", c.Current)
	}
	return nil
}

func (c *Config) current() (realm, cluster string, ok bool) {
	realm, cluster, _ = strings.Cut(strings.Trim(strings.ToUpper(c.Current), "/"), "/")
	return realm, cluster, realm != "" && cluster != "" && !strings.Contains(cluster, "/")
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	rs, err := realms.Follow(filepath.Join(host.Dir, realms.FileName), realms.FollowOptions{Log: host.Log, Clock: host.Clock})
	if err != nil {
		return middleware.Instance{}, err
	}
	if realm, cluster, ok := c.current(); ok {
		if r, _ := rs.Realm(realm); r.Clusters[cluster] == "" {
			host.Log.Warn("the realms of container sync do not have this cluster", slog.String("current", c.Current))
		}
	}
	versions := host.Cluster.Limits.ValidAPIVersions
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{c, rs, versions, next} },
		Info: map[string]any{"container_sync": func() any { return info(rs, c) }},
	}, nil
}

// info shows the realms that have clusters, without their keys and URLs.
func info(rs *realms.Realms, c Config) map[string]any {
	realm, cluster, _ := c.current()
	shown := map[string]any{}
	for name, r := range rs.All() {
		clusters := map[string]any{}
		for k := range r.Clusters {
			clusters[k] = map[string]any{}
			if name == realm && k == cluster {
				clusters[k] = map[string]any{"current": true}
			}
		}
		if len(clusters) > 0 {
			shown[name] = map[string]any{"clusters": clusters}
		}
	}
	return map[string]any{"realms": shown}
}

const (
	logSource = "CS"

	headerAuth      = "X-Container-Sync-Auth"
	headerTo        = "X-Container-Sync-To"
	headerTimestamp = "X-Timestamp"
	headerInbound   = "X-Backend-Inbound-X-Timestamp"
)

type filter struct {
	config   Config
	realms   *realms.Realms
	versions []string // of the API
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, auth := meta.Value(r.Header, headerTo), meta.Value(r.Header, headerAuth)
	if to != "" || auth != "" {
		if err := f.check(r, to, auth); err != nil {
			reply.Write(w, r, err)
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

// check returns what is to be answered instead of going on.
func (f *filter) check(r *http.Request, to, auth string) error {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	if err != nil || !apipath.ValidVersion(s[0], f.versions) {
		return nil
	}
	p := apipath.Path{Version: s[0], Account: s[1], Container: s[2]}
	writes := r.Method == http.MethodPut || r.Method == http.MethodPost
	if to != "" && writes && (len(s) < 4 || s[3] == "") && f.container(r, p).Sysmeta["versions-container"] != "" {
		return reply.Page(http.StatusBadRequest,
			"Cannot configure container sync on a container with object versioning configured.")
	}
	if to != "" && !f.config.AllowFullURLs && !strings.HasPrefix(to, "//") {
		return reply.Raw(http.StatusBadRequest, "Full URLs are not allowed for X-Container-Sync-To values. "+
			"Only realm values of the format //realm/cluster/account/container are allowed.\n")
	}
	if auth == "" {
		return nil
	}
	state := request.From(r.Context())
	fact := f.verify(r, p, auth)
	state.Log.AddInfo("cs:" + fact)
	if fact != valid {
		text := "X-Container-Sync-Auth header not valid; contact cluster operator for support."
		challenge := "SwiftContainerSync" + strings.TrimPrefix(reply.Challenge(r.URL.Path), "Swift")
		return (&reply.Error{Code: http.StatusUnauthorized, Type: "text/plain", Body: text}).With("Www-Authenticate", challenge)
	}
	if v, ok := r.Header[headerInbound]; ok {
		delete(r.Header, headerInbound)
		r.Header[headerTimestamp] = v
	}
	state.AuthOverride, state.Authorize, state.AsStored = true, within(p), true
	return nil
}

func (f *filter) container(r *http.Request, p apipath.Path) *lookup.Container {
	return lookup.GetContainer(r, lookup.Subrequest{Next: f.next, Source: logSource}, p.Account, p.Container)
}

// valid is the fact in the log about a signature that is.
const valid = "valid"

// verify checks a signature and says, for the log, what came of it.
func (f *filter) verify(r *http.Request, p apipath.Path, auth string) string {
	args := strings.Fields(auth)
	if len(args) != 3 {
		return "not-3-args"
	}
	realm, _ := f.realms.Realm(args[0])
	if realm.Key == "" {
		return "no-local-realm-key"
	}
	userKey := string(f.container(r, p).SyncKey)
	if userKey == "" {
		return "no-local-user-key"
	}
	timestamp := "0"
	for _, name := range []string{headerInbound, headerTimestamp} {
		if _, ok := r.Header[name]; ok {
			timestamp = meta.Value(r.Header, name)
			break
		}
	}
	got, err := hex.DecodeString(args[2])
	if err != nil || args[2] != strings.ToLower(args[2]) {
		return "invalid-sig"
	}
	for _, key := range []string{realm.Key, realm.Key2} {
		if key != "" && hmac.Equal(got, realms.Signature(key, userKey, r.Method, apipath.Quote(r.URL.Path), timestamp, args[1])) {
			return valid
		}
	}
	return "invalid-sig"
}

// within returns a State.Authorize that allows what is in the container.
func within(p apipath.Path) func(*http.Request) error {
	return func(r *http.Request) error {
		var names [4]string
		s, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
		if err == nil && s[1] == p.Account && s[2] == p.Container {
			return nil
		}
		return reply.Status(http.StatusUnauthorized)
	}
}
