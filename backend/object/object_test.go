package object_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/swiftconf"
)

// now is the time of the tests: years after that of the fixtures' objects.
var now = time.Date(2026, 11, 21, 20, 29, 2, 0, time.UTC)

// node is an object server over a file system in memory.
type node struct {
	*object.Server
	memory *disk.Memory
	faults *disk.Faults
}

// newNode starts an object server; change alters its configuration or surroundings.
func newNode(t testing.TB, change func(*object.Config, *object.Deps)) *node {
	n := &node{memory: disk.NewMemory(disk.Space{Total: 1 << 40, Free: 1 << 39})}
	if _, err := disk.MkdirAll(n.memory, "/srv/node/sdb1"); err != nil {
		t.Fatal(err)
	}
	if err := disk.SyncDirs(n.memory, "/srv/node/sdb1", 3); err != nil {
		t.Fatal(err)
	}
	n.restart(t, change)
	return n
}

// restart replaces the server, over the same disk.
func (n *node) restart(t testing.TB, change func(*object.Config, *object.Deps)) {
	n.faults = disk.NewFaults(n.memory, nil)
	n.Server = newServer(t, func(c *object.Config, d *object.Deps) {
		d.FS = n.faults
		if change != nil {
			change(c, d)
		}
	})
}

func newServer(t testing.TB, change func(*object.Config, *object.Deps)) *object.Server {
	hasher, err := hashpath.New([]byte("goldpre"), []byte("goldsuf"))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := policy.NewSet(policy.Policy{Index: 0, Name: "gold", Default: true}, policy.Policy{Index: 1, Name: "silver"},
		policy.Policy{Index: 2, Name: "ec21", Type: policy.ErasureCoding,
			EC: &policy.EC{Scheme: "liberasurecode_rs_vand", DataFragments: 2, ParityFragments: 1}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := object.DefaultConfig()
	cfg.MountCheck = false
	cfg.ContainerUpdateTimeout = config.Seconds(30)
	deps := object.Deps{Cluster: &swiftconf.Cluster{Policies: policies, Limits: constraint.Default(), Hasher: hasher},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Clock: clock.Func(func() time.Time { return now })}
	if change != nil {
		change(&cfg, &deps)
	}
	s, err := object.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// listen serves a handler on the loopback and returns its address.
func listen(t testing.TB, h http.Handler) string {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do calls a handler without a network; headers come in pairs.
func do(t testing.TB, h http.Handler, method, path, body string, pairs ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// expect fails the test unless the answer has the status.
func (a answer) expect(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d; headers %v, body %q", a.status, status, a.header, a.body)
	}
	return a
}
