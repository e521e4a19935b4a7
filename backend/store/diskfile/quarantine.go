package diskfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"github.com/apus-storage/apus/backend/store"
)

// quarantine moves an object's directory out of the way and answers with a *store.QuarantinedError if that worked, or if
// somebody else has done it.
func (s *Store) quarantine(ctx context.Context, l location, reason string) error {
	datadir := path.Base(path.Dir(l.partition))
	to := l.device + "/quarantined/" + datadir + "/" + path.Base(l.hash)
	to, err := s.moveAside(ctx, l, to)
	if err != nil && !missing(err) {
		return fmt.Errorf("quarantine %s: %s: %w", l.hash, reason, err)
	}
	s.log.LogAttrs(ctx, slog.LevelError, "quarantined object", slog.String("from", l.hash),
		slog.String("to", to), slog.String("reason", reason))
	return &store.QuarantinedError{Reason: reason, Dir: to}
}

// moveAside moves a hash directory to a directory of that name, or of one like it if it is taken.
func (s *Store) moveAside(ctx context.Context, l location, to string) (string, error) {
	if err := s.invalidate(ctx, l.partition, l.suffix); err != nil {
		return to, err
	}
	if _, err := s.mkdirs(l.device, path.Dir(to)); err != nil {
		return to, err
	}
	// Check for a directory there: rename replaces an empty one, and what is a file in the place of a directory would
	// replace a file.
	_, err := s.fs.Stat(to)
	if missing(err) {
		err = s.fs.Rename(l.hash, to)
	} else if err == nil {
		err = fs.ErrExist
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.ENOTDIR) {
		to += "-" + strings.ReplaceAll(uuid.NewString(), "-", "")
		err = s.fs.Rename(l.hash, to)
	}
	return to, err
}
