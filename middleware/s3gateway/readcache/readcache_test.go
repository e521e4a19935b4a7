package readcache

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// open makes a cache that is ready.
func open(t testing.TB, dir string, set func(*Config, *Deps)) *Cache {
	t.Helper()
	c, d := Config{}, Deps{Log: quiet}
	c.SetDefaults()
	c.Path = dir
	if set != nil {
		set(&c, &d)
	}
	if err := c.Validate(); err != nil && d.FS == nil {
		t.Fatal(err)
	}
	x, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	<-x.done
	return x
}

func cacheDir(t testing.TB) string { return filepath.Join(t.TempDir(), "cache") }

func key(name string) Key { return Key{"cos", "photos", name, ""} }

func etag(body string) string {
	sum := md5.Sum([]byte(body))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func header(body string, more ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	for name, v := range map[string]string{"Etag": etag(body), "Content-Length": strconv.Itoa(len(body)), "Content-Type": "image/jpeg"} {
		if h.Get(name) == "" {
			h.Set(name, v)
		}
	}
	return h
}

// lines makes a body of 8 n bytes.
func lines(n int) string { return strings.Repeat("0123456\n", n) }

func read(c *Cache, k Key, body string) (string, bool) {
	e, ok := c.Open(context.Background(), k, Validator{"scope", etag(body), int64(len(body))})
	if !ok {
		return "", false
	}
	defer e.Close()
	got, err := io.ReadAll(e.Body(0, e.Length))
	return string(got), err == nil
}

// fillLines puts a body into the cache as a client's download would.
func fillLines(t testing.TB, c *Cache, name, body string) {
	t.Helper()
	w, _ := c.Fill(key(name), "scope", header(body))
	defer w.Abort()
	io.Copy(w, io.NopCloser(strings.NewReader(body)))
	w.Commit()
}

func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestABodyIsKeptAndServed(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, nil)
	body := lines(1000)
	if c.Has(key("a")) {
		t.Error("has what was never there")
	}
	fillLines(t, c, "a", body)
	if !c.Has(key("a")) || c.Has(key("b")) || c.Has(Key{"aws", "photos", "a", ""}) || c.Has(Key{"cos", "photos", "a", "v1"}) || c.Has(Key{"cosp", "hotos", "a", ""}) {
		t.Error("has another than what was kept")
	}
	if got, ok := read(c, key("a"), body); !ok || got != body {
		t.Errorf("got %d bytes, %v", len(got), ok)
	}
	e, ok := c.Open(t.Context(), key("a"), Validator{"", etag(body), int64(len(body))})
	if !ok {
		t.Fatal("not there")
	}
	defer e.Close()
	if e.Header.Get("Content-Type") != "image/jpeg" || e.Length != 8000 {
		t.Errorf("%v, %d", e.Header, e.Length)
	}
	for _, r := range [][2]int64{{0, 0}, {0, 1}, {5, 10}, {7999, 1}, {8000, 0}, {0, 8000}} {
		if got, err := io.ReadAll(e.Body(r[0], r[1])); string(got) != body[r[0]:r[0]+r[1]] || err != nil {
			t.Errorf("range %v: %q, %v", r, got, err)
		}
	}
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestOverHTTP serves a range to a client: the body ends where it has to, by the way that net/http has for files.
func TestOverHTTP(t *testing.T) {
	c := open(t, cacheDir(t), nil)
	body := lines(100_000)
	fillLines(t, c, "a", body)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, ok := c.Open(r.Context(), key("a"), Validator{"", etag(body), int64(len(body))})
		if !ok {
			return
		}
		defer e.Close()
		w.Header().Set("Content-Length", "700000")
		if n, err := io.Copy(w, e.Body(5, 700_000)); n != 700_000 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}))
	defer s.Close()
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != body[5:700_005] || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestWhatIsNotKept(t *testing.T) {
	body := lines(10)
	for name, c := range map[string]struct {
		header http.Header
		sent   string
		commit bool
	}{
		"cut short":         {header(body), body[:79], true},
		"too long":          {header(body), body + "x", true},
		"another body":      {header(body), strings.Replace(body, "0", "9", 1), true},
		"broken off":        {header(body), body, false},
		"without ETag":      {header(body, "Etag", "x"), body, true},
		"a weak ETag":       {header(body, "Etag", "W/"+etag(body)), body, true},
		"a long ETag":       {header(body, "Etag", `"`+strings.Repeat("x", 300)+`"`), body, true},
		"a part":            {header(body, "Content-Range", "bytes 0-79/100"), body, true},
		"no length":         {header(body, "Content-Length", "x"), body, true},
		"negative length":   {header(body, "Content-Length", "-1"), body, true},
		"too large":         {header(body, "Content-Length", "2000000"), body, true},
		"a client's key":    {header(body, "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"), body, true},
		"private":           {header(body, "Cache-Control", "max-age=9, Private"), body, true},
		"not to be stored":  {header(body, "Cache-Control", "no-store"), body, true},
		"much to say of it": {header(body, "X-Amz-Meta-A", strings.Repeat("x", 70_000)), body, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := cacheDir(t)
			x := open(t, dir, func(c *Config, _ *Deps) { c.MaxObjectSize = 1 << 20 })
			w, _ := x.Fill(key("a"), "", c.header)
			if n, err := w.Write([]byte(c.sent)); n != len(c.sent) || err != nil {
				t.Errorf("write: %d, %v", n, err)
			}
			if c.commit {
				w.Commit()
			}
			w.Abort()
			if x.Has(key("a")) || len(files(t, dir)) > 0 || x.Stats().Bytes != 0 {
				t.Errorf("has it: %v, files %v, %+v", x.Has(key("a")), files(t, dir), x.Stats())
			}
		})
	}
}

func TestETagsThatAreNoMD5(t *testing.T) {
	body := lines(10)
	for _, h := range []http.Header{
		header(body, "Etag", `"0123456789abcdef0123456789abcdef-2"`), header(body, "Etag", `"0123456789abcdef0123456789abcdef"`, "X-Amz-Server-Side-Encryption", "aws:kms"),
		header(body, "Etag", `"anything"`),
	} {
		c := open(t, cacheDir(t), nil)
		w, _ := c.Fill(key("a"), "", h)
		w.Write([]byte(body))
		w.Commit()
		e, ok := c.Open(t.Context(), key("a"), Validator{"", h.Get("Etag"), 80})
		if !ok {
			t.Errorf("%v is not kept", h)
			continue
		}
		e.Close()
	}
}

func TestWhatIsSaidOfAnObject(t *testing.T) {
	c := open(t, cacheDir(t), nil)
	body := lines(1)
	w, _ := c.Fill(key("a"), "", header(body, "X-Amz-Meta-A", "1", "X-Amz-Request-Id", "r", "Date", "d", "Set-Cookie", "c", "Access-Control-Allow-Origin", "*", "X-Amz-Checksum-Crc32", "x", "Last-Modified", "l"))
	w.Write([]byte(body))
	w.Commit()
	e, ok := c.Open(t.Context(), key("a"), Validator{"", etag(body), 8})
	if !ok {
		t.Fatal("not kept")
	}
	defer e.Close()
	want := map[string]string{"X-Amz-Meta-A": "1", "X-Amz-Checksum-Crc32": "x", "Last-Modified": "l", "Etag": etag(body), "Content-Type": "image/jpeg"}
	if len(e.Header) != len(want) {
		t.Errorf("got %v", e.Header)
	}
	for k, v := range want {
		if e.Header.Get(k) != v {
			t.Errorf("%s: %q, want %q", k, e.Header.Get(k), v)
		}
	}
}

func TestOnlyTheConfirmedBodyIsServed(t *testing.T) {
	body, other := lines(10), lines(11)
	for _, v := range []Validator{{"", etag(other), 80}, {"", etag(body), 81}, {"", "", 80}, {}} {
		dir := cacheDir(t)
		c := open(t, dir, nil)
		fillLines(t, c, "a", body)
		if e, ok := c.Open(t.Context(), key("a"), v); ok {
			e.Close()
			t.Errorf("served for %+v", v)
		}
		if c.Has(key("a")) || len(files(t, dir)) != 0 || c.Stats().Stale != 1 {
			t.Errorf("still there after %+v: %+v", v, c.Stats())
		}
	}
}

func TestTrust(t *testing.T) {
	now := time.Unix(1e9, 0)
	body := lines(10)
	for _, trust := range []time.Duration{0, time.Minute} {
		c := open(t, cacheDir(t), func(c *Config, d *Deps) {
			c.TrustFor.Duration, d.Clock = trust, clock.Func(func() time.Time { return now })
		})
		fillLines(t, c, "a", body)
		trusted := func(scope string, want bool) {
			t.Helper()
			e, ok := c.Trusted(t.Context(), key("a"), scope)
			if ok {
				e.Close()
			}
			if ok != (want && trust > 0) {
				t.Errorf("with %v, scope %s: %v", trust, scope, ok)
			}
		}
		trusted("scope", true)
		trusted("other", false) // the store has not been asked with those credentials
		now = now.Add(time.Minute - 1)
		trusted("scope", true)
		if e, ok := c.Open(t.Context(), key("a"), Validator{"other", etag(body), 80}); ok {
			e.Close()
		} else {
			t.Error("not there")
		}
		now = now.Add(1)
		trusted("scope", false)
		trusted("other", true)
		for i := range 100 { // scopes are bounded: the oldest are forgotten
			now = now.Add(1)
			if e, ok := c.Open(t.Context(), key("a"), Validator{fmt.Sprint(i), etag(body), 80}); ok {
				e.Close()
			}
		}
		trusted("other", false)
		trusted("99", true)
		c.Forget(key("a"))
		trusted("99", false)
	}
}

func TestForgetRevokesWhatIsBeingFetched(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, nil)
	body := lines(10)
	w, ok := c.Fill(key("a"), "", header(body))
	if !ok {
		t.Fatal("no fill")
	}
	if _, ok := c.Fill(key("a"), "", header(body)); ok {
		t.Error("two fills of one object")
	}
	w.Write([]byte(body))
	c.Forget(key("a"))
	w.Commit()
	if c.Has(key("a")) || len(files(t, dir)) != 0 || c.Stats().Bytes != 0 {
		t.Errorf("kept, %+v", c.Stats())
	}
	fillLines(t, c, "a", body)
	if _, ok := read(c, key("a"), body); !ok {
		t.Error("cannot be kept any more")
	}
}

func TestTheLeastRecentlyUsedGoFirst(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, func(c *Config, _ *Deps) { c.MaxSize, c.MaxObjectSize = 1<<20, 1<<20 })
	body := lines(20_000) // 160 000 bytes: six fit
	for i := range 10 {
		fillLines(t, c, fmt.Sprint(i), body)
		if i >= 3 {
			if _, ok := read(c, key("3"), body); !ok {
				t.Errorf("the one that is used has gone after %d", i)
			}
		}
		total := int64(0)
		for _, f := range files(t, dir) {
			st, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			total += st.Size()
		}
		if st := c.Stats(); total != st.Bytes || total > 1<<20 || len(files(t, dir)) != int(st.Entries) {
			t.Errorf("%d bytes in %d files, %+v", total, len(files(t, dir)), st)
		}
	}
	got := ""
	for i := range 10 {
		if c.Has(key(fmt.Sprint(i))) {
			got += fmt.Sprint(i)
		}
	}
	if got != "356789" {
		t.Errorf("left are %s", got)
	}
	if w, ok := c.Fill(key("x"), "", header(lines(131_000))); !ok {
		t.Error("one that fits alone is refused")
	} else {
		w.Abort()
	}
	if c.Stats().Bytes != 0 {
		t.Errorf("%+v", c.Stats())
	}
}

func TestEntriesAreBounded(t *testing.T) {
	c := open(t, cacheDir(t), func(c *Config, _ *Deps) { c.MaxEntries = 5 })
	for i := range 20 {
		fillLines(t, c, fmt.Sprint(i), lines(1))
		if n := c.Stats().Entries; n > 5 {
			t.Errorf("%d entries", n)
		}
	}
	if n := c.Stats().Entries; n != 5 {
		t.Errorf("%d entries at the end", n)
	}
}

func TestRestart(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, nil)
	body := lines(1000)
	for i := range 20 {
		fillLines(t, c, fmt.Sprint(i), body)
	}
	c.Close()
	for i := range 20 { // the clock of files is a coarse one
		at := time.Unix(1e9+int64(i), 0)
		if err := os.Chtimes(c.file(key(fmt.Sprint(i)).id()), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "new-7"), []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, func(c *Config, _ *Deps) { c.MaxEntries = 15 })
	if st := c.Stats(); st.Entries != 15 || len(files(t, dir)) != 15 {
		t.Errorf("%+v, %d files", st, len(files(t, dir)))
	}
	for i := range 20 {
		if got, ok := read(c, key(fmt.Sprint(i)), body); ok != (i >= 5) || ok && got != body {
			t.Errorf("%d: %d bytes, %v", i, len(got), ok)
		}
	}
}

// TestDamage changes each file in some way while nobody looks. What is served is right, and what is wrong is dropped.
func TestDamage(t *testing.T) {
	body := lines(100)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		dir := cacheDir(t)
		c := open(t, dir, nil)
		fillLines(t, c, "a", body)
		c.Close()
		file := files(t, dir)[0]
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		case 1:
			data = data[:rng.IntN(len(data))]
		case 2:
			data = append(data, "more"...)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c = open(t, dir, nil)
		if got, ok := read(c, key("a"), body); ok {
			t.Errorf("damage %d: served %d bytes", i, len(got))
		}
		if st := c.Stats(); st.Damaged != 1 || st.Entries != 0 || st.Bytes != 0 || len(files(t, dir)) != 0 {
			t.Errorf("damage %d: %+v, files %v", i, st, files(t, dir))
		}
		c.Close()
	}
}

func TestAFileInAnothersPlace(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, nil)
	body := lines(100)
	fillLines(t, c, "a", body)
	fillLines(t, c, "b", body)
	if err := os.Rename(c.file(key("a").id()), c.file(key("b").id())); err != nil {
		t.Fatal(err)
	}
	if _, ok := read(c, key("b"), body); ok {
		t.Error("served one object's file as another's")
	}
	if _, ok := read(c, key("a"), body); ok {
		t.Error("served what is not there")
	}
}

// TestPowerLoss cuts the power during fills. What is there afterwards is right or is a miss.
func TestPowerLoss(t *testing.T) {
	kept := 0
	for seed := range uint64(60) {
		m := disk.NewMemory(disk.Space{Total: 1 << 30, Free: 1 << 30})
		if _, err := disk.MkdirAll(m, "/cache"); err != nil {
			t.Fatal(err)
		}
		if err := m.SyncDir("/"); err != nil {
			t.Fatal(err)
		}
		onMemory := func(_ *Config, d *Deps) { d.FS = m }
		c := open(t, "/cache", onMemory)
		bodies := map[string]string{}
		for i := range 5 {
			name := fmt.Sprint(i)
			bodies[name] = lines(100 + i)
			fillLines(t, c, name, bodies[name])
		}
		w, _ := c.Fill(key("half"), "", header(lines(10)))
		w.Write([]byte("half"))
		m.Crash(seed)
		c.Close()
		c = open(t, "/cache", onMemory)
		for name, body := range bodies {
			if got, ok := read(c, key(name), body); ok && got != body {
				t.Errorf("seed %d: wrong body", seed)
			} else if ok {
				kept++
			}
		}
		if c.Has(key("half")) {
			t.Error("half a body is there")
		}
		fillLines(t, c, "after", lines(1))
		if _, ok := read(c, key("after"), lines(1)); !ok {
			t.Errorf("seed %d: nothing can be kept afterwards", seed)
		}
		c.Close()
	}
	if kept == 0 {
		t.Error("nothing has ever survived: the test shows nothing")
	}
}

// TestFaultsOfTheDisk makes each operation fail in its turn. Clients never see it, and no wrong body.
func TestFaultsOfTheDisk(t *testing.T) {
	body := lines(100)
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		for n := int64(1); n < 40; n++ {
			m := disk.NewMemory(disk.Space{Total: 1 << 30, Free: 1 << 30})
			if _, err := disk.MkdirAll(m, "/cache"); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			count := int64(0)
			f := disk.NewFaults(m, func(disk.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if count++; count == n {
					return fault
				}
				return nil
			})
			c := Config{}
			c.SetDefaults()
			c.Path = "/cache"
			x, err := New(c, Deps{Log: quiet, FS: f})
			if err != nil {
				continue // the lock's file
			}
			<-x.done
			for range 3 {
				fillLines(t, x, "a", body)
				if got, ok := read(x, key("a"), body); ok && got != body {
					t.Errorf("fault at %d: wrong body", n)
				}
			}
			x.Close()
			if st := x.Stats(); st.Entries == 0 && st.Bytes != 0 {
				t.Errorf("fault at %d: %+v", n, st)
			}
		}
	}
}

func TestFileSystemsWithoutUnnamedFiles(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, func(_ *Config, d *Deps) {
		d.FS = noUnnamed{disk.OS{}}
		if err := private(dir); err != nil {
			t.Fatal(err)
		}
	})
	body := lines(100)
	fillLines(t, c, "a", body)
	if got, ok := read(c, key("a"), body); !ok || got != body {
		t.Errorf("%d bytes, %v", len(got), ok)
	}
	w, _ := c.Fill(key("b"), "", header(body))
	w.Write([]byte("x"))
	w.Abort()
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files are left", n)
	}
}

type noUnnamed struct{ disk.OS }

func (noUnnamed) Unnamed(string) (disk.File, error) { return nil, disk.ErrNoUnnamed }

func TestTwoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := cacheDir(t)
		body := lines(10)
		first := open(t, dir, nil)
		fillLines(t, first, "a", body)
		var c Config
		c.SetDefaults()
		c.Path = dir
		second, err := New(c, Deps{Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		time.Sleep(time.Minute)
		fillLines(t, second, "b", body)
		if second.Has(key("a")) || second.Has(key("b")) {
			t.Error("the second uses what is the first's")
		}
		if _, ok := read(first, key("a"), body); !ok {
			t.Error("the first has lost its body")
		}
		first.Close()
		time.Sleep(2 * retryLock)
		<-second.done
		if got, ok := read(second, key("a"), body); !ok || got != body {
			t.Error("the second has not taken over")
		}
		fillLines(t, second, "b", body)
		if _, ok := read(second, key("b"), body); !ok {
			t.Error("the second keeps nothing")
		}
	})
}

func TestADirectoryThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var c Config
	c.SetDefaults()
	c.Path = dir
	if _, err := New(c, Deps{Log: quiet}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("%v", err)
	}
	c.Path = path.Join(dir, "nowhere", "x")
	if _, err := New(c, Deps{Log: quiet}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestAllAtOnce(t *testing.T) {
	dir := cacheDir(t)
	c := open(t, dir, func(c *Config, _ *Deps) { c.MaxSize, c.MaxObjectSize = 1<<20, 1<<20 })
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			for range 60 {
				i := rng.IntN(12)
				body := lines(3000 * (1 + i))
				name := fmt.Sprint(i)
				switch rng.IntN(6) {
				case 0:
					c.Forget(key(name))
				case 1, 2:
					fillLines(t, c, name, body)
				default:
					if got, ok := read(c, key(name), body); ok && got != body {
						t.Errorf("wrong body of %d bytes", len(got))
					}
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for _, f := range files(t, dir) {
		st, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		total += st.Size()
	}
	if st := c.Stats(); st.Bytes != total || total > 1<<20 || st.Damaged != 0 || st.Hits == 0 || st.Evicted == 0 {
		t.Errorf("%d bytes, %+v", total, st)
	}
}

// TestMarksTellOfWrites has a body that was asked for before it was written told from one that was not.
func TestMarksTellOfWrites(t *testing.T) {
	c := open(t, cacheDir(t), nil)
	mark := c.Mark(key("a"))
	if c.Mark(key("a")) != mark {
		t.Error("a mark changes by itself")
	}
	fillLines(t, c, "a", lines(1))
	if c.Mark(key("a")) != mark {
		t.Error("keeping a body is taken for writing one")
	}
	c.Forget(key("a"))
	if c.Mark(key("a")) == mark {
		t.Error("a write leaves no mark")
	}
}

// TestDistrustEndsTrust has the store asked again, and no body dropped.
func TestDistrustEndsTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cacheDir(t), func(c *Config, _ *Deps) { c.TrustFor = config.Seconds(60) })
		defer c.Close()
		trusted := func() bool {
			e, ok := c.Trusted(t.Context(), key("a"), "scope")
			if ok {
				e.Close()
			}
			return ok
		}
		fillLines(t, c, "a", lines(1))
		if !trusted() {
			t.Fatal("a body that was just fetched is not trusted")
		}
		c.Distrust()
		if trusted() {
			t.Error("trusted in the same moment")
		}
		time.Sleep(time.Second)
		if trusted() || !c.Has(key("a")) {
			t.Error("trusted later, or dropped")
		}
		if _, ok := read(c, key("a"), lines(1)); !ok || !trusted() {
			t.Error("not trusted after the store has confirmed it")
		}
	})
}

func TestCacheable(t *testing.T) {
	for _, c := range []struct {
		method, query string
		header        string
		want          bool
	}{
		{"GET", "", "", true}, {"GET", "", "Range", true}, {"GET", "versionId=1", "", true}, {"GET", "x-id=GetObject", "", true},
		{"GET", "X-Amz-Signature=s&X-Amz-Date=d&X-Amz-Credential=c&X-Amz-Expires=1&X-Amz-SignedHeaders=h&X-Amz-Algorithm=a&X-Amz-Security-Token=t", "", true},
		{"GET", "AWSAccessKeyId=a&Signature=s&Expires=1", "", true}, {"GET", "", "X-Amz-Checksum-Mode", true}, {"GET", "", "Authorization", true},
		{"HEAD", "", "", false}, {"PUT", "", "", false}, {"GET", "acl", "", false}, {"GET", "partNumber=1", "", false}, {"GET", "response-content-type=x", "", false},
		{"GET", "list-type=2", "", false}, {"GET", "anything", "", false}, {"GET", "", "X-Amz-Server-Side-Encryption-Customer-Key", false}, {"GET", "", "If-None-Match", true},
		{"GET", "", "If-Range", false}, {"GET", "", "If-Modified-Since", true}, {"GET", "", "If-Nobody-Knows", false}, {"GET", "", "Origin", false}, {"GET", "", "X-Amz-Request-Payer", false}, {"GET", "", "X-Amz-Expected-Bucket-Owner", false},
	} {
		r := httptest.NewRequest(c.method, "/b/o?"+c.query, nil)
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		if got := Cacheable(r); got != c.want {
			t.Errorf("%s ?%s %s: %v", c.method, c.query, c.header, got)
		}
	}
}

func TestWhatIsEncodedForOneClientIsNotKept(t *testing.T) {
	for _, c := range []struct {
		encoding, vary string
		want           bool
	}{{"", "", true}, {"gzip", "", true}, {"", "Accept-Encoding", true}, {"gzip", "Origin", true}, {"gzip", "Origin, Accept-Encoding", false}, {"gzip", "accept-encoding", false}} {
		h := header("x")
		for name, v := range map[string]string{"Content-Encoding": c.encoding, "Vary": c.vary} {
			if v != "" {
				h.Set(name, v)
			}
		}
		if got := storable(h); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// FuzzFile reads whatever a file may have become.
func FuzzFile(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(footer{}.append(nil))
	f.Add(append([]byte(`{"key":{},"etag":"x"}`), footer{description: 21}.append(nil)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := disk.NewMemory(disk.Space{Total: 1 << 30, Free: 1 << 30})
		w, err := m.Open("/f", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := io.Copy(struct{ io.Writer }{w}, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if _, foot, err := describe(w); err == nil && foot.body+int64(foot.description)+footerSize != int64(len(data)) {
			t.Errorf("%+v of %d bytes", foot, len(data))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	c := open(b, cacheDir(b), nil)
	body := lines(512)
	fillLines(b, c, "a", body)
	b.ReportAllocs()
	for b.Loop() {
		e, ok := c.Open(b.Context(), key("a"), Validator{"scope", etag(body), int64(len(body))})
		if !ok {
			b.Fatal("not there")
		}
		io.Copy(io.Discard, e.Body(0, e.Length))
		e.Close()
	}
}
