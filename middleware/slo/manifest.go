package slo

import (
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/ranges"
)

// errManifest is a stored manifest that cannot be read.
var errManifest = errors.New("malformed manifest")

// A part is one segment of a stored manifest.
type part struct {
	Name         string // "/container/object"
	Bytes        int64  // of the whole object
	Hash         string
	ContentType  string
	LastModified string
	Range        string // "first-last", "" for all of it
	SubSLO       bool   // the object is a large object itself
	Data         []byte // the segment itself
	isData       bool

	span ranges.Range // what is wanted of the object or of Data
}

// stored is the JSON of a part, as Swift has written it over the years.
type stored struct {
	Name        *string         `json:"name"`
	Bytes       json.RawMessage `json:"bytes"`
	Hash        string          `json:"hash"`
	ContentType string          `json:"content_type"`
	Range       string          `json:"range"`
	SubSLO      any             `json:"sub_slo"`
	Data        *string         `json:"data"`
}

// parseStored reads a stored manifest.
func parseStored(body []byte) ([]part, error) {
	var list []stored
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	parts := make([]part, len(list))
	for i, s := range list {
		p, err := s.part()
		if err != nil {
			return nil, fmt.Errorf("%w: segment %d: %w", errManifest, i, err)
		}
		parts[i] = p
	}
	return parts, nil
}

func (s stored) part() (part, error) {
	if s.Data != nil {
		data, err := decodeBase64(*s.Data)
		return part{Data: data, isData: true, span: ranges.Range{End: int64(len(data))}}, err
	}
	p := part{Hash: s.Hash, Range: s.Range}
	switch v := s.SubSLO.(type) {
	case bool:
		p.SubSLO = v
	case string:
		p.SubSLO = meta.Truthy(v)
	}
	if s.Name == nil || !strings.Contains(strings.TrimLeft(*s.Name, "/"), "/") {
		return p, errors.New("no name of an object")
	}
	p.Name = *s.Name
	n, ok := integer(s.Bytes)
	if !ok || n < 0 {
		return p, fmt.Errorf("bytes is %q", s.Bytes)
	}
	p.Bytes = n
	if p.SubSLO {
		// Long ago bytes was the manifest's own size, and the content type had the true one.
		if _, size, ok := listing.CutSwiftBytes(s.ContentType); ok {
			p.Bytes = size
		}
	}
	p.span = ranges.Range{End: p.Bytes}
	if s.Range != "" {
		first, last, _ := strings.Cut(s.Range, "-")
		a, err1 := strconv.ParseInt(first, 10, 64)
		b, err2 := strconv.ParseInt(last, 10, 64)
		if err1 != nil || err2 != nil || a < 0 || b < a || b == math.MaxInt64 {
			return p, fmt.Errorf("range is %q", s.Range)
		}
		p.span = ranges.Range{Start: a, End: b + 1}
	}
	return p, nil
}

// integer reads a number, or a text that is one, as Python's int() does. What does not fit becomes the greatest number.
func integer(raw []byte) (int64, bool) {
	s := string(raw)
	switch {
	case s == "true":
		return 1, true
	case s == "false":
		return 0, true
	case s == "" || s == "null" || s[0] == '[' || s[0] == '{':
		return 0, false
	case s[0] == '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return 0, false
		}
		text = strings.TrimSpace(text)
		if digits := strings.TrimLeft(text, "+-"); len(text)-len(digits) > 1 || digits == "" || digits[0] == '_' ||
			strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") || strings.Trim(digits, "0123456789_") != "" {
			return 0, false
		}
		s = strings.ReplaceAll(text, "_", "")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return n, true // ParseInt clamps
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return 0, false
	case x >= math.MaxInt64:
		return math.MaxInt64, true
	case x <= math.MinInt64:
		return math.MinInt64, true
	}
	return int64(x), true
}

// decodeBase64 is as strict as Swift: only the alphabet, and padding enough.
func decodeBase64(s string) ([]byte, error) {
	digits := strings.TrimRight(s, "=")
	if pad := len(s) - len(digits); len(digits)%4 == 1 || pad < (4-len(digits)%4)%4 {
		return nil, base64.CorruptInputError(len(digits))
	}
	if i := strings.IndexAny(digits, "\r\n"); i >= 0 { // which the decoder would skip
		return nil, base64.CorruptInputError(i)
	}
	return base64.RawStdEncoding.DecodeString(digits)
}

// trimSlashes makes the name of a segment one without a slash before it.
func trimSlashes(name string) string { return strings.TrimLeft(name, "/") }

// total adds up the segments.
func total(parts []part) (int64, error) {
	var n int64
	for _, p := range parts {
		if p.span.Len() > math.MaxInt64-n {
			return 0, fmt.Errorf("%w: sizes do not add up", errManifest)
		}
		n += p.span.Len()
	}
	return n, nil
}

// sum is the ETag of the large object.
func sum(parts []part) string {
	h := md5.New()
	for _, p := range parts {
		switch {
		case p.isData:
			data := md5.Sum(p.Data)
			io.WriteString(h, hex.EncodeToString(data[:]))
		case p.Range != "":
			io.WriteString(h, p.Hash+":"+p.Range+";")
		default:
			io.WriteString(h, p.Hash)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// encode writes a manifest to be stored, byte for byte as Swift does.
func encode(parts []part) []byte {
	b := []byte{'['}
	for i, p := range parts {
		if i > 0 {
			b = append(b, listing.Separator...)
		}
		if p.isData {
			b = append(b, `{"data": "`...)
			b = base64.StdEncoding.AppendEncode(b, p.Data)
			b = append(b, `"}`...)
			continue
		}
		b = listing.AppendString(append(b, `{"name": `...), p.Name)
		b = strconv.AppendInt(append(b, `, "bytes": `...), p.Bytes, 10)
		b = listing.AppendString(append(b, `, "hash": `...), p.Hash)
		b = listing.AppendString(append(b, `, "content_type": `...), p.ContentType)
		b = listing.AppendString(append(b, `, "last_modified": `...), p.LastModified)
		if p.Range != "" {
			b = listing.AppendString(append(b, `, "range": `...), p.Range)
		}
		if p.SubSLO {
			b = append(b, `, "sub_slo": true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// raw makes of a stored manifest what a client would upload.
func raw(body []byte) ([]byte, error) {
	entries, err := listing.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	names := map[string]string{"name": "path", "bytes": "size_bytes", "hash": "etag", "content_type": "", "last_modified": "", "sub_slo": ""}
	for i, e := range entries {
		if e.Has("data") {
			continue
		}
		fields := []listing.Field{{Key: "path", Raw: "null"}, {Key: "size_bytes", Raw: "null"}, {Key: "etag", Raw: "null"}}
		for _, f := range e.Fields() {
			name, renamed := names[f.Key]
			switch {
			case !renamed:
				fields = append(fields, f)
			case name != "":
				j := slices.IndexFunc(fields, func(f listing.Field) bool { return f.Key == name })
				fields[j].Raw = f.Raw
			}
		}
		slices.SortFunc(fields, func(a, b listing.Field) int { return cmp.Compare(a.Key, b.Key) })
		entries[i] = listing.Entry{}
		for _, f := range fields {
			entries[i].SetRaw(f.Key, f.Raw)
		}
	}
	return listing.Append(nil, entries), nil
}
