package namecheck

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// TestAnswersAreThoseOfSwift replays what testdata/record.py recorded.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, Method, Path, Text, Type string
			Config                         map[string]string
			Status                         int
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 20 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	for _, row := range golden.Rows {
		if row.Name == "another character" {
			continue // Swift takes paths for Latin-1 here, see TestCharactersOfSeveralBytes
		}
		config := ""
		for k, v := range row.Config {
			config += fmt.Sprintf("%s = %s\n", k, strconv.Quote(v))
		}
		app := mt.NewApp().Otherwise(mt.Answer{Header: map[string]string{"Content-Type": "text/x-app"}, Body: "app"})
		got := mt.Do(t, mt.Build(t, Filter, config, app), row.Method, row.Path)
		if got.Code != row.Status || got.Body != row.Text || got.Header.Get("Content-Type") != row.Type {
			t.Errorf("%s: %s %s with %v: got %d %q %q, want %d %q %q", row.Name, row.Method, row.Path, row.Config,
				got.Code, got.Header.Get("Content-Type"), got.Body, row.Status, row.Type, row.Text)
		}
	}
}

func TestCharactersOfSeveralBytes(t *testing.T) {
	h := mt.Build(t, Filter, `forbidden_chars = ":é"`, mt.NewApp().Otherwise(mt.Answer{}))
	for path, want := range map[string]int{"/v1/a/c/%C3%A9": 400, "/v1/a/c/%C3%A8": 200, "/v1/a/c/%C3": 200, "/v1/a/c/%E9": 200} {
		if got := mt.Get(t, h, path); got.Code != want {
			t.Errorf("%s: got %d, want %d", path, got.Code, want)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tc := range []struct{ name, config, want string }{
		{"a pattern that does not end", `forbidden_regexp = "("`, "missing closing"},
		{"a pattern that looks ahead", `forbidden_regexp = "a(?=b)"`, "as Go knows them"},
		{"no length", "maximum_length = 0", "above 0"},
	} {
		p, err := mt.TryBuild(mt.Host(t), Filter, tc.config, mt.NewApp())
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "test.toml:6") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %s: got %v, want an error of line 6 with %q", tc.name, tc.config, err, tc.want)
		}
	}
}

func TestInfo(t *testing.T) {
	p := mt.BuildOn(t, mt.Host(t), Filter, "maximum_length = 9", mt.NewApp())
	got, err := json.Marshal(p.Info().Public["name_check"])
	const want = `{"forbidden_chars":"'\"` + "`" + `\u003c\u003e","forbidden_regexp":"/\\./|/\\.\\./|/\\.$|/\\.\\.$","maximum_length":9}`
	if err != nil || string(got) != want {
		t.Errorf("/info: got %s, %v; want %s", got, err, want)
	}
}

func FuzzFault(f *testing.F) {
	for _, p := range []string{"/v1/a/c/o", "/v1/a/../x", "/.\n", "/v1/a/c/\xff", "/<"} {
		f.Add(p)
	}
	i, err := build(mt.Host(f), Filter.Defaults().(Config))
	if err != nil {
		f.Fatal(err)
	}
	check := i.Wrap(nil).(*filter)
	f.Fuzz(func(t *testing.T, path string) {
		text := check.fault(path)
		if !utf8.ValidString(text) {
			t.Errorf("%q: the text %q repeats what the client sent", path, text)
		}
		for _, segment := range strings.Split(strings.TrimSuffix(path, "\n"), "/")[1:] {
			if (segment == "." || segment == "..") && text == "" {
				t.Errorf("%q passes", path)
			}
		}
	})
}
