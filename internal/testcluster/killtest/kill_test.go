package killtest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	rounds = flag.Int("killtest.rounds", 3, "how often the program is killed")
	seed   = flag.Uint64("killtest.seed", 1, "decides when, and what is uploaded")
)

// name is what is known of one object.
type name struct {
	mu    sync.Mutex // guards the rest
	acked []byte     // the last acknowledged body; nil: none, or deleted
	doubt [][]byte   // bodies of later uploads that were not acknowledged; nil: a deletion
}

// may says whether a body, nil for none, is one that may be there.
func (n *name) may(body []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	same := func(b []byte) bool { return (b == nil) == (body == nil) && bytes.Equal(b, body) }
	return same(n.acked) || slices.ContainsFunc(n.doubt, same)
}

func (n *name) settle(body []byte, acked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if acked {
		n.acked, n.doubt = body, nil
	} else {
		n.doubt = append(n.doubt, body)
	}
}

// load is what clients do to a server.
type load struct {
	*server
	mu    sync.Mutex // guards names
	names map[string]*name
	puts  int
}

func (l *load) name(path string) *name {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names[path] == nil {
		l.names[path] = &name{}
	}
	l.puts++
	return l.names[path]
}

const container = "/v1/AUTH_kill/c"

// client writes under names of its own until the server is gone.
func (l *load) client(rng *rand.Rand, number int) {
	for i := 0; ; i++ {
		path := fmt.Sprintf("%s/%d/%04d", container, number, rng.IntN(1000))
		if rng.IntN(3) == 0 {
			path = fmt.Sprintf("%s/%d/often%d", container, number, rng.IntN(3))
		}
		n := l.name(path)
		if rng.IntN(8) == 0 {
			code, _, _, err := l.do("DELETE", path, nil)
			n.settle(nil, err == nil && (code == 204 || code == 404))
			if err != nil {
				return
			}
			continue
		}
		body := make([]byte, []int{0, 10, 4096, 100_000, 1_000_000}[rng.IntN(5)])
		for j := range body {
			body[j] = byte(rng.Uint32())
		}
		code, _, _, err := l.do("PUT", path, body)
		n.settle(body, err == nil && code == 201)
		if err != nil {
			return
		}
	}
}

// run uploads until the program is killed at a random moment.
func (l *load) run(rng *rand.Rand) {
	var clients sync.WaitGroup
	for i := range 4 {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		clients.Go(func() { l.client(own, i) })
	}
	time.Sleep(time.Duration(20+rng.IntN(1500)) * time.Millisecond)
	l.kill()
	clients.Wait()
}

// verify reads everything. It returns how many objects there are.
func (l *load) verify() (there map[string]int) {
	there = map[string]int{}
	for path, n := range l.names {
		code, h, body, err := l.do("GET", path, nil)
		if code == 404 {
			body = nil
		} else if body == nil {
			body = []byte{}
		}
		switch {
		case err != nil || code != 200 && code != 404:
			l.t.Errorf("%s: %d, %v", path, code, err)
		case !n.may(body):
			l.t.Errorf("%s: LOST OR DAMAGED: got %d, %d bytes, Etag %s; last acknowledged %d bytes, %d later in doubt; seed %d",
				path, code, len(body), h.Get("Etag"), len(n.acked), len(n.doubt), *seed)
		case code == 200:
			there[strings.TrimPrefix(path, container+"/")] = len(body)
		}
	}
	return there
}

// row is one of a listing.
type row struct {
	Name  string `json:"name"`
	Hash  string `json:"hash"`
	Bytes int    `json:"bytes"`
}

// listed says what is wrong with the listing: every object whose last upload was acknowledged has its row, no object whose
// deletion was acknowledged has one, and the totals are those of the rows. What was in doubt when the program was killed
// may be there and not be listed: its server died between the two, as Swift's may.
func (l *load) listed() error {
	code, h, body, err := l.do("GET", container+"?format=json", nil)
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("list: %d, %v", code, err)
	}
	var rows []row
	if err := json.Unmarshal(body, &rows); err != nil {
		return err
	}
	var problems []string
	byName := map[string]row{}
	bytesUsed := 0
	for _, r := range rows {
		byName[r.Name] = r
		bytesUsed += r.Bytes
	}
	for path, n := range l.names {
		r, ok := byName[strings.TrimPrefix(path, container+"/")]
		switch sum := md5.Sum(n.acked); {
		case len(n.doubt) > 0:
		case ok != (n.acked != nil):
			problems = append(problems, fmt.Sprintf("%s: there %v, listed %v", path, n.acked != nil, ok))
		case ok && (r.Hash != hex.EncodeToString(sum[:]) || r.Bytes != len(n.acked)):
			problems = append(problems, fmt.Sprintf("%s: %d bytes, listed as %+v", path, len(n.acked), r))
		}
	}
	if got := h.Get("X-Container-Bytes-Used"); got != fmt.Sprint(bytesUsed) {
		problems = append(problems, fmt.Sprintf("%s bytes used, %d listed", got, bytesUsed))
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d problems with the listing: %s", len(problems), strings.Join(problems[:min(5, len(problems))], "; "))
	}
	return nil
}

func newLoad(t *testing.T, devices, replicas int) *load {
	l := &load{server: newServer(t, devices, replicas), names: map[string]*name{}}
	if code, _, body, err := l.do("PUT", container, nil); code != 201 || err != nil {
		t.Fatalf("container PUT: %d %s, %v", code, body, err)
	}
	return l
}

func TestKilled(t *testing.T) {
	for _, n := range []struct{ devices, replicas int }{{1, 1}, {4, 3}} {
		t.Run(fmt.Sprintf("%d devices, %d replicas", n.devices, n.replicas), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(*seed, uint64(n.devices)))
			l := newLoad(t, n.devices, n.replicas)
			there := map[string]int{}
			for round := range *rounds {
				l.run(rng)
				l.start()
				there = l.verify()
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			// One pass of the updaters is due every five seconds.
			if err := eventually(30*time.Second, l.listed); err != nil {
				t.Error(err)
			}
			if again := l.verify(); len(again) != len(there) {
				t.Errorf("there were %d objects, now there are %d", len(there), len(again))
			}
			t.Logf("%d rounds, %d writes, %d names, %d objects", *rounds, l.puts, len(l.names), len(there))
		})
	}
}

func TestDeviceRemovedWhileRunning(t *testing.T) {
	l := newLoad(t, 4, 3)
	write := func(from, to int) {
		for i := from; i < to; i++ {
			path := fmt.Sprintf("%s/o%03d", container, i)
			body := fmt.Appendf(nil, "%d %d", i, rand.Uint64())
			code, _, _, err := l.do("PUT", path, body)
			if code != 201 || err != nil {
				t.Errorf("PUT %s: %d, %v", path, code, err)
			}
			l.name(path).settle(body, code == 201)
		}
	}
	write(0, 40)
	device := filepath.Join(l.data, "devices", "d2")
	if err := os.Rename(device, l.data+"/out"); err != nil {
		t.Fatal(err)
	}
	if there := l.verify(); len(there) != 40 {
		t.Errorf("without one device %d of 40 objects are there", len(there))
	}
	write(20, 80)
	if there := l.verify(); len(there) != 80 {
		t.Errorf("without one device %d of 80 objects are there", len(there))
	}
	if _, err := os.Stat(device); err == nil {
		t.Error("the device has been made again on the disk below")
	}
	if err := os.Rename(l.data+"/out", device); err != nil {
		t.Fatal(err)
	}
	there := l.verify()
	if len(there) != 80 {
		t.Errorf("with the device back %d of 80 objects are there", len(there))
	}
	write(70, 90)
	l.verify()
	if err := eventually(30*time.Second, l.listed); err != nil {
		t.Error(err)
	}
}
