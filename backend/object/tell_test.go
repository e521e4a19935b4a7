package object_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
)

// containers stands for the container servers.
type containers struct {
	mu     sync.Mutex
	got    []string // "METHOD host path header=value ..."
	answer func(r *http.Request) (status int, h http.Header, err error)
}

func (f *containers) RoundTrip(r *http.Request) (*http.Response, error) {
	line := r.Method + " " + r.URL.Host + " " + r.URL.EscapedPath()
	var names []string
	for name := range r.Header {
		if name != "User-Agent" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		line += " " + name + "=" + r.Header.Get(name)
	}
	f.mu.Lock()
	f.got = append(f.got, line)
	f.mu.Unlock()
	status, h, err := http.StatusCreated, http.Header{}, error(nil)
	if f.answer != nil {
		status, h, err = f.answer(r)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func (f *containers) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	slices.Sort(got)
	return got
}

func newTelling(t testing.TB, f *containers) *node {
	return newNode(t, func(_ *object.Config, d *object.Deps) { d.Transport = f })
}

// saved reads the updates that wait on the disk, by file name.
func (n *node) saved(t testing.TB, dir string) map[string]updates.Update {
	t.Helper()
	found := map[string]updates.Update{}
	suffixes, err := n.memory.Names("/srv/node/sdb1/"+dir, nil)
	if errors.Is(err, os.ErrNotExist) {
		return found
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range suffixes {
		names, err := n.memory.Names("/srv/node/sdb1/"+dir+"/"+suffix, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := disk.ReadFile(n.memory, "/srv/node/sdb1/"+dir+"/"+suffix+"/"+name)
			if err != nil {
				t.Fatal(err)
			}
			u, err := updates.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			found[suffix+"/"+name] = u
		}
	}
	return found
}

const path = "/sdb1/13/AUTH_test/c/o1"

// told are the headers by which a proxy names container servers.
func told(pairs ...string) []string {
	return append([]string{"Content-Type", "text/plain", "X-Container-Partition", "6", "X-Container-Host", "10.0.0.1:6201, 10.0.0.2:6201",
		"X-Container-Device", "sda,sdb", "X-Trans-Id", "tx1", "X-Timestamp", "1795000000.00000"}, pairs...)
}

func TestContainerUpdatesAreSent(t *testing.T) {
	f := &containers{}
	n := newTelling(t, f)
	do(t, n, "PUT", path, "hello world", told("X-Backend-Container-Update-Override-Size", "7",
		"X-Backend-Container-Update-Override-Etag", "old", "X-Object-Sysmeta-Container-Update-Override-Etag", "new")...).expect(t, 201)
	tail := " Referer=PUT http://example.com/sdb1/13/AUTH_test/c/o1 X-Backend-Storage-Policy-Index=0"
	row := " X-Content-Type=text/plain X-Etag=new X-Size=7 X-Timestamp=1795000000.00000 X-Trans-Id=tx1"
	want := []string{"PUT 10.0.0.1:6201 /sda/6/AUTH_test/c/o1" + tail + row, "PUT 10.0.0.2:6201 /sdb/6/AUTH_test/c/o1" + tail + row}
	if got := f.take(); !slices.Equal(got, want) {
		t.Errorf("PUT told\n%q\nwant\n%q", got, want)
	}
	do(t, n, "DELETE", path, "", told("X-Timestamp", "1795000001.00000", "X-Backend-Quoted-Container-Path", ".shards_a/c%20%25")...).expect(t, 204)
	got := f.take()
	if len(got) != 2 || !strings.HasPrefix(got[0], "DELETE 10.0.0.1:6201 /sda/6/.shards_a/c%20%25/o1 Referer=DELETE") {
		t.Errorf("DELETE told %q", got)
	}
	do(t, n, "PUT", path, "x", "X-Timestamp", "1795000002", "Content-Type", "a/b", "X-Container-Host", "h:1", "X-Container-Device", "d").expect(t, 201)
	do(t, n, "PUT", path, "x", told("X-Timestamp", "1795000003", "X-Container-Device", "one")...).expect(t, 201)
	if got := f.take(); len(got) != 0 {
		t.Errorf("updates without a partition or with lists that do not match: %q, want none", got)
	}
	if got := n.saved(t, "async_pending"); len(got) != 0 {
		t.Errorf("saved %v, want nothing", got)
	}
}

func TestContainerUpdatesThatFailAreSaved(t *testing.T) {
	const name = "113/d575ab15bbd6f0c3e3663a53d7a78113-1795000000.00000"
	redirect := http.Header{"Location": {"/.shards_AUTH_test/c-x/o1"}, "X-Backend-Redirect-Timestamp": {"1795000000.00000"}}
	for _, tc := range []struct {
		name   string
		answer func(r *http.Request) (int, http.Header, error)
		change []string
		want   int
		path   string
	}{
		{"one of two servers fails", func(r *http.Request) (int, http.Header, error) {
			if r.URL.Host == "10.0.0.1:6201" {
				return 503, nil, nil
			}
			return 201, nil, nil
		}, nil, 1, ""},
		{"both fail", func(*http.Request) (int, http.Header, error) { return 0, nil, errors.New("refused") }, nil, 1, ""},
		{"redirected to a shard", func(*http.Request) (int, http.Header, error) { return 301, redirect, nil }, nil, 1, ".shards_AUTH_test/c-x"},
		{"redirected without a time", func(*http.Request) (int, http.Header, error) {
			return 301, http.Header{"Location": {"/a/c/o"}}, nil
		}, nil, 1, ""},
		{"no server named", nil, []string{"X-Container-Host", "", "X-Container-Device", ""}, 1, ""},
		{"all is well", nil, nil, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newTelling(t, &containers{answer: tc.answer})
			do(t, n, "PUT", path, "hello world", told(append([]string{"X-Container-Root-Db-State", "sharded"}, tc.change...)...)...).expect(t, 201)
			n.Close()
			got := n.saved(t, "async_pending")
			if len(got) != tc.want {
				t.Fatalf("saved %v, want %d", got, tc.want)
			}
			if tc.want == 0 {
				return
			}
			u, ok := got[name]
			if !ok {
				t.Fatalf("saved %v, want %s", got, name)
			}
			if u.Op != "PUT" || u.Account != "AUTH_test" || u.Container != "c" || u.Object != "o1" || u.DBState != "sharded" ||
				u.ContainerPath != tc.path || u.Header("x-etag") != "5eb63bbbe01eeed093cb22bb8f5acdc3" || u.Header("X-Size") != "11" {
				t.Errorf("saved %+v", u)
			}
		})
	}
}

func TestSlowContainerServerDoesNotHoldTheClient(t *testing.T) {
	let := make(chan struct{})
	f := &containers{answer: func(*http.Request) (int, http.Header, error) { <-let; return 500, nil, nil }}
	n := newNode(t, func(c *object.Config, d *object.Deps) {
		d.Transport = f
		c.ContainerUpdateTimeout = config.Seconds(0.001)
	})
	do(t, n, "PUT", path, "x", told()...).expect(t, 201)
	// The process may be killed before the container server has answered.
	if got := n.saved(t, "async_pending"); len(got) != 1 {
		t.Errorf("saved %v when the client was answered, want one update", got)
	}
	close(let)
	n.Close()
	if got := n.saved(t, "async_pending"); len(got) != 1 {
		t.Errorf("saved %v after Close, want one update", got)
	}
}

func TestExpiryQueue(t *testing.T) {
	f := &containers{}
	n := newTelling(t, f)
	queue := []string{"X-Delete-At-Container", "4102358393", "X-Delete-At-Partition", "9", "X-Delete-At-Host", "10.0.0.3:6201", "X-Delete-At-Device", "sdq"}
	base := []string{"Content-Type", "text/plain"}
	with := func(more ...string) []string { return append(slices.Concat(base, queue), more...) }
	do(t, n, "PUT", path, "four", with("X-Timestamp", "1795000000", "X-Delete-At", "4102444800")...).expect(t, 201)
	want := "PUT 10.0.0.3:6201 /sdq/9/.expiring_objects/4102358393/4102444800-AUTH_test/c/o1 " +
		"Referer=PUT http://example.com/sdb1/13/AUTH_test/c/o1 X-Backend-Storage-Policy-Index=0 X-Content-Type=text/plain;swift_expirer_bytes=4 " +
		"X-Content-Type-Timestamp=1795000000.00000 X-Etag=d41d8cd98f00b204e9800998ecf8427e X-Size=0 X-Timestamp=1795000000.00000 X-Trans-Id=-"
	if got := f.take(); !slices.Equal(got, []string{want}) {
		t.Errorf("PUT told %q\nwant %q", got, want)
	}
	// The old row goes only by way of the disk, and only if this node is to see to it.
	do(t, n, "POST", path, "", "X-Timestamp", "1795000001", "X-Delete-At", "4102444801", "X-Backend-Clean-Expiring-Object-Queue", "f").expect(t, 202)
	if got, sent := n.saved(t, "async_pending"), f.take(); len(got) != 0 || len(sent) != 0 {
		t.Errorf("POST that is not to clean up and names no servers saved %v and sent %q", got, sent)
	}
	do(t, n, "POST", path, "", "X-Timestamp", "1795000002", "X-Backend-Clean-Expiring-Object-Queue", "t").expect(t, 202)
	got, sent := n.saved(t, "async_pending"), f.take()
	if len(got) != 1 || len(sent) != 0 {
		t.Fatalf("POST that removes the time saved %v and sent %q, want one saved", got, sent)
	}
	for _, u := range got {
		if u.Op != "DELETE" || u.Account != ".expiring_objects" || u.Object != "4102444801-AUTH_test/c/o1" ||
			u.Header("X-Timestamp") != "1795000002.00000" || u.Header("X-Backend-Storage-Policy-Index") != "0" {
			t.Errorf("saved %+v", u)
		}
	}
	// Servers named that cannot be used: the disk.
	do(t, n, "PUT", "/sdb1/13/AUTH_test/c/o2", "", with("X-Timestamp", "1795000000", "X-Delete-At", "4102444800", "X-Delete-At-Device", "")...).expect(t, 201)
	if got := n.saved(t, "async_pending"); len(got) != 2 || len(f.take()) != 0 {
		t.Errorf("saved %v, want another", got)
	}
	do(t, n, "PUT", "/sdb1/13/AUTH_test/c/o3", "", with("X-Timestamp", "1795000000", "X-Delete-At", "4102444800", "X-Backend-Replication", "1")...).expect(t, 201)
	if got := n.saved(t, "async_pending"); len(got) != 2 || len(f.take()) != 0 {
		t.Errorf("a replicator's PUT saved %v, want nothing", got)
	}
}

// TestQueueContainerNames compares the containers of the queue with those that Swift chooses.
func TestQueueContainerNames(t *testing.T) {
	data, err := os.ReadFile("testdata/expirer.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Account, Container, Object string
		Name                       string `json:"container_name"`
		Task                       string `json:"task_object"`
		Divisor                    int64
		DeleteAt                   json.RawMessage `json:"x_delete_at"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		at := strings.Trim(string(v.DeleteAt), `"`)
		if at == "0" {
			continue // means never, and cannot be set
		}
		n := newNode(t, func(c *object.Config, _ *object.Deps) { c.ExpiringDivisor = v.Divisor })
		p := "/sdb1/1/" + apipath.Quote(v.Account+"/"+v.Container+"/"+v.Object)
		do(t, n, "PUT", p, "", "Content-Type", "a/b", "X-Timestamp", "1", "X-Delete-At", at).expect(t, 201)
		do(t, n, "DELETE", p, "", "X-Timestamp", "2").expect(t, 204)
		for _, u := range n.saved(t, "async_pending") {
			if u.Container != v.Name || u.Object != v.Task {
				t.Errorf("%+v: saved %s %s", v, u.Container, u.Object)
			}
		}
		if got := n.saved(t, "async_pending"); len(got) != 1 {
			t.Errorf("%+v: saved %v, want one", v, got)
		}
	}
}
