package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// apus runs a command line and returns what it printed and its exit code.
func apus(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return out.String(), errs.String(), code
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = `[DEFAULT]
bind_port = 8080
[pipeline.main]
pipeline = ["healthcheck", "proxy-server"]
[filter.healthcheck]
[app.proxy-server]
`

func TestConfigCheck(t *testing.T) {
	path := write(t, "proxy.toml", good)
	if out, _, code := apus(t, "config", "check", path); code != 0 || !strings.Contains(out, "good: a proxy server") {
		t.Errorf("a good file: exit code %d, %q", code, out)
	}
	bad := write(t, "bad.toml", strings.Replace(good, "bind_port = 8080", "bind_prt = 8080", 1))
	if _, errs, code := apus(t, "config", "check", path, bad); code != 1 || !strings.Contains(errs, bad+":2: DEFAULT.bind_prt: unknown key") {
		t.Errorf("a bad file: exit code %d, %q", code, errs)
	}
}

func TestConfigShowSaysWhereValuesComeFrom(t *testing.T) {
	path := write(t, "proxy.toml", good)
	out, _, code := apus(t, "config", "show", path)
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, want := range []string{"catch_errors", "added", "bind_port", "= 8080", "# " + path + ":2", "# default"} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q in\n%s", want, out)
		}
	}
}

// TestConfigShowOfTablesWithinASection: what a file has as a table is shown as one.
func TestConfigShowOfTablesWithinASection(t *testing.T) {
	out, errs, code := apus(t, "config", "show", "../../etc/s3-gateway.toml")
	if code != 0 {
		t.Fatal(errs)
	}
	for _, want := range []string{
		"\n[filter.s3gateway]\nregion ", "\n[filter.s3gateway.upstream.cos]\nendpoint ", "\n[filter.s3gateway.upstream.archive.identity.alice]\naccess_key ",
		"\n[filter.s3gateway.identity.alice]\n", "\n[[filter.s3gateway.route]]  # 1\nname ", "\n[[filter.s3gateway.route]]  # 2\nname ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "upstream.cos.endpoint") {
		t.Error("keys are shown with the names of their tables")
	}
}

func TestConfigConvert(t *testing.T) {
	path := write(t, "proxy-server.conf", "[DEFAULT]\nbind_port = 8080\nservers_per_port = 2\n[pipeline:main]\npipeline = healthcheck proxy-server\n"+
		"[filter:healthcheck]\nuse = egg:swift#healthcheck\n[app:proxy-server]\nuse = egg:swift#proxy\n")
	out, errs, code := apus(t, "config", "convert", path)
	if code != 0 || !strings.Contains(out, `pipeline = ["healthcheck", "proxy-server"]`) || !strings.Contains(errs, path+":3: DEFAULT.servers_per_port") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	if _, errs, code := apus(t, "config", "check", write(t, "proxy.toml", out)); code != 0 {
		t.Errorf("the result is refused: %s", errs)
	}
	if _, errs, code := apus(t, "config", "convert", write(t, "odd.conf", "")); code != 2 || !strings.Contains(errs, "--kind") {
		t.Errorf("a name that says nothing: exit code %d, %q", code, errs)
	}
}

func TestWrongUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown flag":                           {"serve", "--dta", "x"},
		"an unknown command":                        {"sreve"},
		"an argument where there is none":           {"serve", "x"},
		"a number of devices that is none":          {"serve", "--devices", "0"},
		"a listen address without a port":           {"serve", "--data", t.TempDir(), "--listen", "localhost"},
		"no file where one is to be had":            {"config", "check"},
		"a ring command without a verb's arguments": {"ring", filepath.Join(t.TempDir(), "x.builder"), "create"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, errs, code := apus(t, args...); code != 2 || errs == "" {
				t.Errorf("apus %s: exit code %d, %q; want 2 and a message", strings.Join(args, " "), code, errs)
			}
		})
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	for _, c := range root().Commands() {
		if c.Short == "" {
			t.Errorf("apus %s has no description", c.Name())
		}
		out, _, code := apus(t, c.Name(), "--help")
		if code != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("apus %s --help: exit code %d", c.Name(), code)
		}
	}
}

func TestServerRefusesTheFileOfAnother(t *testing.T) {
	path := write(t, "proxy.toml", good)
	if _, errs, code := apus(t, "object", "-c", path); code != 1 || !strings.Contains(errs, "of kind proxy, not object") {
		t.Errorf("exit code %d, %q", code, errs)
	}
}
