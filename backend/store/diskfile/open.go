package diskfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/timestamp"
)

// openTries is how often an object that changes under the reader is looked for.
const openTries = 3

// errVanished says that a file was removed between listing its directory and opening it.
var errVanished = errors.New("file vanished")

// Open finds an object.
func (s *Store) Open(ctx context.Context, o store.Object, opt store.OpenOptions) (store.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !apipath.ValidDrive(o.Device) {
		return nil, fmt.Errorf("device %q: %w", o.Device, store.ErrDeviceMissing)
	}
	if s.opt.MountCheck {
		// Without a mount there may still be files, on the disk that the mount point is on.
		if err := s.CheckDevice(o.Device); err != nil {
			return nil, err
		}
	}
	l := s.locate(o)
	for range openTries {
		f, err := s.open(o, l, opt)
		if err == nil {
			return f, nil
		}
		if d, ok := errors.AsType[*errDamaged](err); ok {
			return nil, s.quarantine(ctx, l, d.reason)
		}
		if !errors.Is(err, errVanished) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("open %s on %s: %w", o.Path(), o.Device, store.ErrChanged)
}

// open makes one attempt.
func (s *Store) open(o store.Object, l location, opt store.OpenOptions) (*file, error) {
	c, err := s.list(l.hash)
	switch {
	case missing(err):
		if !s.opt.MountCheck {
			if err := s.CheckDevice(o.Device); err != nil {
				return nil, err
			}
		}
		return nil, store.ErrNotFound
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.EUCLEAN):
		return nil, damaged("directory %s cannot be listed: %v", l.hash, err)
	case err != nil:
		return nil, failure("open", o, err)
	case c.ts.chosen():
		return nil, &store.DeletedError{At: c.ts.at}
	case !c.data.chosen():
		return nil, store.ErrNotFound
	}
	f := &file{store: s, object: o, place: l, trust: opt.Trust}
	if f.disk, err = s.fs.Open(l.hash+"/"+c.data.name, os.O_RDONLY, 0); err != nil {
		if missing(err) {
			err = errVanished
		}
		return nil, failure("open", o, err)
	}
	if err = f.load(&c); err == nil {
		err = f.verify(opt)
	}
	if err != nil {
		_ = f.disk.Close() // opened for reading: nothing can be lost
		return nil, err
	}
	return f, nil
}

// list reads and understands a hash directory.
func (s *Store) list(dir string) (choice, error) {
	buf := s.nameBufs.Get().(*[]string)
	names, err := s.fs.Names(dir, (*buf)[:0])
	c := choice{}
	if err == nil {
		c = choose(names)
	}
	clear(names)
	*buf = names[:0]
	s.nameBufs.Put(buf)
	return c, err
}

// file is an open object.
type file struct {
	store  *Store
	object store.Object
	place  location
	disk   disk.File
	info   store.Info
	path   string // the object's path, as its metadata has it
	trust  bool
	limit  io.LimitedReader
}

func (f *file) Info() *store.Info { return &f.info }

// load reads the metadata of the chosen files.
func (f *file) load(c *choice) error {
	md, path, err := f.store.readMetadata(f.disk, f.trust)
	if err != nil {
		return failure("read", f.object, err)
	}
	f.path = path
	f.info.Data = c.data.at
	f.info.Metadata = md
	f.info.DataContentType = md.Get(ctypeKey)
	if !c.meta.chosen() {
		return nil
	}
	changed, err := f.loadMeta(c.meta.name)
	if err != nil {
		return err
	}
	if c.ctype.chosen() && c.ctype != c.meta {
		ctype, err := f.loadMeta(c.ctype.name)
		if err != nil {
			return err
		}
		at := timeOf(ctype, ctypeTime)
		if v, ok := ctype.Lookup(ctypeKey); ok && at.After(timeOf(changed, ctypeTime)) && at.After(c.data.at) {
			changed = changed.Set(ctypeKey, v).Set(ctypeTime, ctype.Get(ctypeTime))
		}
	}
	f.info.Changed = changed
	f.info.Metadata = merge(md, changed, c.data.at)
	return nil
}

func (f *file) loadMeta(name string) (store.Metadata, error) {
	mf, err := f.store.fs.Open(f.place.hash+"/"+name, os.O_RDONLY, 0)
	if missing(err) {
		return nil, errVanished
	}
	if err != nil {
		return nil, failure("open", f.object, err)
	}
	defer mf.Close()
	md, _, err := f.store.readMetadata(mf, f.trust)
	return md, failure("read", f.object, err)
}

// merge lays the metadata of a change over that of the data. What belongs to the body stays the data's.
func merge(data, changed store.Metadata, dataAt timestamp.Timestamp) store.Metadata {
	out := make(store.Metadata, 0, len(data)+len(changed))
	for _, item := range changed {
		if !staysWithData(item.Key) {
			out = append(out, item)
		}
	}
	for _, item := range data {
		if staysWithData(item.Key) {
			out = append(out, item)
		}
	}
	// On a tie the change's content type stays.
	if v, ok := data.Lookup(ctypeKey); ok && dataAt.After(timeOf(changed, ctypeTime)) {
		out = out.Set(ctypeKey, v).Without(ctypeTime)
	}
	return out
}

// staysWithData tells which items a metadata change cannot replace.
func staysWithData(key string) bool {
	switch key {
	case lengthKey, etagKey, "Deleted", "X-Static-Large-Object":
		return true
	}
	return strings.HasPrefix(key, "X-Object-Sysmeta-") || meta.IsSysmeta(meta.Object, key)
}

// timeOf reads a time from metadata; what is missing or no time is long ago.
func timeOf(md store.Metadata, key string) timestamp.Timestamp {
	t, err := timestamp.Parse(md.Get(key))
	if err != nil {
		return timestamp.Timestamp{}
	}
	return t
}

// verify checks that the file is what it should be and fills in the rest of info.
func (f *file) verify(opt store.OpenOptions) error {
	md := f.info.Metadata
	if f.path == "" {
		return damaged("metadata of %s has no name", f.disk.Name())
	}
	if !f.named() {
		return fmt.Errorf("open %s on %s: %w: %q", f.object.Path(), f.object.Device, store.ErrCollision, f.path)
	}
	f.info.ETag = md.Get(etagKey)
	f.info.ContentType = md.Get(ctypeKey)
	f.info.Timestamp = timeOf(md, timeKey)
	f.info.ContentTypeAt = f.info.Data
	if v, ok := md.Lookup(ctypeTime); ok && v != "" {
		f.info.ContentTypeAt = timeOf(md, ctypeTime)
	}
	if err := f.checkExpiry(opt); err != nil {
		return err
	}
	size, err := strconv.ParseInt(strings.TrimSpace(md.Get(lengthKey)), 10, 64)
	if err != nil {
		return damaged("metadata of %s has the content length %q", f.disk.Name(), md.Get(lengthKey))
	}
	st, err := f.disk.Stat()
	if err != nil {
		return failure("open", f.object, err)
	}
	if st.Size != size {
		return damaged("%s has %d bytes, its metadata says %d", f.disk.Name(), st.Size, size)
	}
	f.info.Size = size
	return nil
}

// named tells whether the metadata's path is the object's, without making the string.
func (f *file) named() bool {
	rest, ok := strings.CutPrefix(f.path, "/")
	for _, part := range [...]string{f.object.Account, f.object.Container} {
		if ok {
			rest, ok = strings.CutPrefix(rest, part)
		}
		if ok {
			rest, ok = strings.CutPrefix(rest, "/")
		}
	}
	return ok && rest == f.object.Name
}

func (f *file) checkExpiry(opt store.OpenOptions) error {
	text, ok := f.info.Metadata.Lookup(expiryKey)
	if !ok {
		return nil
	}
	at, ok := meta.DeleteAt(text)
	if !ok {
		// An empty value is no time either; Swift's servers never write one.
		return damaged("metadata of %s has the expiry %q", f.disk.Name(), text)
	}
	f.info.DeleteAt = at
	now := opt.Now
	if now.IsZero() {
		now = timestamp.FromTime(f.store.clock.Now())
	}
	if at <= now.Raw()/timestamp.UnitsPerSecond && !opt.Expired {
		return &store.ExpiredError{Info: &f.info}
	}
	return nil
}

// sendable is from what size on the kernel is to send a part. Below, the calls that sendfile takes (with net/http, a read to
// guess the type, a write and the sending itself) cost more than copying does.
const sendable = 64 << 10

// Range positions the file itself where it can, so that the kernel can send from it, unless that does not pay.
func (f *file) Range(off, n int64) (io.Reader, error) {
	if off < 0 || n < 0 || off+n > f.info.Size {
		return nil, fmt.Errorf("read %s: range %d+%d is outside of %d bytes", f.disk.Name(), off, n, f.info.Size)
	}
	if n < sendable {
		return io.NewSectionReader(f.disk, off, n), nil
	}
	osFile := f.disk.OS()
	if osFile == nil {
		return io.NewSectionReader(f.disk, off, n), nil
	}
	if _, err := osFile.Seek(off, io.SeekStart); err != nil {
		return nil, err
	}
	f.limit = io.LimitedReader{R: osFile, N: n}
	return &f.limit, nil
}

func (f *file) Forget() {
	_ = f.disk.DropCache(0, 0) // advice: there is nothing to be done about an error
}

func (f *file) Quarantine(ctx context.Context, reason string) error {
	err := f.store.quarantine(ctx, f.place, reason)
	if errors.Is(err, store.ErrQuarantined) {
		return nil
	}
	return err
}

func (f *file) Close() error { return f.disk.Close() }
