package diskfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"syscall"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/timestamp"
)

// linkTries is how often a directory that others remove is made again.
const linkTries = 5

// draft is a file that has no final name yet.
type draft struct {
	disk disk.File
	temp string // its name in tmp, if the file system has no unnamed files
	made int    // directories made for it, none of them durable
	term *term  // with whom it is made durable; nil if with nobody

	unsynced int64 // bytes that may wait for the disk
}

// Create begins an upload.
func (s *Store) Create(ctx context.Context, o store.Object, size int64) (store.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dev, err := s.checkDevice(o.Device)
	if err != nil {
		return nil, err
	}
	l := s.locate(o)
	d, err := s.draft(o, l, dev)
	if err != nil {
		return nil, failure("create", o, err)
	}
	if err := s.makeRoom(l.device, d.disk, size); err != nil {
		s.discard(d)
		return nil, failure("create", o, err)
	}
	return &upload{store: s, object: o, place: l, draft: d}, nil
}

// draft begins a new file for an object, on the file system of its device.
func (s *Store) draft(o store.Object, l location, dev uint64) (draft, error) {
	t := s.disks.enter(l.device, dev)
	d, err := s.openDraft(o, l)
	if err != nil || t == nil {
		t.leave()
		return d, err
	}
	if st, err := d.disk.Stat(); err != nil || st.Dev != dev {
		// The device has become another one meanwhile, or is behind a link below it: nobody to share syncs with.
		t.leave()
		return d, nil
	}
	d.term = t
	return d, nil
}

// openDraft opens a new file in the object's directory, which it makes.
func (s *Store) openDraft(o store.Object, l location) (draft, error) {
	var d draft
	for range linkTries {
		n, err := s.mkdirs(l.device, l.hash)
		d.made += n
		if err != nil {
			return d, err
		}
		d.disk, err = s.fs.Unnamed(l.hash)
		switch {
		case errors.Is(err, disk.ErrNoUnnamed):
			return s.namedDraft(o, l, d)
		case missing(err): // a replicator has just removed the empty directory
			continue
		}
		return d, err
	}
	return d, fmt.Errorf("%s keeps vanishing: %w", l.hash, store.ErrChanged)
}

// namedDraft makes a temporary file with a name.
func (s *Store) namedDraft(o store.Object, l location, d draft) (draft, error) {
	dir := l.device + "/" + o.Policy.DirName("tmp")
	if _, err := s.mkdirs(l.device, dir); err != nil {
		return d, err
	}
	for {
		d.temp = dir + "/" + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
		var err error
		d.disk, err = s.fs.Open(d.temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return d, err
		}
	}
}

// discard drops a draft.
func (s *Store) discard(d draft) {
	// Nobody is to read it, so an error loses nothing.
	_ = d.disk.Close()
	d.synced()
	d.term.leave()
	if d.temp != "" {
		_ = s.fs.Unlink(d.temp)
	}
}

// makeRoom reserves blocks for size bytes, or checks that there are some if the size is not known.
func (s *Store) makeRoom(device string, f disk.File, size int64) error {
	if s.opt.NoFallocate {
		return nil
	}
	space, err := s.fs.Free(device)
	if err != nil {
		return err
	}
	if err := s.opt.Reserve.Check(space, max(size, 0)); err != nil || size <= 0 {
		return err
	}
	if err := f.Allocate(size); err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
		return err
	}
	return nil
}

// upload is an object's body on its way in.
type upload struct {
	store  *Store
	object store.Object
	place  location
	draft  draft
	size   int64
	done   bool // the draft is gone or has its name
}

// Write appends to the body. From time to time it waits for the disk, so that the kernel does not have to write all of
// a big object at the end.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.draft.disk.Write(p)
	u.size += int64(n)
	u.draft.wrote(int64(n))
	if err == nil && u.draft.unsynced >= u.store.opt.SyncBytes {
		if err = u.draft.disk.Sync(); err == nil {
			u.draft.synced()
			_ = u.draft.disk.DropCache(0, u.size) // advice
		}
	}
	return n, failure("write", u.object, err)
}

// Commit makes the object durable and visible.
func (u *upload) Commit(ctx context.Context, at timestamp.Timestamp, md store.Metadata) error {
	return u.CommitIf(ctx, at, md, nil)
}

// CommitIf makes the object durable, and visible if the guard, if there is one, allows it.
func (u *upload) CommitIf(ctx context.Context, at timestamp.Timestamp, md store.Metadata, guard store.Guard) error {
	if u.done {
		return fmt.Errorf("commit %s: %w", u.object.Path(), fs.ErrClosed)
	}
	if size, err := strconv.ParseInt(md.Get(lengthKey), 10, 64); err != nil || size != u.size {
		return fmt.Errorf("commit %s: content length %q of %d bytes", u.object.Path(), md.Get(lengthKey), u.size)
	}
	err := u.store.publish(ctx, publication{
		object: u.object, place: u.place, name: fileName(dataFile, at, at, false), at: at, md: md, guard: guard,
		big: u.size >= bigUpload,
	}, &u.draft)
	if err == nil && u.size > u.store.opt.KeepCache {
		_ = u.draft.disk.DropCache(0, u.size) // advice; only clean pages can be dropped, so after the sync
	}
	return failure("commit", u.object, err)
}

func (u *upload) Close() error {
	if !u.done {
		u.done = true
		u.store.discard(u.draft)
	}
	return nil
}

// SetMetadata writes a .meta file.
func (s *Store) SetMetadata(ctx context.Context, o store.Object, c store.MetadataChange) error {
	md, hasCtype := c.Metadata, c.ContentType != ""
	if hasCtype {
		md = append(md[:len(md):len(md)], store.Item{Key: ctypeKey, Value: c.ContentType},
			store.Item{Key: ctypeTime, Value: c.ContentTypeAt.Internal()})
	}
	return s.writeEmpty(ctx, "set metadata of", o, publication{
		name: fileName(metaFile, c.At, c.ContentTypeAt, hasCtype), at: c.At, md: md})
}

// Delete writes a tombstone.
func (s *Store) Delete(ctx context.Context, o store.Object, at timestamp.Timestamp) error {
	return s.DeleteIf(ctx, o, at, nil)
}

// DeleteIf writes a tombstone if the guard, if there is one, allows it.
func (s *Store) DeleteIf(ctx context.Context, o store.Object, at timestamp.Timestamp, guard store.Guard) error {
	return s.writeEmpty(ctx, "delete", o, publication{name: fileName(tombstone, at, at, false), at: at, guard: guard})
}

// writeEmpty publishes a file that is nothing but metadata.
func (s *Store) writeEmpty(ctx context.Context, what string, o store.Object, p publication) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dev, err := s.checkDevice(o.Device)
	if err != nil {
		return err
	}
	p.object, p.place = o, s.locate(o)
	d, err := s.draft(o, p.place, dev)
	if err == nil {
		err = s.publish(ctx, p, &d)
		s.discard(d)
	}
	return failure(what, o, err)
}

// publication is a file that is to appear.
type publication struct {
	object store.Object
	place  location
	name   string
	at     timestamp.Timestamp
	md     store.Metadata
	guard  store.Guard // nil if nobody is to be asked
	big    bool        // its content is much for others to wait for
}

// publish gives a draft its metadata, makes it durable, gives it its name and removes what it replaces.
func (s *Store) publish(ctx context.Context, p publication, d *draft) error {
	md := append(make(store.Metadata, 0, len(p.md)+2), store.Item{Key: timeKey, Value: p.at.Internal()})
	for _, item := range p.md {
		if item.Key != timeKey && item.Key != nameKey {
			md = append(md, item)
		}
	}
	if err := writeMetadata(d.disk, p.object.Path(), md); err != nil {
		return err
	}
	d.term.publish()
	defer d.term.end()
	if err := s.syncContent(p, d); err != nil {
		return err
	}
	// Before the name: a replicator that sees the file must see the note as well.
	if err := s.invalidate(ctx, p.place.partition, p.place.suffix); err != nil {
		return err
	}
	if err := s.giveName(ctx, p, d); err != nil {
		return err
	}
	err := d.term.durable(func() error { return disk.SyncDirs(s.fs, p.place.hash, d.made) })
	if err != nil {
		return err
	}
	s.twin(ctx, p)
	// What is left over does no harm, and the object is safe: failing now would be wrong.
	if _, err := s.cleanUp(p.place.hash); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "clean up after write", slog.String("path", p.place.hash), slog.Any("err", err))
	}
	return nil
}

// syncContent makes the draft itself durable.
func (s *Store) syncContent(p publication, d *draft) error {
	durable := d.term.durable
	if p.big {
		durable = d.term.alone
	}
	err := durable(d.disk.Sync)
	if err == nil {
		d.synced()
	}
	return err
}

// giveName makes the draft visible.
func (s *Store) giveName(ctx context.Context, p publication, d *draft) error {
	lock := s.names.of(p.place)
	lock.Lock()
	defer lock.Unlock()
	if p.guard != nil {
		if err := s.ask(ctx, p); err != nil {
			return err
		}
	}
	target := p.place.hash + "/" + p.name
	for range linkTries {
		err := s.nameOnce(target, d)
		if !missing(err) {
			return err
		}
		// A replicator removed the directory, which was empty until now.
		n, err := s.mkdirs(p.place.device, p.place.hash)
		d.made += n
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%s keeps vanishing: %w", p.place.hash, store.ErrChanged)
}

func (s *Store) nameOnce(target string, d *draft) error {
	if d.temp != "" {
		err := s.fs.Rename(d.temp, target)
		if err == nil {
			d.temp = ""
		}
		return err
	}
	err := s.fs.Link(d.disk, target)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// The same change has been made already. Replacing it in one step, by way of a name that everybody takes for one of
	// rsync's, means that it is never gone; unlinking it first would risk that.
	aside := path.Dir(target) + "/." + path.Base(target) + "." + randomLetters()
	if err := s.fs.Link(d.disk, aside); err != nil {
		return err
	}
	if err := s.fs.Rename(aside, target); err != nil {
		return errors.Join(err, s.fs.Unlink(aside))
	}
	// If both names were the same file already, the rename did nothing and left the one.
	if err := s.fs.Unlink(aside); err != nil && !missing(err) {
		return err
	}
	return nil
}

func randomLetters() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	var b [6]byte
	for i := range b {
		b[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(b[:])
}

// twin links the file to where a ring that is being grown will look for it. The relinker finds what fails here.
func (s *Store) twin(ctx context.Context, p publication) {
	power := p.object.NextPartPower
	if power == 0 || power > 32 {
		return
	}
	hex := path.Base(p.place.hash)
	top, err := strconv.ParseUint(hex[:8], 16, 32)
	if err != nil {
		return
	}
	partition := strconv.FormatUint(top>>(32-power), 10)
	if partition == p.object.Partition {
		return
	}
	l := s.place(p.object.Device, p.object.Policy, partition, hex)
	if err := s.linkTwin(ctx, p, l); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "link into next partition",
			slog.String("path", p.place.hash), slog.String("twin", l.hash), slog.Any("err", err))
	}
}

func (s *Store) linkTwin(ctx context.Context, p publication, l location) error {
	made, err := s.mkdirs(l.device, l.hash)
	if err != nil {
		return err
	}
	if err := s.invalidate(ctx, l.partition, l.suffix); err != nil {
		return err
	}
	err = s.fs.HardLink(p.place.hash+"/"+p.name, l.hash+"/"+p.name)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := disk.SyncDirs(s.fs, l.hash, made); err != nil {
		return err
	}
	_, err = s.cleanUp(l.hash)
	return err
}

// cleanUp removes what is obsolete from a hash directory, and the directory if nothing is left, and tells what is there.
func (s *Store) cleanUp(dir string) (choice, error) {
	c, err := s.list(dir)
	if missing(err) {
		return choice{}, nil
	}
	if err != nil {
		return c, err
	}
	now := s.clock.Now()
	remove := c.obsolete
	c.obsolete = nil
	if c.ts.chosen() && reclaimable(c.ts.at, now, s.opt.ReclaimAge) {
		remove = append(remove, c.ts)
		c.ts = entry{}
	}
	var stay []entry
	for _, e := range c.stray {
		if reclaimable(e.at, now, s.opt.ReclaimAge) {
			remove = append(remove, e)
		} else {
			stay = append(stay, e)
		}
	}
	c.stray = stay
	for _, e := range remove {
		if err := s.fs.Unlink(dir + "/" + e.name); err != nil && !missing(err) {
			return c, err
		}
	}
	if c.empty() {
		if err := s.fs.Rmdir(dir); err != nil && !missing(err) && !errors.Is(err, syscall.ENOTEMPTY) &&
			!errors.Is(err, fs.ErrExist) {
			return c, err
		}
	}
	return c, nil
}

// empty tells whether nothing is left in the directory.
func (c *choice) empty() bool {
	return !c.data.chosen() && !c.ts.chosen() && len(c.stray) == 0 && len(c.unexpected) == 0
}
