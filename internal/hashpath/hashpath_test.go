package hashpath

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/hash_path.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Prefix, Suffix string
		Items          []struct {
			Account           string
			Container, Object *string
			Hash, Suffix      string
			Partition         map[string]uint32
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	h, err := New([]byte(golden.Prefix), []byte(golden.Suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range golden.Items {
		var rest []string
		for _, part := range []*string{item.Container, item.Object} {
			if part != nil {
				rest = append(rest, *part)
			}
		}
		path := strings.Join(append([]string{"", item.Account}, rest...), "/")
		sum := h.Sum(item.Account, rest...)
		if sum.Hex() != item.Hash || sum.String() != item.Hash || string(sum.AppendHex(nil)) != item.Hash {
			t.Errorf("Sum(%q).Hex() = %s, want %s", path, sum.Hex(), item.Hash)
		}
		if got := h.SumPath(path); got != sum {
			t.Errorf("SumPath(%q) = %v, want %v", path, got, sum)
		}
		if got := sum.Suffix(); got != item.Suffix || !ValidSuffix(got) {
			t.Errorf("Sum(%q).Suffix() = %q, want %q, a valid one", path, got, item.Suffix)
		}
		if got, err := Parse(item.Hash); err != nil || got != sum {
			t.Errorf("Parse(%q) = %v, %v; want %v", item.Hash, got, err, sum)
		}
		for text, want := range item.Partition {
			power, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := sum.Partition(uint(power)); got != want {
				t.Errorf("Sum(%q).Partition(%d) = %d, want %d", path, power, got, want)
			}
		}
	}
}

func TestNewNeedsASecret(t *testing.T) {
	if _, err := New(nil, []byte{}); !errors.Is(err, ErrNoSalt) {
		t.Errorf("New without prefix and suffix: %v, want ErrNoSalt", err)
	}
	for _, salt := range [][2]string{{"a", ""}, {"", "a"}} {
		if _, err := New([]byte(salt[0]), []byte(salt[1])); err != nil {
			t.Errorf("New(%q, %q): %v", salt[0], salt[1], err)
		}
	}
}

func TestNamesThatAreNotHashesOrSuffixes(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":         "",
		"too short":       "d575ab15bbd6f0c3e3663a53d7a7811",
		"too long":        "d575ab15bbd6f0c3e3663a53d7a781131",
		"upper case":      "D575AB15BBD6F0C3E3663A53D7A78113",
		"no hex":          "g575ab15bbd6f0c3e3663a53d7a78113",
		"bytes above 127": strings.Repeat("é", 16),
	} {
		if got, err := Parse(in); err == nil {
			t.Errorf("%s: Parse(%q) = %v, want an error", name, in, got)
		}
	}
	for _, in := range []string{"", "ab", "abcd", "ABC", "xyz", "a/b"} {
		if ValidSuffix(in) {
			t.Errorf("ValidSuffix(%q) = true, want false", in)
		}
	}
}

func TestSumDoesNotAllocate(t *testing.T) {
	h, err := New([]byte("prefix"), []byte("suffix"))
	if err != nil {
		t.Fatal(err)
	}
	object := strings.Repeat("o", 1024)
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		sum := h.Sum("AUTH_test", "container", object)
		_ = sum.AppendSuffix(sum.AppendHex(buf))
	}); n != 0 {
		t.Errorf("Sum allocates %v times, want 0", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("d575ab15bbd6f0c3e3663a53d7a78113")
	f.Fuzz(func(t *testing.T, name string) {
		if sum, err := Parse(name); err == nil && sum.Hex() != name {
			t.Errorf("Parse(%q).Hex() = %q", name, sum.Hex())
		}
	})
}

func BenchmarkSum(b *testing.B) {
	h, err := New([]byte("prefix"), []byte("suffix"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.Sum("AUTH_test", "container", "photos/2014/06/11/0001.jpg")
	}
}
