package pickle

import "encoding/binary"

// global is a class or function of the whitelist, on the stack until something calls it.
type global int

const (
	globalEncode global = iota + 1
	globalBytes
	globalDict
	globalReconstructor
	globalHeaders
	globalArray
	globalArrayReconstructor
)

// findGlobal is the whitelist: the names as Python 2 and protocol 2 spell them, and as Python 3 does.
func findGlobal(module, name string) (global, error) {
	switch module + " " + name {
	case "_codecs encode":
		return globalEncode, nil
	case "__builtin__ bytes", "builtins bytes":
		return globalBytes, nil
	case "__builtin__ dict", "builtins dict":
		return globalDict, nil
	case "copy_reg _reconstructor", "copyreg _reconstructor":
		return globalReconstructor, nil
	case "swift.common.header_key_dict HeaderKeyDict":
		return globalHeaders, nil
	case "array array":
		return globalArray, nil
	case "array _array_reconstructor":
		return globalArrayReconstructor, nil
	default:
		return 0, &GlobalError{Module: module, Name: name}
	}
}

// object runs the instructions that name and call globals.
func (m *machine) object(op byte) error {
	switch op {
	case opGlobal:
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		g, err := findGlobal(module, name)
		m.push(g)
		return err
	case opStackGlobal:
		items, err := m.popN(2)
		if err != nil {
			return err
		}
		module, ok1 := items[0].(string)
		name, ok2 := items[1].(string)
		if !ok1 || !ok2 {
			return invalid("a global named by %T and %T", items[0], items[1])
		}
		g, err := findGlobal(module, name)
		m.push(g)
		return err
	case opReduce, opNewobj:
		return m.call(op == opNewobj)
	case opBuild:
		return m.build()
	default:
		return invalid("opcode %#02x", op)
	}
}

// call runs REDUCE (call a function) and NEWOBJ (make an object of a class).
func (m *machine) call(newObject bool) error {
	items, err := m.popN(2)
	if err != nil {
		return err
	}
	g, ok1 := items[0].(global)
	args, ok2 := items[1].(Tuple)
	if !ok1 || !ok2 {
		return invalid("call of %T with %T", items[0], items[1])
	}
	var v any
	switch {
	case g == globalHeaders && newObject && len(args) == 0:
		v = &Dict{}
	case g == globalBytes && len(args) == 0:
		v = Bytes("")
	case newObject:
		return invalid("an object of a class that has none here")
	case g == globalEncode:
		v, err = m.encodeCall(args)
	case g == globalReconstructor:
		v, err = m.reconstruct(args)
	case g == globalArray:
		v, err = m.arrayOfList(args)
	case g == globalArrayReconstructor:
		v, err = m.arrayOfBytes(args)
	default:
		return invalid("call of something that is not a function")
	}
	m.push(v)
	return err
}

// build runs BUILD, which sets an object's attributes. Header dictionaries have none.
func (m *machine) build() error {
	state, err := m.pop()
	if err != nil {
		return err
	}
	object, err := m.top()
	if err != nil {
		return err
	}
	if _, ok := object.(*Dict); !ok {
		return invalid("attributes of %T", object)
	}
	if attributes, ok := state.(*Dict); state != nil && (!ok || attributes.Len() > 0) {
		return invalid("attributes on a dictionary")
	}
	return nil
}

// spend accounts for n units that a call copies. An honest pickle calls once for each argument that it holds; one that
// calls again and again with a large argument from the memo would multiply its own size.
func (m *machine) spend(n int) error {
	m.spent += n
	if m.spent > len(m.data) {
		return invalid("it repeats itself too often")
	}
	return nil
}

// encodeCall is _codecs.encode(text, "latin1"), how protocol 2 spells bytes.
func (m *machine) encodeCall(args Tuple) (any, error) {
	if len(args) != 2 {
		return nil, invalid("encode with %d arguments", len(args))
	}
	text, ok := args[0].(string)
	if encoding, _ := Text(args[1]); !ok || (encoding != "latin1" && encoding != "latin-1") {
		return nil, invalid("encode of %T as %v", args[0], args[1])
	}
	if err := m.spend(len(text)); err != nil {
		return nil, err
	}
	b, ok := latin1Of(text)
	if !ok {
		return nil, invalid("encode as Latin-1 of text that is not")
	}
	return Bytes(b), nil
}

// reconstruct is copyreg._reconstructor(HeaderKeyDict, dict, state), how protocols 0 and 1 spell a header dictionary.
func (m *machine) reconstruct(args Tuple) (any, error) {
	if len(args) != 3 || args[0] != globalHeaders || args[1] != globalDict {
		return nil, invalid("an object that is not a header dictionary")
	}
	state, ok := args[2].(*Dict)
	if !ok {
		return nil, invalid("a header dictionary made of %T", args[2])
	}
	if err := m.spend(state.Len()); err != nil {
		return nil, err
	}
	d := &Dict{}
	for key, value := range state.All() {
		if err := d.Set(key, value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// itemSize returns the bytes of an array item, 0 if the typecode is not one of ours.
func itemSize(typecode any) (code byte, size int) {
	text, _ := Text(typecode)
	switch text {
	case "B":
		return 'B', 1
	case "H":
		return 'H', 2
	case "I", "L":
		return text[0], 4
	default:
		return 0, 0
	}
}

// arrayOfList is array.array(typecode, list).
func (m *machine) arrayOfList(args Tuple) (any, error) {
	if len(args) != 2 {
		return nil, invalid("an array with %d arguments", len(args))
	}
	code, size := itemSize(args[0])
	l, ok := args[1].(*list)
	if size == 0 || !ok {
		return nil, invalid("an array of type %v made of %T", args[0], args[1])
	}
	if err := m.spend(len(l.items)); err != nil {
		return nil, err
	}
	values := make([]uint32, len(l.items))
	for i, item := range l.items {
		n, ok := item.(int64)
		if !ok || n < 0 || n >= 1<<(8*size) {
			return nil, invalid("array item %d does not fit type %c", i, code)
		}
		values[i] = uint32(n)
	}
	return Array{Typecode: code, Values: values}, nil
}

// arrayOfBytes is array._array_reconstructor(array, typecode, format, bytes).
func (m *machine) arrayOfBytes(args Tuple) (any, error) {
	if len(args) != 4 || args[0] != globalArray {
		return nil, invalid("an array that is not one")
	}
	code, want := itemSize(args[1])
	format, ok1 := args[2].(int64)
	data, ok2 := args[3].(Bytes)
	if want == 0 || !ok1 || !ok2 {
		return nil, invalid("an array of type %v made of %T", args[1], args[3])
	}
	var size int
	var order binary.ByteOrder = binary.LittleEndian
	switch format {
	case 0:
		size = 1
	case 2, 3:
		size = 2
	case 6, 7:
		size = 4
	default:
		return nil, invalid("array format %d", format)
	}
	if format&1 == 1 {
		order = binary.BigEndian
	}
	if size > want || len(data)%size != 0 {
		return nil, invalid("%d bytes of array format %d for type %c", len(data), format, code)
	}
	if err := m.spend(len(data)); err != nil {
		return nil, err
	}
	b, values := []byte(data), make([]uint32, len(data)/size)
	for i := range values {
		switch item := b[i*size:]; size {
		case 1:
			values[i] = uint32(item[0])
		case 2:
			values[i] = uint32(order.Uint16(item))
		case 4:
			values[i] = order.Uint32(item)
		}
	}
	return Array{Typecode: code, Values: values}, nil
}

// finisher turns the machine's values into the package's, and bounds the tree that a reader will walk.
type finisher struct{ budget int }

func (f *finisher) finish(v any, depth int) (any, error) {
	f.budget--
	if f.budget < 0 {
		return nil, invalid("it repeats itself too often")
	}
	if depth > MaxDepth {
		return nil, invalid("nested deeper than %d", MaxDepth)
	}
	var items []any
	switch v := v.(type) {
	case global:
		return nil, invalid("a class or function as a value")
	case *Dict:
		for i := range v.items {
			value, err := f.finish(v.items[i].Value, depth+1)
			if err != nil {
				return nil, err
			}
			v.items[i].Value = value
		}
		return v, nil
	case *list:
		items = v.items
		if items == nil {
			items = []any{}
		}
		if err := f.finishAll(items, depth); err != nil {
			return nil, err
		}
		return items, nil
	case []any:
		// Seen before, through another reference.
		return v, f.finishAll(v, depth)
	case Tuple:
		return v, f.finishAll(v, depth)
	default:
		return v, nil
	}
}

func (f *finisher) finishAll(items []any, depth int) error {
	for i := range items {
		value, err := f.finish(items[i], depth+1)
		if err != nil {
			return err
		}
		items[i] = value
	}
	return nil
}
