package pickle

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
)

// An ObjectRecord is a pending row of a container's database. Times are texts as they came, which may be in delta
// encoding.
type ObjectRecord struct {
	Name        string
	CreatedAt   string
	Size        int64
	ContentType string
	ETag        string
	Deleted     bool
	PolicyIndex int64
	// ContentTypeTimestamp and MetaTimestamp are empty if CreatedAt says it all.
	ContentTypeTimestamp string
	MetaTimestamp        string
}

// A ContainerRecord is a pending row of an account's database. An empty time or a Number that is None leaves what the
// database has.
type ContainerRecord struct {
	Name            string
	PutTimestamp    string
	DeleteTimestamp string
	ObjectCount     Number
	BytesUsed       Number
	Deleted         bool
	PolicyIndex     int64
}

// A Number is an integer or None.
type Number struct {
	N int64
	// None says that there is no number; N is 0 then.
	None bool
}

// pendingMark begins each record of a pending file.
const pendingMark = ':'

// Pending iterates over the records of a pending file, each a part of data to be given to
// [DecodeObjectRecord] or [DecodeContainerRecord].
func Pending(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for record := range bytes.SplitSeq(data, []byte{pendingMark}) {
			if len(record) > 0 && !yield(record) {
				return
			}
		}
	}
}

// AppendPending appends the record to the bytes of a pending file: a colon and the pickle in base64.
func (r *ObjectRecord) AppendPending(dst []byte) []byte {
	var scratch [512]byte
	return base64.StdEncoding.AppendEncode(append(dst, pendingMark), r.AppendPickle(scratch[:0]))
}

// AppendPickle appends the record as a pickled tuple of nine items.
func (r *ObjectRecord) AppendPickle(dst []byte) []byte {
	w := writer{buf: append(dst, opProto, 2, opMark)}
	w.text(r.Name)
	w.text(r.CreatedAt)
	w.int(r.Size)
	w.text(r.ContentType)
	w.text(r.ETag)
	w.flag(r.Deleted)
	w.int(r.PolicyIndex)
	w.optional(r.ContentTypeTimestamp)
	if r.MetaTimestamp != "" && r.MetaTimestamp == r.ContentTypeTimestamp {
		w.load(w.saved - 1)
	} else {
		w.optional(r.MetaTimestamp)
	}
	w.buf = append(w.buf, opTuple)
	w.save()
	return append(w.buf, opStop)
}

// AppendPending appends the record to the bytes of a pending file: a colon and the pickle in base64.
func (r *ContainerRecord) AppendPending(dst []byte) []byte {
	var scratch [512]byte
	return base64.StdEncoding.AppendEncode(append(dst, pendingMark), r.AppendPickle(scratch[:0]))
}

// AppendPickle appends the record as a pickled tuple of seven items.
func (r *ContainerRecord) AppendPickle(dst []byte) []byte {
	w := writer{buf: append(dst, opProto, 2, opMark)}
	w.text(r.Name)
	w.optional(r.PutTimestamp)
	w.optional(r.DeleteTimestamp)
	w.number(r.ObjectCount)
	w.number(r.BytesUsed)
	w.flag(r.Deleted)
	w.int(r.PolicyIndex)
	w.buf = append(w.buf, opTuple)
	w.save()
	return append(w.buf, opStop)
}

// flag writes a truth value as databases have it.
func (w *writer) flag(v bool) {
	if v {
		w.int(1)
	} else {
		w.int(0)
	}
}

// optional writes a text, or None for the empty one.
func (w *writer) optional(s string) {
	if s == "" {
		w.buf = append(w.buf, opNone)
		return
	}
	w.text(s)
}

func (w *writer) number(n Number) {
	if n.None {
		w.buf = append(w.buf, opNone)
		return
	}
	w.int(n.N)
}

// DecodeObjectRecord reads a record of a container's pending file, without its colon. Records of six or seven items, as
// old releases wrote them, are of policy 0 and have no further times. Errors match [ErrInvalid].
func DecodeObjectRecord(record []byte) (r ObjectRecord, err error) {
	fields, err := decodeRecord(record)
	if err != nil {
		return ObjectRecord{}, fmt.Errorf("decode object record: %w", err)
	}
	if n := fields.n; n != 6 && n != 7 && n != 9 {
		return ObjectRecord{}, fmt.Errorf("decode object record: %w: %d items", ErrInvalid, n)
	}
	f := fieldReader{fields: fields.items[:fields.n]}
	r = ObjectRecord{
		Name:        f.text("name"),
		CreatedAt:   f.text("created_at"),
		Size:        f.number("size").N,
		ContentType: f.text("content_type"),
		ETag:        f.text("etag"),
		Deleted:     f.number("deleted").N != 0,
	}
	if len(f.fields) > 0 {
		r.PolicyIndex = f.number("storage_policy_index").N
	}
	if len(f.fields) > 0 {
		r.ContentTypeTimestamp = f.text("ctype_timestamp")
		r.MetaTimestamp = f.text("meta_timestamp")
	}
	if f.err != nil {
		return ObjectRecord{}, fmt.Errorf("decode object record: %w", f.err)
	}
	return r, nil
}

// DecodeContainerRecord reads a record of an account's pending file, without its colon. Numbers may be written as text,
// as old releases passed on what stood in a header; an empty text counts as None. Records of six items are of policy 0.
// Errors match [ErrInvalid].
func DecodeContainerRecord(record []byte) (r ContainerRecord, err error) {
	fields, err := decodeRecord(record)
	if err != nil {
		return ContainerRecord{}, fmt.Errorf("decode container record: %w", err)
	}
	if n := fields.n; n != 6 && n != 7 {
		return ContainerRecord{}, fmt.Errorf("decode container record: %w: %d items", ErrInvalid, n)
	}
	f := fieldReader{fields: fields.items[:fields.n]}
	r = ContainerRecord{
		Name:            f.text("name"),
		PutTimestamp:    f.text("put_timestamp"),
		DeleteTimestamp: f.text("delete_timestamp"),
		ObjectCount:     f.number("object_count"),
		BytesUsed:       f.number("bytes_used"),
		Deleted:         f.number("deleted").N != 0,
	}
	if len(f.fields) > 0 {
		r.PolicyIndex = f.number("storage_policy_index").N
	}
	if f.err != nil {
		return ContainerRecord{}, fmt.Errorf("decode container record: %w", f.err)
	}
	return r, nil
}

// field is one item of a record.
type field struct {
	kind fieldKind
	text string
	n    int64
}

type fieldKind byte

const (
	fieldNone fieldKind = iota
	fieldText
	fieldNumber
)

// maxFields is the length of the longest record.
const maxFields = 9

type recordFields struct {
	items [maxFields]field
	n     int
}

// fieldReader takes a record's items one by one and keeps the first mistake.
type fieldReader struct {
	fields []field
	err    error
}

func (r *fieldReader) next() (f field) {
	f, r.fields = r.fields[0], r.fields[1:]
	return f
}

// text returns the next item, which may be None, as text.
func (r *fieldReader) text(name string) string {
	f := r.next()
	if r.err == nil && (f.kind == fieldNumber || (f.kind == fieldNone && name == "name")) {
		r.err = invalid("%s is not text", name)
	}
	return f.text
}

func (r *fieldReader) number(name string) Number {
	f := r.next()
	switch {
	case f.kind == fieldNumber:
		return Number{N: f.n}
	case f.text == "":
		return Number{None: true}
	}
	n, err := strconv.ParseInt(f.text, 10, 64)
	if err != nil && r.err == nil {
		r.err = invalid("%s is %q", name, f.text)
	}
	return Number{N: n}
}

// decodeRecord undoes the base64 and reads the tuple.
func decodeRecord(record []byte) (recordFields, error) {
	var scratch [1024]byte
	data, err := base64.StdEncoding.AppendDecode(scratch[:0], record)
	if err != nil {
		return recordFields{}, invalid("base64: %v", err)
	}
	if fields, ok := usualRecord(data); ok {
		return fields, nil
	}
	// A copy, so that scratch can stay on the stack for the usual form.
	v, err := Decode(bytes.Clone(data))
	if err != nil {
		return recordFields{}, err
	}
	items, ok := v.(Tuple)
	if list, isList := v.([]any); isList {
		items, ok = list, true
	}
	if !ok || len(items) > maxFields {
		return recordFields{}, invalid("%T of %d items", v, len(items))
	}
	fields := recordFields{n: len(items)}
	for i, item := range items {
		if fields.items[i], err = fieldOf(item); err != nil {
			return recordFields{}, err
		}
	}
	return fields, nil
}

// fieldOf turns a value of the general decoder into a field.
func fieldOf(v any) (field, error) {
	switch v := v.(type) {
	case nil:
		return field{}, nil
	case bool:
		if v {
			return field{kind: fieldNumber, n: 1}, nil
		}
		return field{kind: fieldNumber}, nil
	case int64:
		return field{kind: fieldNumber, n: v}, nil
	case string:
		return field{kind: fieldText, text: v}, nil
	case Bytes:
		return field{kind: fieldText, text: string(v)}, nil
	default:
		return field{}, invalid("%T in a record", v)
	}
}

// usualRecord reads a tuple in the form that Python 3 writes with protocol 2, making one string of all texts. For
// anything else it says false.
func usualRecord(data []byte) (fields recordFields, ok bool) {
	const head = "\x80\x02("
	if len(data) < len(head) || string(data[:len(head)]) != head {
		return fields, false
	}
	rest := string(data[len(head):])
	// saved holds the texts in the order of their memo numbers.
	var saved [maxFields]string
	savedN := 0
	for rest != "" && rest[0] != opTuple {
		if fields.n == maxFields {
			return fields, false
		}
		f := &fields.items[fields.n]
		fields.n++
		if rest[0] == opBinget && len(rest) >= 2 {
			if int(rest[1]) >= savedN {
				return fields, false
			}
			*f = field{kind: fieldText, text: saved[rest[1]]}
			rest = rest[2:]
			continue
		}
		size := usualField(rest, f)
		if size == 0 {
			return fields, false
		}
		rest = rest[size:]
		if f.kind != fieldText {
			continue
		}
		if len(rest) < 2 || rest[0] != opBinput || int(rest[1]) != savedN {
			return fields, false
		}
		saved[savedN] = f.text
		savedN++
		rest = rest[2:]
	}
	// What is left is the tuple, its save and the end.
	return fields, len(rest) == 4 && rest[1] == opBinput && int(rest[2]) == savedN && rest[3] == opStop
}

// usualField reads one value and returns how many bytes it took, 0 if it is of no usual form.
func usualField(rest string, f *field) (size int) {
	switch rest[0] {
	case opNone:
		return 1
	case opBinint1:
		size = 2
	case opBinint2:
		size = 3
	case opBinint, opBinunicode:
		size = 5
	case opLong1:
		if len(rest) < 2 || rest[1] == 0 || rest[1] > 8 {
			return 0
		}
		size = 2 + int(rest[1])
	default:
		return 0
	}
	if len(rest) < size {
		return 0
	}
	f.kind = fieldNumber
	switch rest[0] {
	case opBinint1:
		f.n = int64(rest[1])
	case opBinint2:
		f.n = int64(rest[1]) | int64(rest[2])<<8
	case opBinint:
		f.n = int64(int32(littleUint32(rest[1:])))
	case opLong1:
		last := rest[size-1]
		f.n = int64(int8(last))
		for i := size - 2; i >= 2; i-- {
			f.n = f.n<<8 | int64(rest[i])
		}
	case opBinunicode:
		n := littleUint32(rest[1:])
		if n > math.MaxInt32 || int(n) > len(rest)-size {
			return 0
		}
		f.kind, f.text = fieldText, textOf(rest[size:size+int(n)])
		size += int(n)
	}
	return size
}

func littleUint32(s string) uint32 {
	var b [4]byte
	copy(b[:], s)
	return binary.LittleEndian.Uint32(b[:])
}
