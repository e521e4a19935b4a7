package callable

import (
	"context"
	"strings"
)

// scopeKey finds the scope of the Authorize call that a context belongs to.
type scopeKey struct{}

// scope is what an Authorize call has said of its answer.
type scope struct {
	path   string
	prefix string
	said   bool
}

// HoldsFor is called within Authorize, with its context, to say that the answer holds for every path of the same token,
// bucket and method that begins with prefix: a folder with its slash ("2026/07/"), or "" for the whole bucket. Until it
// expires such an answer is given without asking again. It reports whether that is so: the prefix must be one of the path
// that was asked about, and end where a folder does. Without a cache it does nothing. It is not for concurrent use within one call.
func HoldsFor(ctx context.Context, prefix string) bool {
	s, ok := ctx.Value(scopeKey{}).(*scope)
	if !ok || !Covers(prefix, s.path) {
		return false
	}
	s.prefix, s.said = prefix, true
	return true
}

// Covers says whether an answer about path may be said to hold for prefix: a folder that the path is in, or is, or "".
func Covers(prefix, path string) bool {
	return strings.HasPrefix(path, prefix) && (prefix == "" || strings.HasSuffix(prefix, "/"))
}
