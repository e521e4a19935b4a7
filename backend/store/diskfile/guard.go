package diskfile

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/timestamp"
)

// nameLocks are held while an object's files get their names, so that a guard's answer still holds then. Nothing is synced
// under them. Devices do not share any: one that hangs must not stop the others.
type nameLocks struct {
	seed    maphash.Seed
	devices sync.Map // directory of a device to *[nameStripes]sync.Mutex
}

// nameStripes is how many locks a device has. Objects that share one wait for each other's links only.
const nameStripes = 64

// of returns the lock of an object.
func (n *nameLocks) of(l location) *sync.Mutex {
	v, ok := n.devices.Load(l.device)
	if !ok {
		v, _ = n.devices.LoadOrStore(l.device, new([nameStripes]sync.Mutex))
	}
	// Not the whole path: an object is the same in another partition of a ring that is being grown.
	hash := l.hash[len(l.partition):]
	return &v.(*[nameStripes]sync.Mutex)[maphash.String(n.seed, hash)%nameStripes]
}

// ask asks a publication's guard about what is there.
func (s *Store) ask(ctx context.Context, p publication) error {
	f, err := s.Open(ctx, p.object, store.OpenOptions{Now: p.at})
	switch {
	case err == nil:
		err = p.guard(f.Info(), timestamp.Timestamp{})
		_ = f.Close() // opened for reading
		return err
	case errors.Is(err, store.ErrNotFound):
		at, _ := store.TombstoneTime(err)
		return p.guard(nil, at)
	}
	return err
}
