package broker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The steps of writing between which a process is killed.
var crashSteps = []string{
	"before rename", "after rename", "before append", "after append", "before commit", "after commit", "before truncate", "after truncate",
}

const crashVariable = "APUS_TEST_BROKER_CRASH"

// TestMain turns the test binary into the process that is to be killed.
func TestMain(m *testing.M) {
	if plan := os.Getenv(crashVariable); plan != "" {
		crashWorker(plan)
		return
	}
	os.Exit(m.Run())
}

// crashWorker writes rows and says so, row by row, until it kills itself at the planned step.
func crashWorker(plan string) {
	var left int
	step, device, _ := strings.Cut(plan, "|")
	fmt.Sscanf(device, "%d", &left)
	_, device, _ = strings.Cut(device, "|")
	p := NewPool(Options{Logger: slog.New(slog.DiscardHandler)})
	p.step = func(name string) {
		if name == step {
			if left--; left == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // the signal is on its way
			}
		}
	}
	c := p.Container(Place{Device: device, Partition: "7", Hash: testHash}, "a", "c")
	say := func(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }
	if err := c.Create(parseTime("1700000000"), 0); err != nil && !errors.Is(err, ErrExist) {
		say("failed %v", err)
		return
	}
	say("created")
	for i := range 60 {
		row := ObjectRow{Name: fmt.Sprintf("o%02d", i%40), CreatedAt: fmt.Sprintf("17000000%02d.00000", i), Size: int64(i), ContentType: "a/b", ETag: "e"}
		if err := c.PutObject(row); err != nil {
			say("failed %v", err)
			return
		}
		say("row %s %s", row.Name, row.CreatedAt)
		if i%7 == 6 {
			if err := c.Settle(time.Second); err != nil {
				say("failed %v", err)
				return
			}
		}
	}
}

// TestKilledProcessLosesNothing kills a writer at every step, at several turns of it, and looks at what it left behind.
func TestKilledProcessLosesNothing(t *testing.T) {
	for _, step := range crashSteps {
		for _, turn := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s %d", step, turn), func(t *testing.T) {
				t.Parallel()
				at := testPlace(t)
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%s", crashVariable, step, turn, at.Device))
				out, err := cmd.Output()
				if err == nil && !strings.HasSuffix(step, "rename") {
					t.Fatal("the process was not killed")
				}
				checkSurvivors(t, at, out)
			})
		}
	}
}

func checkSurvivors(t *testing.T, at Place, out []byte) {
	t.Helper()
	accepted := map[string]string{}
	created := false
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		words := strings.Fields(s.Text())
		switch words[0] {
		case "created":
			created = true
		case "row":
			accepted[words[1]] = words[2]
		default:
			t.Fatal(s.Text())
		}
	}
	c := newPool(t).Container(at, "a", "c")
	if exists := must(c.Exists())(t); !exists {
		if created {
			t.Fatal("the created database is gone")
		}
		if err := c.Create(parseTime("1"), 0); err != nil {
			t.Fatalf("create after the crash: %v", err)
		}
	}
	got := map[string]string{}
	for _, row := range must(c.ItemsSince(-1, 1000))(t) {
		got[row.Name] = row.CreatedAt
	}
	for name, time := range accepted {
		if got[name] < time {
			t.Errorf("row %s: accepted with time %s, found %q", name, time, got[name])
		}
	}
	checkConsistent(t, c)
}

// checkConsistent compares counts and rolling hash with the rows, and has SQLite check the file.
func checkConsistent(t testing.TB, c *Container) {
	t.Helper()
	hash, objects, bytes := zeroHash, int64(0), int64(0)
	for _, row := range must(c.ItemsSince(-1, 1<<30))(t) {
		var err error
		if hash, err = Chexor(hash, row.Name, row.CreatedAt); err != nil {
			t.Fatal(err)
		}
		if row.Policy == 0 {
			objects += 1 - int64(row.Deleted)
			bytes += row.Size
		}
	}
	info := must(c.Info(Fresh))(t)
	if info.Hash != hash || info.ObjectCount != objects || info.BytesUsed != bytes {
		t.Errorf("info has hash %s, %d objects, %d bytes; the rows make %s, %d, %d", info.Hash, info.ObjectCount, info.BytesUsed, hash, objects, bytes)
	}
	err := c.view(Fresh, func(h *handle) error {
		return h.query("PRAGMA integrity_check", nil, func(v []value) error {
			if text(v[0]) != "ok" {
				t.Errorf("integrity check: %s", text(v[0]))
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// TestOrderDoesNotMatter merges the same rows in random orders and batches, repeated ones among them.
func TestOrderDoesNotMatter(t *testing.T) {
	pool := newPool(t)
	device := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		r := rand.New(rand.NewPCG(seed, seed))
		rows := make([]ObjectRow, rapid.IntRange(1, 12).Draw(rt, "rows"))
		for i := range rows {
			rows[i] = distinctRow(r)
		}
		var want []ObjectRow
		for turn := range 2 {
			n++
			c := pool.Container(Place{Device: device, Partition: fmt.Sprint(n), Hash: testHash}, "a", "c")
			if err := c.Create(parseTime("1"), 0); err != nil {
				rt.Fatal(err)
			}
			mergeShuffled(rt, r, c, rows)
			got, err := c.ItemsSince(-1, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range got {
				got[i].ROWID = 0
			}
			slices.SortFunc(got, func(a, b ObjectRow) int {
				return strings.Compare(fmt.Sprint(a.Name, a.Policy), fmt.Sprint(b.Name, b.Policy))
			})
			if turn == 0 {
				want = got
			} else if !slices.Equal(got, want) {
				rt.Fatalf("rows %+v\none order gives %+v\nanother        %+v", rows, want, got)
			}
			checkConsistent(t, c)
		}
	})
}

// distinctRow makes a random row whose facts follow from its times, as they do in a cluster: two updates with the same
// time say the same.
func distinctRow(r *rand.Rand) ObjectRow {
	at := func() string { return fmt.Sprintf("170000000%d.00000", r.IntN(5)) }
	row := ObjectRow{Name: fmt.Sprint("o", r.IntN(2)), CreatedAt: at(), Policy: r.IntN(2)}
	if r.IntN(4) == 0 {
		// A deletion at the time of a PUT does not happen either.
		row.CreatedAt = strings.Replace(row.CreatedAt, ".0", ".5", 1)
		return Deletion(row.Name, parseTime(row.CreatedAt), row.Policy)
	}
	row.Size = int64(row.CreatedAt[9])
	row.ETag = "e" + row.CreatedAt
	kind := row.CreatedAt
	if r.IntN(2) == 0 {
		row.ContentTypeTimestamp = max(at(), row.CreatedAt)
		row.MetaTimestamp = max(at(), row.ContentTypeTimestamp)
		kind = row.ContentTypeTimestamp
	}
	row.ContentType = "t/" + kind
	if row.CreatedAt[9]%2 == 0 {
		row.ContentType += ";swift_bytes=" + row.CreatedAt[9:10]
	}
	return row
}

func mergeShuffled(rt *rapid.T, r *rand.Rand, c *Container, rows []ObjectRow) {
	again := append(slices.Clone(rows), rows[:r.IntN(len(rows)+1)]...)
	r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
	for len(again) > 0 {
		n := 1 + r.IntN(len(again))
		if r.IntN(2) == 0 {
			for _, row := range again[:n] {
				if err := c.PutObject(row); err != nil {
					rt.Fatal(err)
				}
			}
		} else if err := c.MergeItems(again[:n], ""); err != nil {
			rt.Fatal(err)
		}
		again = again[n:]
	}
}
