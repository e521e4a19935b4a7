package testcluster

import (
	"hash/fnv"
	"math/rand/v2"
)

// newRand returns numbers that depend on the seed and on what they are for.
func newRand(seed, n uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed^h.Sum64(), n))
}
