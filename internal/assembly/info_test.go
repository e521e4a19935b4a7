package assembly

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
)

// otherwise says what is told of Apus in other words than of Swift, by section and key, and why. An entry that makes no
// difference is an error.
var otherwise = map[string]string{
	"swift.version":                   "it is the version of the program",
	"swift.allow_open_expired":        "Swift 2.30 does not have the option yet; 2.38 tells it",
	"swift.max_request_line":          "newer than 2.30",
	"tempurl.incoming_remove_headers": "Swift 2.30 does not have X-Open-Expired yet; 2.38 has it among the defaults",
}

// TestInfoIsThatOfSwift compares /info with testdata/info.json, which is what OpenStack Swift 2.30 tells. Its pipeline had the filters of
// etc/functional-test.toml but metrics, with the same options, and name_check and cname_lookup; and a realm
// for container sync. Each filter has to tell the same of itself.
func TestInfoIsThatOfSwift(t *testing.T) {
	var theirs map[string]map[string]any
	data, err := os.ReadFile("testdata/info.json")
	if err == nil {
		err = json.Unmarshal(data, &theirs)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../etc/functional-test.toml")
	if err != nil {
		t.Fatal(err)
	}
	const before, after = `"list-endpoints",`, `"list-endpoints", "name_check", "cname_lookup",`
	if strings.Count(string(text), before) != 1 {
		t.Fatalf("the pipeline has not %s once", before)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "proxy.toml")
	sections := "\n[filter.name_check]\n[filter.cname_lookup]\n"
	edited := strings.Replace(string(text), before, after, 1)
	edited = strings.Replace(edited, "[filter.slo]", "[filter.slo]\nallow_async_delete = true", 1)
	if err := os.WriteFile(path, []byte(edited+sections), 0o600); err != nil {
		t.Fatal(err)
	}
	options := EmbeddedOptions{Data: filepath.Join(dir, "data"), Config: path, Policies: []string{"gold", "silver"}, Version: "test", NoDaemons: true}
	realms := filepath.Join(options.Data, "etc", "container-sync-realms.conf")
	// The directory is made when a cluster starts, and what is in it is read then: the file is there for a second one.
	options.Log, options.Clock, options.FS = slog.New(slog.DiscardHandler), clock.System, disk.OS{}
	if e, err := OpenEmbedded(options); err != nil {
		t.Fatal(err)
	} else if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(realms, []byte("[local]\nkey = realmkey\ncluster_here = http://127.0.0.1:8080/v1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := start(t, options)
	_, body := do(t, "GET", url+"/info", "")
	var ours map[string]map[string]any
	if err := json.Unmarshal([]byte(body), &ours); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	for name, why := range otherwise {
		section, key, _ := strings.Cut(name, ".")
		if reflect.DeepEqual(theirs[section][key], ours[section][key]) {
			t.Errorf("%s is the same, where another is expected, because %s", name, why)
		}
		delete(theirs[section], key)
		delete(ours[section], key)
	}
	for name := range maps.Keys(theirs) {
		if diff := cmp.Diff(theirs[name], ours[name]); diff != "" {
			t.Errorf("%s, -Swift +Apus:\n%s", name, diff)
		}
		delete(ours, name)
	}
	for name, told := range ours {
		t.Errorf("%s: Swift tells nothing of that: %v", name, told)
	}
}
