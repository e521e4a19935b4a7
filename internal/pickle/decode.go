package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The opcodes that Swift's files hold, by their names in Python's pickletools.
const (
	opMark            = '('
	opStop            = '.'
	opPop             = '0'
	opDup             = '2'
	opFloat           = 'F'
	opInt             = 'I'
	opBinint          = 'J'
	opBinint1         = 'K'
	opLong            = 'L'
	opBinint2         = 'M'
	opNone            = 'N'
	opReduce          = 'R'
	opString          = 'S'
	opBinstring       = 'T'
	opShortBinstring  = 'U'
	opUnicode         = 'V'
	opBinunicode      = 'X'
	opAppend          = 'a'
	opBuild           = 'b'
	opGlobal          = 'c'
	opDict            = 'd'
	opAppends         = 'e'
	opGet             = 'g'
	opBinget          = 'h'
	opLongBinget      = 'j'
	opList            = 'l'
	opPut             = 'p'
	opBinput          = 'q'
	opLongBinput      = 'r'
	opSetitem         = 's'
	opTuple           = 't'
	opSetitems        = 'u'
	opBinbytes        = 'B'
	opShortBinbytes   = 'C'
	opBinfloat        = 'G'
	opEmptyList       = ']'
	opEmptyTuple      = ')'
	opEmptyDict       = '}'
	opProto           = 0x80
	opNewobj          = 0x81
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opNewtrue         = 0x88
	opNewfalse        = 0x89
	opLong1           = 0x8a
	opShortBinunicode = 0x8c
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
)

// Decode runs a pickle of protocol 0 to 4 and returns its value as the package's Go types. What follows the end of the
// pickle is ignored, as Python does. Every error matches [ErrInvalid]; a global outside the list is a [*GlobalError].
func Decode(data []byte) (any, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("decode pickle: %w: %d bytes, %d are allowed", ErrInvalid, len(data), MaxSize)
	}
	m := &machine{data: data}
	for {
		at := m.at
		done, err := m.step()
		if err != nil {
			return nil, fmt.Errorf("decode pickle at byte %d: %w", at, err)
		}
		if done {
			break
		}
	}
	v, err := m.pop()
	if err != nil {
		return nil, fmt.Errorf("decode pickle: %w", err)
	}
	// Every node of an honest pickle costs at least one byte, and little is shared. Without a limit a few hundred bytes
	// that repeat a list of lists of lists would keep whoever walks the value busy for ever.
	f := finisher{budget: 16*len(data) + 4096}
	if v, err = f.finish(v, 0); err != nil {
		return nil, fmt.Errorf("decode pickle: %w", err)
	}
	return v, nil
}

// list is a list under construction: the memo and the stack must see each other's appends.
type list struct{ items []any }

// machine is Python's pickle machine.
type machine struct {
	data  []byte
	at    int
	stack []any
	// marks are the stack heights at the MARKs that are still open; nothing below the last one may be popped.
	marks []int
	// memo holds the saved values; an entry that was not set is unset{}.
	memo []any
	// spent is how much the calls have copied; see spend.
	spent int
}

type unset struct{}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// step runs one instruction and reports whether it was STOP.
func (m *machine) step() (done bool, err error) {
	op, err := m.byte()
	if err != nil {
		return false, err
	}
	switch op {
	case opStop:
		return true, nil
	case opProto:
		version, err := m.byte()
		if err == nil && version > 4 {
			err = invalid("protocol %d", version)
		}
		return false, err
	case opFrame:
		_, err = m.take(8)
		return false, err
	case opMark:
		m.marks = append(m.marks, len(m.stack))
		return false, nil
	case opPop:
		// POP discards a MARK if that is what is on top.
		if n := len(m.marks); n > 0 && m.marks[n-1] == len(m.stack) {
			m.marks = m.marks[:n-1]
			return false, nil
		}
		_, err = m.pop()
		return false, err
	case opDup:
		v, err := m.top()
		m.push(v)
		return false, err
	}
	if handled, err := m.scalar(op); handled {
		return false, err
	}
	if handled, err := m.text(op); handled {
		return false, err
	}
	if handled, err := m.container(op); handled {
		return false, err
	}
	if handled, err := m.remember(op); handled {
		return false, err
	}
	return false, m.object(op)
}

// scalar runs the instructions that push a number, a truth value or None.
func (m *machine) scalar(op byte) (handled bool, err error) {
	var v any
	var b []byte
	switch op {
	case opNone:
	case opNewtrue, opNewfalse:
		v = op == opNewtrue
	case opBinint1:
		if b, err = m.take(1); err == nil {
			v = int64(b[0])
		}
	case opBinint2:
		if b, err = m.take(2); err == nil {
			v = int64(binary.LittleEndian.Uint16(b))
		}
	case opBinint:
		if b, err = m.take(4); err == nil {
			v = int64(int32(binary.LittleEndian.Uint32(b)))
		}
	case opBinfloat:
		if b, err = m.take(8); err == nil {
			v = math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case opLong1:
		v, err = m.long1()
	case opInt, opLong, opFloat:
		v, err = m.decimal(op)
	default:
		return false, nil
	}
	m.push(v)
	return true, err
}

// long1 reads a two's complement little-endian integer.
func (m *machine) long1() (any, error) {
	size, err := m.byte()
	if err != nil {
		return nil, err
	}
	b, err := m.take(int(size))
	if err != nil || size == 0 {
		return int64(0), err
	}
	if size > 8 {
		return nil, invalid("an integer of %d bytes", size)
	}
	fill := byte(int8(b[size-1]) >> 7)
	full := [8]byte{fill, fill, fill, fill, fill, fill, fill, fill}
	copy(full[:], b)
	return int64(binary.LittleEndian.Uint64(full[:])), nil
}

// decimal reads the number forms of protocol 0.
func (m *machine) decimal(op byte) (any, error) {
	line, err := m.line()
	if err != nil {
		return nil, err
	}
	switch {
	case op == opFloat:
		f, err := strconv.ParseFloat(line, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, invalid("float %q", line)
		}
		return f, nil
	case op == opInt && line == "01":
		return true, nil
	case op == opInt && line == "00":
		return false, nil
	case op == opLong:
		line = strings.TrimSuffix(line, "L")
	}
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return nil, invalid("integer %q", line)
	}
	return n, nil
}

// text runs the instructions that push text or bytes.
func (m *machine) text(op byte) (handled bool, err error) {
	var v any
	var s string
	switch op {
	case opBinunicode:
		s, err = m.counted(4)
		v = textOf(s)
	case opShortBinunicode:
		s, err = m.counted(1)
		v = textOf(s)
	case opBinstring, opBinbytes:
		s, err = m.counted(4)
		v = Bytes(s)
	case opShortBinstring, opShortBinbytes:
		s, err = m.counted(1)
		v = Bytes(s)
	case opUnicode:
		if s, err = m.line(); err == nil {
			v, err = rawUnicodeEscape(s)
		}
	case opString:
		if s, err = m.line(); err == nil {
			v, err = quotedBytes(s)
		}
	default:
		return false, nil
	}
	m.push(v)
	return true, err
}

// container runs the instructions that build lists, tuples and dictionaries.
func (m *machine) container(op byte) (handled bool, err error) {
	var items []any
	switch op {
	case opEmptyList:
		m.push(&list{})
	case opEmptyTuple:
		m.push(Tuple{})
	case opEmptyDict:
		m.push(&Dict{})
	case opTuple1, opTuple2, opTuple3:
		if items, err = m.popN(int(op-opTuple1) + 1); err == nil {
			m.push(append(Tuple{}, items...))
		}
	case opTuple:
		if items, err = m.popMark(); err == nil {
			m.push(append(Tuple{}, items...))
		}
	case opList:
		if items, err = m.popMark(); err == nil {
			m.push(&list{items: append([]any{}, items...)})
		}
	case opDict:
		if items, err = m.popMark(); err == nil {
			d := &Dict{}
			err = setItems(d, items)
			m.push(d)
		}
	case opAppend:
		if items, err = m.popN(1); err == nil {
			err = m.appendItems(items)
		}
	case opAppends:
		if items, err = m.popMark(); err == nil {
			err = m.appendItems(items)
		}
	case opSetitem:
		if items, err = m.popN(2); err == nil {
			err = m.setTop(items)
		}
	case opSetitems:
		if items, err = m.popMark(); err == nil {
			err = m.setTop(items)
		}
	default:
		return false, nil
	}
	return true, err
}

func (m *machine) appendItems(items []any) error {
	top, err := m.top()
	if err != nil {
		return err
	}
	l, ok := top.(*list)
	if !ok {
		return invalid("append to %T", top)
	}
	l.items = append(l.items, items...)
	return nil
}

func (m *machine) setTop(items []any) error {
	top, err := m.top()
	if err != nil {
		return err
	}
	d, ok := top.(*Dict)
	if !ok {
		return invalid("set an item of %T", top)
	}
	return setItems(d, items)
}

// setItems sets keys and values that alternate.
func setItems(d *Dict, items []any) error {
	if len(items)%2 != 0 {
		return invalid("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		if err := d.Set(items[i], items[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// remember runs the instructions of the memo.
func (m *machine) remember(op byte) (handled bool, err error) {
	var index int
	switch op {
	case opMemoize:
		return true, m.save(len(m.memo))
	case opPut, opGet:
		var line string
		if line, err = m.line(); err == nil {
			if index, err = strconv.Atoi(line); err != nil {
				err = invalid("memo index %q", line)
			}
		}
	case opBinput, opBinget:
		index, err = m.little(1)
	case opLongBinput, opLongBinget:
		index, err = m.little(4)
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if op == opPut || op == opBinput || op == opLongBinput {
		return true, m.save(index)
	}
	if index < 0 || index >= len(m.memo) || m.memo[index] == (unset{}) {
		return true, invalid("memo %d was not saved", index)
	}
	m.push(m.memo[index])
	return true, nil
}

// save stores the top of the stack in the memo. Picklers number their saves, each of which takes two bytes, so a number
// above the input's length is an attempt at our memory.
func (m *machine) save(index int) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	if index < 0 || index > len(m.data) {
		return invalid("memo %d in a pickle of %d bytes", index, len(m.data))
	}
	for len(m.memo) <= index {
		m.memo = append(m.memo, unset{})
	}
	m.memo[index] = v
	return nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// floor is the height below which values belong to an open MARK.
func (m *machine) floor() int {
	if n := len(m.marks); n > 0 {
		return m.marks[n-1]
	}
	return 0
}

func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, invalid("the stack is empty")
	}
	return m.stack[len(m.stack)-1], nil
}

func (m *machine) pop() (any, error) {
	v, err := m.top()
	if err == nil {
		m.stack = m.stack[:len(m.stack)-1]
	}
	return v, err
}

// popN takes n values off the stack. They are valid until the next push.
func (m *machine) popN(n int) ([]any, error) {
	start := len(m.stack) - n
	if start < m.floor() {
		return nil, invalid("the stack is empty")
	}
	items := m.stack[start:]
	m.stack = m.stack[:start]
	return items, nil
}

// popMark takes everything above the last MARK. The values are valid until the next push.
func (m *machine) popMark() ([]any, error) {
	n := len(m.marks)
	if n == 0 {
		return nil, invalid("no mark on the stack")
	}
	items, err := m.popN(len(m.stack) - m.marks[n-1])
	m.marks = m.marks[:n-1]
	return items, err
}

func (m *machine) byte() (byte, error) {
	b, err := m.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (m *machine) take(n int) ([]byte, error) {
	if n > len(m.data)-m.at {
		return nil, invalid("it ends too early")
	}
	b := m.data[m.at : m.at+n]
	m.at += n
	return b, nil
}

// little reads an unsigned little-endian integer of 1 or 4 bytes.
func (m *machine) little(size int) (int, error) {
	b, err := m.take(size)
	if err != nil {
		return 0, err
	}
	if size == 1 {
		return int(b[0]), nil
	}
	return int(binary.LittleEndian.Uint32(b)), nil
}

// counted reads a length of 1 or 4 bytes and that many bytes.
func (m *machine) counted(size int) (string, error) {
	n, err := m.little(size)
	if err != nil {
		return "", err
	}
	b, err := m.take(n)
	return string(b), err
}

func (m *machine) line() (string, error) {
	n := bytes.IndexByte(m.data[m.at:], '\n')
	if n < 0 {
		return "", invalid("it ends too early")
	}
	line := string(m.data[m.at : m.at+n])
	m.at += n + 1
	return strings.TrimSuffix(line, "\r"), nil
}
