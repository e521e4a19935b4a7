// Package secret is where secrets of the gateway come from: files that are read again when they change, and programs that print
// one. Of which secret it is, and what to do without it, the gate and the stores decide.
//
//	f := &secret.File[string]{Path: c.SecretFile, Parse: secret.Line, Clock: clock, Log: log}
//	value, err := f.Get()
//
// Secrets are in no error. What a program complains of is not passed on either: it may hold what it knows.
package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

const (
	lookAgain   = time.Second     // how often a file is looked at
	settled     = 2 * time.Second // how old a change must be, so that another cannot have the same time
	maxFile     = 1 << 20
	maxPrinted  = 64 << 10
	commandTime = 10 * time.Second
)

// Line reads a text that is a secret and nothing else.
func Line(text []byte) (string, error) {
	s := strings.TrimSpace(string(text))
	switch {
	case s == "":
		return "", errors.New("it is empty")
	case strings.ContainsAny(s, "\r\n\x00"):
		return "", errors.New("it has more than one line")
	}
	return s, nil
}

// A File is read again when it changes, looked at once a second at most. It is for many goroutines.
type File[T any] struct {
	Path  string
	Parse func(text []byte) (T, error)
	Clock clock.Clock
	// Keep is for what is worse to be without than to have old: a file that is gone or wrong leaves what it said before, and Log
	// is told. Otherwise that is an error, so that taking a secret away takes effect.
	Keep bool
	Log  *slog.Logger

	mu     sync.Mutex // guards what follows
	looked time.Time
	info   os.FileInfo // of the file that value is from
	sure   bool        // it had not been changed just before it was read
	have   bool
	value  T
	err    error
}

// Get returns what the file says.
func (f *File[T]) Get() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.Clock.Now()
	if since := now.Sub(f.looked); !f.looked.IsZero() && since >= 0 && since < lookAgain {
		return f.value, f.err
	}
	f.looked = now
	err := f.look(now)
	if err != nil && f.have && f.Keep {
		f.Log.Warn("a file of secrets cannot be read; what it said before is used", "err", err)
		return f.value, nil
	}
	if f.err = err; err != nil {
		var none T
		f.value, f.have = none, false
	}
	return f.value, f.err
}

// look reads the file if it has changed.
func (f *File[T]) look(now time.Time) error {
	info, err := os.Stat(f.Path)
	if err != nil {
		return err
	}
	if f.have && f.sure && os.SameFile(info, f.info) && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return nil
	}
	text, err := read(f.Path)
	if err != nil {
		return err
	}
	value, err := f.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	f.value, f.have, f.info, f.sure = value, true, info, now.Sub(info.ModTime()) > settled
	return nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// Run returns the line that a program prints, in bounded time.
func Run(ctx context.Context, command []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	var out printed
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("run %s: %w", command[0], err)
	}
	s, err := Line(out.text)
	if err != nil {
		return "", fmt.Errorf("what %s prints: %w", command[0], err)
	}
	return s, nil
}

// printed is what a program has printed, which must have an end.
type printed struct{ text []byte }

func (p *printed) Write(b []byte) (int, error) {
	if len(p.text)+len(b) > maxPrinted {
		return 0, errors.New("it prints too much")
	}
	p.text = append(p.text, b...)
	return len(b), nil
}
