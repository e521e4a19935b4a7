package readcache

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"sync"

	"github.com/apus-storage/apus/internal/disk"
)

// A Writer takes a body on its way to a client. Its methods do nothing on nil. No fault of the disk's comes out of it.
type Writer struct {
	c     *Cache
	key   id
	scope string
	d     description
	want  int64 // length
	md5   hash.Hash
	size  int64 // counted in Cache.used

	mu   sync.Mutex // a fill may be revoked while it runs
	file disk.File  // nil when it is over
	name string     // the file's, from its creation or at the end of it
	bare bool       // the file has no name yet
	got  int64
	sum  uint32
}

// errBody is why a whole fill is not kept.
var errBody = errors.New("the body is not what the store had promised")

// Fill begins to keep the body of a 200 answer to a GET of the whole object, that was made with the credentials that scope names. It
// returns nil and false if the answer is not one to keep, is too large, or is being fetched by somebody else too.
func (c *Cache) Fill(k Key, scope string, h http.Header) (*Writer, bool) {
	etag := h.Get("ETag")
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || length < 0 || length > int64(c.MaxObjectSize) || !storable(h) {
		return nil, false
	}
	w := &Writer{c: c, key: k.id(), scope: scope, want: length, d: description{k, etag, described(h)}}
	text, err := json.Marshal(w.d)
	if err != nil || len(text) > maxDescription {
		return nil, false
	}
	if isMD5(h) {
		w.md5 = md5.New()
	}
	w.size = length + int64(len(text)) + footerSize
	c.mu.Lock()
	// Before all is known that is there, so is not how much room there is.
	if !c.ready || c.closed || c.filling[w.key] != nil || !c.room(w.size) {
		c.mu.Unlock()
		return nil, false
	}
	c.filling[w.key] = w
	c.used += w.size
	c.serial++
	serial := c.serial
	c.mu.Unlock()
	if err := w.create(serial); err != nil {
		w.end(err)
		return nil, false
	}
	return w, true
}

// create opens the file.
func (w *Writer) create(serial uint64) (err error) {
	c := w.c
	w.mu.Lock()
	defer w.mu.Unlock()
	w.name = path.Join(c.Path, "new-"+strconv.FormatUint(serial, 10))
	w.file, err = c.fs.Unnamed(c.Path)
	w.bare = err == nil
	if errors.Is(err, disk.ErrNoUnnamed) {
		w.file, err = c.fs.Open(w.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	}
	return err
}

// Write takes the next piece. It always takes all.
func (w *Writer) Write(p []byte) (int, error) {
	if w == nil {
		return len(p), nil
	}
	w.mu.Lock()
	if w.file == nil {
		w.mu.Unlock()
		return len(p), nil
	}
	if w.got += int64(len(p)); w.got > w.want {
		w.mu.Unlock()
		w.end(errBody)
		return len(p), nil
	}
	w.sum = crc32.Update(w.sum, castagnoli, p)
	if w.md5 != nil {
		w.md5.Write(p)
	}
	_, err := w.file.Write(p)
	w.mu.Unlock()
	if err != nil {
		w.end(err)
	}
	return len(p), nil
}

// Commit makes the body visible, if it is whole and right. It is to be called only if the store's answer has ended well.
func (w *Writer) Commit() {
	if w != nil {
		w.end(w.commit())
	}
}

// Abort ends a fill without a body; after Commit it does nothing.
func (w *Writer) Abort() {
	if w != nil {
		w.end(nil)
	}
}

func (w *Writer) commit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	if w.got != w.want {
		return fmt.Errorf("%d bytes of %d: %w", w.got, w.want, errBody)
	}
	if w.md5 != nil && `"`+hex.EncodeToString(w.md5.Sum(nil))+`"` != w.d.ETag {
		return fmt.Errorf("MD5: %w", errBody)
	}
	text, err := json.Marshal(w.d)
	if err != nil {
		return err
	}
	tail := append([]byte(nil), text...)
	tail = footer{w.got, uint32(len(text)), w.sum, crc32.Checksum(text, castagnoli)}.append(tail)
	if _, err := w.file.Write(tail); err != nil {
		return err
	}
	if w.bare {
		if err := w.c.fs.Link(w.file, w.name); err != nil {
			return err
		}
	}
	return w.publish()
}

// publish puts the file in its place and makes it known, at once to everybody else. The caller holds w.mu.
func (w *Writer) publish() error {
	c := w.c
	final := c.file(w.key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.filling[w.key] != w {
		return nil // the object has been written meanwhile
	}
	err := c.fs.Rename(w.name, final)
	if errors.Is(err, fs.ErrNotExist) {
		if err = c.fs.Mkdir(path.Dir(final)); err == nil || errors.Is(err, fs.ErrExist) {
			err = c.fs.Rename(w.name, final)
		}
	}
	if err != nil {
		return err
	}
	w.name = "" // it is another's now
	n := &node{key: w.key, etag: w.d.ETag, length: w.got, size: w.size, verified: true}
	if c.TrustFor.Duration > 0 {
		n.confirm(w.scope, c.clock.Now())
	}
	c.add(n)
	delete(c.filling, w.key) // what it has counted is the entry's now
	w.file.Close()
	w.file = nil
	c.filled.Add(1)
	return nil
}

// end closes a fill that has not been committed.
func (w *Writer) end(err error) {
	c := w.c
	w.mu.Lock()
	file := w.file
	w.file = nil
	if file != nil {
		file.Close()
		c.aborted.Add(1)
	}
	name := w.name
	w.name = ""
	w.mu.Unlock()
	if name != "" {
		if err := c.fs.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("cannot remove a file of the read cache", "err", err)
		}
	}
	c.mu.Lock()
	c.revoke(w)
	c.mu.Unlock()
	if err != nil && file != nil {
		c.log.Warn("a body was not kept in the read cache", "err", err)
	}
}

// revoke gives back what a fill has counted, and takes from it the right to publish. The caller holds mu.
func (c *Cache) revoke(w *Writer) {
	if c.filling[w.key] == w {
		delete(c.filling, w.key)
		c.used -= w.size
	}
}
