package pickle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plain turns a decoded value into what encoding/json makes of the same value.
func plain(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case Bytes:
		return string(v)
	case Tuple:
		return plain([]any(v))
	case Array:
		items := make([]any, len(v.Values))
		for i, n := range v.Values {
			items[i] = float64(n)
		}
		return map[string]any{"typecode": string(v.Typecode), "items": items}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case *Dict:
		object, pairs := map[string]any{}, []any{}
		for key, value := range v.All() {
			if k, ok := Text(key); ok {
				object[k] = plain(value)
			} else {
				pairs = append(pairs, []any{plain(key), plain(value)})
			}
		}
		if len(pairs) > 0 {
			return pairs
		}
		return object
	default:
		return v
	}
}

func TestDecodeBuilders(t *testing.T) {
	var want map[string]map[string]any
	readJSON(t, "builders_expected.json", &want)
	for _, name := range []string{"object", "complex"} {
		data, err := os.ReadFile("testdata/" + name + ".builder")
		if err != nil {
			t.Fatal(err)
		}
		v, err := Decode(data)
		if err != nil {
			t.Fatalf("Decode(%s.builder): %v", name, err)
		}
		got := plain(v).(map[string]any)
		for _, side := range []map[string]any{want[name], got} {
			slices.SortFunc(side["_dispersion_graph"].([]any), func(a, b any) int {
				return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
			})
		}
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("Decode(%s.builder), -want +got:\n%s", name, diff)
		}
		again, err := Encode(v)
		if err != nil {
			t.Fatalf("Encode of %s.builder: %v", name, err)
		}
		w, err := Decode(again)
		if err != nil {
			t.Fatalf("Decode of the encoded %s.builder: %v", name, err)
		}
		if diff := cmp.Diff(plain(v), plain(w)); diff != "" {
			t.Errorf("%s.builder encoded and decoded again, -want +got:\n%s", name, diff)
		}
	}
}

func TestDecodeAsyncPending(t *testing.T) {
	var cases []struct {
		Path    string
		Decoded any
		RawHex  string `json:"raw_hex"`
	}
	readJSON(t, "async_pending.json", &cases)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		got, err := Decode(unhex(t, c.RawHex))
		if err != nil {
			t.Errorf("%s: Decode = %v", c.Path, err)
			continue
		}
		if diff := cmp.Diff(c.Decoded, plain(got)); c.Decoded != nil && diff != "" {
			t.Errorf("%s: Decode, -want +got:\n%s", c.Path, diff)
		}
	}
}

// The object fixtures hold every suffix hash file and REPLICATE body; both directions must give the same bytes.
func TestGoldenHashesBothWays(t *testing.T) {
	var golden struct {
		Partitions []map[string]any
	}
	readJSON(t, "objects_expected.json", &golden)
	n := 0
	for _, partition := range golden.Partitions {
		for key, value := range partition {
			text, ok := value.(string)
			if !ok || !strings.HasSuffix(key, "_hex") || !strings.HasPrefix(text, "8002") {
				continue
			}
			n++
			data := unhex(t, text)
			v, err := Decode(data)
			if err != nil {
				t.Errorf("%s %s: Decode = %v", key, text, err)
				continue
			}
			if again, err := Encode(v); err != nil || !bytes.Equal(again, data) {
				t.Errorf("%s: Encode = %x, %v; want %x", key, again, err, data)
			}
		}
	}
	if n < 10 {
		t.Fatalf("only %d pickles in the fixture", n)
	}
}

func TestEncodeIsWhatPythonWrites(t *testing.T) {
	d := &Dict{}
	for _, item := range []Item{{nil, int64(-1)}, {int64(0), Tuple{}}} {
		if err := d.Set(item.Key, item.Value); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		in   any
		want string
	}{
		"small numbers":         {[]int{255, 256, 65536}, "80025d7100284bff4d00014a00000100652e"},
		"numbers beyond a word": {Tuple{int64(1) << 31, -int64(1)<<31 - 1}, "80028a0500000080008a05ffffff7fff8671002e"},
		"one item in a list":    {[]string{"a"}, "80025d71005801000000617101612e"},
		"a float and truth":     {Tuple{1.5, true, false}, "8002473ff80000000000008889877100" + "2e"},
		"empty containers":      {Tuple{[]any{}, Items{}, Tuple{}}, "80025d71007d710129877102" + "2e"},
		"keys that are no text": {d, "80027d7100284e4affffffff4b0029752e"},
		"text that is no UTF-8": {"\xff", "80025803000000edb3bf71002e"},
		"an array":              {Array{'B', []uint32{7}}, "800263617272617" + "90a61727261790a7100580100000042" + "71015d71024b0761867103527104" + "2e"},
		"empty bytes":           {Bytes(""), "8002635f5f6275696c74696e5f5f0a62797465730a71002952" + "71012e"},
		"a nested dictionary":   {Items{{"a", Items{{int64(0), nil}}}}, "80027d7100580100000061" + "71017d71024b004e73732e"},
	} {
		got, err := Encode(test.in)
		if err != nil || hex.EncodeToString(got) != test.want {
			t.Errorf("%s: Encode(%#v) = %x, %v; want %s", name, test.in, got, err, test.want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	deep := any("bottom")
	for range MaxDepth + 1 {
		deep = []any{deep}
	}
	for name, in := range map[string]any{
		"a type without a form":    struct{}{},
		"nesting without end":      deep,
		"an item beyond its array": Array{'H', []uint32{1 << 16}},
		"an unknown array":         Array{'d', nil},
		"a list as a key":          Items{{[]any{}, nil}},
	} {
		if got, err := Encode(in); err == nil {
			t.Errorf("%s: Encode(%T) = %x, want an error", name, in, got)
		}
	}
}

func TestDecodeForms(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want any
	}{
		"protocol 0 numbers":            {"(I1\nL-2L\nF1.5\nI01\nI00\nl.", []any{int64(1), int64(-2), 1.5, true, false}},
		"protocol 0 text":               {"Vcaf\xe9 \\u2603\\U0001F600\\n\\u005c\n.", "café ☃😀\\n\\"},
		"protocol 0 text surrogate":     {"V\\udcff\n.", "\xff"},
		"a Python 2 string":             {"S'it\\'s \\x41\\101\\n'\n.", Bytes("it's AA\n")},
		"counted Python 2 strings":      {"(T\x01\x00\x00\x00aU\x01bt.", Tuple{Bytes("a"), Bytes("b")}},
		"protocol 3 bytes":              {"\x80\x03(B\x01\x00\x00\x00\xffC\x01\xfet.", Tuple{Bytes("\xff"), Bytes("\xfe")}},
		"protocol 4 frames and memo":    {"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94h\x00\x86.", Tuple{"a", "a"}},
		"a stack global":                {"\x80\x04\x8c\x07_codecs\x8c\x06encode\x93X\x02\x00\x00\x00\xc3\xa9X\x06\x00\x00\x00latin1\x86R.", Bytes("\xe9")},
		"a long of no bytes":            {"\x8a\x00.", int64(0)},
		"a negative long":               {"\x8a\x01\xff.", int64(-1)},
		"pop, dup and a popped mark":    {"K\x01K\x020(02\x86.", Tuple{int64(1), int64(1)}},
		"appends to a list in a memo":   {"]q\x00(h\x00h\x00K\x01at.", Tuple{[]any{int64(1)}, []any{int64(1)}}},
		"a header object, protocol 2":   {"\x80\x02cswift.common.header_key_dict\nHeaderKeyDict\n)\x81}bX\x01\x00\x00\x00aK\x01s.", map[string]any{"a": 1.0}},
		"array bytes, two big-endian":   {"carray\n_array_reconstructor\n(carray\narray\nX\x01\x00\x00\x00HK\x03C\x04\x01\x02\x03\x04tR.", Array{'H', []uint32{0x102, 0x304}}},
		"array bytes, four of little":   {"carray\n_array_reconstructor\n(carray\narray\nX\x01\x00\x00\x00IK\x06C\x04\x01\x02\x03\x04tR.", Array{'I', []uint32{0x4030201}}},
		"text with trailing bytes":      {"X\x01\x00\x00\x00a.rest", "a"},
		"a repeated key keeps the last": {"}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00aK\x02u.", map[string]any{"a": 2.0}},
	} {
		got, err := Decode([]byte(test.in))
		if d, ok := got.(*Dict); ok {
			got = plain(d)
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: Decode(%q) = %#v, %v; -want +got:\n%s", name, test.in, got, err, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	laughs := "]q\x00"
	for range 40 {
		laughs += "0(" + strings.Repeat("h\x00", 10) + "lq\x00"
	}
	for name, in := range map[string]string{
		"nothing":                    "",
		"no end":                     "K\x01",
		"an empty stack":             ".",
		"an open mark":               "(.",
		"a call of the system":       "cos\nsystem\n(S'true'\ntR.",
		"the old builder object":     "cswift.common.ring.builder\nRingBuilder\n)\x81.",
		"a class as the value":       "c__builtin__\ndict\n.",
		"a class inside the value":   "]c__builtin__\ndict\na.",
		"an instance opcode":         "(ios\nsystem\n.",
		"a persistent id":            "Pid\n.",
		"a number beyond 64 bits":    "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.",
		"text that is cut":           "X\xff\xff\xff\x7fabc.",
		"a memo number out of scale": "Nr\xff\xff\xff\xff.",
		"a memo that was not saved":  "h\x00.",
		"a key without a value":      "}(K\x01u.",
		"a list as a key":            "}]K\x01s.",
		"an item set on a list":      "]K\x01K\x02s.",
		"popping through a mark":     "K\x01(\x85.",
		"a list that holds itself":   "]q\x00h\x00a.",
		"a billion laughs":           laughs + ".",
		"nesting without end":        strings.Repeat("(", 1000) + strings.Repeat("l", 1000) + ".",
		"protocol 5":                 "\x80\x05N.",
		"bytes beyond Latin-1":       "c_codecs\nencode\n(X\x03\x00\x00\x00\xe2\x98\x83X\x06\x00\x00\x00latin1tR.",
		"another encoding":           "c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00zliptR.",
		"array item that is no fit":  "carray\narray\n(X\x01\x00\x00\x00B(M\x00\x01ltR.",
		"copies from the memo": "X\x00\x04\x00\x00" + strings.Repeat("é", 512) + "q\x00X\x06\x00\x00\x00latin1q\x01c_codecs\nencode\nq\x02(" +
			strings.Repeat("h\x02h\x00h\x01\x86R", 100) + "l.",
	} {
		got, err := Decode([]byte(in))
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Decode(%.60q) = %#v, %v; want ErrInvalid", name, in, got, err)
		}
	}
	_, err := Decode([]byte("cos\nsystem\n."))
	if global, ok := errors.AsType[*GlobalError](err); !ok || global.Module != "os" || global.Name != "system" {
		t.Errorf("Decode of os.system fails with %v, want a GlobalError naming it", err)
	}
}

func TestDictFindsPython2Keys(t *testing.T) {
	d := &Dict{}
	if err := errors.Join(d.Set(Bytes("op"), 1), d.Set("new", 2), d.Set(Tuple{int64(1), "a"}, 3)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key  any
		want any
	}{{"op", 1}, {"new", 2}, {Tuple{int64(1), "a"}, 3}, {Bytes("new"), nil}, {"absent", nil}, {[]any{}, nil}} {
		if got, ok := d.Get(test.key); got != test.want || ok != (test.want != nil) {
			t.Errorf("Get(%#v) = %v, %v; want %v", test.key, got, ok, test.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01u.", "(dp0\nVop\np1\nVPUT\np2\ns.", "]q\x00h\x00a.", "carray\narray\n(X\x01\x00\x00\x00B(K\x01ltR.", "S'\\x4'\n.", "V\\u12\n."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("Decode(%q) fails with %v, not ErrInvalid", data, err)
			}
			return
		}
		text, err := Encode(v)
		if err != nil {
			t.Fatalf("Decode(%q) = %#v, which Encode refuses: %v", data, v, err)
		}
		if _, err := Decode(text); err != nil {
			t.Errorf("Decode of the encoded value of %q: %v", data, err)
		}
	})
}
