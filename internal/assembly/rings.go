package assembly

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/ring"
)

// Rings are the rings of a cluster.
type Rings struct {
	account, container *ring.Live
	objects            map[policy.Index]*ring.Live
	dir                string
}

// LoadRings follows the ring files in dir: account.ring.gz, container.ring.gz, and object.ring.gz, object-1.ring.gz ...
// for the policies. A missing file is an error that says how to make it.
func LoadRings(dir string, policies policy.Set, log *slog.Logger, c clock.Clock) (*Rings, error) {
	r := &Rings{objects: map[policy.Index]*ring.Live{}, dir: dir}
	var errs []error
	load := func(name string) *ring.Live {
		path := filepath.Join(dir, name+".ring.gz")
		l, err := ring.Follow(path, ring.FollowOptions{Logger: log, Clock: c})
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("no ring at %s; copy the cluster's, or make one with 'apus ring %s.builder create'", path, name)
		}
		if err != nil {
			errs = append(errs, err)
		}
		return l
	}
	r.account, r.container = load("account"), load("container")
	for _, p := range policies.All() {
		r.objects[p.Index] = load(p.Index.RingName())
	}
	return r, errors.Join(errs...)
}

// Account returns the accounts' ring.
func (r *Rings) Account() *ring.Live { return r.account }

// Container returns the containers' ring.
func (r *Rings) Container() *ring.Live { return r.container }

// Object returns the ring of a policy's objects.
func (r *Rings) Object(i policy.Index) (*ring.Live, error) {
	if l, ok := r.objects[i]; ok {
		return l, nil
	}
	return nil, fmt.Errorf("no ring for storage policy %d in %s", i, r.dir)
}
