package meta

import (
	"errors"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/ascii"
)

// ErrNotStored is text that [ToStored] cannot have written.
var ErrNotStored = errors.New("text is not one byte per character")

// Title spells a header name as Swift's header dictionary does: the first letter of each run of ASCII letters in upper
// case, the others in lower case; any other byte ends a run. It does not allocate if the name is spelled so already.
func Title(name string) string {
	inRun := false
	for i := range len(name) {
		c := titled(name[i], inRun)
		if c != name[i] {
			b := []byte(name)
			for ; i < len(b); i++ {
				b[i] = titled(b[i], inRun)
				inRun = isLetter(b[i])
			}
			return string(b)
		}
		inRun = isLetter(c)
	}
	return name
}

func isLetter(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }

func titled(c byte, inRun bool) byte {
	switch {
	case !isLetter(c):
		return c
	case inRun:
		return c | 0x20
	}
	return c &^ 0x20
}

// FromClient spells the name of a header that came over HTTP: [Title], with underscores as hyphens, because WSGI does
// not tell them apart.
func FromClient(name string) string {
	for i := range len(name) {
		if name[i] == '_' {
			b := []byte(name)
			for ; i < len(b); i++ {
				if b[i] == '_' {
					b[i] = '-'
				}
			}
			name = string(b)
			break
		}
	}
	return Title(name)
}

// ObjectKey spells a header name as a key of object metadata on disk: [Title], but ETag.
func ObjectKey(name string) string {
	if t := Title(name); t != "Etag" {
		return t
	}
	return "ETag"
}

// OverrideName returns the full name of the sysmeta header that replaces one value of the container's row:
// "etag" gives X-Object-Sysmeta-Container-Update-Override-Etag.
func OverrideName(what string) string { return Title(OverridePrefix + what) }

// ToStored turns raw header bytes into the text of object metadata on disk, where each byte is one character and
// the text is UTF-8: C3 A9 becomes C3 83 C2 A9. The value of the key "name" is plain UTF-8 and does not go through
// here.
func ToStored(raw string) string {
	n := 0
	for i := range len(raw) {
		n += int(raw[i] >> 7)
	}
	if n == 0 {
		return raw
	}
	b := make([]byte, 0, len(raw)+n)
	for i := range len(raw) {
		b = utf8.AppendRune(b, rune(raw[i]))
	}
	return string(b)
}

// FromStored turns stored text back into header bytes. Text that is not the UTF-8 form of characters up to U+00FF was
// written by something else and gives ErrNotStored; the text is returned unchanged then, so that a caller may serve it
// as it is.
func FromStored(text string) (string, error) {
	if ascii.Is(text) {
		return text, nil
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r > 0xff {
			return text, ErrNotStored // RuneError is above 0xff too
		}
		b = append(b, byte(r))
		i += size
	}
	return string(b), nil
}
