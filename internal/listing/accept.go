package listing

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// The media types of listings, in the order in which they are offered.
const (
	TypeText   = "text/plain"
	TypeJSON   = "application/json"
	TypeXML    = "application/xml"
	TypeOldXML = "text/xml"
)

var (
	// ErrAccept is an Accept header that cannot be read: 400 "Invalid Accept header".
	ErrAccept = errors.New("invalid accept header")
	// ErrNotAcceptable says that the client takes none of the types offered: 406.
	ErrNotAcceptable = errors.New("not acceptable")
)

// Choose returns the media type in which a client wants a listing. A format parameter that is not empty beats the
// Accept header; an unknown one means text. The errors are [ErrAccept] and [ErrNotAcceptable].
func Choose(format, accept string) (string, error) {
	switch strings.ToLower(format) {
	case "":
		return Negotiate(accept, TypeText, TypeJSON, TypeXML, TypeOldXML)
	case "json":
		return TypeJSON, nil
	case "xml":
		return TypeXML, nil
	}
	return TypeText, nil
}

// Negotiate returns the offer that an Accept header likes best, as Swift does: by quality, then types without a star
// first, then the order of the header; for each the first fitting offer. An empty header takes the first offer. A
// quality of 0 is only the lowest, it does not exclude. Letter case matters.
func Negotiate(accept string, offers ...string) (string, error) {
	wanted, err := parseAccept(accept)
	if err != nil {
		return "", err
	}
	if len(wanted) == 0 && len(offers) > 0 {
		return offers[0], nil
	}
	for _, w := range wanted {
		for _, offer := range offers {
			kind, sub, _ := strings.Cut(offer, "/")
			if (w.kind == "*" || w.kind == kind) && (w.sub == "*" || w.sub == sub) {
				return offer, nil
			}
		}
	}
	return "", ErrNotAcceptable
}

type mediaRange struct {
	kind, sub string
	quality   float64
}

func (m mediaRange) stars() int {
	if m.kind == "*" || m.sub == "*" {
		return 1
	}
	return 0
}

func parseAccept(accept string) ([]mediaRange, error) {
	if accept == "" {
		return nil, nil
	}
	var out []mediaRange
	for part := range strings.SplitSeq(accept, ",") {
		m, ok := parseMediaRange(part)
		if !ok {
			return nil, ErrAccept
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b mediaRange) int {
		return cmp.Or(cmp.Compare(b.quality, a.quality), cmp.Compare(a.stars(), b.stars()))
	})
	return out, nil
}

func parseMediaRange(s string) (mediaRange, bool) {
	m := mediaRange{quality: 1}
	s = skipSpace(s)
	n := tokenLen(s)
	if n == 0 || n == len(s) || s[n] != '/' {
		return m, false
	}
	m.kind, s = s[:n], s[n+1:]
	if n = tokenLen(s); n == 0 {
		return m, false
	}
	m.sub, s = s[:n], s[n:]
	if !validParams(s) {
		return m, false
	}
	// Swift splits at every semicolon and equals sign, in quoted strings too, so most of those make a header invalid.
	seen := false
	for p := range strings.SplitSeq(s, ";") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		name, value, ok := strings.Cut(p, "=")
		if !ok || strings.Contains(value, "=") {
			return m, false
		}
		if strings.TrimSpace(name) != "q" {
			continue
		}
		q, ok := quality(strings.TrimSpace(value))
		if !ok || seen {
			return m, false
		}
		m.quality, seen = q, true
	}
	return m, true
}

// validParams reports whether s is parameters, each with a value, and nothing else.
func validParams(s string) bool {
	for s = skipSpace(s); s != ""; s = skipSpace(s) {
		if s[0] != ';' {
			return false
		}
		s = skipSpace(s[1:])
		n := tokenLen(s)
		if n == 0 {
			return false
		}
		if s = skipSpace(s[n:]); s == "" || s[0] != '=' {
			return false
		}
		s = skipSpace(s[1:])
		if n = valueLen(s); n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// quality reads a number as Python's float() does, without underscores. Not-a-number counts as 0; Go would also take
// hexadecimal numbers.
func quality(s string) (float64, bool) {
	if strings.ContainsAny(s, "xX_") {
		return 0, false
	}
	q, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	if q != q {
		q = 0
	}
	return q, true
}
