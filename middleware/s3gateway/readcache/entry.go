package readcache

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/apus-storage/apus/internal/disk"
)

// An Entry is a body that may be read. It stays readable when the cache drops it. It is for one goroutine.
type Entry struct {
	// Header is what the store has said of the object when the body was fetched: type, metadata and the like. Where the
	// store has been asked since, what it has said then counts.
	Header http.Header
	ETag   string
	Length int64

	file disk.File
}

// Body reads length bytes of the body from an offset. What the caller copies to a connection goes there within the kernel. One Body
// at a time.
func (e *Entry) Body(offset, length int64) io.Reader {
	if offset < 0 || length < 0 || offset+length > e.Length {
		panic("readcache: range outside the body")
	}
	if f := e.file.OS(); f != nil {
		if _, err := f.Seek(offset, io.SeekStart); err == nil {
			return &exact{io.LimitedReader{R: f, N: length}}
		}
	}
	return io.NewSectionReader(e.file, offset, length)
}

// exact makes an error of a file that has become shorter, so that nobody takes it for the end of the body. To io.Copy it is
// what sendfile knows: it copies itself.
type exact struct{ io.LimitedReader }

// WriteTo sends the file.
func (r *exact) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, &r.LimitedReader)
	if err == nil && r.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Read reads from the file.
func (r *exact) Read(p []byte) (int, error) {
	n, err := r.LimitedReader.Read(p)
	if err == io.EOF && r.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close lets the file go.
func (e *Entry) Close() error { return e.file.Close() }

// open opens the file of a node.
func (c *Cache) open(ctx context.Context, k Key, n *node) (*Entry, bool) {
	f, err := c.fs.Open(c.file(n.key), os.O_RDONLY, 0)
	if err != nil {
		c.spoiled(n, err)
		return nil, false
	}
	d, foot, err := describe(f)
	if err == nil && d.Key != k {
		err = errDamaged
	}
	if err == nil && (d.ETag != n.etag || foot.body != n.length) {
		// Another body has come in its place: it is not the one that was confirmed.
		f.Close()
		return nil, false
	}
	if err == nil {
		err = c.verify(ctx, n, f, foot)
	}
	if err != nil {
		f.Close()
		c.spoiled(n, err)
		return nil, false
	}
	c.mu.Lock()
	if e := c.entries[n.key]; e != nil && e.Value == n {
		c.recent.MoveToFront(e)
	}
	c.mu.Unlock()
	c.hits.Add(1)
	return &Entry{Header: d.Header, ETag: d.ETag, Length: foot.body, file: f}, true
}

// verify compares a body of an earlier process with its checksum, once.
func (c *Cache) verify(ctx context.Context, n *node, f disk.File, foot footer) error {
	c.mu.Lock()
	done := n.verified
	c.mu.Unlock()
	if done {
		return nil
	}
	sum, buf := uint32(0), make([]byte, 128<<10)
	for off := int64(0); off < foot.body; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := buf[:min(int64(len(buf)), foot.body-off)]
		if _, err := f.ReadAt(p, off); err != nil {
			return err
		}
		sum = crc32.Update(sum, castagnoli, p)
		off += int64(len(p))
	}
	if sum != foot.bodySum {
		return errDamaged
	}
	c.mu.Lock()
	n.verified = true
	c.mu.Unlock()
	return nil
}

// spoiled drops a body that cannot be read.
func (c *Cache) spoiled(n *node, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return // the client has gone away while it was checked
	}
	c.mu.Lock()
	e := c.entries[n.key]
	there := e != nil && e.Value == n
	if there {
		c.drop(e)
	}
	c.mu.Unlock()
	if there && !errors.Is(err, fs.ErrNotExist) {
		c.damaged.Add(1)
		c.log.Warn("dropped a body from the read cache", "err", err)
	}
}
