package formpost

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/digest"
)

// check says whether the fields so far are signed, for the request's path, and good for now.
func (f *form) check() error {
	expires, ok := integer(f.fields["expires"])
	if !ok {
		return refuse("expired not an integer")
	}
	if now := f.clock.Now(); expires < now.Unix() || expires == now.Unix() && now.Truncate(time.Second).Before(now) {
		return unauthorized("Form Expired")
	}
	given, err := digest.Parse(f.fields["signature"])
	if err != nil || !f.digests.Allows(given.Algorithm) {
		return unauthorized("Invalid Signature")
	}
	text := f.signed()
	good := false
	for _, key := range f.keys {
		// All are tried, so that the time does not tell which it was.
		if given.Is(digest.HMAC(given.Algorithm, key, text)) {
			good = true
		}
	}
	if !good {
		return unauthorized("Invalid Signature")
	}
	f.stats.Increment("formpost.digests." + string(given.Algorithm))
	return nil
}

// signed is the text that the signature is for. The numbers are in it as they were sent.
func (f *form) signed() string {
	text := f.request.URL.Path + "\n" + f.fields["redirect"]
	for _, name := range []string{"max_file_size", "max_file_count", "expires"} {
		value := f.fields[name]
		if value == "" {
			value = "0"
		}
		text += "\n" + value
	}
	return text
}

// integer is number, with 0 for the empty text.
func integer(text string) (n int64, ok bool) {
	if text == "" {
		return 0, true
	}
	return number(text)
}

// number reads a decimal number as Python does: with blanks around it, a sign, and single underscores between digits. What is
// too large for us becomes the largest that is not.
func number(text string) (n int64, ok bool) {
	text = strings.TrimSpace(text)
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 || digits == "" {
		return 0, false
	}
	for i, c := range []byte(digits) {
		edge := i == 0 || i == len(digits)-1 || digits[i-1] == '_'
		if (c < '0' || c > '9') && (c != '_' || edge) {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err != nil && n != math.MaxInt64 && n != math.MinInt64 {
		return 0, false
	}
	return n, true
}
