package bench

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrInvalid is wrapped by every error about a plan or an option that cannot be used.
var ErrInvalid = errors.New("invalid benchmark option")

// maxObjectSize is what a Swift cluster accepts as one object unless told otherwise, 5 GiB and 2 bytes.
const maxObjectSize = 5<<30 + 2

// mixedSizes is what the size "mix" stands for: most objects are small, most bytes are in large ones.
const mixedSizes = "4KiB=60,64KiB=25,1MiB=12,16MiB=3"

// Sizes says how large the objects of a population are: one size, or several with weights. The zero value means empty
// objects.
type Sizes struct {
	sizes []sizeWeight
	total int
}

type sizeWeight struct {
	bytes  int64
	weight int
}

// ParseSizes reads "4KiB", "64MiB", "mix", or weighted sizes such as "4KiB=90,1MiB=10". Errors wrap [ErrInvalid].
func ParseSizes(s string) (Sizes, error) {
	if s == "mix" {
		s = mixedSizes
	}
	var out Sizes
	for item := range strings.SplitSeq(s, ",") {
		name, weight, weighted := strings.Cut(item, "=")
		n, err := ParseSize(name)
		if err != nil {
			return Sizes{}, err
		}
		w := 1
		if weighted {
			if w, err = parseWeight(weight); err != nil {
				return Sizes{}, fmt.Errorf("size %q: %w", item, err)
			}
		}
		out.sizes = append(out.sizes, sizeWeight{n, w})
		out.total += w
	}
	return out, nil
}

// parseWeight reads a weight between 1 and a million.
func parseWeight(s string) (int, error) {
	w, err := strconv.Atoi(s)
	if err != nil || w < 1 || w > 1_000_000 {
		return 0, fmt.Errorf("%w: weight %q is not a number from 1 to 1000000", ErrInvalid, s)
	}
	return w, nil
}

// pick chooses a size by weight; draw is any number, evenly spread.
func (s Sizes) pick(draw uint64) int64 {
	if s.total == 0 {
		return 0
	}
	n := int(draw % uint64(s.total))
	for _, c := range s.sizes {
		if n < c.weight {
			return c.bytes
		}
		n -= c.weight
	}
	panic("bench: weights do not add up")
}

// String is a form that ParseSizes reads.
func (s Sizes) String() string {
	parts := make([]string, len(s.sizes))
	for i, c := range s.sizes {
		parts[i] = FormatSize(c.bytes)
		if len(s.sizes) > 1 {
			parts[i] += "=" + strconv.Itoa(c.weight)
		}
	}
	return strings.Join(parts, ",")
}

// sizeUnit is a suffix and its factor. Longer suffixes stand before those they end in.
type sizeUnit struct {
	suffix string
	bytes  int64
}

func sizeUnits() [7]sizeUnit {
	return [...]sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
}

// ParseSize reads a number of bytes with an optional unit: B, kB, MB, GB or KiB, MiB, GiB. The largest is 5 GiB and
// 2 bytes, what one Swift object may hold. Errors wrap [ErrInvalid].
func ParseSize(s string) (int64, error) {
	digits, factor := strings.TrimSpace(s), int64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: size %q is not like 4096, 4KiB or 64MiB", ErrInvalid, s)
	}
	if n > maxObjectSize/factor {
		return 0, fmt.Errorf("%w: size %q is over the 5GiB of one object", ErrInvalid, s)
	}
	return n * factor, nil
}

// FormatSize writes a number of bytes with the largest binary unit that divides it.
func FormatSize(n int64) string {
	for _, u := range sizeUnits() {
		if u.bytes&(u.bytes-1) == 0 && n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
