package bench

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

func TestContentReadsTheSameInAnyPieces(t *testing.T) {
	pool := NewPool()
	for _, size := range []int64{0, 1, 15, 16, 17, 4096, blockSize - 1, blockSize, blockSize + 7, 3*blockSize + 20} {
		whole, err := io.ReadAll(pool.Content("o-1", size))
		if err != nil || int64(len(whole)) != size {
			t.Fatalf("size %d: read %d bytes, %v", size, len(whole), err)
		}
		if size < 1<<17 {
			if err := iotest.TestReader(pool.Content("o-1", size), whole); err != nil {
				t.Errorf("size %d: %v", size, err)
			}
		}
		if got, want := pool.Content("o-1", size).Sum(), md5.Sum(whole); got != want {
			t.Errorf("size %d: sum %x, want %x", size, got, want)
		}
		rng := rand.New(rand.NewPCG(1, uint64(size)))
		c := pool.Content("o-1", size)
		for rest := whole; len(rest) > 0; {
			n := min(1+rng.IntN(40_000), len(rest))
			if n > 20_000 {
				n = min(1+n%30, len(rest)) // some pieces that end within a stamp
			}
			if err := c.Check(rest[:n]); err != nil {
				t.Fatalf("size %d: %v", size, err)
			}
			rest = rest[n:]
		}
	}
}

// The content of a name is what a later version must still verify.
func TestContentIsForEver(t *testing.T) {
	got := NewPool().Content("o-1-00000000", 200_000).Sum()
	const want = "5890c45470c6d42da1ff1b810e28622d"
	if sum := hex.EncodeToString(got[:]); sum != want {
		t.Errorf("md5 of the content is %s, want %s: objects of earlier runs would not verify", sum, want)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	pool := NewPool()
	const size = 3 * blockSize
	good, _ := io.ReadAll(pool.Content("a", size))
	other, _ := io.ReadAll(pool.Content("b", size))
	flipped := bytes.Clone(good)
	flipped[2*blockSize+999] ^= 4
	swapped := append(append(bytes.Clone(good[blockSize:2*blockSize]), good[:blockSize]...), good[2*blockSize:]...)
	for _, tc := range []struct {
		name string
		got  []byte
	}{
		{"another object", other},
		{"one bit", flipped},
		{"swapped blocks", swapped},
		{"shifted by a byte", good[1:]},
		{"longer than it was", append(bytes.Clone(good), 'x')},
		{"zeros", make([]byte, size)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := pool.Content("a", size).Check(tc.got); err == nil {
				t.Error("Check found nothing")
			} else {
				t.Log(err)
			}
		})
	}
}

func BenchmarkContentRead(b *testing.B) {
	pool := NewPool()
	buf := make([]byte, readSize)
	b.SetBytes(1 << 20)
	for b.Loop() {
		c := pool.Content("o", 1<<20)
		for {
			if _, err := c.Read(buf); err == io.EOF {
				break
			}
		}
	}
}
