// Package meta knows Swift's header classes: user metadata, system metadata, headers that must not cross the cluster's
// border, how their names are spelled, and the limits on them.
//
// # Spelling
//
// Swift title-cases every run of letters of a header name ([Title]): "x-object-meta-fooBAR-1x" is stored and sent as
// X-Object-Meta-Foobar-1X. Go's canonical form raises letters after a hyphen only, so a name from an http.Header must
// pass through [Title] before it is written to disk or compared with what is there. An underscore that a client sends
// reaches Swift's servers as a hyphen; [FromClient] does that too. Object metadata spells one key differently: the
// ETag is "ETag" in object metadata ([ObjectKey]) and "Etag" everywhere else.
//
// # Bytes
//
// A header value is bytes. Swift's Python code holds it as text with one character per byte and, in object metadata on
// disk, writes that text as UTF-8: each byte from 0x80 up becomes two. [ToStored] and [FromStored] convert. In Go a
// header value is the raw bytes in a string, so nothing is lost.
//
// net/http refuses header names with bytes that are not token characters, and with them names of UTF-8 letters, on both
// sides: a request with such a name is answered 400 before any handler runs, a response with one cannot be read, and a
// response writer drops it silently. Swift accepts them. Whoever must carry such a name (metadata written by an older
// cluster) has to do so outside http.Header; this package's functions themselves take any bytes.
//
// The package does no I/O and chooses no status: [*Error] is 400 text/plain for Swift.
//
//	if err := meta.Check(meta.Object, r.Header, limits); err != nil { ... }
//	for name := range r.Header {
//		if meta.IsUserMeta(meta.Object, name) { ... }
//	}
package meta

import (
	"net/http"
	"strings"
)

// Kind says which sort of entity a header belongs to. Its value is the word in header names.
type Kind string

// The three kinds of entity.
const (
	Account   Kind = "account"
	Container Kind = "container"
	Object    Kind = "object"
)

// Names and prefixes of header classes, spelled as Swift sends them.
const (
	TransientSysmetaPrefix = "X-Object-Transient-Sysmeta-"
	// OverridePrefix starts the object sysmeta whose values replace Etag, Size and Content-Type in the container's
	// row. OldOverridePrefix is the same from before sysmeta; the newer one wins.
	OverridePrefix    = "X-Object-Sysmeta-Container-Update-Override-"
	OldOverridePrefix = "X-Backend-Container-Update-Override-"
	backendPrefix     = "X-Backend"
)

// UserPrefix returns X-Account-Meta-, X-Container-Meta- or X-Object-Meta-.
func (k Kind) UserPrefix() string { return k.prefix("Meta-") }

// SysmetaPrefix returns X-Account-Sysmeta-, X-Container-Sysmeta- or X-Object-Sysmeta-.
func (k Kind) SysmetaPrefix() string { return k.prefix("Sysmeta-") }

func (k Kind) prefix(class string) string {
	switch k { // constants, so that the hot path does not build strings
	case Account:
		if class == "Meta-" {
			return "X-Account-Meta-"
		}
		return "X-Account-Sysmeta-"
	case Container:
		if class == "Meta-" {
			return "X-Container-Meta-"
		}
		return "X-Container-Sysmeta-"
	}
	if class == "Meta-" {
		return "X-Object-Meta-"
	}
	return "X-Object-Sysmeta-"
}

// IsUserMeta reports whether name is user metadata of the kind, with something after the prefix. Case does not matter.
func IsUserMeta(k Kind, name string) bool {
	_, ok := cutFold(name, k.UserPrefix())
	return ok
}

// IsSysmeta reports whether name is system metadata of the kind, with something after the prefix. Transient sysmeta is
// another class.
func IsSysmeta(k Kind, name string) bool {
	_, ok := cutFold(name, k.SysmetaPrefix())
	return ok
}

// IsTransientSysmeta reports whether name is object system metadata that a POST replaces.
func IsTransientSysmeta(name string) bool {
	_, ok := cutFold(name, TransientSysmetaPrefix)
	return ok
}

// CutUserMeta returns the part of name after the user metadata prefix, and whether it is user metadata at all.
func CutUserMeta(k Kind, name string) (string, bool) { return cutFold(name, k.UserPrefix()) }

// CutSysmeta returns the part of name after the sysmeta prefix, and whether it is sysmeta at all.
func CutSysmeta(k Kind, name string) (string, bool) { return cutFold(name, k.SysmetaPrefix()) }

// CutTransientSysmeta returns the part of name after the prefix, and whether it is transient sysmeta at all.
func CutTransientSysmeta(name string) (string, bool) { return cutFold(name, TransientSysmetaPrefix) }

// cutFold needs something after the prefix, as Swift's tests do.
func cutFold(name, prefix string) (string, bool) {
	if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		return "", false
	}
	return name[len(prefix):], true
}

// IsInternal reports whether a header must not cross the border between client and cluster in either direction: what
// Swift's gatekeeper removes. Unlike the tests above it takes bare prefixes too.
func IsInternal(name string) bool {
	if len(name) < len(backendPrefix) || name[0]|0x20 != 'x' || name[1] != '-' {
		return false
	}
	switch name[2] | 0x20 {
	case 'a', 'b', 'c', 'd', 'o':
	default:
		return false // as none of these begins, and every header of every request comes here
	}
	for _, p := range [...]string{
		backendPrefix, "X-Account-Sysmeta-", "X-Container-Sysmeta-", "X-Object-Sysmeta-", TransientSysmetaPrefix,
	} {
		if hasPrefixFold(name, p) {
			return true
		}
	}
	for _, n := range [...]string{
		"X-Account-Host", "X-Account-Device", "X-Account-Partition",
		"X-Container-Host", "X-Container-Device", "X-Container-Partition", "X-Container-Root-Db-State",
		"X-Delete-At-Host", "X-Delete-At-Device", "X-Delete-At-Partition", "X-Delete-At-Container",
	} {
		if strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// StripInternal deletes every header that [IsInternal] names and reports how many there were.
func StripInternal(h http.Header) int {
	n := 0
	for name := range h {
		if IsInternal(name) {
			delete(h, name)
			n++
		}
	}
	return n
}

// Transfer copies from a client's request to a node's request what belongs to an account or container: user metadata,
// sysmeta and the further headers given in settable (X-Container-Read...). A header X-Remove-Container-Meta-Foo, or
// X-Remove-Container-Read if X-Container-Read is settable, whatever its value, becomes the empty header that removes
// the item. If a client sends both, the value wins. Names in dst are title-cased. The settable names must be
// title-cased too.
func Transfer(k Kind, dst, src http.Header, settable []string) {
	isSettable := func(name string) bool {
		for _, s := range settable {
			if strings.EqualFold(s, name) {
				return true
			}
		}
		return false
	}
	removePrefix := "X-Remove-" + k.UserPrefix()[len("X-"):]
	for name := range src {
		rest, ok := cutFold(name, "X-Remove-")
		if !ok {
			continue
		}
		if item := "X-" + rest; hasPrefixFold(name, removePrefix) || isSettable(item) {
			dst[FromClient(item)] = []string{""}
		}
	}
	for name := range src {
		if IsUserMeta(k, name) || IsSysmeta(k, name) || isSettable(name) {
			dst[FromClient(name)] = []string{Value(src, name)}
		}
	}
}

// Value returns the value of a header as Swift sees it: when a client repeats a header its values are joined by commas
// without a space, where http.Header.Get takes the first; of Content-Type and Content-Length the first counts in Swift
// too. The name must be spelled as in the map.
func Value(h http.Header, name string) string {
	v := h[name]
	switch {
	case len(v) == 0:
		return ""
	case len(v) == 1, name == "Content-Type", name == "Content-Length":
		return v[0]
	}
	return strings.Join(v, ",")
}

// Truthy reports whether a header or query value switches something on: true, 1, yes, on, t or y in any case.
func Truthy(v string) bool {
	switch len(v) {
	case 1:
		c := v[0] | 0x20
		return v[0] == '1' || c == 't' || c == 'y'
	case 2:
		return strings.EqualFold(v, "on")
	case 3:
		return strings.EqualFold(v, "yes")
	case 4:
		return strings.EqualFold(v, "true")
	}
	return false
}
