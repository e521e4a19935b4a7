package conditional

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/ascii"
)

// ParseDate reads the date of a conditional header. It takes all three forms of RFC 9110 and the many near misses that
// Python's mail parser takes: no day of the week, day and month or time and year exchanged, commas after parts, full
// month names, years of two digits (69 to 99 are 19xx), a time without seconds or with full stops. **The zone is not
// applied**: Swift reads every date as UTC, whatever it says. Impossible dates, leap seconds and anything with a byte
// above 0x7f are refused.
func ParseDate(s string) (time.Time, bool) {
	f, ok := dateFields(s)
	if !ok {
		return time.Time{}, false
	}
	day, month, year, clock, zone := f[0], strings.ToLower(f[1]), f[2], f[3], f[4]
	m := monthOf(month)
	if m == 0 {
		day, m = f[1], monthOf(strings.ToLower(f[0]))
	}
	if m == 0 {
		return time.Time{}, false
	}
	day = strings.TrimSuffix(day, ",")
	if strings.Index(year, ":") > 0 {
		year, clock = clock, year
	}
	year = strings.TrimSuffix(year, ",")
	if year == "" {
		return time.Time{}, false
	}
	if year[0] < '0' || year[0] > '9' {
		year = zone
	}
	y, d := number(year), number(day)
	if y >= 0 && y < 100 {
		if y += 1900; y < 1969 {
			y += 100
		}
	}
	hms, ok := clockFields(strings.TrimSuffix(clock, ","))
	if !ok || y < 1 || y > 9999 || d < 1 {
		return time.Time{}, false
	}
	t := time.Date(y, m, d, hms[0], hms[1], hms[2], 0, time.UTC)
	// time.Date carries an impossible day over into the next month.
	return t, t.Day() == d && t.Month() == m
}

// dateFields returns day, month, year, time and zone as they are written; the first three are not empty.
func dateFields(s string) (f [5]string, ok bool) {
	if !ascii.Is(s) {
		return f, false
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' || 0x1c <= r && r <= 0x1f })
	if len(parts) == 0 {
		return f, false
	}
	if first := parts[0]; strings.HasSuffix(first, ",") || isDay(first) {
		parts = parts[1:]
	} else {
		parts[0] = first[strings.LastIndexByte(first, ',')+1:]
	}
	if len(parts) == 3 { // RFC 850: 21-Nov-26
		if dmy := strings.Split(parts[0], "-"); len(dmy) == 3 {
			parts = append(dmy, parts[1:]...)
		}
	}
	if len(parts) == 4 {
		clock := parts[3]
		i := strings.IndexByte(clock, '+')
		if i < 0 {
			i = strings.IndexByte(clock, '-')
		}
		if i > 0 {
			parts = append(parts[:3], clock[:i], clock[i:])
		} else {
			parts = append(parts, "")
		}
	}
	if len(parts) < 5 {
		return f, false
	}
	copy(f[:], parts)
	return f, f[0] != "" && f[1] != "" && f[2] != ""
}

func isDay(s string) bool {
	return slices.Contains([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, strings.ToLower(s))
}

// monthOf returns 0 for anything but the name of a month, whole or three letters of it, in lower case.
func monthOf(s string) time.Month {
	for m := time.January; m <= time.December; m++ {
		if name := strings.ToLower(m.String()); s == name || s == name[:3] {
			return m
		}
	}
	return 0
}

// clockFields splits 23:02:01, 23:02, 23.02.01 or 23.02.
func clockFields(s string) (hms [3]int, ok bool) {
	sep := ":"
	if !strings.Contains(s, sep) {
		sep = "."
	}
	parts := strings.Split(s, sep)
	if len(parts) < 2 || len(parts) > 3 {
		return hms, false
	}
	for i, p := range parts {
		hms[i] = number(p)
		if hms[i] < 0 || hms[i] > 59 {
			return hms, false
		}
	}
	return hms, hms[0] < 24
}

// number returns -1 for anything but decimal digits that fit.
func number(s string) int {
	if s == "" || s[0] == '+' || s[0] == '-' {
		return -1
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}
