package proxyserver

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
)

// query is the parameters of a request in their order, each name once: the last value of several counts, as in Swift.
type query []param

type param struct{ name, value string }

// parseQuery never fails: what cannot be unescaped stays as it is.
func parseQuery(raw string) query {
	var q query
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q = q.with(unescape(name), unescape(value))
	}
	return q
}

func unescape(s string) string {
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return apipath.Unquote(strings.ReplaceAll(s, "+", " "))
}

// with sets a parameter in place, or adds it.
func (q query) with(name, value string) query {
	for i := range q {
		if q[i].name == name {
			q[i].value = value
			return q
		}
	}
	return append(q, param{name, value})
}

func (q query) get(name string) string {
	for _, p := range q {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

func (q query) encode() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(apipath.QuotePlus(p.name))
		b.WriteByte('=')
		b.WriteString(apipath.QuotePlus(p.value))
	}
	return b.String()
}

// listingParams are those of listings that must be text.
var listingParams = [...]string{"marker", "end_marker", "prefix", "delimiter", "path", "format", "reverse", "states", "includes", "limit"}

// checkListing refuses parameters that no node would take.
func (q query) checkListing(limit int) error {
	for _, name := range listingParams {
		if v := q.get(name); !utf8.ValidString(v) {
			return plain(http.StatusBadRequest, `"`+name+`" parameter not valid UTF-8`)
		}
	}
	if n, ok := digits(q.get("limit")); ok && n > limit {
		return reply.Raw(http.StatusPreconditionFailed, "Maximum limit is "+itoa(limit))
	}
	return nil
}

// digits reads a number made of digits only; anything else is no limit at all. Too great a number is just great.
func digits(s string) (int, bool) {
	const most = 1 << 30
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), most)
	}
	return n, s != ""
}
