package xprofile

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

const (
	// maxFile bounds a profile's file, maxPlain what it may be when uncompressed.
	maxFile  = 16 << 20
	maxPlain = 64 << 20
	// maxEntries bounds how many names of a directory are looked at.
	maxEntries = 100_000
	suffix     = ".pb.gz"
	temporary  = ".tmp"
	// staleAfter is when a temporary file belongs to nobody any more.
	staleAfter = time.Hour
)

// errNone says that there is no such profile. The text is Swift's.
var errNone = errors.New("no log file found")

// dumps are the profiles in files: PREFIX ID.KIND.pb.gz, where an ID is the number of a process and perhaps a time.
type dumps struct {
	root   *os.Root // nothing outside of it can be reached
	prefix string   // of the names in it
	keep   int
}

// idPattern is what an id looks like: 4711, or 4711-1795292775.25.
var idPattern = regexp.MustCompile(`^[0-9]{1,10}(?:-[0-9]{1,12}(?:\.[0-9]{1,9})?)?$`)

func openDumps(prefix string, keep int) (*dumps, error) {
	dir, base := filepath.Split(prefix)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of profiles: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory of profiles: %w", err)
	}
	return &dumps{root: root, prefix: base, keep: keep}, nil
}

func (d *dumps) close() error { return d.root.Close() }

func (d *dumps) name(id, file string) string { return d.prefix + id + "." + file + suffix }

// A dump is what there is of one id.
type dump struct {
	id    string
	time  time.Time // of the newest file
	files []string  // names
}

// process is the number in the id.
func (d dump) process() string {
	p, _, _ := strings.Cut(d.id, "-")
	return p
}

// list returns what there is, the newest first.
func (d *dumps) list() ([]dump, error) {
	found, _, err := d.scan()
	return found, err
}

// scan lists dumps, and temporary files that have been left behind.
func (d *dumps) scan() (found []dump, stale []string, err error) {
	dir, err := d.root.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxEntries)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	byID := map[string]int{}
	for _, e := range entries {
		id, temp := d.parse(e.Name())
		info, err := e.Info()
		if id == "" || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if temp {
			stale = append(stale, e.Name())
			continue
		}
		i, ok := byID[id]
		if !ok {
			i = len(found)
			byID[id] = i
			found = append(found, dump{id: id})
		}
		f := &found[i]
		f.files = append(f.files, e.Name())
		if t := info.ModTime(); t.After(f.time) {
			f.time = t
		}
	}
	slices.SortFunc(found, func(a, b dump) int { return cmp.Or(b.time.Compare(a.time), strings.Compare(b.id, a.id)) })
	return found, stale, nil
}

// parse takes a file's name apart; what is not ours has no id.
func (d *dumps) parse(name string) (id string, temp bool) {
	rest, ok := strings.CutPrefix(name, d.prefix)
	if !ok {
		return "", false
	}
	if body, ok := strings.CutSuffix(rest, temporary); ok {
		rest, temp = body[:max(0, strings.LastIndexByte(body, '.'))], true
	}
	rest, ok = strings.CutSuffix(rest, suffix)
	i := strings.LastIndexByte(rest, '.')
	if !ok || i < 0 || !slices.Contains(files, rest[i+1:]) || !idPattern.MatchString(rest[:i]) {
		return "", false
	}
	return rest[:i], temp
}

// read returns one profile.
func (d *dumps) read(id, file string) (*profile.Profile, error) {
	if !idPattern.MatchString(id) {
		return nil, errNone
	}
	name := d.name(id, file)
	info, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNone
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no ordinary file")
	}
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	p, err := parseProfile(data)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	return p, nil
}

// parseProfile reads a profile that somebody may have made up.
func parseProfile(data []byte) (*profile.Profile, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes", maxFile)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxPlain+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("is larger than %d bytes when uncompressed", maxPlain)
	}
	return parsePlain(plain)
}

func parsePlain(data []byte) (*profile.Profile, error) {
	p, err := profile.ParseUncompressed(data)
	if err != nil {
		return nil, err
	}
	return p, p.CheckValid()
}

// write replaces one profile, so that it is there as a whole or not at all.
func (d *dumps) write(id, file string, data []byte) (err error) {
	name := d.name(id, file)
	temp := name + "." + rand.Text() + temporary
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.root.Remove(temp))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.root.Rename(temp, name)
}

// prune removes the oldest dumps beyond what is to be kept, and what has been left behind by processes that have died.
func (d *dumps) prune(now time.Time) error {
	found, temps, err := d.scan()
	if err != nil {
		return err
	}
	var errs []error
	if len(found) > d.keep {
		errs = append(errs, d.remove(found[d.keep:]))
	}
	for _, name := range temps {
		if info, err := d.root.Lstat(name); err == nil && now.Sub(info.ModTime()) > staleAfter {
			errs = append(errs, d.root.Remove(name))
		}
	}
	return errors.Join(errs...)
}

func (d *dumps) remove(what []dump) error {
	var errs []error
	for _, x := range what {
		for _, name := range x.files {
			if err := d.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// removeIf removes the dumps that are chosen.
func (d *dumps) removeIf(chosen func(dump) bool) error {
	found, err := d.list()
	if err != nil {
		return err
	}
	return d.remove(slices.DeleteFunc(found, func(x dump) bool { return !chosen(x) }))
}
