package containerupdater

import (
	"errors"
	"io/fs"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/daemon"
)

// dataDir is where a device has its container databases.
const dataDir = "containers"

// walk finds the databases: <device>/containers/<partition>/<suffix>/<hash>/<hash>.db.
type walk struct {
	p    *daemon.Progress
	root string
}

// databases yields the places of databases. Partitions come in random order over all devices, so that no disk gets all
// the load at a time and sweeps that are stopped early do not always reach the same part.
func (w *walk) databases(devices []string) iter.Seq[broker.Place] {
	type partition struct{ device, name string }
	return func(yield func(broker.Place) bool) {
		var parts []partition
		for _, d := range devices {
			device := filepath.Join(w.root, d)
			for _, name := range w.names(filepath.Join(device, dataDir)) {
				parts = append(parts, partition{device, name})
			}
		}
		rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for _, part := range parts {
			dir := filepath.Join(part.device, dataDir, part.name)
			for _, suffix := range w.names(dir) {
				for _, hash := range w.names(filepath.Join(dir, suffix)) {
					if w.p.Stopped() {
						return
					}
					// Elsewhere the database would not be found again by its hash.
					if !strings.HasSuffix(hash, suffix) || len(suffix) != 3 || len(hash) != 32 {
						continue
					}
					if !yield(broker.Place{Device: part.device, Partition: part.name, Hash: hash}) {
						return
					}
				}
			}
		}
	}
}

// names lists the directories in a directory; none if it has gone.
func (w *walk) names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.p.Count(errorsFigure, 1)
		w.p.Log().Error("directory not readable", slog.Any("err", err))
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// suppressions are the accounts that are left alone, and until when.
type suppressions struct {
	mu    sync.Mutex // guards until
	until map[string]time.Time
}

func (s *suppressions) add(account string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until[account] = until
}

func (s *suppressions) has(account string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until[account].After(now)
}

// forget drops what is over.
func (s *suppressions) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for account, until := range s.until {
		if !until.After(now) {
			delete(s.until, account)
		}
	}
}
