package broker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// swift is a running interpreter with OpenStack Swift's own brokers.
type swift struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

const python = "/usr/bin/python3"

// startSwift skips the test where Swift is not installed.
func startSwift(t *testing.T) *swift {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import swift.container.backend").CombinedOutput(); err != nil {
		t.Skipf("needs OpenStack Swift's Python package in %s: %v %s", python, err, out)
	}
	cmd := exec.Command(python, "testdata/interop.py")
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	s := &swift{t: t, in: in, out: bufio.NewScanner(out)}
	s.out.Buffer(nil, 64<<20)
	if !s.out.Scan() || s.out.Text() != "ready" {
		t.Fatalf("swift does not start: %q", s.out.Text())
	}
	return s
}

func (s *swift) run(command map[string]any, result any) {
	s.t.Helper()
	data, err := json.Marshal(command)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s.in, "%s\n", data)
	if !s.out.Scan() {
		s.t.Fatalf("swift ended at %s", data)
	}
	answer := struct {
		OK    json.RawMessage
		Error string
	}{}
	if err := json.Unmarshal(s.out.Bytes(), &answer); err != nil || answer.Error != "" {
		s.t.Fatalf("swift on %s: %v %s", data, err, answer.Error)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.OK, result); err != nil {
		s.t.Fatal(err)
	}
}

// on makes a command about a container.
func (s *swift) on(c *Container, op string, more map[string]any) map[string]any {
	command := map[string]any{
		"op": op, "file": filepath.Join(c.Dir(), c.hash+".db"), "account": c.account, "container": c.container,
	}
	for k, v := range more {
		command[k] = v
	}
	return command
}

const testHash = "0123456789abcdef0123456789abcdef"

func testPlace(t testing.TB) Place {
	device := filepath.Join(t.TempDir(), "sdb1")
	if err := os.Mkdir(device, 0o755); err != nil {
		t.Fatal(err)
	}
	return Place{Device: device, Partition: "7", Hash: testHash}
}

// randomNames makes names that collide at delimiters, neighbours of the delimiter and of prefixes among them.
func randomNames(r *rand.Rand, n int) []string {
	parts := []string{"a", "b", "dir", "dir/", "/", "//", "0", ".", "-", "é", "☃", "x/y", "\x00v\x00", "z", "b0"}
	seen := map[string]bool{}
	var names []string
	for len(names) < n {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		if name := b.String(); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

func TestSwiftListsWhatWeWrote(t *testing.T) {
	s := startSwift(t)
	r := rand.New(rand.NewPCG(1, 2))
	c := newPool(t).Container(testPlace(t), "AUTH_a", "c")
	if err := c.Create(parseTime("1700000000"), 1); err != nil {
		t.Fatal(err)
	}
	names := randomNames(r, 300)
	for i, name := range names {
		row := ObjectRow{Name: name, CreatedAt: fmt.Sprintf("17000%05d.00000", i), Size: int64(i), ContentType: "a/b", ETag: "e", Policy: i % 10 / 9}
		if i%7 == 0 {
			row = Deletion(name, parseTime(row.CreatedAt), 1)
		}
		if err := c.PutObject(row); err != nil {
			t.Fatal(err)
		}
	}
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	var calls []map[string]any
	for range 1500 {
		call := map[string]any{
			"limit": 1 + r.IntN(30), "marker": "", "end_marker": "", "prefix": nil, "delimiter": nil, "path": nil,
			"reverse": r.IntN(3) == 0, "allow_reserved": r.IntN(2) == 0, "storage_policy_index": r.IntN(2),
		}
		if r.IntN(2) == 0 {
			call["marker"] = pick(names...)[:1] + pick("", "/", "a")
			if r.IntN(2) == 0 {
				call["marker"] = pick(names...)
			}
		}
		if r.IntN(2) == 0 {
			call["end_marker"] = pick(names...)
		}
		if r.IntN(2) == 0 {
			call["prefix"] = pick("", "a", "dir", "dir/", "b", "/", "é", "x/", "zz", "a/")
		}
		if r.IntN(2) == 0 {
			call["delimiter"] = pick("/", "/", "i", "//", "ir", "é", "0")
		}
		if r.IntN(4) == 0 {
			call["path"], call["prefix"], call["delimiter"] = pick("", "a", "dir", "dir/", "b", "é", "a/"), nil, nil
		}
		for _, k := range []string{"marker", "end_marker"} {
			call[k] = strings.ToValidUTF8(call[k].(string), "")
		}
		calls = append(calls, call)
	}
	var want [][][]any
	s.run(s.on(c, "list", map[string]any{"calls": calls}), &want)
	for i, call := range calls {
		o := ListOptions{
			Limit: call["limit"].(int), Marker: call["marker"].(string), EndMarker: call["end_marker"].(string),
			Reverse: call["reverse"].(bool), AllowReserved: call["allow_reserved"].(bool), Policy: call["storage_policy_index"].(int),
		}
		o.Prefix, _ = call["prefix"].(string)
		o.Delimiter, _ = call["delimiter"].(string)
		if p, ok := call["path"].(string); ok {
			o.Path = &p
		}
		if got := objectLines(must(c.List(Fresh, o))(t)); !cmp.Equal(got, want[i]) {
			t.Fatalf("listing %v (-swift +ours):\n%s", call, cmp.Diff(want[i], got))
		}
	}
}

func TestSwiftReadsOurContainer(t *testing.T) {
	s := startSwift(t)
	c := newPool(t).Container(testPlace(t), "AUTH_a", "c")
	if err := c.Create(parseTime("1700000000"), 0); err != nil {
		t.Fatal(err)
	}
	rows := []ObjectRow{
		{Name: "one", CreatedAt: "1700000001.00000", Size: 300, ContentType: "text/plain", ETag: "e1"},
		{Name: "\x00two\x00é", CreatedAt: "1700000001.00000", Size: 5 << 32, ContentType: "text/plain;swift_bytes=7", ETag: "e2"},
		{Name: "one", CreatedAt: "1700000001.00000", Size: 300, ContentType: "image/png", ETag: "e1",
			ContentTypeTimestamp: "1700000002.00000", MetaTimestamp: "1700000003.00000"},
		Deletion("three", parseTime("1700000004_2"), 1),
	}
	for _, row := range rows {
		if err := c.PutObject(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.UpdateMetadata(Metadata{"X-Container-Meta-A": {"é<&>", "1700000000.00000"}}, nil); err != nil {
		t.Fatal(err)
	}
	var theirs struct {
		Info     any
		Rows     any
		Metadata Metadata
		Deleted  bool
	}
	s.run(s.on(c, "container-info", nil), &theirs)
	if st, err := os.Stat(c.pendingFile()); err != nil || st.Size() != 0 {
		t.Errorf("swift did not merge our pending file: %v %v", st, err)
	}
	if got := asMap(t, must(c.Info(Fresh))(t)); !cmp.Equal(got, theirs.Info) {
		t.Errorf("info (-swift +ours):\n%s", cmp.Diff(theirs.Info, got))
	}
	if got := asMap(t, must(c.ItemsSince(-1, 100))(t)); !cmp.Equal(got, theirs.Rows) {
		t.Errorf("rows (-swift +ours):\n%s", cmp.Diff(theirs.Rows, got))
	}
	if got := must(c.Metadata())(t); !cmp.Equal(got, theirs.Metadata) {
		t.Errorf("metadata (-swift +ours):\n%s", cmp.Diff(theirs.Metadata, got))
	}
	// And on: Swift writes to what we made, pending rows too, and deletes it in the end.
	s.run(s.on(c, "put-objects", map[string]any{"rows": [][]any{{"four", "1700000005.00000", 3, "a/b", "e4"}, {"one", "1700000006.00000", 0, "application/deleted", "noetag", 1}}}), nil)
	s.run(s.on(c, "metadata", map[string]any{"metadata": Metadata{"X-Container-Meta-B": {"é", "1700000007.00000"}}}), nil)
	if info := must(c.Info(Fresh))(t); info.ObjectCount != 2 {
		t.Errorf("after swift's rows there are %d objects, want 2", info.ObjectCount)
	}
	if m := must(c.Metadata())(t); m["X-Container-Meta-B"].Value != "é" || m["X-Container-Meta-A"].Value != "é<&>" {
		t.Errorf("after swift's change the metadata is %v", m)
	}
	for _, name := range []string{"four", "\x00two\x00é"} {
		if err := c.PutObject(Deletion(name, parseTime("1700000010"), 0)); err != nil {
			t.Fatal(err)
		}
	}
	s.run(s.on(c, "delete", map[string]any{"time": "1700000011"}), nil)
	if deleted := must(c.IsDeleted(Fresh))(t); !deleted {
		t.Error("the container that swift deleted is not deleted")
	}
}

func TestWeReadSwiftsContainer(t *testing.T) {
	s := startSwift(t)
	c := newPool(t).Container(testPlace(t), "AUTH_a", "c")
	if err := os.MkdirAll(c.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(s.on(c, "create-container", map[string]any{"put": "1700000000.00000", "policy": 0}), nil)
	var rows [][]any
	for i := range 2000 { // enough to make Swift's pending file overflow
		rows = append(rows, []any{fmt.Sprintf("o%d", i%1900), fmt.Sprintf("17000%05d.00000", i), i, "a/b", "e", i % 5 / 4, i % 2})
	}
	s.run(s.on(c, "put-objects", map[string]any{"rows": rows}), nil)
	got := asMap(t, must(c.ItemsSince(-1, 10000))(t))
	info := asMap(t, must(c.Info(Fresh))(t))
	var theirs struct{ Info, Rows any }
	s.run(s.on(c, "container-info", nil), &theirs)
	if !cmp.Equal(got, theirs.Rows) {
		t.Errorf("rows (-swift +ours):\n%s", cmp.Diff(theirs.Rows, got))
	}
	if !cmp.Equal(info, theirs.Info) {
		t.Errorf("info (-swift +ours):\n%s", cmp.Diff(theirs.Info, info))
	}
}

func TestSwiftAndWeShareAnAccount(t *testing.T) {
	s := startSwift(t)
	a := newPool(t).Account(testPlace(t), "AUTH_a")
	if err := a.Create(parseTime("1700000000")); err != nil {
		t.Fatal(err)
	}
	on := func(op string, more map[string]any) map[string]any {
		c := map[string]any{"op": op, "file": filepath.Join(a.Dir(), a.hash+".db"), "account": "AUTH_a"}
		for k, v := range more {
			c[k] = v
		}
		return c
	}
	r := rand.New(rand.NewPCG(3, 4))
	names := randomNames(r, 60)
	for i := range 200 {
		row := ContainerRow{
			Name: names[r.IntN(len(names))], PutTimestamp: fmt.Sprintf("17000000%02d.00000", r.IntN(90)), DeleteTimestamp: "0",
			ObjectCount: int64(r.IntN(3)), BytesUsed: int64(r.IntN(1000)), Policy: r.IntN(2),
		}
		if r.IntN(3) == 0 {
			row.DeleteTimestamp = fmt.Sprintf("17000000%02d.00000", r.IntN(90))
		}
		if i%2 == 0 {
			if err := a.PutContainer(row); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// Counts as the headers had them.
		s.run(on("put-containers", map[string]any{"rows": [][]any{{
			row.Name, row.PutTimestamp, row.DeleteTimestamp, fmt.Sprint(row.ObjectCount), fmt.Sprint(row.BytesUsed), fmt.Sprint(row.Policy),
		}}}), nil)
		if i%20 == 1 {
			if _, err := a.Info(Fresh); err != nil {
				t.Fatal(err)
			}
		}
	}
	var theirs struct {
		Info, Rows any
		Stats      map[int]struct {
			Containers int64 `json:"container_count"`
			Objects    int64 `json:"object_count"`
			Bytes      int64 `json:"bytes_used"`
		}
	}
	s.run(on("account-info", nil), &theirs)
	if got := asMap(t, must(a.Info(Fresh))(t)); !cmp.Equal(got, theirs.Info) {
		t.Errorf("info (-swift +ours):\n%s", cmp.Diff(theirs.Info, got))
	}
	if got := asMap(t, must(a.ItemsSince(-1, 1000))(t)); !cmp.Equal(got, theirs.Rows) {
		t.Errorf("rows (-swift +ours):\n%s", cmp.Diff(theirs.Rows, got))
	}
	for index, stat := range must(a.PolicyStats(Fresh))(t) {
		if want := theirs.Stats[index]; stat != (AccountPolicyStat{want.Containers, want.Objects, want.Bytes}) {
			t.Errorf("policy %d: swift has %+v, we %+v", index, want, stat)
		}
	}
}

// TestSwiftMergesAlike gives the same random batches to Swift and to us.
func TestSwiftMergesAlike(t *testing.T) {
	s := startSwift(t)
	r := rand.New(rand.NewPCG(5, 6))
	pool := newPool(t)
	ours, theirs := pool.Container(testPlace(t), "AUTH_a", "c"), pool.Container(testPlace(t), "AUTH_a", "c")
	for _, c := range []*Container{ours, theirs} {
		if err := c.Create(parseTime("1700000000"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		var batch []ObjectRow
		for range 1 + r.IntN(12) {
			batch = append(batch, randomRow(r))
		}
		if err := ours.MergeItems(batch, ""); err != nil {
			t.Fatal(err)
		}
		s.run(s.on(theirs, "merge", map[string]any{"rows": batch}), nil)
	}
	got, want := must(ours.ItemsSince(-1, 10000))(t), must(theirs.ItemsSince(-1, 10000))(t)
	if !cmp.Equal(got, want) {
		t.Errorf("rows (-swift +ours):\n%s", cmp.Diff(want, got))
	}
}

func randomRow(r *rand.Rand) ObjectRow {
	at := func() string { return fmt.Sprintf("170000000%d.0000%d", r.IntN(4), r.IntN(2)) }
	row := ObjectRow{Name: fmt.Sprint("o", r.IntN(5)), CreatedAt: at(), Size: int64(r.IntN(100)), Policy: r.IntN(2)}
	row.ContentType = []string{"a/b", "a/b; c=d", "x/y;swift_bytes=9", "p/q; swift_bytes=3 ;r=s"}[r.IntN(4)]
	row.ETag = fmt.Sprint("e", row.CreatedAt, row.Size)
	switch r.IntN(4) {
	case 0:
		row = Deletion(row.Name, parseTime(row.CreatedAt), row.Policy)
	case 1:
		row.ContentTypeTimestamp, row.MetaTimestamp = at(), at()
	case 2:
		row.CreatedAt += "_1"
	}
	return row
}

// TestSwiftsToolsReadOurs runs swift-container-info and swift-account-info on databases of ours.
func TestSwiftsToolsReadOurs(t *testing.T) {
	conf := t.TempDir()
	if err := os.WriteFile(filepath.Join(conf, "swift.conf"), []byte("[swift-hash]\nswift_hash_path_suffix = x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pool := newPool(t)
	c := pool.Container(testPlace(t), "AUTH_a", "caf\u00e9")
	if err := c.Create(parseTime("1700000000"), 0); err != nil {
		t.Fatal(err)
	}
	if err := c.PutObject(ObjectRow{Name: "o", CreatedAt: "1700000001.00000", Size: 77, ContentType: "a/b", ETag: "e"}); err != nil {
		t.Fatal(err)
	}
	a := pool.Account(testPlace(t), "AUTH_a")
	if err := a.Create(parseTime("1700000000")); err != nil {
		t.Fatal(err)
	}
	if err := a.PutContainer(ContainerRow{Name: "c", PutTimestamp: "1700000001.00000", DeleteTimestamp: "0", ObjectCount: 3, BytesUsed: 78}); err != nil {
		t.Fatal(err)
	}
	for tool, d := range map[string]*database{"swift-container-info": &c.database, "swift-account-info": &a.database} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skipf("needs %s of OpenStack Swift", tool)
		}
		cmd := exec.Command(path, "-d", conf, filepath.Join(d.dir, d.hash+".db"))
		cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
		out, err := cmd.CombinedOutput()
		want := []string{"Account: AUTH_a", "Deleted: False", map[string]string{"swift-container-info": "Bytes Used: 77", "swift-account-info": "Bytes Used: 78"}[tool]}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: %v, lacks %q:\n%s", tool, err, w, out)
			}
		}
	}
}

// TestSwiftAndWeWriteAtOnce has both append and merge on one database at the same time.
func TestSwiftAndWeWriteAtOnce(t *testing.T) {
	s := startSwift(t)
	c := newPool(t).Container(testPlace(t), "AUTH_a", "c")
	if err := c.Create(parseTime("1700000000"), 0); err != nil {
		t.Fatal(err)
	}
	const each = 1500 // enough for both to overflow the pending file
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range each {
			if err := c.PutObject(ObjectRow{Name: fmt.Sprintf("ours-%04d", i), CreatedAt: "1700000001.00000", Size: 1, ContentType: "a/b", ETag: "e"}); err != nil {
				t.Errorf("put row %d: %v", i, err)
			}
			if i%100 == 0 {
				if _, err := c.Info(StaleOK); err != nil {
					t.Errorf("info: %v", err)
				}
			}
		}
	}()
	var rows [][]any
	for i := range each {
		rows = append(rows, []any{fmt.Sprintf("swift-%04d", i), "1700000001.00000", 1, "a/b", "e"})
	}
	for i := 0; i < each; i += 100 {
		s.run(s.on(c, "put-objects", map[string]any{"rows": rows[i : i+100]}), nil)
		s.run(s.on(c, "container-info", nil), nil)
	}
	<-done
	if info := must(c.Info(Fresh))(t); info.ObjectCount != 2*each {
		t.Errorf("%d objects, want %d", info.ObjectCount, 2*each)
	}
	checkConsistent(t, c)
}

// TestSwiftSeesTheSameSharding compares infos along the way of a container from unsharded to sharded.
func TestSwiftSeesTheSameSharding(t *testing.T) {
	s := startSwift(t)
	c := newPool(t).Container(install(t, "shard", "containers"), "AUTH_test", "shardme")
	compare := func(what string, state State, objects int64) {
		t.Helper()
		var theirs struct{ Info any }
		s.run(s.on(c, "container-info", nil), &theirs)
		info := must(c.Info(Fresh))(t)
		if got := asMap(t, info); !cmp.Equal(got, theirs.Info) {
			t.Errorf("%s: info (-swift +ours):\n%s", what, cmp.Diff(theirs.Info, got))
		}
		if info.DBState != state || info.ObjectCount != objects {
			t.Errorf("%s: got %s with %d objects, want %s with %d", what, info.DBState, info.ObjectCount, state, objects)
		}
	}
	merge := func(change func(*ShardRange)) {
		t.Helper()
		ranges := must(c.ShardRanges(ShardQuery{}))(t)
		for i := range ranges {
			change(&ranges[i])
		}
		if err := c.MergeShardRanges(ranges); err != nil {
			t.Fatal(err)
		}
	}
	compare("two databases", Sharding, 10)
	merge(func(r *ShardRange) { r.State, r.StateTimestamp = RangeActive, "1700000200.00000" })
	compare("active ranges", Sharding, 10)
	files := must(c.Files())(t)
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	compare("one database with an epoch", Sharded, 10)
	if empty := must(c.Empty())(t); empty {
		t.Error("a container whose shards hold objects is called empty")
	}
	merge(func(r *ShardRange) { r.ObjectCount, r.BytesUsed, r.MetaTimestamp = 5, 7, "1700000300.00000" })
	compare("new counts", Sharded, 15)
	merge(func(r *ShardRange) { r.Deleted, r.Timestamp = 1, "1700000400.00000" })
	compare("no ranges", Collapsed, 0)
}

// TestSwiftMergesRangesAlike gives the same random shard ranges to Swift and to us, one after the other.
func TestSwiftMergesRangesAlike(t *testing.T) {
	s := startSwift(t)
	r := rand.New(rand.NewPCG(7, 8))
	pool := newPool(t)
	ours, theirs := pool.Container(testPlace(t), "AUTH_a", "c"), pool.Container(testPlace(t), "AUTH_a", "c")
	for _, c := range []*Container{ours, theirs} {
		if err := c.Create(parseTime("1700000000"), 0); err != nil {
			t.Fatal(err)
		}
	}
	at := func() string { return fmt.Sprintf("170000000%d.00000", r.IntN(3)) }
	for range 300 {
		bounds := [][2]string{{"", "m"}, {"m", ""}, {"a", "f"}}[r.IntN(3)]
		item := ShardRange{
			Name: []string{"x/1", "x/2", "AUTH_a/c"}[r.IntN(3)], Timestamp: at(), Lower: bounds[0], Upper: bounds[1], ObjectCount: r.Int64N(2),
			BytesUsed: r.Int64N(2), MetaTimestamp: at(), Deleted: r.IntN(2), State: 10 * (1 + r.IntN(8)), StateTimestamp: at(), Reported: r.IntN(2),
			Tombstones: r.Int64N(2) - 1,
		}
		if r.IntN(2) == 0 {
			epoch := at()
			item.Epoch = &epoch
		}
		if err := ours.MergeShardRanges([]ShardRange{item}); err != nil {
			t.Fatal(err)
		}
		var want []ShardRange
		s.run(s.on(theirs, "merge-ranges", map[string]any{"ranges": []ShardRange{item}}), &want)
		if got := must(ours.ShardRanges(ShardQuery{Own: true, Deleted: true}))(t); !cmp.Equal(got, want) {
			t.Fatalf("after %+v (-swift +ours):\n%s", item, cmp.Diff(want, got))
		}
	}
}
