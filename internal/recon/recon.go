// Package recon keeps the files by which background daemons tell operators how they are doing: object.recon,
// container.recon and so on, in the directory that Swift calls recon_cache_path. The recon middleware of the storage
// servers shows them.
//
// A file is one line of JSON, an object with sorted keys. Several processes write into one file, Apus' and Swift's
// among them, so every change is made under the file's lock ([File.Merge]) and puts a new file in the place of the
// old one: a reader sees the old values or the new ones, never a mixture. A file that is no JSON is begun anew.
//
// The package does not know which keys there are, and nothing in a file is of importance: after a crash it may hold old
// values.
//
//	f := recon.File("/var/cache/swift/object.recon")
//	err := f.Merge(ctx, map[string]any{"object_updater_sweep": 12.5})
package recon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// DefaultDir is where Swift keeps the files.
const DefaultDir = "/var/cache/swift"

// The files of the storage servers' daemons.
const (
	AccountFile   = "account.recon"
	ContainerFile = "container.recon"
	ObjectFile    = "object.recon"
	DriveFile     = "drive.recon"
	RelinkerFile  = "relinker.recon"
)

// LockTimeout is how long Merge waits for the others that write into the file, as long as Swift does.
const LockTimeout = 2 * time.Second

// ErrLocked means that somebody held the file's lock for longer than LockTimeout.
var ErrLocked = errors.New("file is locked")

// maxSize bounds what is read of a file.
const maxSize = 64 << 20

// File is the path of a recon file. Its directory must exist.
type File string

// Load returns what the file holds: numbers as json.Number, nothing if there is no file, or what it holds is not one JSON
// object. Others may have written that on several lines.
func (f File) Load() (map[string]any, error) {
	r, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]any{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all, err := io.ReadAll(io.LimitReader(r, maxSize))
	if err != nil {
		return nil, err
	}
	return parse(all), nil
}

// Merge puts values into the file, which is made if need be. A value that is a map[string]any is merged key by key into
// the one that is there; an empty map takes the key away, one level down too. All other values replace what was there.
// Errors are those of the file system, of encoding a value, of ctx, and [ErrLocked].
func (f File) Merge(ctx context.Context, values map[string]any) error {
	if err := f.merge(ctx, values); err != nil {
		return fmt.Errorf("update recon file %s: %w", f, err)
	}
	return nil
}

func (f File) merge(ctx context.Context, values map[string]any) error {
	locked, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer locked.Close()
	current, err := read(locked)
	if err != nil {
		return err
	}
	for key, value := range values {
		put(current, key, value)
	}
	line, err := encode(current)
	if err != nil {
		return err
	}
	return f.replace(line)
}

// replace puts a new file in the place of the one whose lock is held.
func (f File) replace(line []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(string(f)), ".recon-*.tmp")
	if err != nil {
		return err
	}
	_, err = temp.Write(line)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), string(f))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// lock opens the file and takes its lock. Writers replace the file, so a lock counts only if the file still has its name
// once the lock is held.
func (f File) lock(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, LockTimeout, ErrLocked)
	defer cancel()
	for {
		file, err := os.OpenFile(string(f), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		err = flock(ctx, file)
		if err == nil && f.names(file) {
			return file, nil
		}
		file.Close()
		if err != nil {
			return nil, err
		}
	}
}

func flock(ctx context.Context, file *os.File) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// names reports whether the path still leads to the open file.
func (f File) names(file *os.File) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(string(f))
	return err == nil && os.SameFile(open, named)
}

// read takes the first line as an object, as Swift's daemons do before they change it.
func read(r io.Reader) (map[string]any, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSize)).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return nil, err
	}
	return parse(line), nil
}

// parse returns an empty map for what is not one JSON object.
func parse(text []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // figures of others come out as they went in
	var values map[string]any
	if d.Decode(&values) != nil || values == nil {
		return map[string]any{}
	}
	if _, err := d.Token(); err != io.EOF {
		return map[string]any{}
	}
	return values
}

func put(values map[string]any, key string, value any) {
	changes, ok := value.(map[string]any)
	if !ok {
		values[key] = value
		return
	}
	if len(changes) == 0 {
		delete(values, key)
		return
	}
	inner, ok := values[key].(map[string]any)
	if !ok {
		inner = map[string]any{}
		values[key] = inner
	}
	for k, v := range changes {
		if m, ok := v.(map[string]any); ok && len(m) == 0 {
			delete(inner, k)
		} else {
			inner[k] = v
		}
	}
}

// encode gives one line in ASCII: Python reads the file in the encoding of whatever locale it runs under.
func encode(values map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(values); err != nil {
		return nil, err
	}
	text := b.Bytes()
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out, nil
}
