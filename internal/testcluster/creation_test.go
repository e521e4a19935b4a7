package testcluster

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/conditional"
)

// creation is a row of the table of conditional writes in docs/faults.md: what becomes of a PUT with If-None-Match: * of a
// name that is not there.
type creation struct {
	name   string
	do     func(*scene) Result
	status int    // 0: no answer
	after  string // one of the constants
}

const (
	isThere   = "it"
	isNothing = "nothing"
	isDoubt   = "it, or nothing"
	isOther   = "the other write"
)

var ifNew = map[string]string{"If-None-Match": "*"}

// create uploads on the condition.
func (s *scene) create(change ...func(*Request)) Result {
	return s.put(append(change, func(r *Request) { r.Header = ifNew })...)
}

// awaitOld waits until every primary has the other write: its client is answered when a majority has.
func (s *scene) awaitOld() {
	for range 1000 {
		replicas, err := s.c.Replicas(s.Context(), "AUTH_t", "c", "o")
		if err != nil {
			s.Error(err)
			return
		}
		if !slices.ContainsFunc(replicas, func(r Replica) bool { return !bytes.Equal(r.Body, s.old) }) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.Error("not every node has the other write")
}

// between does something when the first piece of the body has been sent.
func between(do func()) func(*Request) {
	return func(r *Request) { r.Between = do }
}

var creations = []creation{
	{"none", func(s *scene) Result { return s.create() }, 201, isThere},
	{"a node is down", func(s *scene) Result { s.stop(s.primaries[0]); return s.create() }, 201, isThere},
	{"two nodes of three are down", func(s *scene) Result { s.stop(s.primaries[1:]...); return s.create() }, 503, isNothing},
	{"a node does not answer", func(s *scene) Result { s.first(1, "PUT", Fault{What: Hang}); return s.create() }, 201, isThere},
	{"a node breaks off in mid-upload", func(s *scene) Result { s.first(1, "PUT", Fault{What: Drop, N: 70_000}); return s.create() }, 201, isThere},
	{"two nodes break off in mid-upload", func(s *scene) Result { s.first(2, "PUT", Fault{What: Drop, N: 70_000}); return s.create() }, 503, isDoubt},
	{"the answer of a node is lost", func(s *scene) Result { s.first(1, "PUT", Fault{What: Lose}); return s.create() }, 201, isThere},
	{"the answers of two nodes are lost", func(s *scene) Result { s.first(2, "PUT", Fault{What: Lose}); return s.create() }, 503, isThere},
	{"a disk is full", func(s *scene) Result { s.hook(s.primaries[:1], "write", 0, syscall.ENOSPC); return s.create() }, 201, isThere},
	{"two disks of three fail at fsync", func(s *scene) Result { s.hook(s.primaries[:2], "sync", 0, syscall.EIO); return s.create() }, 503, isDoubt},
	{"a node restarts after it has reserved", func(s *scene) Result {
		return s.create(s.restarting(s.primaries[:1]))
	}, 201, isThere},
	{"two nodes restart after they have reserved", func(s *scene) Result {
		return s.create(s.restarting(s.primaries[:2]))
	}, 503, isNothing},
	{"the client goes in mid-upload", func(s *scene) Result { return s.create(func(r *Request) { r.Abort = 70_000 }) }, 0, isNothing},
	{"an unconditional write comes between", func(s *scene) Result {
		return s.create(between(func() {
			if r := s.c.Do(s.Context(), Request{Method: "PUT", Path: objectPath, Body: s.old}); r.Status != 201 {
				s.Error(r)
			}
		}))
	}, 412, isOther},
	{"an unconditional write reaches all nodes while they are asked", func(s *scene) Result {
		var n atomic.Int32
		done := make(chan struct{})
		s.c.SetFaults(func(_ *Node, r *http.Request) Fault {
			if r.Method != "PUT" || r.Header.Get(conditional.HeaderIfNoneMatch) == "" {
				return Fault{}
			}
			// The first node has reserved, and the others are about to be asked.
			switch n.Add(1) {
			case 2:
				if r := s.c.Do(s.Context(), Request{Method: "PUT", Path: objectPath, Body: s.old}); r.Status != 201 {
					s.Error(r)
				}
				s.awaitOld()
				close(done)
			case 3:
				<-done
			}
			return Fault{}
		})
		return s.create()
	}, 412, isOther},
	{"another creation comes between", func(s *scene) Result {
		var n atomic.Int32
		s.c.SetFaults(func(_ *Node, r *http.Request) Fault {
			// The first node has reserved, and the second is about to be asked.
			if r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/c/o") && n.Add(1) == 2 {
				if r := s.c.Do(s.Context(), Request{Method: "PUT", Path: objectPath, Body: s.old, Header: ifNew}); r.Status != 409 {
					s.Error(r)
				}
			}
			return Fault{}
		})
		return s.create()
	}, 201, isThere},
	{"the newer of two creations comes after one that is in doubt", func(s *scene) Result {
		var n atomic.Int32
		s.c.SetFaults(func(node *Node, r *http.Request) Fault {
			if r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/c/o") && n.Add(1) <= 3 {
				return Fault{What: Lose}
			}
			return Fault{}
		})
		if r := s.c.Do(s.Context(), Request{Method: "PUT", Path: objectPath, Body: s.old, Header: ifNew}); r.Status != 503 {
			s.Error(r)
		}
		return s.create()
	}, 412, isOther},
	{"all power fails after it", func(s *scene) Result {
		r := s.create()
		for i, n := range s.c.Nodes {
			if err := n.Crash(uint64(i)); err != nil {
				s.Log(err) // what the dead node could not close
			}
		}
		return r
	}, 201, isThere},
}

func (c creation) check(t *testing.T, o Options) {
	cluster := New(t, o)
	defer cluster.Close()
	cluster.Must(t.Context(), Request{Method: "PUT", Path: "/v1/AUTH_t/c"})
	s := &scene{T: t, c: cluster, old: bytes.Repeat([]byte("other "), 100), new: bytes.Repeat([]byte("new version "), 150_000),
		primaries: cluster.Primaries("AUTH_t", "c", "o")}
	got := c.do(s)
	if gone := c.status == 0; gone && got.Status/100 == 2 || !gone && (got.Status != c.status || got.Err != nil) {
		t.Errorf("the client saw %v, want %d", got, c.status)
	}
	if err := cluster.Heal(); err != nil {
		t.Fatal(err)
	}
	replicas, err := cluster.Replicas(t.Context(), "AUTH_t", "c", "o")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range replicas {
		switch {
		case r.Status == 404:
			count[isNothing]++
		case bytes.Equal(r.Body, s.new):
			count[isThere]++
		case bytes.Equal(r.Body, s.old):
			count[isOther]++
		default:
			t.Errorf("%s has %d bytes", r.Node.Device, len(r.Body))
		}
	}
	ok := count[c.after] >= majority
	if c.after == isDoubt {
		ok = count[isOther] == 0
	} else if c.after == isNothing {
		ok = count[isNothing] == len(replicas)
	}
	if !ok {
		t.Errorf("the replicas have %v, want %s", count, c.after)
	}
}

// majority is that of three.
const majority = 2

func TestWhatACreatorSeesOfFaults(t *testing.T) {
	for _, c := range creations {
		t.Run(c.name, func(t *testing.T) {
			t.Run("direct", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { c.check(t, Options{Memory: true}) })
			})
			t.Run("tcp", func(t *testing.T) {
				t.Parallel() // most of it is waiting
				c.check(t, Options{Kind: TCP, Memory: true, NodeTimeout: 3 * time.Second})
			})
		})
	}
}

func TestTheDocumentHasTheCreations(t *testing.T) {
	data, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range creations {
		sees := fmt.Sprint(c.status)
		if c.status == 0 {
			sees = "nothing: it has gone"
		}
		if row := fmt.Sprintf("| %s | %s | %s |\n", c.name, sees, c.after); !strings.Contains(string(data), row) {
			t.Errorf("docs/faults.md lacks %s", row)
		}
	}
}
