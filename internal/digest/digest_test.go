package digest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSets(t *testing.T) {
	for _, tc := range []struct {
		name            string
		given           []string
		want            Set
		unknown         []string
		deprecated, bad bool
	}{
		{"none given", nil, Set{SHA1, SHA256, SHA512}, nil, true, false},
		{"one", []string{"sha256"}, Set{SHA256}, nil, false, false},
		{"in capitals and twice", []string{"SHA512", "sha512", "Sha256"}, Set{SHA256, SHA512}, nil, false, false},
		{"with an unknown one", []string{"md5", "sha1"}, Set{SHA1}, []string{"md5"}, true, false},
		{"unknown ones only", []string{"md5", ""}, nil, []string{"md5", ""}, false, true},
	} {
		got, unknown, err := NewSet(tc.given)
		if !slices.Equal(got, tc.want) || !slices.Equal(unknown, tc.unknown) || errors.Is(err, ErrNone) != tc.bad || len(got.Deprecated()) > 0 != tc.deprecated {
			t.Errorf("%s: %q: got %v, unknown %q, deprecated %v, %v", tc.name, tc.given, got, unknown, got.Deprecated(), err)
		}
	}
}

func TestSignatures(t *testing.T) {
	const key, text = "secret", "GET\n1\n/v1/a/c/o"
	for _, a := range All() {
		sum := HMAC(a, key, text)
		std, url, plain := base64.StdEncoding.EncodeToString(sum), base64.URLEncoding.EncodeToString(sum), hex.EncodeToString(sum)
		for name, tc := range map[string]struct {
			text string
			want bool
		}{
			"hex":                       {plain, true},
			"base64":                    {string(a) + ":" + std, true},
			"base64 without padding":    {string(a) + ":" + strings.TrimRight(std, "="), true},
			"base64 for URLs":           {string(a) + ":" + url, true},
			"much padding":              {string(a) + ":" + std + "===", true},
			"hex in capitals":           {strings.ToUpper(plain), false},
			"hex and a bit":             {plain + "0", false},
			"half of it":                {plain[:len(plain)/2], false},
			"half of it in base64":      {string(a) + ":" + base64.StdEncoding.EncodeToString(sum[:len(sum)/2]), false},
			"hex after a colon":         {string(a) + ":" + plain, false},
			"nothing after a colon":     {string(a) + ":", false},
			"padding inside":            {string(a) + ":" + std[:4] + "=" + std[4:], false},
			"a line end inside":         {string(a) + ":" + std[:4] + "\n" + std[4:], false},
			"both alphabets":            {string(a) + ":+/-_" + std, false},
			"another digest":            {"md5:" + std, false},
			"no digest":                 {":" + std, false},
			"nothing":                   {"", false},
			"something not hexadecimal": {strings.Repeat("x", len(plain)), false},
		} {
			sig, err := Parse(tc.text)
			got := err == nil && sig.Algorithm == a && sig.Is(sum)
			if got != tc.want || err != nil && !errors.Is(err, ErrSignature) {
				t.Errorf("%s, %s: %q: good %v, %v; want %v", a, name, tc.text, got, err, tc.want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", ":", "sha1:", "sha1:AAAA", strings.Repeat("0", 40), "sha256:-_==", "x:AA="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sig, err := Parse(text)
		if err != nil {
			return
		}
		if _, err := hex.DecodeString(sig.Hex); err != nil {
			t.Errorf("%q: hex %q", text, sig.Hex)
		}
		if sig.Is(nil) && sig.Hex != "" {
			t.Errorf("%q is the empty signature", text)
		}
	})
}
