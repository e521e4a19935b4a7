package diskfile_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/backend/store/storetest"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/pickle"
)

// rawMetadata decodes an attribute.
func rawMetadata(t *testing.T, hexValue string) (store.Metadata, string) {
	t.Helper()
	data, err := hex.DecodeString(hexValue)
	if err != nil {
		t.Fatal(err)
	}
	items, err := pickle.DecodeMetadata(data)
	if err != nil {
		t.Fatal(err)
	}
	name := store.Metadata(items).Get("name")
	return store.Metadata(items).Without("name"), name
}

// python returns an interpreter that has OpenStack Swift, or skips the test.
func python(t *testing.T) string {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import swift.obj.diskfile").Run() == nil {
			return name
		}
	}
	t.Skip("no python3 here can import OpenStack Swift's swift.obj.diskfile")
	return ""
}

// TestSwiftReadsWhatWeWrite has OpenStack Swift's own code open objects and sum up the partition.
func TestSwiftReadsWhatWeWrite(t *testing.T) {
	interpreter := python(t)
	dir, ctx := t.TempDir(), context.Background()
	if err := os.Mkdir(dir+"/sda", 0o755); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, disk.OS{}, dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(storetest.Put(s, storetest.Name("plain"), storetest.At(0), "hello"))
	must(storetest.Put(s, storetest.Name("ünï/☃"), storetest.At(1), "x", store.Item{Key: "X-Object-Meta-V", Value: "caf\xc3\xa9 \xff"}))
	must(storetest.Put(s, storetest.Name("changed"), storetest.At(2), "", store.Item{Key: "X-Object-Sysmeta-S", Value: ""}))
	must(s.SetMetadata(ctx, storetest.Name("changed"), store.MetadataChange{At: storetest.At(5), ContentType: "image/png",
		ContentTypeAt: storetest.At(3).WithOffset(0), Metadata: store.Metadata{{Key: "X-Object-Meta-A", Value: "1"}}}))
	must(s.Delete(ctx, storetest.Name("gone"), storetest.At(4).WithOffset(3)))
	must(storetest.Put(s, storetest.Name("big"), storetest.At(6), "x", store.Item{Key: "X-Object-Meta-Big", Value: strings.Repeat("y", 1500)}))

	names := []string{"plain", "ünï/☃", "changed", "gone", "big", "never"}
	var input strings.Builder
	for _, name := range names {
		line, _ := json.Marshal([]string{"AUTH_test", "c", name})
		input.Write(append(line, '\n'))
	}
	cmd := exec.Command(interpreter, "testdata/read_with_swift.py", dir, "goldpre", "goldsuf", "sda", "7")
	cmd.Stdin = strings.NewReader(input.String())
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, name := range names {
		var got struct {
			Metadata map[string]string
			Body     string
			Deleted  string
			Missing  bool
		}
		must(json.Unmarshal([]byte(lines[i]), &got))
		f, err := s.Open(ctx, storetest.Name(name), store.OpenOptions{})
		if at, deleted := store.TombstoneTime(err); deleted || err != nil {
			if got.Missing == deleted || (deleted && got.Deleted != at.Internal()) {
				t.Errorf("%s: Swift has %+v, we %v", name, got, err)
			}
			continue
		}
		want := map[string]string{"name": hex.EncodeToString([]byte(storetest.Name(name).Path()))}
		for _, item := range f.Info().Metadata {
			want[item.Key] = hex.EncodeToString([]byte(meta.ToStored(item.Value)))
		}
		if !maps.Equal(got.Metadata, want) {
			t.Errorf("%s: Swift has %v, we %v", name, got.Metadata, want)
		}
		f.Close()
	}
	var theirs map[string]string
	must(json.Unmarshal([]byte(lines[len(names)]), &theirs))
	ours, err := s.SuffixHashes(ctx, store.Partition{Device: "sda", Partition: "7"}, slices.Collect(maps.Keys(theirs)))
	if err != nil || len(theirs) != 5 || !maps.Equal(ours, theirs) {
		t.Errorf("suffix hashes: Swift has %v, we %v, %v", theirs, ours, err)
	}
}
