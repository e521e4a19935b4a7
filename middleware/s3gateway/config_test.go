package s3gateway_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFaults holds each faulty file, which has one fault, against the error that an operator gets: with file, line and key, and
// without any server being started. -update rewrites them.
func TestFaults(t *testing.T) {
	names, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := config.Parse(a.Files[0].Name, a.Files[0].Data)
			if err == nil {
				_, err = assembly.ReadFile(file, assembly.Gateway)
			}
			fault, ok := errors.AsType[*config.Error](err)
			if !ok || fault.Line == 0 || fault.Key == "" {
				t.Fatalf("got %v, want an error with its place", err)
			}
			got := err.Error() + "\n"
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "errors", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if len(a.Files) != 2 || got != string(a.Files[1].Data) || strings.Count(got, "\n") != 1 {
				t.Errorf("got\n%swant the one error in %s", got, name)
			}
		})
	}
}

// TestTheFaultsAreFaults takes what the faulty files have in common.
func TestTheFaultsAreFaults(t *testing.T) {
	a, err := txtar.ParseFile("testdata/faults/unknown-upstream.txtar")
	if err != nil {
		t.Fatal(err)
	}
	file, err := config.Parse("s3-gateway.toml", []byte(strings.ReplaceAll(string(a.Files[0].Data), "cephh", "ceph")))
	if err == nil {
		_, err = assembly.ReadFile(file, assembly.Gateway)
	}
	if err != nil {
		t.Error(err)
	}
}
