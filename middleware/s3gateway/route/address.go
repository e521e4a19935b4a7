package route

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/s3err"
)

// A Target is what a request is about, decoded. Empty names are absent.
type Target struct {
	Bucket, Key string
	// VirtualHost says that the bucket stands in the Host, not in the path.
	VirtualHost bool
}

// Domains are the names of hosts under which buckets are names of hosts, the longest first.
type Domains []string

// NewDomains reads names of hosts as operators write them.
func NewDomains(list []string) Domains {
	var d Domains
	for _, name := range list {
		name = strings.Trim(strings.ToLower(strings.TrimSpace(name)), ".")
		if name != "" && !slices.Contains(d, name) {
			d = append(d, name)
		}
	}
	slices.SortStableFunc(d, func(a, b string) int { return len(b) - len(a) })
	return d
}

// bucket returns the bucket that a Host names. Names of hosts have no case, and may end with a dot.
func (d Domains) bucket(host string) string {
	if len(d) == 0 {
		return ""
	}
	// The colons of an address of version 6 do not matter: no domain fits it.
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, domain := range d {
		name, ok := strings.CutSuffix(host, domain)
		switch {
		case ok && (name == "" || name == "."):
			return ""
		case ok && len(name) > 1 && name[len(name)-1] == '.':
			return name[:len(name)-1]
		}
	}
	return ""
}

// Address finds out what a request is about, from its path, or from its Host and its path. The error is InvalidURI or
// InvalidBucketName.
func Address(r *http.Request, d Domains) (Target, error) {
	whole := r.URL.Path
	if whole == "" || whole[0] != '/' || !utf8.ValidString(whole) {
		return Target{}, s3err.InvalidURI.With("URI", whole)
	}
	t := Target{Key: whole[1:]}
	if t.Bucket = d.bucket(r.Host); t.Bucket != "" {
		t.VirtualHost = true
	} else if t.Bucket, t.Key, _ = strings.Cut(whole[1:], "/"); t.Bucket == "" && whole != "/" {
		return Target{}, s3err.InvalidURI.With("URI", whole)
	}
	return t, CheckTarget(t)
}

// CheckTarget refuses names that lead out of where they are: buckets that are none, and keys that would leave their bucket if
// a server resolved them.
func CheckTarget(t Target) error {
	if t.Bucket != "" {
		if err := checkBucket(t.Bucket); err != nil {
			return err
		}
	}
	if dots(t.Key) && climbs(t.Key) {
		return s3err.InvalidURI.With("URI", t.Key)
	}
	return nil
}

// checkBucket refuses what no store takes for a bucket. The rest is the store's to refuse: older ones take more than AWS.
func checkBucket(name string) error {
	bad := len(name) > 255 || name == "." || name == ".." || !utf8.ValidString(name)
	for i := range len(name) {
		bad = bad || name[i] <= ' ' || name[i] == 0x7f || strings.IndexByte(`/\?#%&=;*"<>`, name[i]) >= 0
	}
	if bad {
		return s3err.InvalidBucketName.With("BucketName", name)
	}
	return nil
}

// Dots says whether a key has a segment that is . or .., as it is written or decoded once more, so that a server that
// resolves paths would take it for another.
func Dots(key string) bool { return dots(key) }

func dots(key string) bool {
	if !strings.Contains(key, ".") && !strings.Contains(key, "%") {
		return false
	}
	return hasDots(key) || strings.Contains(key, "%") && hasDots(flat(key))
}

func hasDots(key string) bool {
	for len(key) > 0 {
		segment := key
		if i := strings.IndexAny(key, `/\`); i >= 0 {
			segment, key = key[:i], key[i+1:]
		} else {
			key = ""
		}
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// climbs says whether a key's dots lead above where it begins.
func climbs(key string) bool {
	depth := 0
	for segment := range strings.SplitSeq(flat(key), "/") {
		switch segment {
		case "", ".":
			// A server that resolves paths takes both for nothing.
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// resolve is what a server that resolves paths makes of a key.
func resolve(key string) string {
	clean := strings.TrimPrefix(path.Clean("/"+flat(key)), "/")
	if strings.HasSuffix(key, "/") && clean != "" {
		clean += "/"
	}
	return clean
}

// flat decodes dots and slashes once more, and takes backslashes for slashes, as such a server might.
func flat(key string) string { return flatten.Replace(key) }

var flatten = strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/", `\`, "/")
