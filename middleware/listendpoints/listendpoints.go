// Package listendpoints is the filter that tells programs inside the cluster on which nodes something is:
//
//	[filter.list-endpoints]
//	list_endpoints_path = "/endpoints/"
//
//	GET /endpoints/AUTH_test/photos/a.jpg        or /endpoints/v1/...
//
//	["http://10.0.0.1:6200/sdb1/412/AUTH_test/photos/a.jpg", "http://10.0.0.2:6200/sdc1/412/AUTH_test/photos/a.jpg"]
//
// The second version, /endpoints/v2/..., also says which headers a request to the nodes needs:
//
//	{"endpoints": [...], "headers": {"X-Backend-Storage-Policy-Index": "1"}}
//
// Only primaries are named, whether they can be reached or not, and whether there is such an object or not. Nobody is asked
// for a token: a proxy with this filter must not be open to people who are not to know the cluster's addresses.
//
// It stands to the left of the auth filter, and best to the right of cache, so that containers need not be looked up.
package listendpoints

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/ring"
)

// Filter is the definition.
var Filter = middleware.Define("list_endpoints", Config{Path: "/endpoints/"}, build).Alias("list-endpoints").
	Before("tempauth", "keystoneauth")

// Config is the section of the filter.
type Config struct {
	// What paths begin with that are answered here.
	Path string `toml:"list_endpoints_path"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if !strings.HasPrefix(c.Path, "/") || strings.Trim(c.Path, "/") == "" {
		return config.Invalid("list_endpoints_path", "must begin with a slash and a name, have %q", c.Path)
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	rs, err := follow(host)
	if err != nil {
		return middleware.Instance{}, err
	}
	prefix := strings.TrimRight(c.Path, "/")
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{prefix, rs, host.Cluster.Hasher, next} },
	}, nil
}

// rings are the filter's own: a filter is given files, not what the app makes of them.
type rings struct {
	account, container *ring.Live
	objects            map[policy.Index]*ring.Live
}

// follow loads the rings of the cluster, and follows their files.
func follow(host middleware.Host) (*rings, error) {
	options := ring.FollowOptions{Logger: host.Log, Clock: host.Clock}
	load := func(name string) (*ring.Live, error) {
		return ring.Follow(filepath.Join(host.Dir, name+".ring.gz"), options)
	}
	rs := &rings{objects: map[policy.Index]*ring.Live{}}
	var err error
	if rs.account, err = load("account"); err != nil {
		return nil, err
	}
	if rs.container, err = load("container"); err != nil {
		return nil, err
	}
	for _, p := range host.Cluster.Policies.All() {
		if rs.objects[p.Index], err = load(p.Index.RingName()); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

// logSource is the filter's code in the log.
const logSource = "LE"

type filter struct {
	prefix string // of paths, without its last slash
	rings  *rings
	hasher hashpath.Hasher
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, f.prefix)
	if !ok || !strings.HasPrefix(path, "/") {
		f.next.ServeHTTP(w, r)
		return
	}
	answer, err := f.answer(r, path)
	if err != nil {
		reply.Write(w, r, err)
		return
	}
	reply.Write(w, r, &reply.Error{Code: http.StatusOK, Type: "application/json", Body: string(answer)})
}

// answer is the JSON for a path, which is what comes after the prefix.
func (f *filter) answer(r *http.Request, path string) ([]byte, error) {
	if r.Method != http.MethodGet {
		return nil, reply.Status(http.StatusMethodNotAllowed).With("Allow", http.MethodGet)
	}
	q, err := parse(path)
	if err != nil {
		return nil, err
	}
	live, headers, err := f.ring(r, q)
	if err != nil {
		return nil, err
	}
	endpoints := q.endpoints(live.Ring(), f.hasher)
	if q.version == 1 {
		return cache.EncodeJSON(endpoints) // in the form that Python gives it
	}
	return cache.EncodeJSON(struct {
		Endpoints []string          `json:"endpoints"`
		Headers   map[string]string `json:"headers"`
	}{endpoints, headers})
}

// A question is what a client wants to know of.
type question struct {
	version float64
	// names are the account, the container and the object, as far as the path goes. A path with a slash at its end goes on
	// to an empty name, and Swift answers for that.
	names []string
}

var errNoAccount = reply.Raw(http.StatusBadRequest, "No account specified")

// parse reads a path. What looks like a version at its beginning is one.
func parse(path string) (question, error) {
	q := question{version: 1}
	var buf [3]string
	s, err := apipath.SplitRest(buf[:0], path, 1, 2)
	if err != nil {
		return q, errNoAccount.Because(err)
	}
	first := apipath.Quote(s[0])
	if v, ok := version(first); ok {
		q.version, path = v, "/"+strings.Join(s[1:], "")
	} else if strings.HasPrefix(first, "v") && !strings.Contains(first, "_") {
		return q, reply.Raw(http.StatusBadRequest, "Unsupported version '"+first+"'")
	}
	q.names, err = apipath.SplitRest(nil, path, 1, 3)
	switch {
	case err != nil:
		return q, errNoAccount.Because(err)
	case len(q.names) == 3 && q.names[1] == "":
		return q, reply.Raw(http.StatusBadRequest, (&apipath.InvalidError{Path: path}).Text())
	case !apipath.ValidUTF8(strings.Join(q.names, "/"), true):
		return q, reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	return q, nil
}

// version reads v1, v2.0, or without the v a number that is equal to one of the versions.
func version(text string) (v float64, ok bool) {
	digits := strings.TrimLeft(text, "v")
	if strings.ContainsAny(digits, "xX") {
		return 0, false // Go reads hexadecimal numbers too
	}
	v, err := strconv.ParseFloat(digits, 64)
	return v, err == nil && (v == 1 || v == 2)
}

// ring returns the ring that has the answer, and what a request to the nodes must say.
func (f *filter) ring(r *http.Request, q question) (*ring.Live, map[string]string, error) {
	headers := map[string]string{}
	switch len(q.names) {
	case 1:
		return f.rings.account, headers, nil
	case 2:
		return f.rings.container, headers, nil
	}
	info := lookup.GetContainer(r, lookup.Subrequest{Next: f.next, Source: logSource}, q.names[0], q.names[1])
	if info.Status >= 500 {
		return nil, nil, reply.Status(http.StatusServiceUnavailable) // else it would be the wrong ring
	}
	index, ok := policy.ParseIndex(string(info.Policy))
	live := f.rings.objects[index]
	if !ok || live == nil {
		return nil, nil, reply.Status(http.StatusServiceUnavailable)
	}
	headers["X-Backend-Storage-Policy-Index"] = index.String()
	return live, headers, nil
}

// endpoints are the URLs of what is asked for on its primaries.
func (q question) endpoints(r *ring.Ring, hasher hashpath.Hasher) []string {
	hashed := q.names
	if hashed[len(hashed)-1] == "" {
		hashed = hashed[:len(hashed)-1]
	}
	part := r.Partition(hasher.Sum(hashed[0], hashed[1:]...))
	tail := "/" + strconv.FormatUint(uint64(part), 10)
	for _, name := range q.names {
		tail += "/" + apipath.Quote(name)
	}
	urls := []string{}
	for _, n := range r.AppendPrimaries(nil, part) {
		urls = append(urls, "http://"+n.HostPort()+"/"+n.Name+tail)
	}
	return urls
}
