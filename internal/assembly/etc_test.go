package assembly

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/swiftconf"
)

const samples = "../../etc"

// commented is a line of a sample that shows an option with its default. Examples are indented further.
var commented = regexp.MustCompile(`(?m)^# (\w+ = .*)$`)

// TestEverySampleLoads reads every file in etc.
func TestEverySampleLoads(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		if filepath.Base(path) != "swift.toml" {
			if _, err := Read(path, ""); err != nil {
				t.Error(err)
			}
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := swiftconf.ParseTOML(path, data)
		if err != nil {
			t.Error(err)
			continue
		}
		full, err := swiftconf.ParseTOML(path, commented.ReplaceAll(data, []byte("$1")))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(plain.Limits, full.Limits); diff != "" {
			t.Errorf("%s: limits shown as defaults are others (-default +shown):\n%s", path, diff)
		}
	}
}

// TestTheSampleShowsWhereFiltersStand loads the longer pipeline that is in the proxy's sample.
func TestTheSampleShowsWhereFiltersStand(t *testing.T) {
	s := readSample(t)
	shown := regexp.MustCompile(`(?ms)^#   (pipeline = \[.*?^#   \])`).FindStringSubmatch(s.text)
	if shown == nil {
		t.Fatal("there is none")
	}
	whole := strings.ReplaceAll(shown[1], "\n#   ", "\n")
	file, err := config.Parse("proxy-server.toml", []byte(pipelineLine.ReplaceAllLiteralString(s.text, whole)))
	if err != nil {
		t.Fatal(err)
	}
	setup, err := ReadFile(file, Proxy)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, e := range setup.Plan.Entries {
		if slices.Contains(s.names, e.Section) {
			kept = append(kept, e.Section)
		}
	}
	if diff := cmp.Diff(s.names, kept); diff != "" {
		t.Errorf("what runs is not within it, in the same order (-runs +within):\n%s", diff)
	}
}

// TestSamplesShowEveryOption takes the comment signs from a sample's options: it must say the same as before, and name every
// option that there is.
func TestSamplesShowEveryOption(t *testing.T) {
	for _, name := range []string{"account-server.toml", "container-server.toml", "object-server.toml", "object-expirer.toml", "proxy-server.toml"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(samples, name))
			if err != nil {
				t.Fatal(err)
			}
			plain, full := options(t, name, data), options(t, name, commented.ReplaceAll(data, []byte("$1")))
			for key, o := range plain {
				shown, ok := full[key]
				switch {
				case strings.HasPrefix(key, "app.proxy-server ") && name == "object-expirer.toml",
					strings.HasPrefix(key, "DEFAULT ") && name == "object-expirer.toml" && !strings.HasPrefix(o.Key, "log_") && o.Key != "swift_dir":
					continue // the sample says where they are
				case strings.Contains(string(data), "\n#   "+o.Key+" = "):
					// An example: what it is without the line, or where that comes from, is in its comment.
				case !ok || shown.Source == "default":
					t.Errorf("%s is not shown; add its meaning, and: # %s = %s", key, o.Key, o.Value)
				case shown.Value != o.Value:
					t.Errorf("%s is shown as %s, but the default is %s", key, shown.Value, o.Value)
				}
			}
		})
	}
}

// options lists what a file amounts to, by section and key.
func options(t *testing.T, name string, data []byte) map[string]config.Option {
	t.Helper()
	file, err := config.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadFile(file, "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]config.Option{}
	add := func(section string, r config.Report) {
		for _, o := range r.Options {
			out[section+" "+o.Key] = o
		}
	}
	add("DEFAULT", s.Plan.Default)
	for i, e := range s.Plan.Entries {
		kind := "filter."
		if i == len(s.Plan.Entries)-1 {
			kind = "app."
		}
		if !e.Inserted {
			add(kind+e.Section, e.Report)
		}
	}
	for table, r := range s.Plan.Tables {
		add(table, r)
	}
	return out
}
