package ascii

import "testing"

func TestIs(t *testing.T) {
	for s, want := range map[string]bool{"": true, "a\x00\x7f": true, "é": false, "a\x80": false} {
		if Is(s) != want || Is([]byte(s)) != want {
			t.Errorf("%q: got %v, want %v", s, Is(s), want)
		}
	}
}

func TestTokens(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "GET": true, "X-Object-Meta-a_b": true, "!#$%&'*+-.^_`|~09AZaz": true,
		"a b": false, "a:b": false, "a=b": false, "a\x7f": false, "a\x00": false, "é": false,
	} {
		if IsToken(s) != want {
			t.Errorf("%q: got %v, want %v", s, !want, want)
		}
	}
	for c := range 256 {
		if s := string([]byte{byte(c)}); IsTokenByte(byte(c)) != IsToken(s) {
			t.Errorf("%q alone is a token: %v", s, IsToken(s))
		}
	}
}
