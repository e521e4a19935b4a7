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
// option that there is. Of tables of one kind within a section, it is enough if one shows an option.
func TestSamplesShowEveryOption(t *testing.T) {
	for _, name := range []string{
		"account-server.toml", "container-server.toml", "object-server.toml", "object-expirer.toml", "proxy-server.toml", "s3-gateway.toml",
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(samples, name))
			if err != nil {
				t.Fatal(err)
			}
			plain, full := options(t, name, data), options(t, name, commented.ReplaceAll(data, []byte("$1")))
			shown := map[string]bool{}
			for key, o := range full {
				if o.Source != "default" {
					shown[kindOfKey(key)] = true
				}
			}
			for key, o := range plain {
				switch in := full[key]; {
				case strings.HasPrefix(key, "app.proxy-server ") && name == "object-expirer.toml",
					strings.HasPrefix(key, "DEFAULT ") && name == "object-expirer.toml" && !strings.HasPrefix(o.Key, "log_") && o.Key != "swift_dir":
					continue // the sample says where they are
				case exampled(string(data), key):
					// What it is without the line, or where that comes from, is in its comment.
				case !shown[kindOfKey(key)]:
					t.Errorf("%s is not shown; add its meaning, and: # %s = %s", key, o.Key[strings.LastIndex(o.Key, ".")+1:], o.Value)
				case in.Value != o.Value:
					t.Errorf("%s is shown as %s, but the default is %s", key, in.Value, o.Value)
				}
			}
		})
	}
}

// kindOfKey is the same for the same option of all tables of a kind: upstream.NAME.region of upstream.a.region, route.bucket of
// route[2].bucket.
func kindOfKey(key string) string {
	parts := strings.Split(regexp.MustCompile(`\[\d+\]`).ReplaceAllString(key, ""), ".")
	section := strings.Index(key, " ") // within parts[n]
	names := strings.Count(key[:section], ".")
	for i := names + 1; i < len(parts)-1; i += 2 {
		parts[i] = "NAME"
	}
	return strings.Join(parts, ".")
}

var tableHeader = regexp.MustCompile(`(?m)^\[+([\w.-]+)\]+$`)

// exampled says whether a sample has an example of the option: in a table within a section, in one of the same kind.
func exampled(text, key string) bool {
	section, within, _ := strings.Cut(key, " ")
	table, option, nested := cutLast(within)
	if !nested {
		return strings.Contains(text, "\n#   "+within+" = ")
	}
	headers := tableHeader.FindAllStringSubmatchIndex(text, -1)
	for i, h := range headers {
		end := len(text)
		if i+1 < len(headers) {
			end = headers[i+1][0]
		}
		rest, ok := strings.CutPrefix(text[h[2]:h[3]], section+".")
		if ok && kindOfKey(section+" "+rest+".x") == kindOfKey(section+" "+table+".x") && strings.Contains(text[h[1]:end], "\n#   "+option+" = ") {
			return true
		}
	}
	return false
}

func cutLast(key string) (before, after string, found bool) {
	i := strings.LastIndex(key, ".")
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
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
