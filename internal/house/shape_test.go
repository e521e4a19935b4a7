package house

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		docs := 0
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				docs++
			}
		}
		if len(p.GoFiles) > 0 && docs != 1 {
			t.Errorf("%s has %d package comments, want one that gives purpose, invariants, non-goals and an example", p.name(), docs)
		}
	}
}

// TestOnlyRespwWrapsResponseWriters looks for types that have WriteHeader: a wrapper written by hand loses Flush, ReadFrom
// or the deadlines of the writer below it, and nothing says so.
func TestOnlyRespwWrapsResponseWriters(t *testing.T) {
	allowed := map[string]string{
		"internal/respw":  "it is the one place",
		"internal/pull":   "its writer is the end of a chain, not a wrapper",
		"internal/subreq": "its recorder is the end of a chain, not a wrapper",
	}
	for _, p := range packages(t) {
		if allowed[p.name()] != "" {
			continue
		}
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if ok && fn.Recv != nil && fn.Name.Name == "WriteHeader" && !strings.Contains(p.name(), "test") {
					t.Errorf("%s/%s has a type with WriteHeader: use respw.OnHeader, Divert, Filter or NewMeter", p.name(), f)
				}
			}
		}
	}
}

func TestNoJunkDrawers(t *testing.T) {
	for _, p := range packages(t) {
		switch base := filepath.Base(p.name()); base {
		case "util", "utils", "common", "helpers", "types", "base", "misc", "shared":
			t.Errorf("%s: a package is named after the noun it holds", p.name())
		}
	}
}

// TestGoldenFilesAreRewrittenTogether looks for tests that take -update: `make golden` runs them all, but for those that record the
// answers of a Swift that has to be there.
func TestGoldenFilesAreRewrittenTogether(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\ngolden:")
	target, _, _ := strings.Cut(strings.ReplaceAll(rest, "\\\n", ""), "\n\n")
	runs := strings.Fields(target)
	for _, p := range packages(t) {
		for _, f := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), `flag.Bool("update"`) || strings.Contains(string(text), "which must be an OpenStack Swift") {
				continue
			}
			if !slices.Contains(runs, "./"+p.name()) {
				t.Errorf("%s takes -update, and is not in the Makefile's target golden", p.name())
			}
		}
	}
}

// TestDependencies compares the modules that the program is built from with the reviewed list. A new one needs a line
// in docs/dependencies.md; then run this test with -update.
func TestDependencies(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module+"/cmd/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	mods := slices.DeleteFunc(strings.Fields(string(out)), func(m string) bool { return m == module })
	slices.Sort(mods)
	got := strings.Join(slices.Compact(mods), "\n") + "\n"
	golden := "testdata/modules.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the program is built from other modules than %s lists\ngot:\n%s\nwant:\n%s", golden, got, want)
	}
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(gomod)) {
		f := strings.Fields(line)
		if len(f) == 2 && strings.Contains(f[0], "/") && strings.HasPrefix(f[1], "v") && !strings.Contains(string(doc), f[0]) {
			t.Errorf("docs/dependencies.md does not say what %s is for", f[0])
		}
	}
}
