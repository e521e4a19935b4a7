package s3api

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
)

// signed says whether a request is one for S3: it has a signature, or what is meant to be one. Any Authorization is, but on
// paths of the Swift API one of another scheme is Swift's to refuse.
func (f *filter) signed(r *http.Request) bool {
	if lines, ok := r.Header["Authorization"]; ok {
		return strings.HasPrefix(lines[0], "AWS") || !f.swiftPath(r.URL.Path)
	}
	return r.URL.RawQuery != "" && (sigv4.Recognise(r) || sigv2.Recognise(r))
}

// swiftPath says whether a path begins with a version of the Swift API.
func (f *filter) swiftPath(path string) bool {
	version, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return apipath.ValidVersion(version, f.limits.ValidAPIVersions)
}

// level is what a request is about.
type level int

const (
	service level = iota
	bucket
	object
)

func (l level) String() string { return [...]string{"SERVICE", "BUCKET", "OBJECT"}[l] }

// A resource is what an operation is about. Empty names are absent.
type resource struct {
	bucket, key string
	version     string // "" is the current one, "null" the one without an id
}

func (r resource) level() level {
	switch {
	case r.key != "":
		return object
	case r.bucket != "":
		return bucket
	}
	return service
}

// domains puts a dot before each domain.
func domains(list []string) []string {
	var all []string
	for _, d := range list {
		if d = strings.ToLower(strings.TrimSpace(d)); d != "" {
			all = append(all, "."+strings.TrimPrefix(d, "."))
		}
	}
	return all
}

// hostBucket returns the bucket that the Host names, if it does.
func (f *filter) hostBucket(r *http.Request) string {
	if len(f.domains) == 0 {
		return ""
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	// Names of hosts have no case.
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, d := range f.domains {
		if name, ok := strings.CutSuffix(host, d); ok && name != "" {
			return name
		}
	}
	return ""
}

// address finds out what the request is about: from the path, or from Host and path.
func (f *filter) address(r *http.Request, hosted string) (resource, error) {
	path := r.URL.Path
	if !apipath.ValidUTF8(path, false) || path[0] != '/' {
		return resource{}, s3err.InvalidURI.With("URI", path)
	}
	res := resource{bucket: hosted, key: path[1:]}
	if hosted == "" {
		res.bucket, res.key, _ = strings.Cut(path[1:], "/")
		if res.bucket == "" && path != "/" {
			return resource{}, s3err.InvalidURI.With("URI", path)
		}
	}
	if res.bucket != "" && !validBucketName(res.bucket, f.config.DNSCompliantBucketNames) {
		return resource{}, s3err.InvalidBucketName.With("BucketName", res.bucket)
	}
	return res, nil
}

// validBucketName says whether a bucket may have the name. No name that it takes belongs to Swift's containers of segments
// and versions.
func validBucketName(name string, dns bool) bool {
	longest := 255
	if dns {
		longest = 63
	}
	if len(name) < 3 || len(name) > longest || !alphanumeric(name[0], dns) || name[len(name)-1] == '.' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !alphanumeric(c, dns) && c != '-' && c != '.' && (dns || c != '_') {
			return false
		}
	}
	if dns {
		for _, pair := range []string{"..", ".-", "-."} {
			if strings.Contains(name, pair) {
				return false
			}
		}
		if !alphanumeric(name[len(name)-1], dns) {
			return false
		}
	}
	return !looksLikeAddress(name)
}

func alphanumeric(c byte, lower bool) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || !lower && c >= 'A' && c <= 'Z'
}

// looksLikeAddress says whether a name is an IPv4 address.
func looksLikeAddress(name string) bool {
	ip := net.ParseIP(name)
	return ip != nil && ip.To4() != nil
}

// query are the parameters of a request.
type query struct{ url.Values }

func parseQuery(r *http.Request) (query, error) {
	if r.URL.RawQuery == "" {
		return query{}, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, s3err.InvalidURI.With("URI", r.URL.Path).Because(err)
	}
	return query{q}, nil
}

// has says whether the parameter is there, with or without a value.
func (q query) has(name string) bool { return q.Has(name) }

// get returns the value of a parameter, "" if it is not there.
func (q query) get(name string) string { return q.Get(name) }
