package objectupdater

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/pickle"
	"github.com/apus-storage/apus/internal/policy"
)

// asyncDir is where updates wait, for policy 0.
const asyncDir = "async_pending"

// sweep is one pass over one device.
type sweep struct {
	u      *Updater
	p      *daemon.Progress
	device string
	root   string // directory of the device
}

// A pending update is one file.
type pending struct {
	path   string
	policy policy.Index
	update updates.Update
}

func (s *sweep) run(ctx context.Context) error {
	items := s.pending
	if rate := s.u.cfg.MaxObjectsPerContainerPerSecond; rate > 0 {
		items = newSpreader(s, rate).spread(ctx, items)
	}
	limits := daemon.Limits{Workers: s.u.cfg.Concurrency, PerSecond: s.u.cfg.ObjectsPerSecond}
	return daemon.Each(ctx, s.p, items, limits, s.deliver)
}

// pending yields the updates on the device, of each object the newest.
func (s *sweep) pending(yield func(pending) bool) {
	for _, name := range s.names(s.root) {
		if !strings.HasPrefix(name, asyncDir) {
			continue
		}
		p, ok := s.u.deps.Policies.ByDirName(asyncDir, name)
		if !ok {
			s.p.Log().Warn("directory belongs to no storage policy", slog.String("path", s.root+"/"+name))
			continue
		}
		suffixes := s.names(s.root + "/" + name)
		// Sweeps that are stopped early must not always reach the same part.
		rand.Shuffle(len(suffixes), func(i, j int) { suffixes[i], suffixes[j] = suffixes[j], suffixes[i] })
		for _, suffix := range suffixes {
			if !s.suffix(s.root+"/"+name+"/"+suffix, p.Index, yield) {
				return
			}
		}
	}
}

// names lists a directory. One that has gone is empty, and so is a stray file.
func (s *sweep) names(dir string) []string {
	names, err := s.u.deps.FS.Names(dir, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !s.isFile(dir) {
		s.p.Count(errorsFigure, 1)
		s.p.Log().Error("directory not readable", slog.Any("err", err))
	}
	return names
}

func (s *sweep) isFile(name string) bool {
	info, err := s.u.deps.FS.Stat(name)
	return err == nil && !info.IsDir
}

// suffix yields the updates in one directory.
func (s *sweep) suffix(dir string, p policy.Index, yield func(pending) bool) bool {
	names := s.names(dir)
	slices.Sort(names)
	slices.Reverse(names) // newest first
	done := ""
	for _, name := range names {
		if s.p.Stopped() {
			return false
		}
		file := dir + "/" + name
		hash, at, ok := strings.Cut(name, "-")
		if !ok || strings.Contains(at, "-") {
			s.p.Count(errorsFigure, 1)
			s.p.Log().Error("file has a name that no update has", slog.String("path", file))
			continue
		}
		if hash == done {
			// A newer update of an object says all that an older one does.
			s.p.Count(unlinks, 1)
			s.unlink(file)
			continue
		}
		u, err := s.load(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody else has dealt with it
		}
		if err != nil {
			// It may be readable next time; until then what an older file says is better than nothing.
			s.p.Count(errorsFigure, 1)
			s.p.Log().Error("update not read", slog.String("path", file), slog.Any("err", err))
			continue
		}
		if u == nil {
			continue // quarantined
		}
		done = hash
		if !yield(pending{file, p, *u}) {
			return false
		}
	}
	return true
}

// load reads a file; one that holds no update is quarantined and gives nil.
func (s *sweep) load(file string) (*updates.Update, error) {
	data, err := disk.ReadFile(s.u.deps.FS, file)
	if err != nil {
		return nil, err
	}
	u, err := updates.Decode(data)
	if err == nil {
		return &u, nil
	}
	if !errors.Is(err, updates.ErrInvalid) && !errors.Is(err, pickle.ErrInvalid) {
		return nil, err
	}
	dir := s.root + "/quarantined/objects"
	s.p.Log().Error("update is damaged and goes to quarantine", slog.String("path", file), slog.String("to", dir), slog.Any("err", err))
	if _, err := disk.MkdirUnder(s.u.deps.FS, s.root, dir); err != nil {
		return nil, err
	}
	if err := s.u.deps.FS.Rename(file, dir+"/"+path.Base(file)); err != nil {
		return nil, err
	}
	s.p.Count(quarantines, 1)
	s.tidy(file)
	return nil, nil
}

// unlink removes a file, and its directory if that was the last.
func (s *sweep) unlink(file string) {
	if err := s.u.deps.FS.Unlink(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.p.Count(errorsFigure, 1)
		s.p.Log().Error("update not removed", slog.Any("err", err))
		return
	}
	s.tidy(file)
}

// tidy removes the file's directory if it is empty; if it is not, that is no error.
func (s *sweep) tidy(file string) { _ = s.u.deps.FS.Rmdir(path.Dir(file)) }

// rewrite puts a changed update in the place of its file, durably.
func (s *sweep) rewrite(i pending) error {
	fsys := s.u.deps.FS
	data, err := i.update.Encode()
	if err != nil {
		return err
	}
	tmp := s.root + "/" + i.policy.DirName("tmp")
	if err := fsys.Mkdir(tmp); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	temp := tmp + "/" + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	f, err := fsys.Open(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(temp, i.path)
	}
	if err != nil {
		return errors.Join(err, fsys.Unlink(temp))
	}
	return fsys.SyncDir(path.Dir(i.path))
}
