package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is a span of time in a configuration file: a number of seconds, whole or not, as in Swift's files, or a
// string with units such as "1m30s".
type Duration struct{ time.Duration }

// Seconds makes a Duration, for defaults.
func Seconds(s float64) Duration { return Duration{time.Duration(s * float64(time.Second))} }

// UnmarshalText reads seconds or a string with units.
func (d *Duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > math.MaxInt64/float64(time.Second) {
			return fmt.Errorf("want a number of seconds, have %q", s)
		}
		d.Duration = time.Duration(math.Round(f * float64(time.Second)))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`want seconds (90, 0.5) or a string with units ("1m30s"), have %q`, s)
	}
	d.Duration = v
	return nil
}

// String gives seconds without units when whole, as a file would have it.
func (d Duration) String() string {
	return strconv.FormatFloat(d.Duration.Seconds(), 'f', -1, 64)
}

// A Size is a number of bytes: an integer, or a string with a unit such as "64 KiB", "5GB".
type Size int64

var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1},
}

// UnmarshalText reads bytes with an optional unit.
func (z *Size) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	factor := 1.0
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			s, factor = strings.TrimSpace(n), u.factor
			break
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && factor == 1 {
		*z = Size(n)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f*factor) >= math.MaxInt64 {
		return fmt.Errorf(`want bytes (65536) or a string with a unit ("64 KiB"), have %q`, text)
	}
	*z = Size(f * factor)
	return nil
}

// A List is several strings: a TOML array, or one string with commas between them, as in Swift's files.
type List []string

// SplitList cuts at commas, trims, and drops what is empty.
func SplitList(s string) List {
	var l List
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			l = append(l, part)
		}
	}
	return l
}

// Words cuts at blanks too, for the options that Swift separates with blanks. Without any it is empty, not nil.
func (l List) Words() []string {
	out := strings.Fields(strings.Join(l, " "))
	if out == nil {
		out = []string{} // which is [] in /info
	}
	return out
}

// ParseBool reads Swift's words for yes and no. Anything but those is an error, where Swift would silently take it
// for no.
func ParseBool(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1", "yes", "on", "t", "y":
		return true, nil
	case "false", "0", "no", "off", "f", "n", "none", "":
		return false, nil
	}
	return false, fmt.Errorf("want true or false, have %q", s)
}

// Truthy says whether a header or query value is one of Swift's words for yes.
func Truthy(s string) bool {
	b, err := ParseBool(s)
	return b && err == nil
}
