package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A record of a pending file is a pickled tuple. These two functions are the hot path of every object PUT, so they are
// made for exactly that shape: protocol 2, texts, integers and None in one tuple, with the memo that Python writes.

// none stands for Python's None in a tuple.
type none struct{}

var errPickle = errors.New("not a pickled tuple of texts and numbers")

// appendTuple pickles a tuple. Elements are string, int64, bool-free, or none.
func appendTuple(dst []byte, elems ...any) []byte {
	dst = append(dst, 0x80, 2, '(')
	for _, e := range elems {
		switch v := e.(type) {
		case string:
			dst = append(dst, 'X')
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v)))
			dst = append(dst, v...)
		case int64:
			dst = appendInt(dst, v)
		case none:
			dst = append(dst, 'N')
		default:
			panic(fmt.Sprintf("broker: cannot pickle a %T", e))
		}
	}
	return append(dst, 't', '.')
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0 && v <= math.MaxUint8:
		return append(dst, 'K', byte(v))
	case v >= 0 && v <= math.MaxUint16:
		return binary.LittleEndian.AppendUint16(append(dst, 'M'), uint16(v))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return binary.LittleEndian.AppendUint32(append(dst, 'J'), uint32(int32(v)))
	default:
		return binary.LittleEndian.AppendUint64(append(dst, 0x8a, 8), uint64(v))
	}
}

// decodeTuple reads what appendTuple or Python wrote. Elements are string, int64 or nil. Anything outside the shape,
// such as a float or a nested object, is an error that matches errPickle.
func decodeTuple(data []byte) ([]any, error) {
	d := tupleDecoder{data: data}
	for {
		op, err := d.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' {
			if d.tuple == nil {
				return nil, errPickle
			}
			return d.tuple, nil
		}
		if err := d.step(op); err != nil {
			return nil, err
		}
	}
}

type tupleDecoder struct {
	data  []byte
	stack []any
	memo  []any
	tuple []any
}

func (d *tupleDecoder) byte() (byte, error) {
	b, err := d.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (d *tupleDecoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.data) {
		return nil, fmt.Errorf("%w: cut short", errPickle)
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b, nil
}

// number reads an unsigned little-endian number of n bytes.
func (d *tupleDecoder) number(n int) (int, error) {
	b, err := d.take(n)
	if err != nil {
		return 0, err
	}
	var v int
	for i, c := range b {
		v |= int(c) << (8 * i)
	}
	return v, nil
}

func (d *tupleDecoder) push(v any) { d.stack = append(d.stack, v) }

func (d *tupleDecoder) step(op byte) error {
	if d.tuple != nil && op != 'q' && op != 'r' && op != 0x94 {
		return fmt.Errorf("%w: something follows the tuple", errPickle)
	}
	switch op {
	case 0x80: // PROTO
		_, err := d.byte()
		return err
	case 0x95: // FRAME: a length that tells nothing new
		_, err := d.take(8)
		return err
	case '(': // MARK: only the one that opens the tuple
		if len(d.stack) != 0 {
			return fmt.Errorf("%w: nested", errPickle)
		}
	case 't': // TUPLE
		d.tuple = append([]any{}, d.stack...)
	case 'N':
		d.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		d.push(int64(0x89 - int(op)))
	case 'X', 0x8c, 'U', 'T': // texts with a length of four bytes or one; U and T are Python 2's bytes
		return d.text(op)
	case 'K', 'M', 'J', 0x8a:
		return d.integer(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return d.remember(op)
	default:
		return fmt.Errorf("%w: opcode %#x", errPickle, op)
	}
	return nil
}

func (d *tupleDecoder) text(op byte) error {
	width := 4
	if op == 'U' || op == 0x8c {
		width = 1
	}
	n, err := d.number(width)
	if err != nil {
		return err
	}
	b, err := d.take(n)
	if err != nil {
		return err
	}
	d.push(string(b))
	return nil
}

func (d *tupleDecoder) integer(op byte) error {
	if op == 0x8a { // LONG1: two's complement of any length
		n, err := d.number(1)
		if err != nil {
			return err
		}
		b, err := d.take(n)
		if err != nil {
			return err
		}
		if n > 8 {
			return fmt.Errorf("%w: number of %d bytes", errPickle, n)
		}
		var v int64
		for i, c := range b {
			v |= int64(c) << (8 * i)
		}
		if n > 0 && n < 8 && b[n-1]&0x80 != 0 {
			v -= 1 << (8 * n)
		}
		d.push(v)
		return nil
	}
	n, err := d.number(map[byte]int{'K': 1, 'M': 2, 'J': 4}[op])
	if err != nil {
		return err
	}
	if op == 'J' {
		n = int(int32(uint32(n)))
	}
	d.push(int64(n))
	return nil
}

// remember handles the memo: Python stores every text and refers to it when the same object comes again.
func (d *tupleDecoder) remember(op byte) error {
	i := len(d.memo)
	if op != 0x94 {
		width := 1
		if op == 'r' || op == 'j' {
			width = 4
		}
		var err error
		if i, err = d.number(width); err != nil {
			return err
		}
	}
	if op == 'h' || op == 'j' {
		if i >= len(d.memo) {
			return fmt.Errorf("%w: memo %d is empty", errPickle, i)
		}
		d.push(d.memo[i])
		return nil
	}
	// Python numbers the memo upwards without gaps; another order is not worth the memory a hostile index could ask for.
	if i > len(d.memo) {
		return fmt.Errorf("%w: memo %d out of order", errPickle, i)
	}
	var top any
	if d.tuple == nil {
		if len(d.stack) == 0 {
			return errPickle
		}
		top = d.stack[len(d.stack)-1]
	}
	d.memo = append(d.memo[:i], top)
	return nil
}
