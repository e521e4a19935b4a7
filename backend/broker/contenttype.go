package broker

import (
	"regexp"
	"strings"
)

// The size that a listing shows for a manifest is kept as a parameter of the content type, because rows have no other
// place for it: text/plain;swift_bytes=5000.

// token is RFC 2045's, parameter one "; name=value" with a token or a quoted string as the value.
const token = `[^()<>@,;:"/\[\]?={}\x00-\x20\x7f]+`

var parameter = regexp.MustCompile(`\s*;\s*(` + token + `)\s*(?:=\s*(` + token + `|"(?:[^"\\]|\\.)*"))?`)

// splitSwiftBytes takes swift_bytes out of a content type. The rest comes back without blanks between its parameters,
// which is how Swift stores a type once a row has been merged with an older one. ok says whether there was any.
func splitSwiftBytes(contentType string) (rest, bytes string, ok bool) {
	kind, params, found := strings.Cut(contentType, ";")
	if !found {
		return contentType, "", false
	}
	var b strings.Builder
	b.WriteString(kind)
	for _, m := range parameter.FindAllStringSubmatch(";"+params, -1) {
		if m[1] == "swift_bytes" {
			bytes, ok = m[2], true
			continue
		}
		b.WriteString(";" + m[1] + "=" + m[2])
	}
	return b.String(), bytes, ok
}
