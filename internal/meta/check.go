package meta

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/constraint"
)

// Error says which rule the headers of a request break.
type Error struct {
	text string
}

func refuse(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

func (e *Error) Error() string { return "check headers: " + e.text }

// Text returns what Swift tells the client.
func (e *Error) Text() string { return e.text }

// Check applies the limits to a request's headers: the length of any value, and name, value, number and sum of the
// user metadata of the kind. It returns an [*Error] for the first header, in the order of names, that breaks a rule;
// Swift goes by the order in which headers arrived, which Go does not keep. The total of an account or container is
// the node's to check, with [CheckTotal].
func Check(k Kind, h http.Header, limits constraint.Limits) error {
	prefix := strings.ToLower(k.UserPrefix())
	count, size := 0, 0
	for _, key := range slices.Sorted(maps.Keys(h)) {
		value := Value(h, key)
		if len(value) > limits.MaxHeaderSize {
			name := FromClient(key)
			return refuse("Header value too long: %s", name[:min(len(name), limits.MaxMetaNameLength)])
		}
		if !hasPrefixFold(key, prefix) {
			continue
		}
		name := FromClient(key)[len(prefix):]
		if name == "" {
			return refuse("Metadata name cannot be empty")
		}
		if k != Object && !(validText(name) && validText(value)) {
			return refuse("Metadata must be valid UTF-8")
		}
		count++
		size += len(name) + len(value)
		switch {
		case len(name) > limits.MaxMetaNameLength:
			return refuse("Metadata name too long: %s%s", prefix, name)
		case len(value) > limits.MaxMetaValueLength:
			return refuse("Metadata value longer than %d: %s%s", limits.MaxMetaValueLength, prefix, name)
		}
		if err := checkSums(count, size, limits); err != nil {
			return err
		}
	}
	return nil
}

// CheckTotal applies the limits on number and sum to the whole metadata that an account or container would have after
// a change. Items with an empty value are deleted ones and do not count; sysmeta only has to be valid text.
func CheckTotal(items iter.Seq2[string, string], limits constraint.Limits) error {
	count, size := 0, 0
	for key, value := range items {
		if !validText(key) || !validText(value) {
			return refuse("Metadata must be valid UTF-8")
		}
		name, ok := cutOrEmpty(key, Account.UserPrefix())
		if !ok {
			name, ok = cutOrEmpty(key, Container.UserPrefix())
		}
		if ok && value != "" {
			count++
			size += len(name) + len(value)
		}
	}
	return checkSums(count, size, limits)
}

func cutOrEmpty(name, prefix string) (string, bool) {
	if !hasPrefixFold(name, prefix) {
		return "", false
	}
	return name[len(prefix):], true
}

func checkSums(count, size int, limits constraint.Limits) error {
	if count > limits.MaxMetaCount {
		return refuse("Too many metadata items; max %d", limits.MaxMetaCount)
	}
	if size > limits.MaxMetaOverallSize {
		return refuse("Total metadata too large; max %d", limits.MaxMetaOverallSize)
	}
	return nil
}

func validText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// maxDeleteAt is the greatest expiry time: the queue's names have ten digits.
const maxDeleteAt = 9999999999

// ResolveDelete checks the expiry headers of a PUT or POST whose X-Timestamp is now, and replaces X-Delete-After by
// the X-Delete-At that it means, even if the client sent one too. A time that is already past is refused with an
// [*Error], except for X-Delete-At in a request with a truthy X-Backend-Replication, which copies what exists.
//
// Numbers may be written in any way that Python's int() takes ("+5", "1_000"), and are capped at [0, 9999999999]. A
// plain X-Delete-At is left spelled as it came; [DeleteAt] reads it.
func ResolveDelete(h http.Header, now time.Time) error {
	if _, ok := h["X-Delete-After"]; ok {
		after, ok := pythonInt(Value(h, "X-Delete-After"))
		if !ok {
			return refuse("Non-integer X-Delete-After")
		}
		// now has a fraction, which is dropped after the sum; whole seconds do the same.
		at := capDeleteAt(now.Unix() + after)
		if !time.Unix(at, 0).After(now) {
			return refuse("X-Delete-After in past")
		}
		h["X-Delete-At"] = []string{fmt.Sprintf("%010d", at)}
		delete(h, "X-Delete-After")
	}
	if _, ok := h["X-Delete-At"]; ok {
		at, ok := DeleteAt(Value(h, "X-Delete-At"))
		if !ok {
			return refuse("Non-integer X-Delete-At")
		}
		if !time.Unix(at, 0).After(now) && !Truthy(Value(h, "X-Backend-Replication")) {
			return refuse("X-Delete-At in past")
		}
	}
	return nil
}

// DeleteAt reads the value of an X-Delete-At header, in seconds since 1970, capped at [0, 9999999999].
func DeleteAt(value string) (seconds int64, ok bool) {
	n, ok := pythonInt(value)
	return capDeleteAt(n), ok
}

func capDeleteAt(n int64) int64 { return min(max(n, 0), maxDeleteAt) }

// pythonInt reads decimal integers as Python's int() does: white space around, one sign, single underscores between
// digits. Numbers beyond 10^17 are cut to it, which keeps sums with a time from overflowing.
func pythonInt(s string) (int64, bool) {
	const limit = 1e17
	s = strings.TrimSpace(s)
	digits, negative := s, false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits, negative = s[1:], s[0] == '-'
	}
	if digits == "" || digits[0] == '_' || digits[len(digits)-1] == '_' || strings.Contains(digits, "__") {
		return 0, false
	}
	digits = strings.ReplaceAll(digits, "_", "")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > limit {
		n = limit
	}
	if negative {
		n = -n
	}
	return n, true
}
