package recon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	for name, test := range map[string]struct {
		before string
		values map[string]any
		want   string
	}{
		"a new file":                  {"", map[string]any{"b": 1.5, "a": 2}, `{"a":2,"b":1.5}`},
		"figures of others stay":      {`{"x": 12345678901234567890.125, "a": 1}`, map[string]any{"a": nil}, `{"a":null,"x":12345678901234567890.125}`},
		"a map is merged":             {`{"d": {"sda": {"n": 1}, "sdb": 2}}`, map[string]any{"d": map[string]any{"sda": 3}}, `{"d":{"sda":3,"sdb":2}}`},
		"a map replaces a number":     {`{"d": 1}`, map[string]any{"d": map[string]any{"k": 1}}, `{"d":{"k":1}}`},
		"an empty map deletes":        {`{"d": {"k": 1}, "e": 1}`, map[string]any{"d": map[string]any{}}, `{"e":1}`},
		"an empty map deletes below":  {`{"d": {"k": 1, "l": 2}}`, map[string]any{"d": map[string]any{"k": map[string]any{}}}, `{"d":{"l":2}}`},
		"what is no JSON is replaced": {"garbage\n", map[string]any{"a": 1}, `{"a":1}`},
		"what is no object too":       {"[1]", map[string]any{"a": 1}, `{"a":1}`},
		"the first line counts":       {"{\"a\": 1}\n{\"b\": 2}", map[string]any{"c": 3}, `{"a":1,"c":3}`},
		"ASCII only":                  {"", map[string]any{"é<": "\U0001f426"}, `{"\u00e9<":"\ud83d\udc26"}`},
	} {
		f := File(filepath.Join(t.TempDir(), ObjectFile))
		if test.before != "" {
			if err := os.WriteFile(string(f), []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Merge(t.Context(), test.values); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := os.ReadFile(string(f))
		if err != nil || string(got) != test.want+"\n" {
			t.Errorf("%s: %q merged into %q gives %q, %v; want %q", name, test.values, test.before, got, err, test.want)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(string(f)), ".recon*")); len(left) > 0 {
			t.Errorf("%s: %q is left over", name, left)
		}
	}
}

func TestWritersDoNotLoseEachOthersKeys(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), ObjectFile))
	var wg sync.WaitGroup
	want := map[string]any{}
	for i := range 20 {
		key := fmt.Sprint("key", i)
		want[key] = json.Number(fmt.Sprint(i))
		wg.Go(func() {
			if err := f.Merge(t.Context(), map[string]any{key: i}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := f.Load()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	if err := File(filepath.Join(dir, "none", ObjectFile)).Merge(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
	f := File(filepath.Join(dir, ObjectFile))
	if err := f.Merge(t.Context(), map[string]any{"f": func() {}}); err == nil {
		t.Error("a function went into JSON")
	}
	synctest.Test(t, func(t *testing.T) {
		holder, err := os.OpenFile(string(f), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		if err := syscall.Flock(int(holder.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		if err := f.Merge(t.Context(), map[string]any{"a": 1}); !errors.Is(err, ErrLocked) {
			t.Errorf("while somebody holds the lock: %v, want ErrLocked", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Merge(ctx, map[string]any{"a": 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("with a cancelled context: %v", err)
		}
	})
}

func TestLoadTakesOneObject(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       map[string]any
	}{
		{"one line", "{\"a\": 1}\n", map[string]any{"a": json.Number("1")}},
		{"several lines", "{\n\"a\": 1,\n\"b\": null}\n\n", map[string]any{"a": json.Number("1"), "b": nil}},
		{"two objects", "{\"a\": 1}\n{\"a\": 2}\n", map[string]any{}},
		{"a list", "[1]", map[string]any{}},
		{"null", "null", map[string]any{}},
		{"one that was not written to its end", "{\"a\": 1", map[string]any{}},
		{"nothing", "", map[string]any{}},
	} {
		f := File(filepath.Join(t.TempDir(), ObjectFile))
		if err := os.WriteFile(string(f), []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := f.Load()
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", tc.name, err, diff)
		}
	}
}
