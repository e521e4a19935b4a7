package cache

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
)

func TestEncodeJSONWritesPythonsForm(t *testing.T) {
	type pair struct {
		Lower string `json:"lower"`
		Count *int   `json:"count"`
	}
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"separators are followed by a space", map[string]any{"b": []int{1, 2}, "a": nil}, `{"a": null, "b": [1, 2]}`},
		{"struct keeps its order and null", pair{Lower: "x"}, `{"lower": "x", "count": null}`},
		{"separators inside strings stay", `a,b:c`, `"a,b:c"`},
		{"quotes and backslashes inside strings", `a"b\,c`, `"a\"b\\,c"`},
		{"a string that ends in a backslash", []string{`a\`, "b"}, `["a\\", "b"]`},
		{"latin letters are escaped", "caf\u00e9", `"caf\u00e9"`},
		{"beyond the basic plane in two escapes", "\U0001f426", `"\ud83d\udc26"`},
		{"html is left alone", "<&>", `"<&>"`},
		{"control characters", "\b\f\n\r\t\x01\x7f", `"\b\f\n\r\t\u0001\u007f"`},
		{"line separators", "\u2028", `"\u2028"`},
		{"empty containers", []any{map[string]int{}, []int{}}, `[{}, []]`},
		{"token", []any{Float(1795379175.1756926), "test,test:tester,AUTH_test"},
			`[1795379175.1756926, "test,test:tester,AUTH_test"]`},
		{"whole float", Float(1795379175), `1795379175.0`},
		{"zero float", Float(0), `0.0`},
		{"negative float", Float(-2.5), `-2.5`},
		{"large float", Float(1e16), `1e+16`},
		{"large float without exponent", Float(9999999999999998), `9999999999999998.0`},
		{"small float", Float(0.00001), `1e-05`},
		{"small float without exponent", Float(0.0001), `0.0001`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := EncodeJSON(tt.in)
			if err != nil {
				t.Fatalf("EncodeJSON(%#v): %v", tt.in, err)
			}
			if string(got) != tt.want {
				t.Errorf("EncodeJSON(%#v)\n got %s\nwant %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestEncodeJSONRefusesWhatJSONHasNot(t *testing.T) {
	for _, in := range []any{Float(math.NaN()), Float(math.Inf(1)), make(chan int)} {
		if got, err := EncodeJSON(in); err == nil {
			t.Errorf("EncodeJSON(%v): got %s, want an error", in, got)
		}
	}
}

func FuzzEncodeJSONKeepsTheValue(f *testing.F) {
	f.Add(`{"a":[1,"x,y:\"z\\",null],"é":"🐦"}`)
	f.Add(`"\\"`)
	f.Fuzz(func(t *testing.T, doc string) {
		var in any
		if json.Unmarshal([]byte(doc), &in) != nil {
			return
		}
		data, err := EncodeJSON(in)
		if err != nil {
			t.Fatalf("EncodeJSON(%#v): %v", in, err)
		}
		for _, c := range data {
			if c < ' ' || c > '~' {
				t.Fatalf("EncodeJSON(%#v): got byte %#x, want printable ASCII: %q", in, c, data)
			}
		}
		var out any
		if err := (Value{Data: data, JSON: true}).Decode(&out); err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("decode %s: got %#v, %v, want %#v", data, out, err, in)
		}
	})
}

func TestDecodeRefusesRawText(t *testing.T) {
	var n int
	if err := Text("10").Decode(&n); !errors.Is(err, errNotJSON) {
		t.Errorf("Decode of raw text: got %v, want %v", err, errNotJSON)
	}
}

func TestCount(t *testing.T) {
	tests := []struct {
		name string
		in   Value
		want uint64
		ok   bool
	}{
		{"a number", Text("1795292775844"), 1795292775844, true},
		{"a number padded by memcached", Text("9 "), 9, true},
		{"a word", Text("nine"), 0, false},
		{"nothing", Text(""), 0, false},
		{"a json number", Value{Data: []byte("9"), JSON: true}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := tt.in.Count(); got != tt.want || ok != tt.ok {
				t.Errorf("Count(%q): got %d, %v, want %d, %v", tt.in.Data, got, ok, tt.want, tt.ok)
			}
		})
	}
}
