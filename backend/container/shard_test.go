package container

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shardedContainer makes a container that Swift's sharder has finished with: one database with an epoch, whose own range
// has that epoch, and ranges for the shards.
func shardedContainer(t *testing.T) *Server {
	t.Helper()
	s := newServer(t, nil)
	do(t, s, "PUT", "/sdb1/1/a/c", "", "X-Timestamp: 1700000001")
	own := `{"name":"a/c","timestamp":"1700000001","lower":"","upper":"","state":70,"epoch":"1700000100.00000"}`
	shard := `{"name":".shards_a/c-%d","timestamp":"1700000002","lower":"%s","upper":"%s","state":40,"object_count":%d,"bytes_used":%d}`
	body := "[" + strings.Join([]string{own, fmt.Sprintf(shard, 0, "", "m", 3, 30), fmt.Sprintf(shard, 1, "m", "", 4, 40)}, ",") + "]"
	if r := do(t, s, "PUT", "/sdb1/1/a/c", body, "X-Timestamp: 1700000002", "X-Backend-Record-Type: shard"); r.StatusCode != 202 {
		t.Fatal(r.StatusCode, read(t, r))
	}
	files, err := filepath.Glob(filepath.Join(s.config.Devices, "sdb1/containers/1/*/*/*.db"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Rename(files[0], strings.TrimSuffix(files[0], ".db")+"_1700000100.00000.db"); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShardedContainer(t *testing.T) {
	s := shardedContainer(t)
	head := do(t, s, "HEAD", "/sdb1/1/a/c", "")
	for name, want := range map[string]string{"X-Backend-Sharding-State": "sharded", "X-Container-Object-Count": "7", "X-Container-Bytes-Used": "70"} {
		if got := head.Header.Get(name); got != want {
			t.Errorf("HEAD: %s is %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		what, query string
		headers     []string
		record      string
		names       []string
	}{
		{"auto", "?format=json&states=listing", []string{"X-Backend-Record-Type: auto"}, "shard", []string{".shards_a/c-0", ".shards_a/c-1"}},
		{"part of the ranges", "?format=json&states=listing&marker=n", []string{"X-Backend-Record-Type: auto"}, "shard", []string{".shards_a/c-1"}},
		{"all ranges for a cache", "?format=json&states=listing&marker=n&reverse=true",
			[]string{"X-Backend-Record-Type: shard", "X-Backend-Override-Shard-Name-Filter: sharded"}, "shard", []string{".shards_a/c-0", ".shards_a/c-1"}},
		{"own range in an audit", "?format=json&states=auditing", []string{"X-Backend-Record-Type: shard"}, "shard", []string{".shards_a/c-0", "a/c", ".shards_a/c-1"}},
		{"namespaces", "?format=json&states=listing", []string{"X-Backend-Record-Type: auto", "X-Backend-Record-Shard-Format: namespace"}, "shard",
			[]string{".shards_a/c-0", ".shards_a/c-1"}},
		{"objects", "?format=json", nil, "object", nil},
	} {
		r := do(t, s, "GET", "/sdb1/1/a/c"+c.query, "", c.headers...)
		body := read(t, r)
		if r.StatusCode != 200 || r.Header.Get("X-Backend-Record-Type") != c.record || strings.Count(body, `"name"`) != len(c.names) {
			t.Errorf("%s: got %d, %s, %s", c.what, r.StatusCode, r.Header.Get("X-Backend-Record-Type"), body)
		}
		for _, name := range c.names {
			if !strings.Contains(body, `"`+name+`"`) {
				t.Errorf("%s: %s lacks %s", c.what, body, name)
			}
		}
	}
	if r := do(t, s, "DELETE", "/sdb1/1/a/c", "", "X-Timestamp: 1700000009"); r.StatusCode != http.StatusConflict {
		t.Errorf("DELETE: got %d, want 409 for what the shards hold", r.StatusCode)
	}
}

func TestRowsOfAShardedContainer(t *testing.T) {
	s := shardedContainer(t)
	row := []string{"X-Timestamp: 1700000005", "X-Size: 1", "X-Content-Type: a/b", "X-Etag: e"}
	r := do(t, s, "PUT", "/sdb1/1/a/c/n%20o", "", append(row, "X-Backend-Accept-Redirect: true", "X-Backend-Accept-Quoted-Location: true")...)
	if got := r.Header.Get("Location"); r.StatusCode != 301 || got != "/.shards_a/c-1/n%20o" {
		t.Errorf("redirect: got %d %s", r.StatusCode, got)
	}
	if got := r.Header.Get("X-Backend-Redirect-Timestamp"); got != "1700000002.00000" {
		t.Errorf("redirect timestamp: got %s", got)
	}
	// A sender that cannot follow leaves its row here, for the sharder to move.
	if r := do(t, s, "PUT", "/sdb1/1/a/c/o", "", row...); r.StatusCode != 201 {
		t.Errorf("row without redirect: got %d, want 201", r.StatusCode)
	}
	if body := read(t, do(t, s, "GET", "/sdb1/1/a/c", "")); body != "o\n" {
		t.Errorf("listing: got %q", body)
	}
}
