// Package apipath takes the paths of the Swift API apart and puts them together again: the client's form
// /version/account/container/object and the storage nodes' form /device/partition/account/container/object.
//
// Input is always the decoded path (URL.Path of a request), so a %2F that a client sends inside a name is a plain
// slash here, as it is in Swift. An object name is everything after the third slash and may hold anything: empty
// segments, ".", "..", trailing slashes, and NUL in reserved names. Nothing is ever cleaned or normalised; a router
// that rewrites paths must not stand before this package.
//
// Account and container names cannot be empty, but trailing slashes are accepted: "/v1/a/" and "/v1/a//" are the
// account and "/v1/a/c/" the container. Absent names are empty strings.
//
// The package knows no HTTP. Errors say what is wrong; the edge chooses the status (Swift: [ErrInvalid] 404 from the
// proxy and 400 from a node, [ErrBadURL] 412, [ReservedError] 400, a path that fails [ValidUTF8] 412).
//
//	p, err := apipath.Parse(r.URL.Path) // "/v1/AUTH_test/photos/2024/a b.jpg"
//	p.Object                            // "2024/a b.jpg"
//	p.Quoted()                          // "/v1/AUTH_test/photos/2024/a%20b.jpg"
package apipath

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var (
	// ErrInvalid is a path that cannot be split at all: it does not start with a slash, or a segment that must be
	// there is missing or empty.
	ErrInvalid = errors.New("invalid path")
	// ErrBadURL is a path that splits but names nothing: a version alone, or an empty name before a non-empty one.
	ErrBadURL = errors.New("bad url")
)

// InvalidError is the error of every path that cannot be split; it is [ErrInvalid] to errors.Is.
type InvalidError struct {
	Path string // the whole path, decoded
}

func (e *InvalidError) Error() string { return "split path " + Quote(e.Path) + ": invalid path" }

// Text returns what Swift tells the client of a storage node.
func (e *InvalidError) Text() string { return "Invalid path: " + Quote(e.Path) }

// Is makes the error equal to [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Level says what a path names.
type Level int

// The levels, from the outside in.
const (
	LevelNone Level = iota
	LevelAccount
	LevelContainer
	LevelObject
)

// String returns account, container or object, as Swift spells them in header names and texts.
func (l Level) String() string {
	switch l {
	case LevelAccount:
		return "account"
	case LevelContainer:
		return "container"
	case LevelObject:
		return "object"
	}
	return "none"
}

// Path is a client's path. All fields are decoded; an absent name is empty. The zero value names nothing.
type Path struct {
	Version, Account, Container, Object string
}

// Parse splits the decoded path of a client's request. It does not look at the version; see [ValidVersion], which the
// proxy must ask before it uses the rest.
//
// With ErrBadURL the parts that could be read are returned as well, because Swift complains about an unknown version
// first.
func Parse(path string) (Path, error) {
	var buf [4]string
	segs, err := SplitRest(buf[:0], path, 1, 4)
	if err != nil {
		return Path{}, err
	}
	for len(segs) < 4 {
		segs = append(segs, "")
	}
	p := Path{segs[0], segs[1], segs[2], segs[3]}
	if p.Account == "" || p.Container == "" && p.Object != "" {
		return p, fmt.Errorf("parse path %s: %w", Quote(path), ErrBadURL)
	}
	return p, nil
}

// Level says whether the path names an account, a container, an object or nothing.
func (p Path) Level() Level { return level(p.Account, p.Container, p.Object) }

func level(account, container, object string) Level {
	switch {
	case account == "":
		return LevelNone
	case container == "" && object == "":
		return LevelAccount
	case container == "":
		return LevelNone
	case object == "":
		return LevelContainer
	}
	return LevelObject
}

// String returns the decoded path, "/v1/a/c/o".
func (p Path) String() string { return join(p.Version, p.Account, p.Container, p.Object) }

// Entity returns the decoded path without the version, "/a/c/o": the form that Swift hashes, stores in metadata and
// uses in cache keys.
func (p Path) Entity() string { return join(p.Account, p.Container, p.Object) }

// Quoted returns the path quoted as Swift does, ready for a request line.
func (p Path) Quoted() string { return Quote(p.String()) }

// QuotedEntity is [Path.Entity], quoted.
func (p Path) QuotedEntity() string { return Quote(p.Entity()) }

// ContainerPath returns the path of the container (or account) that holds what p names.
func (p Path) ContainerPath() Path { p.Object = ""; return p }

// AccountPath returns the path of the account of p.
func (p Path) AccountPath() Path { p.Container, p.Object = "", ""; return p }

// join writes a slash before each name and stops at the first that is absent.
func join(names ...string) string {
	n := 0
	for _, s := range names {
		n += len(s) + 1
	}
	var b strings.Builder
	b.Grow(n)
	for _, s := range names {
		if s == "" {
			break
		}
		b.WriteByte('/')
		b.WriteString(s)
	}
	return b.String()
}

// ValidVersion reports whether the version of a client's path is one of the cluster's (valid_api_versions).
func ValidVersion(version string, valid []string) bool {
	for _, v := range valid {
		if v == version {
			return true
		}
	}
	return false
}

// Split appends the segments of path to dst: at least minSegs and at most maxSegs of them, the first minSegs not
// empty. One trailing slash after the last segment is allowed, further text is ErrInvalid. Segments that are absent
// are not appended, so a short result tells an absent name from an empty one.
func Split(dst []string, path string, minSegs, maxSegs int) ([]string, error) {
	return split(dst, path, minSegs, maxSegs, false)
}

// SplitRest is [Split], but the last segment takes the rest of the path, slashes included.
func SplitRest(dst []string, path string, minSegs, maxSegs int) ([]string, error) {
	return split(dst, path, minSegs, maxSegs, true)
}

func split(dst []string, path string, minSegs, maxSegs int, rest bool) ([]string, error) {
	if minSegs > maxSegs {
		return dst, fmt.Errorf("split path: at least %d but at most %d segments", minSegs, maxSegs)
	}
	if path == "" || path[0] != '/' {
		return dst, &InvalidError{path}
	}
	tail, more := path[1:], true
	n := 0
	for more && n < maxSegs {
		var seg string
		if rest && n == maxSegs-1 {
			seg, tail, more = tail, "", false
		} else {
			seg, tail, more = strings.Cut(tail, "/")
		}
		if seg == "" && n < minSegs {
			return dst, &InvalidError{path}
		}
		dst = append(dst, seg)
		n++
	}
	if n < minSegs || tail != "" {
		return dst, &InvalidError{path}
	}
	return dst, nil
}

// ValidUTF8 reports whether a path or name may be used: not empty, valid UTF-8 without surrogates, and without NUL
// unless reserved names are allowed (requests from inside the cluster).
func ValidUTF8(s string, allowReserved bool) bool {
	return s != "" && utf8.ValidString(s) && (allowReserved || strings.IndexByte(s, 0) < 0)
}
