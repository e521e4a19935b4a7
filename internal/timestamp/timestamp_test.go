package timestamp

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

type vectors struct {
	Normal []struct {
		In        any
		Error     string
		Internal  string
		Normal    string
		Short     string
		ISOFormat string
		Ceil      int64
		Raw       int64
		Offset    uint64
	}
	ISOFormat []struct{ In, Out string }
	Invert    []struct{ In, Out string }
	Encode    []struct {
		Encoded    string
		Explicit   bool
		T1, T2, T3 *string
	}
	Decode []struct {
		Encoded  string
		Explicit bool
		Times    []*string
	}
	DeleteAt []struct {
		In        any
		Low, High string
	} `json:"delete_at"`
}

func loadVectors(t *testing.T) (v vectors) {
	t.Helper()
	file, err := os.Open("testdata/timestamps.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// text returns a vector's input, a string or a number, as text.
func text(in any) string {
	if n, ok := in.(json.Number); ok {
		return n.String()
	}
	return in.(string)
}

func TestGoldenForms(t *testing.T) {
	for _, v := range loadVectors(t).Normal {
		in := text(v.In)
		got, err := Parse(in)
		// An offset below zero slipped through in old releases only.
		if v.Error != "" || strings.Contains(v.Internal, "-") {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("Parse(%q) = %v, %v; want ErrInvalid", in, got, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q) = %v", in, err)
			continue
		}
		if got.Raw() != v.Raw || got.Offset() != v.Offset {
			t.Errorf("Parse(%q) = raw %d offset %d, want %d and %d", in, got.Raw(), got.Offset(), v.Raw, v.Offset)
		}
		if c := got.LastModified().Unix(); c != v.Ceil {
			t.Errorf("Parse(%q).LastModified() = %d, want %d", in, c, v.Ceil)
		}
		// The texts of this vector follow the old release, which printed the float instead of rounding to units first.
		if in == "1402464677.0418851" {
			continue
		}
		for _, form := range []struct{ name, got, want string }{
			{"Internal", got.Internal(), v.Internal},
			{"Normal", got.Normal(), v.Normal},
			{"Short", got.Short(), v.Short},
			{"ISO", got.ISO(), v.ISOFormat},
			{"String", got.String(), v.Internal},
		} {
			if form.got != form.want {
				t.Errorf("Parse(%q).%s() = %q, want %q", in, form.name, form.got, form.want)
			}
		}
	}
}

func TestGoldenISO(t *testing.T) {
	for _, v := range loadVectors(t).ISOFormat {
		got, err := ParseISO(v.In)
		if err != nil || got.Normal() != v.Out {
			t.Errorf("ParseISO(%q) = %v, %v; want %s", v.In, got, err, v.Out)
		}
	}
	for _, in := range []string{"", "1969-12-31T23:59:59", "2014-02-28", "9999-01-01T00:00:00", "2014-02-30T00:00:00"} {
		if got, err := ParseISO(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseISO(%q) = %v, %v; want ErrInvalid", in, got, err)
		}
	}
}

func TestGoldenInversion(t *testing.T) {
	for _, v := range loadVectors(t).Invert {
		in := mustParse(t, v.In)
		want := v.Out
		if want == "" {
			want = "8299999999.99998_fffffffffffffffe"
		}
		if got := in.Inverted().Internal(); got != want {
			t.Errorf("(%s).Inverted() = %s, want %s", v.In, got, want)
		}
	}
	if got := FromRaw(MaxRaw, 1).Inverted(); got != FromRaw(0, 1<<64-1) {
		t.Errorf("inverting the last time with an offset = %v, want the zero time with the negated offset", got)
	}
}

func TestInversionTurnsTheOrderAround(t *testing.T) {
	order := []Timestamp{FromRaw(5, 0), FromRaw(5, 1), FromRaw(5, 9), FromRaw(6, 0), FromRaw(6, 1<<64-1), FromRaw(7, 0)}
	for i := range len(order) - 1 {
		if a, b := order[i].Inverted(), order[i+1].Inverted(); !a.After(b) {
			t.Errorf("inverted %v = %v, not after inverted %v = %v", order[i], a, order[i+1], b)
		}
	}
}

func TestGoldenEncode(t *testing.T) {
	for _, v := range loadVectors(t).Encode {
		var rest []Timestamp
		for _, s := range []*string{v.T2, v.T3} {
			if s != nil {
				rest = append(rest, mustParse(t, *s))
			}
		}
		if got := EncodeDelta(v.Explicit, mustParse(t, *v.T1), rest...); got != v.Encoded {
			t.Errorf("EncodeDelta(%v, %s, %v) = %s, want %s", v.Explicit, *v.T1, rest, got, v.Encoded)
		}
	}
}

func TestGoldenDecode(t *testing.T) {
	for _, v := range loadVectors(t).Decode {
		got, present, err := DecodeDelta(v.Encoded)
		if err != nil {
			t.Errorf("DecodeDelta(%q): %v", v.Encoded, err)
			continue
		}
		for i, time := range []Timestamp{got.Data, got.ContentType, got.Meta} {
			absent := v.Explicit && i >= present
			switch want := v.Times[i]; {
			case want == nil && !absent:
				t.Errorf("DecodeDelta(%q) has time %d, want it absent", v.Encoded, i)
			case want != nil && (absent || time.Internal() != *want):
				t.Errorf("DecodeDelta(%q) time %d = %v (present %d), want %s", v.Encoded, i, time, present, *want)
			}
		}
	}
}

func TestDecodeDeltaKeepsOffsetsOverZeroDistances(t *testing.T) {
	got, err := DecodeTriple("0000000001.00000_2+0+5")
	want := Triple{FromRaw(100000, 2), FromRaw(100000, 2), FromRaw(100005, 0)}
	if err != nil || got != want {
		t.Errorf("DecodeTriple = %v, %v; want %v", got, err, want)
	}
	if text, want := got.Encode(), "0000000001.00000_2+0+5"; text != want {
		t.Errorf("Encode() = %s, want %s", text, want)
	}
}

func TestDecodeDeltaRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                "",
		"no digits":              "1+",
		"no time":                "+1",
		"a distance before 1970": "1-186a1",
		"a distance past 2286":   "9999999999.99999+1",
		"a huge distance":        "1+ffffffffffffffff",
		"a fourth time":          "1+1+1+1",
		"a prefixed distance":    "1+0x2",
		"two signs":              "1+-2",
	} {
		if got, _, err := DecodeDelta(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: DecodeDelta(%q) = %v, %v; want ErrInvalid", name, in, got, err)
		}
	}
}

func TestGoldenDeleteAt(t *testing.T) {
	for _, v := range loadVectors(t).DeleteAt {
		in := text(v.In)
		if got, err := NormalizeDeleteAt(in); err != nil || got != v.Low {
			t.Errorf("NormalizeDeleteAt(%q) = %q, %v; want %q", in, got, err, v.Low)
		}
		if got, err := ParseDeleteAt(in); err != nil || got.Normal() != v.High {
			t.Errorf("ParseDeleteAt(%q) = %v, %v; want %q", in, got, err, v.High)
		}
	}
	for _, in := range []string{"", "soon", "nan", "0x10"} {
		if got, err := NormalizeDeleteAt(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("NormalizeDeleteAt(%q) = %q, %v; want ErrInvalid", in, got, err)
		}
	}
}

func TestParseAcceptsWhatAFloatParserAccepts(t *testing.T) {
	for in, want := range map[string]string{
		"+5":                   "0000000005.00000",
		"-0.0":                 "0000000000.00000",
		"5.":                   "0000000005.00000",
		".5":                   "0000000000.50000",
		"1.5 _2":               "0000000001.50000_0000000000000002",
		"1_":                   "0000000001.00000",
		"1_A":                  "0000000001.00000_000000000000000a",
		"1_ffffffffffffffff":   "0000000001.00000_ffffffffffffffff",
		"00000000000001.00000": "0000000001.00000",
		"0.000015":             "0000000000.00002",
		"0.0000049":            "0000000000.00000",
	} {
		if got, err := Parse(in); err != nil || got.Internal() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                   "",
		"only a point":              ".",
		"only an offset":            "_1",
		"not a number":              "nan",
		"infinity":                  "inf",
		"too large for a float":     "1e999",
		"hexadecimal":               "0x10",
		"just below zero":           "-0.000001",
		"rounding past the end":     "9999999999.999999",
		"two points":                "1.2.3",
		"a blank in the offset":     "1_ 1",
		"a sign in the offset":      "1_+1",
		"a prefixed offset":         "1_0x1",
		"seventeen offset digits":   "1_00000000000000001",
		"two offsets":               "1_1_1",
		"text after the fraction":   "1.00000x",
		"a unicode digit (Bengali)": "১",
	} {
		if got, err := Parse(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Parse(%q) = %v, %v; want ErrInvalid", name, in, got, err)
		}
	}
}

func TestOrderIsThatOfTheInternalText(t *testing.T) {
	times := []Timestamp{{}, FromRaw(1, 0), FromRaw(1, 1), FromRaw(1, 1<<63), FromRaw(100000, 0), FromRaw(MaxRaw, 0)}
	for _, a := range times {
		for _, b := range times {
			if got, want := a.Compare(b), strings.Compare(a.Internal(), b.Internal()); got != want {
				t.Errorf("(%v).Compare(%v) = %d, want %d", a, b, got, want)
			}
			if a.Before(b) != b.After(a) {
				t.Errorf("Before and After of %v and %v disagree", a, b)
			}
		}
	}
	if !slices.IsSortedFunc(times, Timestamp.Compare) {
		t.Errorf("%v is not sorted by Compare", times)
	}
}

func TestTimeConversions(t *testing.T) {
	at := time.Date(2014, 6, 11, 5, 31, 17, 41_884_999, time.UTC)
	got := FromTime(at)
	if want := FromRaw(140246467704188, 0); got != want {
		t.Errorf("FromTime(%v) = %v, want %v", at, got, want)
	}
	if back, want := got.Time(), at.Truncate(10*time.Microsecond); !back.Equal(want) {
		t.Errorf("FromTime(%v).Time() = %v, want %v", at, back, want)
	}
	if got, want := got.Seconds(), 1402464677.04188; got != want {
		t.Errorf("Seconds() = %v, want %v", got, want)
	}
	if got := FromTime(at.Add(time.Microsecond)); got.Raw() != 140246467704189 {
		t.Errorf("FromTime rounds %v to %v, want up", at, got)
	}
	for in, want := range map[time.Time]Timestamp{
		{}:                     {},
		time.Unix(-1, 999_999): {},
		time.Unix(1<<50, 0):    FromRaw(MaxRaw, 0),
	} {
		if got := FromTime(in); got != want {
			t.Errorf("FromTime(%v) = %v, want %v", in, got, want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	at, buf := FromRaw(140246467704188, 10), make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		b := at.AppendInternal(buf)
		b = at.AppendNormal(b)
		b = at.AppendShort(b)
		_ = AppendDelta(b, true, at, at, at)
	}); n != 0 {
		t.Errorf("the append forms allocate %v times, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse("1402464677.04188_000000000000000a"); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Parse of the internal form allocates %v times, want 0", n)
	}
}

func mustParse(t *testing.T, s string) Timestamp {
	t.Helper()
	got, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return got
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1402464677.04188_000000000000000a", "1e9", " 12.5", "-1", "1_2_3", "9999999999.99999", "nan", ".", "0x1p3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("Parse(%q) fails with %v, not ErrInvalid", s, err)
			}
			return
		}
		for _, text := range []string{got.Internal(), got.Short()} {
			if again, err := Parse(text); err != nil || again != got {
				t.Errorf("Parse(%q) = %v, but Parse(%q) = %v, %v", s, got, text, again, err)
			}
		}
	})
}

func FuzzDecodeDelta(f *testing.F) {
	for _, s := range []string{"1700000000.00000+186a0+64ab9", "1700000009.00000-493e0", "1_2+0+0", "1+", "1-1-1-1", "1+ffffffffffffffff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, present, err := DecodeDelta(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("DecodeDelta(%q) fails with %v, not ErrInvalid", s, err)
			}
			return
		}
		text := EncodeDelta(true, got.Data, []Timestamp{got.ContentType, got.Meta}[:present-1]...)
		again, presentAgain, err := DecodeDelta(text)
		if err != nil || again != got || presentAgain != present {
			t.Errorf("DecodeDelta(%q) = %v, %d, but of its encoding %q %v, %d, %v", s, got, present, text, again, presentAgain, err)
		}
	})
}

func BenchmarkAppendInternal(b *testing.B) {
	at, buf := FromRaw(140246467704188, 0), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = at.AppendInternal(buf[:0])
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("1402464677.04188"); err != nil {
			b.Fatal(err)
		}
	}
}
