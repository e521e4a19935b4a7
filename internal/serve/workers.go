package serve

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Workers is on how many processors a server may compute at once; 0, or "auto" in a file, is on all that it finds. Swift has as
// many processes.
type Workers int

// UnmarshalText reads a number or "auto".
func (n *Workers) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if strings.EqualFold(s, "auto") {
		*n = 0
		return nil
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < 0 {
		return fmt.Errorf(`want a number of processors, or "auto" for all, have %q`, s)
	}
	*n = Workers(v)
	return nil
}

// String is what a file would have.
func (n Workers) String() string {
	if n == 0 {
		return "auto"
	}
	return strconv.Itoa(int(n))
}

// Limit makes it so for this process. What GOMAXPROCS in the environment says stays unless a number is given.
func (n Workers) Limit() {
	if n > 0 {
		runtime.GOMAXPROCS(int(n))
	}
}
