package bench

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
)

const (
	// blockSize is the unit in which content is cut from the pool.
	blockSize = 64 << 10
	// poolSize is the random material that all content is cut from.
	poolSize = 4 << 20
	// stampSize is the part of a block that tells of which object and where it is.
	stampSize = 16
)

// A Pool is the random material of all contents. It is the same in every process, read-only, and safe for concurrent use.
// Contents are made of it by copying, which costs far less than any generator.
type Pool struct{ data []byte }

// NewPool makes the material, 4 MiB.
func NewPool() *Pool {
	p := &Pool{data: make([]byte, poolSize)}
	// The seed is part of the content's definition: objects of an earlier run must verify in a later one.
	rand.NewChaCha8([32]byte([]byte("apus bench content, version one."))).Read(p.data)
	return p
}

// Content is the content of an object: it reads the bytes that belong to a name, from the start to size. Each block of
// 64 KiB is a random-looking stretch that depends on the name and the block's number, led by a stamp of both, so that
// swapped objects, swapped blocks, shifted bytes and truncation all show. It is an io.ReadCloser with a body's use in
// mind, and takes no memory of the content's size.
type Content struct {
	pool *Pool
	key  uint64
	size int64
	pos  int64
}

// Content returns the content of the named object.
func (p *Pool) Content(name string, size int64) *Content {
	h := fnv.New64a()
	io.WriteString(h, name)
	return &Content{pool: p, key: h.Sum64(), size: size}
}

// Read copies the next bytes.
func (c *Content) Read(dst []byte) (int, error) {
	if c.pos >= c.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(dst)), c.size-c.pos))
	for rest := dst[:n]; len(rest) > 0; {
		piece := c.piece(len(rest))
		rest = rest[copy(rest, piece.stamp[piece.from:]):]
		rest = rest[copy(rest, piece.body):]
		c.pos += int64(piece.len())
	}
	return n, nil
}

// Check compares the next bytes with those that a server sent and moves on. The error tells the first differing offset.
func (c *Content) Check(got []byte) error {
	for len(got) > 0 {
		if c.pos >= c.size {
			return fmt.Errorf("%d bytes beyond the size of %d", len(got), c.size)
		}
		piece := c.piece(len(got))
		stamp := piece.stamp[piece.from:]
		if !bytes.Equal(got[:len(stamp)], stamp) {
			return fmt.Errorf("byte %d differs: the block's stamp is %x, want %x", c.pos, got[:len(stamp)], stamp)
		}
		if part := got[len(stamp):piece.len()]; !bytes.Equal(part, piece.body) {
			i := 0
			for part[i] == piece.body[i] {
				i++
			}
			return fmt.Errorf("byte %d differs: got %#02x, want %#02x", c.pos+int64(len(stamp)+i), part[i], piece.body[i])
		}
		c.pos += int64(piece.len())
		got = got[piece.len():]
	}
	return nil
}

// Close does nothing.
func (c *Content) Close() error { return nil }

// Sum is the MD5 of the whole content, what Swift answers as the Etag.
func (c *Content) Sum() [md5.Size]byte {
	h := md5.New()
	whole := &Content{pool: c.pool, key: c.key, size: c.size}
	io.CopyBuffer(struct{ io.Writer }{h}, whole, make([]byte, blockSize))
	return [md5.Size]byte(h.Sum(nil))
}

// piece is a run of content within one block: what is left of the stamp, then bytes of the pool.
type piece struct {
	stamp [stampSize]byte
	from  int // stamp[from:] belongs to the run; a run that ends in the stamp holds only bytes up to its end
	body  []byte
}

func (p *piece) len() int { return stampSize - p.from + len(p.body) }

// piece returns the run at the current position, at most limit bytes and never beyond the block or the size.
func (c *Content) piece(limit int) piece {
	block, at := c.pos/blockSize, int(c.pos%blockSize)
	n := int(min(int64(limit), int64(blockSize-at), c.size-c.pos))
	var p piece
	if at < stampSize {
		binary.BigEndian.PutUint64(p.stamp[:8], c.key)
		binary.BigEndian.PutUint64(p.stamp[8:], uint64(block))
		if end := at + n; end < stampSize {
			// Move the run to the array's end, so that one index describes it.
			copy(p.stamp[stampSize-n:], p.stamp[at:end])
			p.from = stampSize - n
			return p
		}
		p.from = at
		n -= stampSize - at
		at = stampSize
	} else {
		p.from = stampSize
	}
	start := int(mix(c.key+uint64(block))%(poolSize-blockSize)) + at
	p.body = c.pool.data[start : start+n]
	return p
}

// mix spreads neighbouring numbers over all 64 bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
