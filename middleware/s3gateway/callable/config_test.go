package callable

import (
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

func decode(t *testing.T, text string) (Config, error) {
	t.Helper()
	f, err := config.Parse("f.toml", []byte("[filter.s3gateway.callable.tokens]\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Callables map[string]Config `toml:"callable"`
	}
	s, _ := f.Section("filter", "s3gateway")
	_, err = s.Decode(&c, config.Section{})
	return c.Callables["tokens"], err
}

func TestConfig(t *testing.T) {
	for text, want := range map[string]string{
		`starlark = "/a.star"`: "", `webhook = "https://h/x"`: "", `go = "name"`: "", "starlark = '/a'\nttl = 0\nmax_steps = 1000\nmax_memory = '1 MiB'": "",
		"webhook = 'http://h'\nfunctions = ['secret']\nbearer_env = 'B'\nca_file = '/c'": "",
		``:                                              "f.toml:1: filter.s3gateway.callable.tokens: want exactly one",
		"go = 'a'\nstarlark = '/a'":                     "want exactly one",
		`starlark = "a.star"`:                           "f.toml:2: filter.s3gateway.callable.tokens.starlark: want a path from the root",
		`webhook = "h:80"`:                              "want a URL",
		"go = 'a'\nttl = -1":                            "f.toml:3: filter.s3gateway.callable.tokens.ttl: want from 0 seconds",
		"go = 'a'\ntimeout = 0":                         "timeout: want more than 0",
		"go = 'a'\nmax_entries = 0":                     "max_entries: want 1 or more",
		"go = 'a'\nmax_calls = 0":                       "max_calls: want 1 or more",
		"go = 'a'\npath_depth = 100":                    "path_depth: want from 0 to 32",
		"go = 'a'\nmax_steps = 1":                       "max_steps: goes with starlark only",
		"starlark = '/a'\nmax_steps = 1000000000":       "max_steps: want from 0 to 10000000",
		"starlark = '/a'\nfunctions = ['secret']":       "functions: goes with webhook only",
		"webhook = 'http://h'\nfunctions = ['secrets']": `functions: want some of secret, credentials, authorize; have "secrets"`,
		"webhook = 'http://h'\nfunctions = []":          "have none",
		"webhook = 'http://h'\nbearer_env = 'B'\nbearer_file = '/f'": "only one of",
		"go = 'a'\nttll = 1": "did you mean ttl?",
	} {
		c, err := decode(t, text)
		if want == "" {
			if err != nil || c.MaxCalls != DefaultMaxCalls || c.Cache().NegativeTTL != 5*time.Second {
				t.Errorf("%s: %+v, %v", text, c, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for url, want := range map[string]bool{"http://h/": true, "https://h/": false, "http://127.0.0.1:1/": false, "http://[::1]/": false, "http://localhost/": false, "http://10.0.0.1": true} {
		if got := Plain(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}
