// Package listing holds the entries of account and container listings: their JSON form, which is what servers and
// middleware exchange, and the renderings that clients may ask for.
//
// JSON is written byte for byte as Swift writes it: ", " and ": " between parts, ASCII only, keys in the order of the
// writer. Nodes write rows with [AppendObject], [AppendContainer] and [AppendSubdir]; whoever works on a finished
// listing uses [Decode], which keeps unknown keys (middleware adds slo_etag, version_id and others) and the order of
// all, and [Append]. Values are kept as JSON text until asked for, because most are only passed on.
//
// Non-goals: selecting and ordering the entries (the databases do that), HTTP statuses.
//
//	body := append([]byte(nil), '[')
//	for i, row := range rows {
//		if i > 0 {
//			body = append(body, listing.Separator...)
//		}
//		body = listing.AppendObject(body, row)
//	}
//	body = append(body, ']')
//
//	entries, err := listing.Decode(body)
//	xml, err := listing.RenderXML(entries, listing.Container, "photos")
package listing

import (
	"strconv"
	"strings"
)

// Separator stands between two entries of a listing.
const Separator = ", "

// Keys of entries. Middleware adds others.
const (
	KeyName          = "name"
	KeySubdir        = "subdir"
	KeyBytes         = "bytes"
	KeyHash          = "hash"
	KeyContentType   = "content_type"
	KeyLastModified  = "last_modified"
	KeyCount         = "count"
	KeyStoragePolicy = "storage_policy"
)

// Object is a row of a container's listing.
type Object struct {
	Name, Hash   string
	ContentType  string // as stored: a swift_bytes parameter replaces Bytes and is not shown
	LastModified string // ISO form with microseconds and no zone
	Bytes        int64
}

// Row is a row of an account's listing: one container.
type Row struct {
	Name          string
	LastModified  string // ISO form with microseconds and no zone
	StoragePolicy string // name; left out if empty, as by Swift before 2.38
	Count, Bytes  int64
}

// AppendObject appends the JSON of an object's row, in the order of Swift's container server.
func AppendObject(dst []byte, o Object) []byte {
	contentType, size, ok := CutSwiftBytes(o.ContentType)
	if !ok {
		size = o.Bytes
	}
	dst = append(dst, `{"bytes": `...)
	dst = strconv.AppendInt(dst, size, 10)
	dst = append(dst, `, "hash": `...)
	dst = AppendString(dst, o.Hash)
	dst = append(dst, `, "name": `...)
	dst = AppendString(dst, o.Name)
	dst = append(dst, `, "content_type": `...)
	dst = AppendString(dst, contentType)
	dst = append(dst, `, "last_modified": `...)
	dst = AppendString(dst, o.LastModified)
	return append(dst, '}')
}

// AppendContainer appends the JSON of a container's row, in the order of Swift's account server.
func AppendContainer(dst []byte, r Row) []byte {
	dst = append(dst, `{"name": `...)
	dst = AppendString(dst, r.Name)
	dst = append(dst, `, "count": `...)
	dst = strconv.AppendInt(dst, r.Count, 10)
	dst = append(dst, `, "bytes": `...)
	dst = strconv.AppendInt(dst, r.Bytes, 10)
	dst = append(dst, `, "last_modified": `...)
	dst = AppendString(dst, r.LastModified)
	if r.StoragePolicy != "" {
		dst = append(dst, `, "storage_policy": `...)
		dst = AppendString(dst, r.StoragePolicy)
	}
	return append(dst, '}')
}

// AppendSubdir appends the JSON of names that collapse at a delimiter.
func AppendSubdir(dst []byte, name string) []byte {
	dst = append(dst, `{"subdir": `...)
	dst = AppendString(dst, name)
	return append(dst, '}')
}

// Entry is one decoded item of a listing. The zero value is an item without keys. Copies share what they hold until
// one of them is changed.
type Entry struct {
	fields []Field
}

// Field is one key of an [Entry] with its value as valid JSON text.
type Field struct {
	Key string
	Raw string
}

// Fields returns the keys and values in order. The slice must not be changed.
func (e Entry) Fields() []Field { return e.fields }

// Raw returns a value as JSON text, "" if the key is absent.
func (e Entry) Raw(key string) string {
	for i := range e.fields {
		if e.fields[i].Key == key {
			return e.fields[i].Raw
		}
	}
	return ""
}

// Has reports whether the key is there, whatever its value.
func (e Entry) Has(key string) bool { return e.Raw(key) != "" }

// Text returns a string value; ok is false if the key is absent or its value is no string.
func (e Entry) Text(key string) (value string, ok bool) { return decodeString(e.Raw(key)) }

// Int returns an integer value; ok is false if the key is absent or its value is no integer of 64 bits.
func (e Entry) Int(key string) (value int64, ok bool) {
	n, err := strconv.ParseInt(e.Raw(key), 10, 64)
	return n, err == nil
}

// Name returns the name of an object or container, or that of a subdir; "" if the entry has neither.
func (e Entry) Name() (name string, subdir bool) {
	if s, ok := e.Text(KeySubdir); ok {
		return s, true
	}
	s, _ := e.Text(KeyName)
	return s, false
}

// SetText sets a string value: in place if the key is there, otherwise as the last key.
func (e *Entry) SetText(key, value string) { e.SetRaw(key, string(AppendString(nil, value))) }

// SetInt sets an integer value, like SetText.
func (e *Entry) SetInt(key string, value int64) { e.SetRaw(key, strconv.FormatInt(value, 10)) }

// SetBool sets a boolean value, like SetText.
func (e *Entry) SetBool(key string, value bool) { e.SetRaw(key, strconv.FormatBool(value)) }

// SetRaw sets a value given as JSON text, which must be valid, like SetText.
func (e *Entry) SetRaw(key, raw string) {
	fields := append(make([]Field, 0, len(e.fields)+1), e.fields...)
	for i := range fields {
		if fields[i].Key == key {
			fields[i].Raw = raw
			e.fields = fields
			return
		}
	}
	e.fields = append(fields, Field{key, raw})
}

// Delete removes a key and reports whether it was there.
func (e *Entry) Delete(key string) bool {
	for i := range e.fields {
		if e.fields[i].Key == key {
			fields := append(make([]Field, 0, len(e.fields)), e.fields[:i]...)
			e.fields = append(fields, e.fields[i+1:]...)
			return true
		}
	}
	return false
}

// Visible returns the entries that clients may see: those without the byte of the reserved namespace, NUL, in their
// name. The names left out are returned for the log.
func Visible(entries []Entry) (visible []Entry, hidden []string) {
	reserved := func(e Entry) (string, bool) {
		for _, key := range [...]string{KeyName, KeySubdir} {
			// Without an escape there can be no NUL: JSON text has no bare control characters.
			if strings.IndexByte(e.Raw(key), '\\') < 0 {
				continue
			}
			if s, ok := e.Text(key); ok && strings.IndexByte(s, 0) >= 0 {
				return s, true
			}
		}
		return "", false
	}
	for i, e := range entries {
		name, ok := reserved(e)
		switch {
		case ok && hidden == nil:
			visible = append(make([]Entry, 0, len(entries)), entries[:i]...)
			fallthrough
		case ok:
			hidden = append(hidden, name)
		case hidden != nil:
			visible = append(visible, e)
		}
	}
	if hidden == nil {
		return entries, nil
	}
	return visible, hidden
}
