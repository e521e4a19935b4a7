// Package acl reads and checks the access lists of containers (X-Container-Read, X-Container-Write) and accounts
// (X-Account-Access-Control).
//
// A container's list is elements separated by commas: groups, users or other identities, which the auth system
// understands, and in read lists designations of referrers (.r:*, .r:.example.com, .r:-bad.example.com) and the word
// .rlistings. [Clean] checks and shortens what a client sends; [Parse] reads what is stored. An account's list is JSON.
//
// The package grants nothing by itself: the auth middleware asks it and decides. Whatever it cannot read grants
// nothing.
//
//	list := acl.Parse(stored)
//	if list.AllowsReferrer(r.Header.Get("Referer")) && (isObject || list.Listings()) { ... }
//	for _, group := range list.Groups { ... }
package acl

import (
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
)

// rlistings is the element that extends referrers' access from objects to listings.
const rlistings = ".rlistings"

// SyntaxError is a list that a client must not set: 400.
type SyntaxError struct{ text string }

func (e *SyntaxError) Error() string { return "clean acl: " + e.text }

// Text returns what Swift tells the client.
func (e *SyntaxError) Text() string { return e.text }

// Clean returns the list value of the given header as it is to be stored: no spaces around elements, no empty elements,
// .ref, .referer and .referrer as .r, *.example.com as .example.com. A header with "write" in its name must not name
// referrers. The error is a [*SyntaxError].
//
// Only ASCII white space is taken off. Swift's Python 3 also takes bytes 85 and A0, and so breaks UTF-8 names that end
// in one of them.
func Clean(header, value string) (string, error) {
	write := strings.Contains(strings.ToLower(header), "write")
	var out []string
	for element := range strings.SplitSeq(value, ",") {
		element = trim(element)
		if element == "" {
			continue
		}
		cleaned, err := cleanElement(element, write)
		if err != nil {
			return "", err
		}
		out = append(out, cleaned)
	}
	return strings.Join(out, ","), nil
}

func cleanElement(element string, write bool) (string, error) {
	first, second, ok := strings.Cut(element, ":")
	first, second = trim(first), trim(second)
	if !ok || !strings.HasPrefix(first, ".") {
		return element, nil
	}
	switch first {
	case ".r", ".ref", ".referer", ".referrer":
	default:
		return "", &SyntaxError{"Unknown designator " + wsgiRepr(first) + " in ACL: " + wsgiRepr(element)}
	}
	if write {
		return "", &SyntaxError{"Referrers not allowed in write ACL: " + wsgiRepr(element)}
	}
	minus := ""
	if rest, ok := strings.CutPrefix(second, "-"); ok {
		minus, second = "-", trim(rest)
	}
	if second != "*" && strings.HasPrefix(second, "*") {
		second = trim(second[1:])
	}
	if second == "" || second == "." {
		return "", &SyntaxError{"No host/domain value after referrer designation in ACL: " + wsgiRepr(element)}
	}
	return ".r:" + minus + second, nil
}

func trim(s string) string { return strings.Trim(s, " \t\n\v\f\r\x1c\x1d\x1e\x1f") }

// wsgiRepr shows header bytes as Swift does in texts: each byte is a character.
func wsgiRepr(s string) string { return repr(meta.ToStored(s)) }

// List is a container's access list.
type List struct {
	Referrers []string // without .r:, in order
	Groups    []string // everything else, unquoted, .rlistings among it
}

// Parse reads a stored list. Nothing is checked: what a list holds that Clean would refuse matches nobody.
func Parse(stored string) List {
	var l List
	if stored == "" {
		return l
	}
	for element := range strings.SplitSeq(stored, ",") {
		if r, ok := strings.CutPrefix(element, ".r:"); ok {
			l.Referrers = append(l.Referrers, r)
		} else {
			l.Groups = append(l.Groups, apipath.Unquote(element))
		}
	}
	return l
}

// Listings reports whether those whom a referrer element admits may list the container too.
func (l List) Listings() bool { return slices.Contains(l.Groups, rlistings) }

// AllowsReferrer reports whether a Referer header is admitted. The last matching element decides. A missing or
// unreadable header is the host "unknown".
func (l List) AllowsReferrer(referer string) bool { return ReferrerAllowed(referer, l.Referrers) }

// ReferrerAllowed is [List.AllowsReferrer] for a list of referrers alone.
func ReferrerAllowed(referer string, referrers []string) bool {
	if len(referrers) == 0 {
		return false
	}
	host := refererHost(referer)
	if host == "" {
		host = "unknown"
	}
	allowed := false
	for _, r := range referrers {
		pattern, deny := strings.CutPrefix(r, "-")
		matches := pattern == host || strings.HasPrefix(pattern, ".") && strings.HasSuffix(host, pattern)
		switch {
		case deny && matches:
			allowed = false
		case !deny && (matches || r == "*"):
			allowed = true
		}
	}
	return allowed
}

// refererHost returns the host of a URL in lower case, without user and port, as Python's urlparse finds it; "" if
// there is none. Brackets that do not pair, for which Swift fails with 500, count as no host.
func refererHost(u string) string {
	// Browsers and urlparse alike drop these anywhere.
	u = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(u)
	if i := strings.IndexByte(u, ':'); i > 0 && validScheme(u[:i]) {
		u = u[i+1:]
	}
	netloc, ok := strings.CutPrefix(u, "//")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(netloc, "/?#"); i >= 0 {
		netloc = netloc[:i]
	}
	// Browsers take a backslash for a slash, Swift does not: to the one http://evil.test\@one.test/ is a page of evil.test,
	// to the other of one.test. Neither is believed; no browser sends such a thing.
	if strings.Contains(netloc, `\`) {
		return `\` // no host, and not the absence of one
	}
	if strings.Contains(netloc, "[") != strings.Contains(netloc, "]") {
		return ""
	}
	host := netloc[strings.LastIndexByte(netloc, '@')+1:]
	if _, inside, ok := strings.Cut(host, "["); ok {
		host, _, _ = strings.Cut(inside, "]")
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	name, _, _ := strings.Cut(host, "%")
	return asciiLower(name) + host[len(name):] // the zone of an address keeps its case
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
