package route

import (
	"fmt"
	"path"
	"strings"
)

// A Glob is a pattern of names of buckets: * is any run of characters, ? any one, [a-z] one of a range, and \ takes the
// meaning from what follows. It fits the whole name.
type Glob struct {
	text string
	wild bool // it is no name
}

// CompileGlob reads a pattern.
func CompileGlob(pattern string) (Glob, error) {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" || strings.Contains(pattern, "/") {
		return Glob{}, fmt.Errorf("%q is no pattern of bucket names; want a name, or a glob of *, ? and [a-z]", pattern)
	}
	return Glob{text: pattern, wild: strings.ContainsAny(pattern, `*?[\`)}, nil
}

// String is the pattern.
func (g Glob) String() string { return g.text }

// All says whether the glob is for everything, also for requests that name no bucket.
func (g Glob) All() bool { return g.text == "*" }

// Match says whether a bucket's name fits. The empty name, of requests without a bucket, fits * alone.
func (g Glob) Match(bucket string) bool {
	switch {
	case g.All():
		return true
	case bucket == "" || !g.wild:
		return bucket == g.text && bucket != ""
	}
	// Its error is that of the pattern, which was found good.
	ok, _ := path.Match(g.text, bucket)
	return ok
}

// Covers says whether every name that fits the other fits this one too. It may say no though it is so.
func (g Glob) Covers(other Glob) bool {
	switch {
	case g.All() || g.text == other.text:
		return true
	case !other.wild:
		return g.Match(other.text)
	case strings.ContainsAny(g.text+other.text, `?[\`):
		return false
	}
	// Stars of this one take the stars of the other for letters, which stand for anything.
	return g.Match(other.text)
}
