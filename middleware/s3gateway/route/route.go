// Package route says which of the S3 gateway's routes a request takes: by bucket, key, method and identity, in the order
// in which the operator wrote them.
//
//	[[filter.s3gateway.route]]
//	name = "photos"
//	bucket = ["photos-*", "pictures"]    # globs; "*" is every bucket, and requests that name none
//	prefix = "2026/"                     # keys that begin so
//	methods = ["GET", "HEAD"]            # none: all
//	identities = ["alice"]               # none: all
//	upstreams = ["cos", "ceph"]
//	policy = "failover"
//
// Invariants:
//
//   - The first route that matches counts; there is no other order.
//   - A key whose dots an eager server might resolve (a/../b) takes a route with a prefix only if it does both as it is
//     written and as it would be resolved; if only one of the two fits, it takes no route at all.
//   - What a request is about comes from its Host and its path, which are signed. Forwarded hosts are not looked at.
//
// A route is where a request goes, it is no permission: rights are identities', see package gate. A request that deletes many
// objects names its keys in the body, so it is routed as one about the bucket.
package route

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/config"
)

// A Policy says which of a route's upstreams is asked.
type Policy string

// The policies.
const (
	Failover   Policy = "failover"    // the first that is healthy
	RoundRobin Policy = "round_robin" // each in turn
	Mirror     Policy = "mirror"      // the first; what it does not have is fetched from the others and kept
)

var policies = []Policy{Failover, RoundRobin, Mirror}

// Config is a route as the operator writes it.
type Config struct {
	// Name of the route, for logs and metrics. Empty: its first bucket.
	Name string `toml:"name"`
	// Buckets that take the route: names, or globs with *, ? and [a-z]. "*" also takes requests that name no bucket.
	Bucket config.List `toml:"bucket"`
	// What keys must begin with to take the route. With it, the route takes no requests about the bucket itself, but for
	// listings of what begins so.
	Prefix string `toml:"prefix"`
	// Methods that take the route. Empty: all.
	Methods config.List `toml:"methods"`
	// Names of the identities whose requests take the route. Empty: all.
	Identities config.List `toml:"identities"`
	// Names of the upstreams that the route leads to.
	Upstreams config.List `toml:"upstreams"`
	// Which upstream is asked: failover, round_robin, or mirror.
	Policy string `toml:"policy"`
	// The bucket's name at the upstreams, if it is another there. The route must then be for one bucket.
	UpstreamBucket string `toml:"upstream_bucket"`
	// Take signatures of version 2, which protect less.
	AllowV2 bool `toml:"allow_v2"`
	// For development only: do not compare signatures, so that whoever knows an access key is its identity.
	SkipSignatureValidation bool `toml:"skip_signature_validation"`
}

// SetDefaults sets what the operator need not write.
func (c *Config) SetDefaults() { c.Policy = string(Failover) }

// Validate finds values that cannot be meant.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, problem string, args ...any) { errs = append(errs, config.Invalid(key, problem, args...)) }
	if len(c.Bucket) == 0 {
		bad("bucket", `names no bucket; want names or globs, such as ["photos-*"]`)
	}
	for _, pattern := range c.Bucket {
		if _, err := CompileGlob(pattern); err != nil {
			bad("bucket", "%v", err)
		}
	}
	if len(c.Upstreams) == 0 {
		bad("upstreams", "names no upstream, so the route leads nowhere")
	}
	for i, u := range c.Upstreams {
		if slices.Contains(c.Upstreams[:i], u) {
			bad("upstreams", "names %q twice", u)
		}
	}
	for _, m := range c.Methods {
		if m == "" || m != strings.ToUpper(m) || strings.ContainsAny(m, " \t/") {
			bad("methods", "%q is no method; want upper case, such as GET", m)
		}
	}
	if c.Policy != "" && !slices.Contains(policies, Policy(c.Policy)) {
		bad("policy", "have %q; want one of %q", c.Policy, policies)
	}
	if Policy(c.Policy) == Mirror && len(c.Upstreams) == 1 {
		bad("policy", "a mirror needs at least two upstreams: the new one, and where to fetch from")
	}
	if dots(c.Prefix) {
		bad("prefix", "%q has a segment of dots alone", c.Prefix)
	}
	if c.UpstreamBucket != "" {
		if len(c.Bucket) != 1 || strings.ContainsAny(c.Bucket[0], `*?[\`) {
			bad("upstream_bucket", "gives one bucket another name, so bucket must be one name without wildcards")
		}
		if checkBucket(c.UpstreamBucket) != nil {
			bad("upstream_bucket", "%q is no name of a bucket", c.UpstreamBucket)
		}
	}
	return errors.Join(errs...)
}

// A Route is one of the table's.
type Route struct {
	Name       string
	Upstreams  []string
	Policy     Policy
	AllowV2    bool
	Skip       bool // signatures are not compared
	Prefix     string
	globs      []Glob
	methods    []string
	identities []string
	bucket     string // at the upstreams; "" is the same
}

// Bucket is the name at the upstreams of a bucket that the client named.
func (r *Route) Bucket(name string) string {
	if r.bucket != "" && name != "" {
		return r.bucket
	}
	return name
}

// A Table holds the routes in their order. It does not change.
type Table struct{ routes []*Route }

// New makes the table. The error names every route that is wrong by itself; that names of routes are different, and those of upstreams and
// identities known, is for whoever knows them. Routes that no request can take are logged.
func New(configs []Config, log *slog.Logger) (*Table, error) {
	t := new(Table)
	var errs []error
	for i := range configs {
		r, err := build(configs[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("route %s: %w", label(configs[i], i), err))
			continue
		}
		t.routes = append(t.routes, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if log != nil {
		t.warn(log)
	}
	return t, nil
}

// label is what a route is called in errors, which may be about its name.
func label(c Config, i int) string {
	if c.Name != "" {
		return fmt.Sprintf("%d (%s)", i+1, c.Name)
	}
	return fmt.Sprint(i + 1)
}

func build(c Config) (*Route, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Route{
		Name: c.Name, Upstreams: c.Upstreams, Policy: Policy(c.Policy), AllowV2: c.AllowV2, Skip: c.SkipSignatureValidation,
		Prefix: c.Prefix, methods: c.Methods, identities: c.Identities, bucket: c.UpstreamBucket,
	}
	for _, pattern := range c.Bucket {
		g, err := CompileGlob(pattern)
		if err != nil {
			return nil, err
		}
		r.globs = append(r.globs, g)
	}
	if r.Name == "" {
		r.Name = c.Bucket[0]
	}
	if r.Policy == "" {
		r.Policy = Failover
	}
	return r, nil
}

// Routes returns the routes in their order.
func (t *Table) Routes() []*Route { return slices.Clone(t.routes) }

// Names says whether any route is for the bucket, whoever asks; "" is that of requests that name none.
func (t *Table) Names(bucket string) bool {
	for _, r := range t.routes {
		if r.names(bucket) {
			return true
		}
	}
	return false
}

// Find returns the route that a request takes, nil if there is none. For a listing, the target's key is the prefix that is
// listed.
func (t *Table) Find(to Target, method, identity string) *Route {
	dotted := false
	plain := to.Key
	if dots(to.Key) {
		dotted, plain = true, resolve(to.Key)
	}
	for _, r := range t.routes {
		if !r.takes(to.Bucket, method, identity) {
			continue
		}
		written := strings.HasPrefix(to.Key, r.Prefix)
		if dotted && written != strings.HasPrefix(plain, r.Prefix) {
			return nil
		}
		if written {
			return r
		}
	}
	return nil
}

func (r *Route) names(bucket string) bool {
	for _, g := range r.globs {
		if g.Match(bucket) {
			return true
		}
	}
	return false
}

func (r *Route) takes(bucket, method, identity string) bool {
	return r.names(bucket) &&
		(len(r.methods) == 0 || slices.Contains(r.methods, method)) &&
		(len(r.identities) == 0 || slices.Contains(r.identities, identity))
}

// First returns the first route for the bucket, the key and the method, whoever asks. It is for what needs no rights.
func (t *Table) First(to Target, method string) *Route {
	for _, r := range t.routes {
		if r.names(to.Bucket) && (len(r.methods) == 0 || slices.Contains(r.methods, method)) && strings.HasPrefix(to.Key, r.Prefix) && !dots(to.Key) {
			return r
		}
	}
	return nil
}

// Particular says whether what deletes an object of the bucket may take another route than what is about the bucket.
func (t *Table) Particular(bucket string) bool {
	return slices.ContainsFunc(t.routes, func(r *Route) bool { return r.names(bucket) && (r.Prefix != "" || len(r.methods) > 0) })
}

// Client is the name that clients have for a bucket of the upstreams, if the route leads there.
func (r *Route) Client(theirs string) (string, bool) {
	if r.bucket != "" {
		return r.globs[0].String(), theirs == r.bucket
	}
	return theirs, r.names(theirs)
}
