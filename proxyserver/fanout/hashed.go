package fanout

import (
	"bytes"
	"crypto/md5"
	"hash"
	"io"

	"github.com/apus-storage/apus/internal/nodes"
)

// A summed body is hashed on its way to nodes in this process.
type summed struct {
	io.Reader
	hash   hash.Hash
	sum    []byte // once the body has ended
	length int64
}

// hashed lets the upload be hashed once, if it goes to several nodes that would each do it.
func (d *Dispatcher) hashed(p Put) Put {
	if d.inProcess && len(p.Headers) > 1 && p.Length != 0 {
		p.sum = &summed{Reader: p.Body, hash: md5.New()}
		p.Body = p.sum
	}
	return p
}

// Read reads and hashes the next bytes.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.hash.Write(p[:n])
	s.length += int64(n)
	if err == io.EOF && s.sum == nil {
		s.sum = s.hash.Sum(nil)
	}
	return n, err
}

// result is for nodes that have got the end of the body, which they get after Read has.
func (s *summed) result() ([]byte, int64) { return s.sum, s.length }

// ObjectMD5 is for nodes in this process; see [nodes.Hashed].
func (f *feed) ObjectMD5() func() ([]byte, int64) {
	if f.sum == nil {
		return nil
	}
	return f.sum.result
}

// hashedBytes is a small body with its MD5.
type hashedBytes struct {
	*bytes.Reader
	sum []byte
}

// Close does nothing.
func (hashedBytes) Close() error { return nil }

// ObjectMD5 is for nodes in this process; see [nodes.Hashed].
func (b hashedBytes) ObjectMD5() func() ([]byte, int64) {
	return func() ([]byte, int64) { return b.sum, b.Size() }
}

var (
	_ nodes.Hashed = (*feed)(nil)
	_ nodes.Hashed = hashedBytes{}
)
