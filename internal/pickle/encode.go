package pickle

import (
	"encoding/binary"
	"fmt"
	"math"
)

// batch is how many items Python puts between one MARK and its APPENDS or SETITEMS.
const batch = 1000

// Encode returns v as a pickle of protocol 2, in the form that Python 3 writes when no part of v occurs twice. It takes
// what [Decode] returns, and besides int, []string, []int and [Items]. Other types, nesting beyond [MaxDepth] and array
// items that do not fit their typecode are errors.
func Encode(v any) ([]byte, error) {
	w := writer{buf: []byte{opProto, 2}}
	if err := w.value(v, 0); err != nil {
		return nil, fmt.Errorf("encode pickle: %w", err)
	}
	return append(w.buf, opStop), nil
}

// writer appends instructions. Python saves each text, bytes and container in its memo as it goes; readers don't care,
// but the same bytes make fixtures comparable.
type writer struct {
	buf []byte
	// saved is how many values the memo holds.
	saved int
	// encode and latin1 are the memo numbers, plus one, of what every bytes value needs; 0 before the first.
	encode, latin1 int
}

func (w *writer) value(v any, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	switch v := v.(type) {
	case nil:
		w.buf = append(w.buf, opNone)
	case bool:
		w.bool(v)
	case int:
		w.int(int64(v))
	case int64:
		w.int(v)
	case float64:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, opBinfloat), math.Float64bits(v))
	case string:
		w.text(v)
	case Bytes:
		w.bytes(v)
	case []any:
		return writeList(w, v, depth)
	case []string:
		return writeList(w, v, depth)
	case []int:
		return writeList(w, v, depth)
	case Tuple:
		return w.tuple(v, depth)
	case *Dict:
		return w.dict(v.items, depth)
	case Items:
		return w.dict(v, depth)
	case Array:
		return w.array(v)
	default:
		return fmt.Errorf("%T has no form in a pickle", v)
	}
	return nil
}

func (w *writer) bool(v bool) {
	if v {
		w.buf = append(w.buf, opNewtrue)
	} else {
		w.buf = append(w.buf, opNewfalse)
	}
}

func (w *writer) int(n int64) {
	switch {
	case n >= 0 && n <= math.MaxUint8:
		w.buf = append(w.buf, opBinint1, byte(n))
	case n >= 0 && n <= math.MaxUint16:
		w.buf = binary.LittleEndian.AppendUint16(append(w.buf, opBinint2), uint16(n))
	case n >= math.MinInt32 && n <= math.MaxInt32:
		w.buf = binary.LittleEndian.AppendUint32(append(w.buf, opBinint), uint32(n))
	default:
		var full [8]byte
		binary.LittleEndian.PutUint64(full[:], uint64(n))
		size := 8
		// A top byte that only repeats the sign of the next one is left out.
		for size > 1 && full[size-1] == byte(int8(full[size-2])>>7) {
			size--
		}
		w.buf = append(append(w.buf, opLong1, byte(size)), full[:size]...)
	}
}

func (w *writer) text(s string) {
	w.buf = binary.LittleEndian.AppendUint32(append(w.buf, opBinunicode), uint32(textSize(s)))
	w.buf = appendText(w.buf, s)
	w.save()
}

// bytes writes the call that protocol 2 has instead of bytes.
func (w *writer) bytes(b Bytes) {
	if b == "" {
		w.buf = append(w.buf, globalEmptyBytes...)
		w.save()
		w.buf = append(w.buf, opEmptyTuple, opReduce)
		w.save()
		return
	}
	if w.encode == 0 {
		w.buf = append(w.buf, globalCodecsEncode...)
		w.encode = w.save() + 1
	} else {
		w.load(w.encode - 1)
	}
	w.buf = binary.LittleEndian.AppendUint32(append(w.buf, opBinunicode), uint32(latin1Size(string(b))))
	w.buf = appendLatin1AsUTF8(w.buf, string(b))
	w.save()
	if w.latin1 == 0 {
		w.text("latin1")
		w.latin1 = w.saved
	} else {
		w.load(w.latin1 - 1)
	}
	w.buf = append(w.buf, opTuple2)
	w.save()
	w.buf = append(w.buf, opReduce)
	w.save()
}

func (w *writer) tuple(items Tuple, depth int) error {
	if len(items) == 0 {
		w.buf = append(w.buf, opEmptyTuple)
		return nil
	}
	if len(items) > 3 {
		w.buf = append(w.buf, opMark)
	}
	for _, item := range items {
		if err := w.value(item, depth+1); err != nil {
			return err
		}
	}
	if len(items) > 3 {
		w.buf = append(w.buf, opTuple)
	} else {
		w.buf = append(w.buf, opTuple1+byte(len(items)-1))
	}
	w.save()
	return nil
}

func writeList[T any](w *writer, items []T, depth int) error {
	w.buf = append(w.buf, opEmptyList)
	w.save()
	if len(items) == 1 {
		if err := w.value(items[0], depth+1); err != nil {
			return err
		}
		w.buf = append(w.buf, opAppend)
		return nil
	}
	for len(items) > 0 {
		n := min(len(items), batch)
		w.buf = append(w.buf, opMark)
		for _, item := range items[:n] {
			if err := w.value(item, depth+1); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, opAppends)
		items = items[n:]
	}
	return nil
}

func (w *writer) dict(items []Item, depth int) error {
	w.buf = append(w.buf, opEmptyDict)
	w.save()
	single := len(items) == 1
	for len(items) > 0 {
		n := min(len(items), batch)
		if !single {
			w.buf = append(w.buf, opMark)
		}
		for _, item := range items[:n] {
			if _, err := indexKey(item.Key); err != nil {
				return err
			}
			if err := w.value(item.Key, depth+1); err != nil {
				return err
			}
			if err := w.value(item.Value, depth+1); err != nil {
				return err
			}
		}
		if single {
			w.buf = append(w.buf, opSetitem)
		} else {
			w.buf = append(w.buf, opSetitems)
		}
		items = items[n:]
	}
	return nil
}

func (w *writer) array(a Array) error {
	code, size := itemSize(string(a.Typecode))
	if size == 0 {
		return fmt.Errorf("array of type %q", a.Typecode)
	}
	w.buf = append(w.buf, globalArrayArray...)
	w.save()
	w.text(string(code))
	w.buf = append(w.buf, opEmptyList)
	w.save()
	values := a.Values
	single := len(values) == 1
	for len(values) > 0 {
		n := min(len(values), batch)
		if !single {
			w.buf = append(w.buf, opMark)
		}
		for _, value := range values[:n] {
			if uint64(value) >= 1<<(8*size) {
				return fmt.Errorf("array item %d does not fit type %c", value, code)
			}
			w.int(int64(value))
		}
		if single {
			w.buf = append(w.buf, opAppend)
		} else {
			w.buf = append(w.buf, opAppends)
		}
		values = values[n:]
	}
	w.buf = append(w.buf, opTuple2)
	w.save()
	w.buf = append(w.buf, opReduce)
	w.save()
	return nil
}

const (
	globalCodecsEncode = "c_codecs\nencode\n"
	globalEmptyBytes   = "c__builtin__\nbytes\n"
	globalArrayArray   = "carray\narray\n"
)

// save stores the value just written in the memo and returns its number.
func (w *writer) save() int {
	if n := w.saved; n <= math.MaxUint8 {
		w.buf = append(w.buf, opBinput, byte(n))
	} else {
		w.buf = binary.LittleEndian.AppendUint32(append(w.buf, opLongBinput), uint32(n))
	}
	w.saved++
	return w.saved - 1
}

// load writes the value of a memo number.
func (w *writer) load(n int) {
	if n <= math.MaxUint8 {
		w.buf = append(w.buf, opBinget, byte(n))
	} else {
		w.buf = binary.LittleEndian.AppendUint32(append(w.buf, opLongBinget), uint32(n))
	}
}
