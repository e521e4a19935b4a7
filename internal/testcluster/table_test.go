package testcluster

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/disk"
)

var update = flag.Bool("update", false, "rewrite the table in docs/faults.md")

const objectPath = "/v1/AUTH_t/c/o"

// scene is a cluster with an object that was acknowledged before the fault.
type scene struct {
	*testing.T
	c        *Cluster
	old, new []byte
	// primaries of the object, in the ring's order.
	primaries []*Node
}

// put uploads the new version.
func (s *scene) put(change ...func(*Request)) Result {
	r := Request{Method: "PUT", Path: objectPath, Body: s.new}
	for _, f := range change {
		f(&r)
	}
	return s.c.Do(s.Context(), r)
}

func (s *scene) get(change ...func(*Request)) Result {
	r := Request{Method: "GET", Path: objectPath}
	for _, f := range change {
		f(&r)
	}
	return s.c.Do(s.Context(), r)
}

// first gives the first requests of a method for the object a fault.
func (s *scene) first(count int, method string, f Fault) {
	var n atomic.Int32
	s.c.SetFaults(func(_ *Node, r *http.Request) Fault {
		if r.Method == method && strings.HasSuffix(r.URL.Path, "/c/o") && int(n.Add(1)) <= count {
			return f
		}
		return Fault{}
	})
}

// hook gives disks an error, or a pause, at operations of a kind.
func (s *scene) hook(nodes []*Node, kind string, wait time.Duration, err error) {
	for _, n := range nodes {
		n.Disk.SetHook(func(op disk.Op) error {
			if op.Kind != kind {
				return nil
			}
			time.Sleep(wait)
			return err
		})
	}
}

// stop stops nodes.
func (s *scene) stop(nodes ...*Node) {
	for _, n := range nodes {
		if err := n.Stop(); err != nil {
			s.Error(err)
		}
	}
}

// What there may be when the fault is over.
const (
	oldVersion = 1 << iota
	newVersion
)

// want is what a client sees of a fault and what there is after it.
type want struct {
	status int  // 0: no head
	broken bool // the answer breaks off
	after  int
}

// incident is a row of the table in docs/faults.md.
type incident struct {
	name string
	do   func(*scene) Result
	want want
	// proxy, if set, is configuration for a row that only makes sense with a connection between client and proxy.
	proxy string
}

var incidents = []incident{
	{"a node is down, read", func(s *scene) Result { s.stop(s.primaries[0]); return s.get() }, want{200, false, oldVersion}, ""},
	{"a node is down, write", func(s *scene) Result { s.stop(s.primaries[0]); return s.put() }, want{201, false, newVersion}, ""},
	{"two nodes of four are down, read", func(s *scene) Result { s.stop(s.primaries[:2]...); return s.get() }, want{200, false, oldVersion}, ""},
	{"three nodes of four are down, write", func(s *scene) Result { s.stop(s.c.Nodes[1:]...); return s.put() }, want{503, false, oldVersion}, ""},
	{"all nodes are down, read", func(s *scene) Result { s.stop(s.c.Nodes...); return s.get() }, want{503, false, oldVersion}, ""},
	{"a node does not answer, read", func(s *scene) Result { s.first(1, "GET", Fault{What: Hang}); return s.get() }, want{200, false, oldVersion}, ""},
	{"a node does not answer, write", func(s *scene) Result { s.first(1, "PUT", Fault{What: Hang}); return s.put() }, want{201, false, newVersion}, ""},
	{"a node stops in the middle of its answer", func(s *scene) Result { s.first(1, "GET", Fault{What: Stall, N: 70_000}); return s.get() }, want{200, false, oldVersion}, ""},
	{"two nodes cut their answers", func(s *scene) Result { s.first(2, "GET", Fault{What: Truncate, N: 70_000}); return s.get() }, want{200, false, oldVersion}, ""},
	{"all nodes cut their answers", func(s *scene) Result { s.first(99, "GET", Fault{What: Truncate, N: 100}); return s.get() }, want{200, true, oldVersion}, ""},
	{"a node stops reading an upload", func(s *scene) Result { s.first(1, "PUT", Fault{What: Deaf, N: 70_000}); return s.put() }, want{201, false, newVersion}, ""},
	{"a node breaks off in mid-upload", func(s *scene) Result { s.first(1, "PUT", Fault{What: Drop, N: 70_000}); return s.put() }, want{201, false, newVersion}, ""},
	{"two nodes break off in mid-upload", func(s *scene) Result { s.first(2, "PUT", Fault{What: Drop, N: 70_000}); return s.put() }, want{503, false, oldVersion | newVersion}, ""},
	{"a node answers 500", func(s *scene) Result { s.first(1, "GET", Fault{What: Answer, Status: 500}); return s.get() }, want{200, false, oldVersion}, ""},
	{"a node answers 503", func(s *scene) Result { s.first(1, "PUT", Fault{What: Answer, Status: 503}); return s.put() }, want{201, false, newVersion}, ""},
	{"a node answers 507", func(s *scene) Result { s.first(1, "PUT", Fault{What: Answer, Status: 507}); return s.put() }, want{201, false, newVersion}, ""},
	{"the answers of all nodes to an upload are lost", func(s *scene) Result { s.first(9, "PUT", Fault{What: Lose}); return s.put() }, want{503, false, oldVersion | newVersion}, ""},
	{"a node lies about the ETag of an upload", func(s *scene) Result { s.first(1, "PUT", Fault{What: LieETag}); return s.put() }, want{500, false, newVersion}, ""},
	{"a node sends less than it says", func(s *scene) Result { s.first(1, "GET", Fault{What: LieSize, N: 10}); return s.get() }, want{200, true, oldVersion}, ""},
	{"a disk is full", func(s *scene) Result {
		s.hook(s.primaries[:1], "write", 0, syscall.ENOSPC)
		return s.put()
	}, want{201, false, newVersion}, ""},
	{"two disks of four are full", func(s *scene) Result {
		s.hook(s.primaries[:2], "write", 0, syscall.ENOSPC)
		return s.put()
	}, want{503, false, oldVersion | newVersion}, ""},
	{"all disks refuse new files", func(s *scene) Result {
		s.hook(s.c.Nodes, "unnamed", 0, syscall.EIO)
		return s.put()
	}, want{503, false, oldVersion}, ""},
	{"a disk fails at fsync", func(s *scene) Result {
		s.hook(s.primaries[:1], "sync", 0, syscall.EIO)
		return s.put()
	}, want{201, false, newVersion}, ""},
	{"a disk has read errors", func(s *scene) Result {
		s.hook(s.primaries[:2], "read", 0, syscall.EIO)
		return s.get()
	}, want{200, false, oldVersion}, ""},
	{"all disks have read errors", func(s *scene) Result {
		s.hook(s.c.Nodes, "read", 0, syscall.EIO)
		return s.get()
	}, want{200, true, oldVersion}, ""},
	{"a disk is slow, write", func(s *scene) Result {
		s.hook(s.primaries[:1], "sync", s.c.options.NodeTimeout*2, nil)
		return s.put()
	}, want{201, false, newVersion}, ""},
	{"a node restarts in mid-download", func(s *scene) Result { return s.get(s.restarting(s.primaries[:2])) }, want{200, false, oldVersion}, ""},
	{"a node restarts in mid-upload", func(s *scene) Result { return s.put(s.restarting(s.primaries[:1])) }, want{201, false, newVersion}, ""},
	{"a device is unmounted in mid-upload", func(s *scene) Result {
		return s.put(func(r *Request) { r.Between = func() { s.unmount(s.primaries[0]) } })
	}, want{201, false, newVersion}, ""},
	{"a device is unmounted in mid-download", func(s *scene) Result {
		return s.get(func(r *Request) { r.Between = func() { s.unmount(s.primaries[0]) } })
	}, want{200, false, oldVersion}, ""},
	{"the client goes in mid-upload", func(s *scene) Result { return s.put(func(r *Request) { r.Abort = 70_000 }) }, want{-1, false, oldVersion}, ""},
	{"the client goes in mid-download", func(s *scene) Result { return s.get(func(r *Request) { r.Abort = 70_000 }) }, want{200, true, oldVersion}, ""},
	{"a slow client downloads", func(s *scene) Result { return s.get(func(r *Request) { r.Pace = 20 * time.Millisecond }) }, want{200, false, oldVersion}, ""},
	{"a slow client uploads", func(s *scene) Result { return s.put(func(r *Request) { r.Pace = 20 * time.Millisecond }) }, want{201, false, newVersion}, ""},
	{"a client sends nothing for longer than client_timeout", func(s *scene) Result {
		return s.put(func(r *Request) { r.Pace = time.Second })
	}, want{408, false, oldVersion}, "client_timeout = 0.3"},
	{"all power fails after an upload", func(s *scene) Result {
		res := s.put()
		for i, n := range s.c.Nodes {
			if err := n.Crash(uint64(i) + 1); err != nil {
				s.Error(err)
			}
		}
		return res
	}, want{201, false, newVersion}, ""},
	{"power fails in mid-upload", func(s *scene) Result {
		s.hook(s.primaries[:2], "setxattr", 0, disk.ErrCrashed)
		res := s.put()
		for i, n := range s.primaries[:2] {
			if err := n.Crash(uint64(i) + 1); err != nil {
				s.Error(err)
			}
		}
		return res
	}, want{503, false, oldVersion | newVersion}, ""},
	{"no account node answers, container listed", func(s *scene) Result {
		return s.without("/AUTH_t", Request{Method: "GET", Path: "/v1/AUTH_t/c"})
	}, want{503, false, oldVersion}, ""},
	{"no container node answers, write", func(s *scene) Result {
		return s.without("/AUTH_t/c", Request{Method: "PUT", Path: objectPath, Body: s.new})
	}, want{503, false, oldVersion}, ""},
}

// restarting stops nodes, and starts them again, after the first piece of a body.
func (s *scene) restarting(nodes []*Node) func(*Request) {
	return func(r *Request) {
		r.Between = func() {
			for _, n := range nodes {
				l := n.alive()
				done := make(chan error, 1)
				go func() { done <- n.Stop() }() // it waits for this very request
				<-l.dead
				s.Cleanup(func() {
					if err := <-done; err != nil {
						s.Error(err)
					}
				})
			}
		}
	}
}

func (s *scene) unmount(n *Node) {
	if err := n.Unmount(); err != nil {
		s.Error(err)
	}
}

// without makes a request while nobody answers about an account or container.
func (s *scene) without(path string, r Request) Result {
	s.c.Clock.Advance(5 * time.Minute) // nothing is remembered
	s.c.SetFaults(func(_ *Node, r *http.Request) Fault {
		if strings.HasSuffix(r.URL.Path, path) {
			return Fault{What: Refuse}
		}
		return Fault{}
	})
	return s.c.Do(s.Context(), r)
}

// check plays one row and looks at what is left.
func (i incident) check(t *testing.T, o Options) {
	s := &scene{T: t, c: New(t, o), old: make([]byte, 200_000), new: make([]byte, 250_000)}
	for j := range s.old {
		s.old[j] = byte(rand.Uint32())
	}
	for j := range s.new {
		s.new[j] = byte(rand.Uint32())
	}
	ctx := context.Background()
	for _, r := range []Request{{Method: "PUT", Path: "/v1/AUTH_t/c"}, {Method: "PUT", Path: objectPath, Body: s.old}} {
		s.c.Must(ctx, r)
	}
	s.primaries = s.c.Primaries("AUTH_t", "c", "o")
	res := i.do(s)
	// Whether a broken answer had a head is a matter of buffers.
	ok := res.Status == i.want.status && res.Err == nil || i.want.broken && (res.Err != nil || res.Status == 503)
	if i.want.status >= 0 && !ok {
		t.Errorf("client sees %v; want %d, broken off: %v", res, i.want.status, i.want.broken)
	}
	if res.Status == 200 && len(res.Body) > 0 && !bytes.HasPrefix(s.old, res.Body) && !strings.Contains(i.name, "listed") {
		t.Errorf("client has %d bytes that are not those of the object", len(res.Body))
	}
	if err := s.c.Heal(); err != nil {
		t.Fatal(err)
	}
	if err := s.c.RunUpdaters(ctx); err != nil {
		t.Error(err)
	}
	res = s.c.Do(ctx, Request{Method: "GET", Path: objectPath, Header: map[string]string{"X-Newest": "true"}})
	switch {
	case res.Status == 200 && res.Err == nil && i.want.after&oldVersion != 0 && bytes.Equal(res.Body, s.old):
	case res.Status == 200 && res.Err == nil && i.want.after&newVersion != 0 && bytes.Equal(res.Body, s.new):
	default:
		t.Errorf("afterwards: %v, old version: %v, new version: %v", res, bytes.Equal(res.Body, s.old), bytes.Equal(res.Body, s.new))
	}
	size := len(res.Body)
	if err := s.c.ReplicateContainer("AUTH_t", "c"); err != nil {
		t.Error(err)
	}
	res = s.c.Do(ctx, Request{Method: "GET", Path: "/v1/AUTH_t/c", Query: "format=json"})
	if !strings.Contains(string(res.Body), fmt.Sprintf(`"bytes": %d`, size)) && !strings.Contains(string(res.Body), fmt.Sprintf(`"bytes":%d`, size)) && i.want.after != oldVersion|newVersion {
		t.Errorf("afterwards the listing is %s; want an object of %d bytes", res.Body, size)
	}
}

func TestWhatAClientSeesOfFaults(t *testing.T) {
	for _, i := range incidents {
		t.Run(i.name, func(t *testing.T) {
			if i.proxy == "" {
				t.Run("direct", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { i.check(t, Options{Memory: true}) })
				})
			}
			t.Run("tcp", func(t *testing.T) {
				t.Parallel() // most of it is waiting
				i.check(t, Options{Kind: TCP, Memory: true, NodeTimeout: 3 * time.Second, Proxy: "recoverable_node_timeout = 1\n" + i.proxy})
			})
		})
	}
}

// row is the incident's in docs/faults.md.
func (i incident) row() string {
	sees := fmt.Sprint(i.want.status)
	switch {
	case i.want.status < 0:
		sees = "nothing: it has gone"
	case i.want.broken && strings.Contains(i.name, "client"):
		sees = "what it read until it went"
	case i.want.broken:
		sees = "an answer that breaks off, never one that ends too early; or 503"
	case i.want.status == 200:
		sees = "200, whole"
	}
	after := map[int]string{
		oldVersion: "what was acknowledged before", newVersion: "the new version", oldVersion | newVersion: "either version, whole",
	}[i.want.after]
	return fmt.Sprintf("| %s | %s | %s |\n", i.name, sees, after)
}

// TestTheDocumentHasTheTable compares docs/faults.md with the table; -update rewrites it there.
func TestTheDocumentHasTheTable(t *testing.T) {
	const path, begin, end = "../../docs/faults.md", "| fault | the client sees | afterwards there is |\n|---|---|---|\n", "\n## "
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table", path)
	}
	var table strings.Builder
	for _, i := range incidents {
		table.WriteString(i.row())
	}
	want := before + begin + table.String() + end + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s does not have the table of this test; run it with -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
