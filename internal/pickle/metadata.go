package pickle

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/ascii"
)

// A KV is one metadata item of an object, in the bytes of the HTTP header that it came from or goes to. The item with
// the key "name" holds the object's path instead.
//
// On disk a header byte of 0x80 or more is stored as the two bytes that UTF-8 has for the character of that number, so
// a client's "é" in UTF-8 takes four. The functions here do and undo this; callers never see the stored form. The name
// is stored as it is.
type KV struct {
	Key, Value string
}

// nameKey is the key whose value is the path and not a header.
const nameKey = "name"

// EncodeMetadata returns the pickle of an object's extended attribute; see [AppendMetadata].
func EncodeMetadata(items []KV) []byte {
	size := 64
	for _, item := range items {
		size += 2*(len(item.Key)+len(item.Value)) + 40
	}
	return AppendMetadata(make([]byte, 0, size), items)
}

// AppendMetadata appends the pickle of a dictionary of bytes to bytes, exactly as Python 3 writes it. The caller sees to
// it that no key comes twice.
func AppendMetadata(dst []byte, items []KV) []byte {
	w := metadataWriter{writer: writer{buf: append(dst, opProto, 2, opEmptyDict)}}
	w.save()
	if len(items) == 1 {
		w.item(items[0])
		w.buf = append(w.buf, opSetitem)
	}
	for rest := items; len(items) > 1 && len(rest) > 0; {
		n := min(len(rest), batch)
		w.buf = append(w.buf, opMark)
		for _, item := range rest[:n] {
			w.item(item)
		}
		w.buf = append(w.buf, opSetitems)
		rest = rest[n:]
	}
	return append(w.buf, opStop)
}

// metadataWriter adds to a writer what Python knows about bytes of length 0 and 1: equal ones are the same object, so
// the second is a reference to the first.
type metadataWriter struct {
	writer
	// tiny holds memo numbers plus one: of the empty bytes, and of each byte alone.
	tiny [1 + utf8.RuneSelf]int
}

func (w *metadataWriter) item(item KV) {
	w.headerBytes(item.Key)
	if item.Key == nameKey {
		w.stored(item.Value)
		return
	}
	w.headerBytes(item.Value)
}

// headerBytes writes s in the stored form of header bytes.
func (w *metadataWriter) headerBytes(s string) {
	if !ascii.Is(s) {
		s = string(appendLatin1AsUTF8(make([]byte, 0, 2*len(s)), s))
	}
	w.stored(s)
}

func (w *metadataWriter) stored(s string) {
	slot := -1
	if s == "" {
		slot = 0
	} else if len(s) == 1 && s[0] < utf8.RuneSelf {
		slot = 1 + int(s[0])
	}
	if slot >= 0 && w.tiny[slot] > 0 {
		w.load(w.tiny[slot] - 1)
		return
	}
	w.bytes(Bytes(s))
	if slot >= 0 {
		w.tiny[slot] = w.saved
	}
}

// DecodeMetadata reads the pickle of an object's extended attribute, in the form of any release of Swift: bytes as
// Python 3 and Python 2 write them, or text. As release 2.38 does, byte strings count as Python 2's, whose bytes are
// header bytes already, unless the pickle begins the way Python 3's do. Errors match [ErrInvalid].
func DecodeMetadata(data []byte) ([]KV, error) {
	if items, ok := decodeUsualMetadata(data); ok {
		return items, nil
	}
	v, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode metadata: %w", err)
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, fmt.Errorf("decode metadata: %w: %T instead of a dictionary", ErrInvalid, v)
	}
	python3 := strings.Contains(string(data[:min(len(data), 32)]), "_codecs\nencode")
	items := make([]KV, 0, d.Len())
	for key, value := range d.All() {
		k, err := headerOf(key, python3)
		if err != nil {
			return nil, fmt.Errorf("decode metadata: key: %w", err)
		}
		var text string
		if k == nameKey {
			text, ok = Text(value)
		} else {
			text, err = headerOf(value, python3)
		}
		if err != nil || !ok {
			return nil, fmt.Errorf("decode metadata: value of %q: %w: %T", k, ErrInvalid, value)
		}
		items = append(items, KV{k, text})
	}
	return items, nil
}

// headerOf returns the header bytes of a value of the general decoder.
func headerOf(v any, python3 bool) (string, error) {
	switch v := v.(type) {
	case string:
		return headerBytesOf(v), nil
	case Bytes:
		if python3 {
			return headerBytesOf(string(v)), nil
		}
		return string(v), nil
	case int64:
		// Very old servers stored numbers as numbers.
		return fmt.Sprint(v), nil
	default:
		return "", fmt.Errorf("%w: %T", ErrInvalid, v)
	}
}

// headerBytesOf undoes the stored form: one byte for each character. Bytes that are no UTF-8 stay, and so does the UTF-8
// of characters that no header byte stands for.
func headerBytesOf(stored string) string {
	if ascii.Is(stored) {
		return stored
	}
	out := make([]byte, 0, len(stored))
	for i := 0; i < len(stored); {
		r, size := utf8.DecodeRuneInString(stored[i:])
		if r <= 0xFF {
			out = append(out, byte(r))
		} else {
			out = append(out, stored[i:i+size]...)
		}
		i += size
	}
	return string(out)
}

// decodeUsualMetadata reads the exact form that AppendMetadata writes. For anything else, right or wrong, it says false.
// It makes one string of the whole pickle, of which nearly all items are parts.
func decodeUsualMetadata(data []byte) (items []KV, ok bool) {
	const head = "\x80\x02}q\x00("
	const tail = "u."
	if len(data) < len(head)+len(tail) || string(data[:len(head)]) != head || string(data[len(data)-len(tail):]) != tail {
		return nil, false
	}
	r := metadataReader{rest: string(data[len(head) : len(data)-len(tail)]), saved: 1}
	// Few items take less than 48 bytes, so this rarely needs to grow.
	items = make([]KV, 0, min(len(data)/48+1, batch))
	for r.rest != "" {
		key, ok := r.bytes()
		if !ok {
			return nil, false
		}
		value, ok := r.bytes()
		if !ok {
			return nil, false
		}
		key = headerBytesOf(key)
		if key != nameKey {
			value = headerBytesOf(value)
		}
		items = append(items, KV{key, value})
	}
	if hasDuplicate(items) {
		return nil, false
	}
	return items, true
}

// hasDuplicate reports whether a key comes twice, which only a forged pickle has; the general decoder sorts it out.
func hasDuplicate(items []KV) bool {
	if len(items) > 64 {
		seen := make(map[string]bool, len(items))
		for _, item := range items {
			if seen[item.Key] {
				return true
			}
			seen[item.Key] = true
		}
		return false
	}
	for i := range items {
		for j := range i {
			if items[i].Key == items[j].Key {
				return true
			}
		}
	}
	return false
}

// metadataReader reads the instructions that AppendMetadata writes, in the only order that it writes them.
type metadataReader struct {
	rest string
	// saved counts the values in the memo.
	saved int
	// encode and latin1 are the memo numbers of what is written once, 0 before.
	encode, latin1 int
	// tiny remembers the values of length 0 and 1 that a later reference may mean.
	tiny  [maxTiny]tinyValue
	tinyN int
}

// maxTiny is how many short values are remembered; beyond that the general decoder does the work.
const maxTiny = 8

type tinyValue struct {
	number int
	value  string
}

// bytes reads one bytes value.
func (r *metadataReader) bytes() (string, bool) {
	switch {
	case r.skip(globalEmptyBytes):
		ok := r.save() && r.skip(")R") && r.save()
		return r.remember("", ok)
	case r.encode == 0:
		if !r.skip(globalCodecsEncode) || !r.save() {
			return "", false
		}
		r.encode = r.saved - 1
	default:
		number, ok := r.load()
		if !ok {
			return "", false
		}
		if number != r.encode {
			return r.recall(number)
		}
	}
	text, ok := r.text()
	if !ok || !r.latin1Argument() || !r.skip("\x86") || !r.save() || !r.skip("R") || !r.save() {
		return "", false
	}
	text, ok = latin1Of(text)
	return r.remember(text, ok)
}

func (r *metadataReader) latin1Argument() bool {
	if r.latin1 > 0 {
		number, ok := r.load()
		return ok && number == r.latin1
	}
	text, ok := r.text()
	r.latin1 = r.saved - 1
	return ok && text == "latin1"
}

// text reads one text and its save.
func (r *metadataReader) text() (string, bool) {
	if len(r.rest) < 5 || r.rest[0] != opBinunicode {
		return "", false
	}
	size := int(littleUint32(r.rest[1:]))
	if size > len(r.rest)-5 {
		return "", false
	}
	text := r.rest[5 : 5+size]
	r.rest = r.rest[5+size:]
	return text, r.save()
}

func (r *metadataReader) remember(value string, ok bool) (string, bool) {
	if ok && len(value) <= 1 && r.tinyN < maxTiny {
		r.tiny[r.tinyN] = tinyValue{r.saved - 1, value}
		r.tinyN++
	}
	return value, ok
}

func (r *metadataReader) recall(number int) (string, bool) {
	for _, t := range r.tiny[:r.tinyN] {
		if t.number == number {
			return t.value, true
		}
	}
	return "", false
}

func (r *metadataReader) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(r.rest, prefix)
	r.rest = rest
	return ok
}

// save reads the instruction that saves under the next number.
func (r *metadataReader) save() bool {
	number, ok := r.number(opBinput, opLongBinput)
	ok = ok && number == r.saved
	r.saved++
	return ok
}

// load reads the instruction that fetches a saved value.
func (r *metadataReader) load() (number int, ok bool) {
	return r.number(opBinget, opLongBinget)
}

// number reads an instruction with a memo number of one byte, or, from 256 on, of four.
func (r *metadataReader) number(short, long byte) (number int, ok bool) {
	switch {
	case len(r.rest) >= 2 && r.rest[0] == short:
		number = int(r.rest[1])
		r.rest = r.rest[2:]
		return number, true
	case len(r.rest) >= 5 && r.rest[0] == long:
		number = int(littleUint32(r.rest[1:]))
		r.rest = r.rest[5:]
		return number, number > math.MaxUint8
	default:
		return 0, false
	}
}
