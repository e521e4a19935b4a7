package container

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver/dbservertest"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/realms"
)

const (
	accountHosts = "X-Account-Host: 10.0.0.1:6202,10.0.0.2:6202"
	accountDevs  = "X-Account-Device: sda,sdb é"
	accountPart  = "X-Account-Partition: 42"
)

// accounts plays the account servers: it answers each host with its status and keeps what it was sent.
type accounts struct {
	status map[string]int
	mu     sync.Mutex // guards seen
	seen   []string
}

func (a *accounts) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := r.Method + " " + r.URL.Host + r.URL.EscapedPath()
	for _, name := range []string{"X-Put-Timestamp", "X-Delete-Timestamp", "X-Object-Count", "X-Bytes-Used", "X-Backend-Storage-Policy-Index",
		"X-Trans-Id", "X-Account-Override-Deleted"} {
		line += " " + r.Header.Get(name)
	}
	a.seen = append(a.seen, line)
	status, ok := a.status[r.URL.Host]
	if !ok {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, Body: http.NoBody}, nil
}

func TestAccountIsTold(t *testing.T) {
	a := &accounts{status: map[string]int{"10.0.0.1:6202": 201, "10.0.0.2:6202": 404}}
	s := newServer(t, func(_ *Config, d *Deps) { d.Transport = a })
	if r := do(t, s, "PUT", "/sdb1/1/AUTH_a/c%20x", "", "X-Timestamp: 1700000001.00000", accountHosts, accountDevs, accountPart, "X-Trans-Id: tx1",
		"X-Backend-Storage-Policy-Index: 1", "X-Account-Override-Deleted: yes"); r.StatusCode != 201 {
		t.Errorf("PUT: got %d, want 201", r.StatusCode)
	}
	if r := do(t, s, "DELETE", "/sdb1/1/AUTH_a/c%20x", "", "X-Timestamp: 1700000002.00000", accountHosts, accountDevs, accountPart); r.StatusCode != 204 {
		t.Errorf("DELETE: got %d, want 204", r.StatusCode)
	}
	want := []string{
		"PUT 10.0.0.1:6202/sda/42/AUTH_a/c%20x 1700000001.00000 0 0 0 1 tx1 yes",
		"PUT 10.0.0.2:6202/sdb%20%C3%A9/42/AUTH_a/c%20x 1700000001.00000 0 0 0 1 tx1 yes",
		"PUT 10.0.0.1:6202/sda/42/AUTH_a/c%20x 1700000001.00000 1700000002.00000 0 0 1 - ",
		"PUT 10.0.0.2:6202/sdb%20%C3%A9/42/AUTH_a/c%20x 1700000001.00000 1700000002.00000 0 0 1 - ",
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(a.seen, "\n"), w) {
			t.Errorf("updates:\n%s\nlack\n%s", strings.Join(a.seen, "\n"), w)
		}
	}
}

func TestAccountUpdateOutcomes(t *testing.T) {
	for _, c := range []struct {
		what          string
		one, two      int // 0: no answer
		hosts         string
		put, again    int
		expectUpdates int
	}{
		{"both take it", 201, 204, accountHosts, 201, 202, 2},
		{"one does not answer", 0, 201, accountHosts, 201, 202, 2},
		{"none answers", 0, 0, accountHosts, 201, 202, 2},
		{"one fails, one has no account", 503, 404, accountHosts, 201, 202, 2},
		{"neither has the account", 404, 404, accountHosts, 404, 404, 2},
		{"more hosts than devices", 201, 201, accountHosts + ",10.0.0.3:6202", 400, 400, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := &accounts{status: map[string]int{}}
			for host, status := range map[string]int{"10.0.0.1:6202": c.one, "10.0.0.2:6202": c.two} {
				if status != 0 {
					a.status[host] = status
				}
			}
			s := newServer(t, func(_ *Config, d *Deps) { d.Transport = a })
			for i, want := range []int{c.put, c.again} {
				if r := do(t, s, "PUT", "/sdb1/1/a/c", "", fmt.Sprintf("X-Timestamp: %d", 1700000001+i), c.hosts, accountDevs, accountPart); r.StatusCode != want {
					t.Errorf("PUT %d: got %d, want %d", i, r.StatusCode, want)
				}
			}
			if len(a.seen) != 2*c.expectUpdates {
				t.Errorf("updates: got %q", a.seen)
			}
		})
	}
}

func TestSlowAccountServerIsGivenUp(t *testing.T) {
	devices := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *Config, d *Deps) {
			c.NodeTimeout = config.Seconds(3)
			d.Transport = dbservertest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		s.Frame.Config.Devices = devices
		if err := os.Mkdir(filepath.Join(devices, "sdb1"), 0o755); err != nil {
			t.Fatal(err)
		}
		if r := do(t, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1", accountHosts, accountDevs, accountPart); r.StatusCode != 201 {
			t.Errorf("PUT: got %d, want 201", r.StatusCode)
		}
		s.deps.Brokers.Close()
	})
}

func TestDevices(t *testing.T) {
	for _, c := range []struct {
		what, method, path string
		change             func(*Config, *Deps)
		want               int
	}{
		{"missing device", "GET", "/sdz/1/a/c", nil, 507},
		{"device that is a file", "GET", "/file/1/a/c", func(c *Config, _ *Deps) { os.WriteFile(filepath.Join(c.Devices, "file"), nil, 0o644) }, 507},
		{"name that no device can have", "GET", "/s%20d/1/a/c", nil, 507},
		{"device that is not mounted", "GET", "/sdb1/1/a/c", func(c *Config, _ *Deps) { c.MountCheck = true }, 507},
		{"device marked as good without a mount", "GET", "/sdb1/1/a/c", func(c *Config, _ *Deps) {
			c.MountCheck = true
			os.WriteFile(filepath.Join(c.Devices, "sdb1", ".ismount"), nil, 0o644)
		}, 404},
		{"full device, reading", "GET", "/sdb1/1/a/c", full, 404},
		{"full device, writing", "PUT", "/sdb1/1/a/c", full, 507},
		{"full device, row", "PUT", "/sdb1/1/a/c/o", full, 507},
		{"full device, post", "POST", "/sdb1/1/a/c", full, 507},
		{"full device, update", "UPDATE", "/sdb1/1/a/c", full, 507},
		{"full device, deleting", "DELETE", "/sdb1/1/a/c", full, 404},
		{"way out of the devices", "GET", "/../1/a/c", nil, 400},
	} {
		s := newServer(t, c.change)
		if r := do(t, s, c.method, c.path, "", "X-Timestamp: 1700000001.00000"); r.StatusCode != c.want {
			t.Errorf("%s: got %d, want %d", c.what, r.StatusCode, c.want)
		}
	}
}

// full makes every device count as full.
func full(c *Config, _ *Deps) { c.FallocateReserve.UnmarshalText([]byte("100%")) }

func TestReplicateIsRefused(t *testing.T) {
	s := newServer(t, nil)
	if r := do(t, s, "REPLICATE", "/sdb1/1/"+strings.Repeat("0", 32), `["sync"]`); r.StatusCode != 501 {
		t.Errorf("REPLICATE: got %d, want 501", r.StatusCode)
	}
	s = newServer(t, func(c *Config, _ *Deps) { c.ReplicationServer = false })
	if r := do(t, s, "REPLICATE", "/sdb1/1/x", ""); r.StatusCode != 405 {
		t.Errorf("REPLICATE without replication_server: got %d, want 405", r.StatusCode)
	}
}

func TestRowsThatSwiftWouldChokeOn(t *testing.T) {
	s := newServer(t, nil)
	do(t, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1")
	good := []string{"X-Timestamp: 1700000001.00000", "X-Size: 1", "X-Content-Type: a/b", "X-Etag: e"}
	for _, bad := range []string{"X-Size: x", "X-Size: ", "X-Content-Type-Timestamp: x", "X-Meta-Timestamp: y", "X-Timestamp: z"} {
		if r := do(t, s, "PUT", "/sdb1/1/a/c/o", "", append(good, bad)...); r.StatusCode != 400 {
			t.Errorf("%s: got %d, want 400", bad, r.StatusCode)
		}
	}
	for _, body := range []string{"x", `{"a":1}`, `[{"name":""}]`, `[{"name":"a","created_at":"x"}]`, `[{"name":5}]`} {
		if r := do(t, s, "UPDATE", "/sdb1/1/a/c", body, good...); r.StatusCode != 400 {
			t.Errorf("UPDATE %s: got %d, want 400", body, r.StatusCode)
		}
	}
	for _, body := range []string{"x", `[{"name":"x"}]`, `[{"name":"a/b","timestamp":"1","state":41}]`, `[{"name":"a/b","timestamp":"x","state":40}]`} {
		if r := do(t, s, "PUT", "/sdb1/1/a/c", body, append(good, "X-Backend-Record-Type: shard")...); r.StatusCode != 400 {
			t.Errorf("PUT of ranges %s: got %d, want 400", body, r.StatusCode)
		}
	}
	if r := do(t, s, "GET", "/sdb1/1/a/c", ""); r.StatusCode != 204 {
		t.Errorf("GET after all that: got %d, want 204", r.StatusCode)
	}
}

// withRealms gives the server a realm US with the cluster DFW.
func withRealms(t *testing.T) func(*Config, *Deps) {
	t.Helper()
	path := filepath.Join(t.TempDir(), realms.FileName)
	if err := os.WriteFile(path, []byte("[US]\nkey = k\ncluster_DFW = http://far/v1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rs, err := realms.Follow(path, realms.FollowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *Config, d *Deps) { d.Realms = rs }
}

func TestSyncStoreFollowsTheMetadata(t *testing.T) {
	s := newServer(t, withRealms(t))
	put := func(want int, headers ...string) {
		t.Helper()
		if r := do(t, s, "PUT", "/sdb1/1/a/c", "", headers...); r.StatusCode != want {
			t.Errorf("PUT %q: got %d %s, want %d", headers, r.StatusCode, read(t, r), want)
		}
	}
	links := func() int {
		found, err := filepath.Glob(filepath.Join(s.config.Devices, "sdb1/sync_containers/1/*/*/*.db"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			if _, err := os.Stat(l); err != nil {
				t.Error(err)
			}
		}
		return len(found)
	}
	put(400, "X-Timestamp: 1", "X-Container-Sync-To: //US/LON/a/c")
	put(400, "X-Timestamp: 1", "X-Container-Sync-To: //EU/DFW/a/c")
	put(201, "X-Timestamp: 1", "X-Container-Sync-To: //us/dfw/a/c")
	if n := links(); n != 0 {
		t.Errorf("without a key there are %d links", n)
	}
	put(202, "X-Timestamp: 2", "X-Container-Sync-Key: k")
	put(202, "X-Timestamp: 3", "X-Container-Sync-Key: k2")
	if n := links(); n != 1 {
		t.Errorf("with destination and key there are %d links, want 1", n)
	}
	put(202, "X-Timestamp: 4", "X-Container-Sync-To: ")
	if n := links(); n != 0 {
		t.Errorf("after the destination went there are %d links", n)
	}
}

func TestChangedSyncDestinationStartsOver(t *testing.T) {
	s := newServer(t, withRealms(t))
	do(t, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1", "X-Container-Sync-To: //us/dfw/a/c")
	b := s.deps.Brokers.Container(broker.Place{Device: filepath.Join(s.config.Devices, "sdb1"), Partition: "1", Hash: s.deps.Hasher.Sum("a", "c").Hex()}, "a", "c")
	points := func() [2]int64 {
		info, err := b.Info(broker.Fresh)
		if err != nil {
			t.Fatal(err)
		}
		return [2]int64{info.SyncPoint1, info.SyncPoint2}
	}
	if err := b.SetSyncPoints(5, 6); err != nil {
		t.Fatal(err)
	}
	do(t, s, "POST", "/sdb1/1/a/c", "", "X-Timestamp: 2", "X-Container-Sync-To: //us/dfw/a/c")
	if got := points(); got != [2]int64{5, 6} {
		t.Errorf("same destination: got %v", got)
	}
	do(t, s, "POST", "/sdb1/1/a/c", "", "X-Timestamp: 3", "X-Container-Sync-To: //us/dfw/a/d")
	if got := points(); got != [2]int64{-1, -1} {
		t.Errorf("another destination: got %v", got)
	}
}

func TestDamagedDatabaseIsSetAside(t *testing.T) {
	s := newServer(t, nil)
	do(t, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1")
	files, _ := filepath.Glob(filepath.Join(s.config.Devices, "sdb1/containers/1/*/*/*.db"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	if err := os.WriteFile(files[0], []byte(strings.Repeat("garbage!", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := do(t, s, "GET", "/sdb1/1/a/c", ""); r.StatusCode != 500 {
		t.Errorf("first GET: got %d, want 500", r.StatusCode)
	}
	if r := do(t, s, "GET", "/sdb1/1/a/c", ""); r.StatusCode != 404 {
		t.Errorf("second GET: got %d, want 404", r.StatusCode)
	}
	if set, _ := filepath.Glob(filepath.Join(s.config.Devices, "sdb1/quarantined/containers/*/*.db")); len(set) != 1 {
		t.Errorf("quarantined: got %v, want the database", set)
	}
}

func TestShardFormats(t *testing.T) {
	s := newServer(t, nil)
	do(t, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1")
	do(t, s, "PUT", "/sdb1/1/a/c", `[{"name":".shards_a/c-0","timestamp":"2","lower":"","upper":"m","state":40}]`,
		"X-Timestamp: 2", "X-Backend-Record-Type: shard")
	for _, c := range []struct {
		query, header string
		status        int
		body          string
	}{
		{"states=active", "X-Backend-Record-Shard-Format: namespace", 200, `[{"name": ".shards_a/c-0", "lower": "", "upper": "m"}]`},
		{"states=auditing", "X-Backend-Record-Shard-Format: namespace", 400, ""},
		{"states=active", "X-Backend-Record-Shard-Format: other", 400, ""},
	} {
		r := do(t, s, "GET", "/sdb1/1/a/c?format=json&"+c.query, "", "X-Backend-Record-Type: shard", c.header)
		if body := read(t, r); r.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%s %s: got %d %s, want %d %s", c.query, c.header, r.StatusCode, body, c.status, c.body)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	s := newServer(b, func(c *Config, _ *Deps) { c.LogRequests = false })
	do(b, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1")
	for b.Loop() {
		if r := do(b, s, "HEAD", "/sdb1/1/a/c", ""); r.StatusCode != 204 {
			b.Fatal(r.StatusCode)
		}
	}
}

func BenchmarkPutRow(b *testing.B) {
	s := newServer(b, func(c *Config, _ *Deps) { c.LogRequests = false })
	do(b, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1")
	headers := []string{"X-Timestamp: 1700000001.00000", "X-Size: 1", "X-Content-Type: text/plain", "X-Etag: d41d8cd98f00b204e9800998ecf8427e"}
	n := 0
	for b.Loop() {
		n++
		if r := do(b, s, "PUT", fmt.Sprintf("/sdb1/1/a/c/object-%09d", n), "", headers...); r.StatusCode != 201 {
			b.Fatal(r.StatusCode)
		}
	}
}
