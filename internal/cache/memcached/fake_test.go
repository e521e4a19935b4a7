package memcached

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeServer is a memcached that records what it is told and can be made to misbehave.
type fakeServer struct {
	t      *testing.T
	listen net.Listener
	now    func() time.Time
	wg     sync.WaitGroup

	mu    sync.Mutex // guards all below
	items map[string]fakeItem
	conns map[net.Conn]bool
	heard []string // whole commands, with their data
	// answer, if set, is asked for each command first. "" lets the server do its work, hangUp closes the connection.
	answer func(command string) string
	opened int
}

type fakeItem struct {
	flags  string
	data   string
	expiry time.Time // zero for never
}

const hangUp = "\x00hang up"

func newFake(t *testing.T) *fakeServer { return newFakeTLS(t, nil) }

func newFakeTLS(t *testing.T, conf *tls.Config) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if conf != nil {
		l = tls.NewListener(l, conf)
	}
	f := &fakeServer{t: t, listen: l, now: time.Now, items: map[string]fakeItem{}, conns: map[net.Conn]bool{}}
	f.wg.Go(f.accept)
	t.Cleanup(f.stop)
	return f
}

func (f *fakeServer) addr() string { return f.listen.Addr().String() }

func (f *fakeServer) stop() {
	f.listen.Close()
	f.dropConnections()
	f.wg.Wait()
}

// dropConnections closes what clients have open, as a restart would.
func (f *fakeServer) dropConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

func (f *fakeServer) answerWith(fn func(command string) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = fn
}

// commands returns what was heard since the last call.
func (f *fakeServer) commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	heard := f.heard
	f.heard = nil
	return heard
}

func (f *fakeServer) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

func (f *fakeServer) accept() {
	for {
		c, err := f.listen.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[c] = true
		f.opened++
		f.mu.Unlock()
		f.wg.Go(func() {
			f.serve(c)
			c.Close()
			f.mu.Lock()
			delete(f.conns, c)
			f.mu.Unlock()
		})
	}
}

func (f *fakeServer) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		var data []byte
		if len(words) == 5 && (words[0] == "set" || words[0] == "add") {
			n, err := strconv.Atoi(words[4])
			if err != nil {
				f.t.Errorf("fake server heard %q", line)
				return
			}
			data = make([]byte, n+2)
			if _, err := io.ReadFull(r, data); err != nil {
				return
			}
		}
		reply := f.handle(line+string(data), words, string(bytes.TrimSuffix(data, []byte("\r\n"))))
		if reply == hangUp {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}

func (f *fakeServer) handle(command string, words []string, data string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, command)
	if f.answer != nil {
		if reply := f.answer(command); reply != "" {
			return reply
		}
	}
	if len(words) == 0 {
		return "ERROR\r\n"
	}
	switch verb := words[0]; verb {
	case "get", "gets":
		var out strings.Builder
		for _, key := range words[1:] {
			if it, ok := f.lookup(key); ok {
				fmt.Fprintf(&out, "VALUE %s %s %d 7\r\n%s\r\n", key, it.flags, len(it.data), it.data)
			}
		}
		return out.String() + "END\r\n"
	case "set", "add":
		if _, ok := f.lookup(words[1]); ok && verb == "add" {
			return "NOT_STORED\r\n"
		}
		if len(data) > 1<<20 {
			delete(f.items, words[1])
			return "SERVER_ERROR object too large for cache\r\n"
		}
		f.items[words[1]] = fakeItem{words[2], data, f.expiry(words[3])}
		return "STORED\r\n"
	case "delete":
		if _, ok := f.lookup(words[1]); !ok {
			return "NOT_FOUND\r\n"
		}
		delete(f.items, words[1])
		return "DELETED\r\n"
	case "incr", "decr":
		return f.count(verb, words[1], words[2])
	}
	return "ERROR\r\n"
}

func (f *fakeServer) lookup(key string) (fakeItem, bool) {
	it, ok := f.items[key]
	if ok && !it.expiry.IsZero() && !f.now().Before(it.expiry) {
		delete(f.items, key)
		return fakeItem{}, false
	}
	return it, ok
}

func (f *fakeServer) expiry(text string) time.Time {
	s, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		f.t.Errorf("fake server heard expiry %q", text)
		return time.Time{}
	case s == 0:
		return time.Time{}
	case s > int64(longestRelative/time.Second):
		return time.Unix(s, 0)
	}
	return f.now().Add(time.Duration(s) * time.Second)
}

func (f *fakeServer) count(verb, key, delta string) string {
	it, ok := f.lookup(key)
	if !ok {
		return "NOT_FOUND\r\n"
	}
	n, err := strconv.ParseUint(strings.TrimSpace(it.data), 10, 64)
	d, derr := strconv.ParseUint(delta, 10, 64)
	if errors.Join(err, derr) != nil {
		return "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	}
	if verb == "incr" {
		n += d
	} else {
		n -= min(n, d)
	}
	text := strconv.FormatUint(n, 10)
	reply := text + "\r\n"
	if verb == "decr" {
		text += strings.Repeat(" ", max(0, len(it.data)-len(text)))
	}
	it.data = text
	f.items[key] = it
	return reply
}
