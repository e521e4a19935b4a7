package disk

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// Reserve is room on a disk that must stay free: bytes, or a share of the whole. The zero value reserves nothing.
type Reserve struct {
	value   float64
	percent bool
}

// ParseReserve reads "1%", "0.5%" or a number of bytes.
func ParseReserve(s string) (Reserve, error) {
	text, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case err != nil || v < 0 || v != v:
		return Reserve{}, fmt.Errorf("disk reserve %q: want bytes or a percentage such as \"1%%\"", s)
	case percent && v > 100:
		return Reserve{}, fmt.Errorf("disk reserve %q: more than 100 percent", s)
	}
	return Reserve{v, percent}, nil
}

// UnmarshalText is ParseReserve, for configuration files.
func (r *Reserve) UnmarshalText(text []byte) error {
	v, err := ParseReserve(string(text))
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// String is the form that ParseReserve reads.
func (r Reserve) String() string {
	text := strconv.FormatFloat(r.value, 'f', -1, 64)
	if r.percent {
		return text + "%"
	}
	return text
}

// Check answers ENOSPC if after writing size more bytes no more than the reserve would be free.
func (r Reserve) Check(s Space, size int64) error {
	if r.value <= 0 {
		return nil
	}
	free := float64(s.Free - size)
	if r.percent {
		if s.Total <= 0 {
			return nil
		}
		free = free / float64(s.Total) * 100
	}
	if free <= r.value {
		return fmt.Errorf("free space would fall below the reserve of %s: %w", r, syscall.ENOSPC)
	}
	return nil
}
