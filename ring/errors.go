package ring

import "errors"

var (
	// ErrCorrupt says that a file is no ring, or that what it holds contradicts itself.
	ErrCorrupt = errors.New("corrupt ring")
	// ErrVersion says that a file is a ring of a format version that is not known here.
	ErrVersion = errors.New("unknown ring format version")
	// ErrTooLarge says that a file claims to hold more than any real ring does.
	ErrTooLarge = errors.New("ring too large")
)
