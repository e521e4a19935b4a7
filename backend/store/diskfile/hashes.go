package diskfile

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/pickle"
)

const (
	hashesFile  = "/hashes.pkl"
	invalidFile = "/hashes.invalid"
	lockFile    = "/.lock"
	// hashTries is how often a partition that keeps changing is summed up anew.
	hashTries = 20
)

// invalidate notes that something below a suffix is about to change. A partition that is not there has nothing to note.
func (s *Store) invalidate(ctx context.Context, partition string, suffixes ...string) error {
	// A client that goes away must not stop a write half-way, so only the timeout ends the wait.
	release, err := s.locks.Lock(context.WithoutCancel(ctx), partition+lockFile, s.opt.LockTimeout)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	f, err := s.fs.Open(partition+invalidFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	var buf [64]byte
	lines := buf[:0]
	for _, suffix := range suffixes {
		lines = append(append(lines, suffix...), '\n')
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Close())
}

// InvalidateSuffixes notes that something below the suffixes has changed.
func (s *Store) InvalidateSuffixes(ctx context.Context, p store.Partition, suffixes []string) error {
	if err := s.CheckDevice(p.Device); err != nil {
		return err
	}
	if i := slices.IndexFunc(suffixes, func(x string) bool { return !hashpath.ValidSuffix(x) }); i >= 0 {
		return fmt.Errorf("invalidate partition %s on %s: %q is no suffix", p.Partition, p.Device, suffixes[i])
	}
	if err := s.invalidate(ctx, s.partitionDir(p), suffixes...); err != nil {
		return fmt.Errorf("invalidate partition %s on %s: %w", p.Partition, p.Device, err)
	}
	return nil
}

func (s *Store) partitionDir(p store.Partition) string {
	return s.opt.Devices + "/" + p.Device + "/" + p.Policy.DirName("objects") + "/" + p.Partition
}

// summary is what hashes.pkl holds.
type summary struct {
	valid    bool
	updated  float64
	suffixes map[string]string // hex digest, or empty if it has to be computed
}

func (a summary) equal(b summary) bool {
	return a.valid == b.valid && a.updated == b.updated && maps.Equal(a.suffixes, b.suffixes)
}

// readSummary reads hashes.pkl. What is missing or broken is not valid.
func (s *Store) readSummary(partition string) summary {
	invalid := summary{updated: -1, suffixes: map[string]string{}}
	data, err := disk.ReadFile(s.fs, partition+hashesFile)
	if err != nil {
		return invalid
	}
	v, err := pickle.Decode(data)
	dict, ok := v.(*pickle.Dict)
	if err != nil || !ok {
		return invalid
	}
	sum := summary{valid: true, updated: -1, suffixes: make(map[string]string, dict.Len())}
	for k, v := range dict.All() {
		key, ok := pickle.Text(k)
		switch {
		case ok && key == "valid":
			sum.valid, ok = v.(bool)
		case ok && key == "updated":
			sum.updated, ok = number(v)
		case ok && hashpath.ValidSuffix(key):
			if v == nil {
				sum.suffixes[key] = ""
			} else {
				sum.suffixes[key], ok = pickle.Text(v)
			}
		default:
			ok = false
		}
		if !ok {
			return invalid
		}
	}
	return sum
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// writeSummary replaces hashes.pkl. The caller holds the partition's lock.
func (s *Store) writeSummary(partition string, sum *summary) error {
	sum.updated = float64(s.clock.Now().UnixMicro()) / 1e6
	items := pickle.Items{{Key: "valid", Value: sum.valid}}
	for _, suffix := range slices.Sorted(maps.Keys(sum.suffixes)) {
		var v any
		if h := sum.suffixes[suffix]; h != "" {
			v = h
		}
		items = append(items, pickle.Item{Key: suffix, Value: v})
	}
	data, err := pickle.Encode(append(items, pickle.Item{Key: "updated", Value: sum.updated}))
	if err != nil {
		return err
	}
	temp := partition + "/hashes.pkl." + randomLetters() + ".tmp"
	f, err := s.fs.Open(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Rename(temp, partition+hashesFile)
	}
	if err != nil {
		return errors.Join(err, s.fs.Unlink(temp))
	}
	return s.fs.SyncDir(partition)
}

// consolidate moves what hashes.invalid says into hashes.pkl.
func (s *Store) consolidate(ctx context.Context, partition string) (summary, error) {
	release, err := s.locks.Lock(ctx, partition+lockFile, s.opt.LockTimeout)
	if err != nil {
		return summary{}, err
	}
	defer release()
	sum := s.readSummary(partition)
	data, err := disk.ReadFile(s.fs, partition+invalidFile)
	if err != nil && !missing(err) {
		return summary{}, err
	}
	found := false
	for line := range strings.Lines(string(data)) {
		if suffix := strings.TrimSpace(line); hashpath.ValidSuffix(suffix) {
			sum.suffixes[suffix] = ""
			found = true
		}
	}
	if found {
		if err := s.writeSummary(partition, &sum); err != nil {
			return summary{}, err
		}
	}
	if len(data) > 0 {
		// Only now: until hashes.pkl is durable this file is what knows of the changes.
		f, err := s.fs.Open(partition+invalidFile, os.O_WRONLY|os.O_TRUNC, 0o666)
		if err != nil {
			return summary{}, err
		}
		if err := f.Close(); err != nil {
			return summary{}, err
		}
	}
	return sum, nil
}

// SuffixHashes brings a partition's summaries up to date.
func (s *Store) SuffixHashes(ctx context.Context, p store.Partition, recalculate []string) (map[string]string, error) {
	if err := s.CheckDevice(p.Device); err != nil {
		return nil, err
	}
	dir := s.partitionDir(p)
	if _, err := s.fs.Stat(dir); missing(err) {
		return map[string]string{}, nil
	}
	for range hashTries {
		sum, ok, err := s.sumUp(ctx, p, dir, recalculate)
		if err != nil {
			return nil, fmt.Errorf("hash partition %s on %s: %w", p.Partition, p.Device, err)
		}
		if ok {
			return sum, nil
		}
	}
	return nil, fmt.Errorf("hash partition %s on %s: %w", p.Partition, p.Device, store.ErrChanged)
}

// sumUp computes what is not known; false if somebody else has changed hashes.pkl meanwhile.
func (s *Store) sumUp(ctx context.Context, p store.Partition, dir string, recalculate []string) (map[string]string, bool, error) {
	before, err := s.consolidate(ctx, dir)
	if err != nil {
		return nil, false, err
	}
	sum := summary{valid: true, suffixes: maps.Clone(before.suffixes)}
	modified := !before.valid
	if modified {
		sum.suffixes = map[string]string{}
		names, err := s.fs.Names(dir, nil)
		if err != nil {
			return nil, false, err
		}
		for _, name := range names {
			if hashpath.ValidSuffix(name) {
				sum.suffixes[name] = ""
			}
		}
	}
	for _, suffix := range recalculate {
		if hashpath.ValidSuffix(suffix) {
			sum.suffixes[suffix] = ""
		}
	}
	for _, suffix := range slices.Sorted(maps.Keys(sum.suffixes)) {
		if sum.suffixes[suffix] != "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		modified = true
		digest, err := s.hashSuffix(ctx, p, dir, suffix)
		switch {
		case missing(err) || errors.Is(err, syscall.ENOTDIR):
			delete(sum.suffixes, suffix)
		case err != nil:
			// The others are worth having. This one is tried again next time.
			s.log.LogAttrs(ctx, slog.LevelWarn, "hash suffix", slog.String("path", dir+"/"+suffix), slog.Any("err", err))
		default:
			sum.suffixes[suffix] = digest
		}
	}
	if modified {
		ok, err := s.replaceSummary(ctx, dir, before, &sum)
		if !ok || err != nil {
			return nil, false, err
		}
	}
	maps.DeleteFunc(sum.suffixes, func(_, digest string) bool { return digest == "" })
	return sum.suffixes, true, nil
}

// replaceSummary writes hashes.pkl unless it is no longer what it was.
func (s *Store) replaceSummary(ctx context.Context, dir string, before summary, sum *summary) (bool, error) {
	release, err := s.locks.Lock(ctx, dir+lockFile, s.opt.LockTimeout)
	if err != nil {
		return false, err
	}
	defer release()
	if !s.readSummary(dir).equal(before) {
		return false, nil
	}
	return true, s.writeSummary(dir, sum)
}

// hashSuffix cleans up below a suffix and sums up what is left. An error that is fs.ErrNotExist if nothing is.
func (s *Store) hashSuffix(ctx context.Context, p store.Partition, dir, suffix string) (string, error) {
	names, err := s.fs.Names(dir+"/"+suffix, nil)
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	h := md5.New()
	for _, name := range names {
		c, err := s.cleanUp(dir + "/" + suffix + "/" + name)
		if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.EUCLEAN) {
			l := location{device: s.opt.Devices + "/" + p.Device, partition: dir, suffix: suffix,
				hash: dir + "/" + suffix + "/" + name}
			if err := s.quarantine(ctx, l, "not a directory that can be listed"); !errors.Is(err, store.ErrQuarantined) {
				return "", err
			}
			continue
		}
		if err != nil {
			return "", err
		}
		c.addTo(h)
	}
	// Succeeds only if nothing is left, and then there is no such suffix any more.
	err = s.fs.Rmdir(dir + "/" + suffix)
	if err == nil {
		return "", fs.ErrNotExist
	}
	if missing(err) {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// addTo adds to a digest what makes replicas differ.
func (c *choice) addTo(h hash.Hash) {
	var buf [64]byte
	add := func(e *entry) {
		if e.chosen() {
			h.Write(append(e.at.AppendInternal(buf[:0]), e.kind.extension()...))
		}
	}
	add(&c.meta)
	add(&c.ts)
	add(&c.data)
	if c.ctype.chosen() {
		h.Write(append(c.ctype.ctype.AppendInternal(buf[:0]), "_ctype"...))
	}
}
