package house

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/apus-storage/apus"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath   string
	Doc          string
	Imports      []string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

func (p pkg) name() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,Dir,GoFiles,TestGoFiles,XTestGoFiles", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// vocabulary is floor 0: nouns of the Swift API, on the standard library alone.
var vocabulary = []string{
	"internal/acl", "internal/apipath", "internal/ascii", "internal/clock", "internal/conditional", "internal/constraint",
	"internal/hashpath", "internal/headname", "internal/listing", "internal/meta", "internal/pickle", "internal/policy", "internal/ranges",
	"internal/timestamp",
}

// contracts is floor 2: what features are written against.
var contracts = []string{
	"middleware", "middleware/pipeline", "middleware/middlewaretest", "ring", "backend/store", "backend/store/storetest", "backend/daemon",
}

// assembly is floor 4: what puts features together.
var assembly = []string{"middleware/all", "middleware/s3gateway/embed", "cmd", "internal/assembly", "internal/testcluster", "internal/interop", "internal/replay"}

func in(name string, list []string) bool {
	for _, l := range list {
		if name == l || strings.HasPrefix(name, l+"/") && l != "middleware" && l != "ring" && l != "backend/store" {
			return true
		}
	}
	return false
}

func floor(name string) int {
	// What is internal to a package stands on its floor.
	if parent, _, ok := strings.Cut(name, "/internal/"); ok {
		name = parent
	}
	switch {
	case in(name, assembly):
		return 4
	case in(name, contracts):
		return 2
	case in(name, vocabulary):
		return 0
	case strings.HasPrefix(name, "internal/"):
		return 1
	}
	return 3
}

// area is the part of floor 3 that a package belongs to; parts do not import each other.
func area(name string) string {
	parts := strings.Split(name, "/")
	switch {
	case parts[0] == "middleware" && len(parts) > 1:
		return "middleware/" + parts[1]
	default:
		return parts[0]
	}
}

// rules are the reasons that a reader of a failure is given.
var rules = []struct {
	broken func(from, to string) bool
	why    string
}{
	{func(from, to string) bool { return floor(to) > floor(from) },
		"imports go down: floor 0 vocabulary, 1 plumbing, 2 contracts, 3 features, 4 assembly; what is needed from above belongs into a contract"},
	{func(from, to string) bool {
		return floor(from) == 3 && floor(to) == 3 && strings.HasPrefix(from, "middleware/") && strings.HasPrefix(to, "middleware/") && area(from) != area(to)
	}, "a filter never imports another: two that must cooperate speak HTTP, or through a field of request.State"},
	{func(from, to string) bool {
		return area(from) == "proxyserver" && (strings.HasPrefix(to, "middleware/") && floor(to) == 3 || area(to) == "backend")
	}, "the proxy imports no filter and no storage node: it reaches nodes by an http.RoundTripper, so that they may be Swift's"},
	{func(from, to string) bool { return area(from) == "backend" && area(to) == "proxyserver" },
		"a storage node never imports the proxy: it serves Swift's proxies too"},
	{func(from, to string) bool { return strings.HasPrefix(to, "cmd/") && !strings.HasPrefix(from, "cmd/") },
		"nothing imports a command"},
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		from := p.name()
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, module+"/")
			if !ours {
				if floor(from) == 0 && strings.Contains(strings.SplitN(i, "/", 2)[0], ".") {
					t.Errorf("%s imports %s: vocabulary stands on the standard library alone, so that anything may use it", from, i)
				}
				continue
			}
			for _, r := range rules {
				if r.broken(from, to) {
					t.Errorf("%s imports %s: %s", from, to, r.why)
				}
			}
		}
	}
}
