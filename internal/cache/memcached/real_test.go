package memcached

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/cachetest"
)

// startReal starts a memcached on loopback and returns its address. The test is skipped when none is installed.
func startReal(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		tb.Skip("memcached is not installed")
	}
	// A port that was free a moment ago can be taken by somebody else, so the start may need repeating.
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr)
		l.Close()
		args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(addr.Port), "-U", "0", "-m", "16"}
		if os.Geteuid() == 0 {
			args = append(args, "-u", "nobody")
		}
		cmd := exec.Command(path, args...)
		if err := cmd.Start(); err != nil {
			tb.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		if !listening(addr.String(), ended) {
			_ = cmd.Process.Kill()
			<-ended
			continue
		}
		tb.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		return addr.String()
	}
	tb.Fatal("memcached does not start")
	return ""
}

// listening waits until addr accepts connections, or ended.
func listening(addr string, ended <-chan struct{}) bool {
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for range 400 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-retry.C:
		}
	}
	return false
}

func TestConformanceOfARealMemcached(t *testing.T) {
	var servers []string
	for range 2 {
		servers = append(servers, startReal(t))
	}
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		for _, s := range servers {
			flush(t, s)
		}
		return cachetest.Subject{Cache: open(t, servers, nil), MaxItem: 1<<20 + 1}
	})
}

func flush(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reply := make([]byte, 4)
	if _, err := c.Write([]byte("flush_all\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(reply); err != nil {
		t.Fatal(err)
	}
}

// swiftRing runs a script with OpenStack Swift's own client as "ring" and returns what it prints. The test is skipped
// where Swift is not installed.
func swiftRing(t *testing.T, servers []string, script string) []byte {
	t.Helper()
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil || exec.Command(python, "-c", "import swift.common.memcached").Run() != nil {
		t.Skip("OpenStack Swift's Python package is not installed")
	}
	list, err := json.Marshal(servers)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", fmt.Sprintf(
		"import json\nfrom swift.common.memcached import MemcacheRing\nring = MemcacheRing(%s)\n%s", list, script))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run Swift's client: %v\n%s", err, errs.Bytes())
	}
	return out
}

// TestInterchangeWithSwift lets OpenStack Swift's client and this one read what the other wrote, spread over several
// servers, so that a difference in choosing servers shows too.
func TestInterchangeWithSwift(t *testing.T) {
	var servers []string
	for range 3 {
		servers = append(servers, startReal(t))
	}
	c := open(t, servers, nil)
	ctx := t.Context()
	const n = 30
	doc := map[string]any{"status": 204.0, "meta": map[string]any{"caf\u00e9": "\u2603 \U0001f426 \"\\"}, "none": nil}

	swiftRing(t, servers, `
doc = {"status": 204, "meta": {"caf\u00e9": "\u2603 \U0001f426 \"\\"}, "none": None}
for i in range(30):
    ring.set("swift/json/%d" % i, doc, time=60)
    ring.set("swift/text/%d" % i, "text %d" % i, serialize=False, time=60)
    ring.incr("swift/count/%d" % i, delta=i, time=60)
    ring.set_multi({"a%d" % i: [i], "b": i}, "swift/group/%d" % i, time=60)
`)
	for i := range n {
		var got map[string]any
		if err := cache.GetJSON(ctx, c, fmt.Sprintf("swift/json/%d", i), &got); err != nil || !equalJSON(got, doc) {
			t.Errorf("Swift's json %d: got %v, %v, want %v", i, got, err, doc)
		}
		v, err := c.Get(ctx, fmt.Sprintf("swift/text/%d", i))
		if err != nil || v.JSON || string(v.Data) != fmt.Sprint("text ", i) {
			t.Errorf("Swift's text %d: got %q, json %v, %v", i, v.Data, v.JSON, err)
		}
		if got, err := c.Incr(ctx, fmt.Sprintf("swift/count/%d", i), 1, 0); err != nil || got != uint64(i)+1 {
			t.Errorf("Swift's counter %d: got %d, %v, want %d", i, got, err, i+1)
		}
		key := fmt.Sprint("a", i)
		group, err := c.GetMulti(ctx, fmt.Sprintf("swift/group/%d", i), []string{key, "b"})
		if err != nil || string(group[key].Data) != fmt.Sprintf("[%d]", i) || !group["b"].JSON {
			t.Errorf("Swift's group %d: got %v, %v", i, group, err)
		}
	}

	for i := range n {
		err := cache.SetJSON(ctx, c, fmt.Sprintf("apus/json/%d", i), doc, time.Minute)
		if err == nil {
			err = c.Set(ctx, fmt.Sprintf("apus/text/%d", i), cache.Text(fmt.Sprint("text ", i)), 40*24*time.Hour)
		}
		if err == nil {
			_, err = c.Incr(ctx, fmt.Sprintf("apus/count/%d", i), int64(i), time.Minute)
		}
		if err == nil {
			v := cache.Value{Data: fmt.Appendf(nil, "[%d]", i), JSON: true}
			err = c.SetMulti(ctx, fmt.Sprintf("apus/group/%d", i), []cache.Item{{Key: fmt.Sprint("a", i), Value: v}}, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out := swiftRing(t, servers, `
print(json.dumps([[ring.get("apus/json/%d" % i), ring.get("apus/text/%d" % i).decode(),
                   ring.incr("apus/count/%d" % i, delta=1), ring.get_multi(["a%d" % i, "absent"], "apus/group/%d" % i)]
                  for i in range(30)]))
`)
	var got []any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("Swift's answer %q: %v", out, err)
	}
	var want []any
	for i := range n {
		want = append(want, []any{doc, fmt.Sprint("text ", i), float64(i + 1), []any{[]any{float64(i)}, nil}})
	}
	if !equalJSON(got, want) {
		t.Errorf("what Swift read\n got %v\nwant %v", got, want)
	}
}

func equalJSON(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

func BenchmarkGet(b *testing.B) {
	addr := startReal(b)
	cfg := Defaults()
	cfg.Servers = []string{addr}
	c, err := New(cfg, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Set(b.Context(), "k", cache.Value{Data: make([]byte, 450), JSON: true}, 0); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Get(ctx, "k"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
