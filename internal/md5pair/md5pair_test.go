package md5pair

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"sync"
	"testing"
)

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n, n+4)
	for i := range n / 8 {
		binary.LittleEndian.PutUint64(b[8*i:], r.Uint64())
	}
	return b
}

func TestBothAreTheMD5OfEach(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 55, 63, 64, 65, 127, 128, 1000, 4096, 64 << 10, 64<<10 + 17}
	for _, before := range []int{0, 1, 63, 64, 100} {
		for _, n1 := range sizes {
			for _, n2 := range sizes {
				h := [2]hash.Hash{md5.New(), md5.New()}
				data := [2][]byte{random(r, before+n1), random(r, 2*before+n2)}
				h[0].Write(data[0][:before])
				h[1].Write(data[1][:2*before])
				both(h[0], h[1], data[0][before:], data[1][2*before:])
				for i := range h {
					// More than one write: the state that was put back must be good for it.
					h[i].Write([]byte("tail"))
					want := md5.Sum(append(data[i], "tail"...))
					if got := h[i].Sum(nil); !bytes.Equal(got, want[:]) {
						t.Errorf("stream %d of %d and %d bytes after %d: %x, want %x", i+1, n1, n2, before, got, want)
					}
				}
			}
		}
	}
}

func TestManyStreams(t *testing.T) {
	var g Group
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(i)))
			h, plain := md5.New(), md5.New()
			for range 40 {
				piece := random(r, 1+r.IntN(4*worthIt))
				g.Write(h, piece)
				plain.Write(piece)
			}
			if got, want := h.Sum(nil), plain.Sum(nil); !bytes.Equal(got, want) {
				t.Errorf("stream %d: %x, want %x", i, got, want)
			}
		})
	}
	all.Wait()
	if g.waiting != nil {
		t.Error("a piece waits in the end")
	}
}

// opaque is a hash that does not give out its state.
type opaque struct{ hash.Hash }

func TestOtherHashes(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 1000)
	h1, h2 := opaque{md5.New()}, md5.New()
	both(h1, h2, data, data)
	want := md5.Sum(data)
	if !bytes.Equal(h1.Sum(nil), want[:]) || !bytes.Equal(h2.Sum(nil), want[:]) {
		t.Errorf("%x and %x, want %x", h1.Sum(nil), h2.Sum(nil), want)
	}
}

func BenchmarkStreams(b *testing.B) {
	for _, n := range []int{1, 2, 6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var g Group
			var all sync.WaitGroup
			b.SetBytes(64 << 10)
			for range n {
				all.Go(func() {
					h, data := md5.New(), make([]byte, 64<<10)
					for range b.N / n {
						g.Write(h, data)
					}
				})
			}
			all.Wait()
		})
	}
	b.Run("pair", func(b *testing.B) {
		h1, h2, data := md5.New(), md5.New(), make([]byte, 64<<10)
		b.SetBytes(128 << 10)
		for b.Loop() {
			both(h1, h2, data, data)
		}
	})
}
