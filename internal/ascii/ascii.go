// Package ascii says what bytes the texts of HTTP are made of.
package ascii

// Is says whether a text is ASCII throughout.
func Is[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// IsToken says whether a text is a token of RFC 9110 5.6.2: a method, or the name of a header as net/http takes it.
func IsToken(s string) bool {
	for i := range len(s) {
		if !token[s[i]] {
			return false
		}
	}
	return s != ""
}

// IsTokenByte says whether a token may have the byte.
func IsTokenByte(c byte) bool { return token[c] }

// token is which bytes a token may have.
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
