package convert_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/convert"
	"github.com/apus-storage/apus/internal/serve"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The options of some filters, enough to see each type of value.
type (
	none     struct{}
	tempauth struct {
		Prefixes      config.List       `toml:"reseller_prefix"`
		TokenLife     config.Duration   `toml:"token_life"`
		AllowOverride bool              `toml:"allow_overrides"`
		Users         map[string]string `toml:"user_*"`
		RequireGroup  map[string]string `toml:"*_require_group"`
	}
	tempurl struct {
		Methods config.List `toml:"methods"`
		Digests config.List `toml:"allowed_digests"`
	}
	proxy struct {
		Autocreate  bool                      `toml:"account_autocreate"`
		NodeTimeout config.Duration           `toml:"node_timeout"`
		Chunk       config.Size               `toml:"client_chunk_size"`
		Sorting     string                    `toml:"sorting_method"`
		Whitelist   config.List               `toml:"max_containers_whitelist"`
		Policies    map[string]config.Section `toml:"policy"`
	}
	memcache struct {
		Servers config.List `toml:"memcache_servers"`
		Max     int         `toml:"memcache_max_connections"`
	}
	encryption struct {
		Disable bool `toml:"disable_encryption"`
	}
	s3api struct {
		ACL     bool        `toml:"s3_acl"`
		Domains config.List `toml:"storage_domain"`
	}
	slo struct {
		Async bool `toml:"allow_async_delete"`
	}
	node struct {
		Devices    string `toml:"devices"`
		MountCheck bool   `toml:"mount_check"`
	}
	replicator struct {
		Concurrency int             `toml:"concurrency"`
		Interval    config.Duration `toml:"interval"`
	}
	expirer struct {
		Dequeue bool                       `toml:"dequeue_from_legacy"`
		Rate    float64                    `toml:"tasks_per_second"`
		Delays  map[string]config.Duration `toml:"delay_reaping_*"`
	}
)

func define[C any](kind string, aliases ...string) *middleware.Definition {
	var zero C
	return middleware.Define(kind, zero, func(middleware.Host, C) (middleware.Instance, error) { return middleware.Instance{}, nil }).Alias(aliases...)
}

func app[C any](kind string) *middleware.Definition {
	var zero C
	return middleware.DefineApp(kind, zero, func(middleware.Host, C) (middleware.Instance, error) { return middleware.Instance{}, nil })
}

func registry() pipeline.Registry {
	defs := []*middleware.Definition{
		define[tempauth]("tempauth"), define[tempurl]("tempurl"), define[tempurl]("formpost"), define[memcache]("memcache", "cache"),
		define[encryption]("encryption"), define[s3api]("s3api"), define[slo]("slo"), define[none]("authtoken"),
		app[proxy]("proxy-server"), app[node]("object-server"), app[node]("account-server"), app[node]("container-server"),
	}
	for _, kind := range []string{"healthcheck", "proxy_logging", "etag_quoter", "listing_formats", "bulk", "domain_remap", "ratelimit", "crossdomain",
		"container_sync", "staticweb", "copy", "container_quotas", "account_quotas", "dlo", "versioned_writes", "symlink", "catch_errors", "gatekeeper", "recon"} {
		defs = append(defs, define[none](kind))
	}
	return pipeline.NewRegistry(defs...)
}

// known is what the tests' Apus understands.
type known struct{ r pipeline.Registry }

func (k known) find(name string, app bool) (string, convert.Options, bool) {
	d := k.r[strings.ReplaceAll(name, "-", "_")]
	if d == nil || d.IsApp() != app {
		return "", nil, false
	}
	cfg, _, _ := d.Decode(config.Section{}, config.Section{})
	return d.Kind(), convert.OptionsOf(cfg), true
}

func (k known) Filter(name string) (string, convert.Options, bool) { return k.find(name, false) }
func (k known) App(name string) (string, convert.Options, bool)    { return k.find(name, true) }
func (k known) Server(convert.Kind) convert.Options                { return convert.OptionsOf(serve.Config{}) }

func (k known) Table(kind convert.Kind, name string) (convert.Options, bool) {
	if kind == convert.Memcache && name == "memcache" {
		return convert.OptionsOf(memcache{}), true
	}
	t, ok := tables()[name]
	return convert.OptionsOf(t), ok
}

func tables() map[string]any {
	return map[string]any{"object-replicator": &replicator{}, "object-auditor": &replicator{}, "object-expirer": &expirer{}, "container-updater": &replicator{}}
}

// accept reads the result as Apus will.
func accept(kind convert.Kind, name string, toml []byte) error {
	if kind == convert.Cluster {
		_, err := swiftconf.ParseTOML(name, toml)
		return err
	}
	file, err := config.Parse(name, toml)
	if err != nil || kind == convert.Memcache {
		return err
	}
	cfg := serve.Defaults()
	cfg.BindPort = 1
	var server any = &cfg
	_, err = pipeline.Read(file, pipeline.Spec{Server: string(kind), Registry: registry(), Default: server, Tables: tables()})
	return err
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		_, short, _ := strings.Cut(name, ".") // cluster.proxy-server.conf
		kind, ok := convert.KindOf(short)
		if !ok {
			t.Errorf("%s: no kind", name)
			continue
		}
		toml, notes, err := convert.Convert(name, data, kind, known{registry()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		blocking := false
		var lines []string
		for _, n := range notes {
			lines = append(lines, n.String())
			blocking = blocking || n.Blocking
		}
		golden(t, strings.TrimSuffix(path, ".conf")+".toml", toml)
		golden(t, strings.TrimSuffix(path, ".conf")+".notes", []byte(strings.Join(lines, "\n")+"\n"))
		if err := accept(kind, name, toml); (err != nil) != blocking {
			t.Errorf("%s: notes say blocking: %v, reading the result: %v", name, blocking, err)
		}
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s, -want +got:\n%s", path, diff)
	}
}

func TestRules(t *testing.T) {
	for name, test := range map[string]struct {
		kind        convert.Kind
		text        string
		toml, notes []string // lines that must be there
		not         string   // text that must not be in the TOML
	}{
		"what DEFAULT has counts": {convert.Proxy,
			"[DEFAULT]\ntoken_life = 5\nswift_dir = /etc/swift\n[filter:tempauth]\nuse = egg:swift#tempauth\ntoken_life = 7\n",
			[]string{"token_life = 5", "# token_life = 7"}, []string{`f:6: filter.tempauth.token_life: commented out: to Swift the one in [DEFAULT] counts, unless this is written as "set token_life"`}, ""},
		"set overrides DEFAULT": {convert.Proxy,
			"[DEFAULT]\ntoken_life = 5\nswift_dir = x\n[filter:tempauth]\nuse = egg:swift#tempauth\nset token_life = 7\n",
			[]string{"token_life = 5", "token_life = 7"}, nil, "# token_life"},
		"set in DEFAULT is for all": {convert.Proxy, "[DEFAULT]\nset keep_idle = 5\nbind_ip = a\nset bind_ip = b\nswift_dir = x\n",
			[]string{"keep_idle = 5", `bind_ip = "a"`, "# set bind_ip = b"}, []string{"f:4: DEFAULT.set bind_ip: commented out: it is there without set as well"}, ""},
		"get copies from DEFAULT": {convert.Proxy,
			"[DEFAULT]\nswift_dir = x\nkeep_idle = 5\n[filter:tempauth]\nuse = egg:swift#tempauth\nget token_life = keep_idle\nget x = y\n",
			[]string{"token_life = 5", "# get x = y"}, []string{"f:7: filter.tempauth.get x: does not count: [DEFAULT] has no y"}, ""},
		"a daemon's own option counts": {convert.Object,
			"[DEFAULT]\ninterval = 5\nswift_dir = x\n[object-auditor]\ninterval = 1.5\n", []string{"interval = 5", "interval = 1.5"}, nil, ""},
		"the name of a section that is no kind": {convert.Proxy,
			"[pipeline:main]\npipeline = log1 web\n[filter:log1]\nuse = egg:swift#proxy_logging\n[app:web]\nuse = egg:swift#proxy\n",
			[]string{"[filter.log1]", `use = "proxy_logging"`, "[app.web]", `use = "proxy-server"`, `pipeline = ["log1", "web"]`}, nil, ""},
		"a section that uses another": {convert.Proxy,
			"[filter:a]\nuse = egg:swift#tempauth\ntoken_life = 5\nallow_overrides = no\n[filter:b]\nuse = a\nallow_overrides = yes\n",
			[]string{"[filter.b]", "allow_overrides = true", "token_life = 5"}, nil, ""},
		"a factory in Python": {convert.Proxy,
			"[filter:authtoken]\npaste.filter_factory = keystonemiddleware.auth_token:filter_factory\n[filter:te]\npaste.filter_factory = swift.common.middleware.tempauth:filter_factory\n",
			[]string{"[filter.authtoken]", "[filter.te]", `use = "tempauth"`}, nil, "paste"},
		"an unknown filter in the pipeline stays": {convert.Proxy,
			"[pipeline:main]\npipeline = guard proxy-server\n[filter:guard]\nuse = egg:guard#main\nkey = x\n[app:proxy-server]\nuse = egg:swift#proxy\n",
			[]string{`pipeline = ["guard", "proxy-server"]`, "[filter.guard]", `use = "egg:guard#main"`, "# key = x"},
			[]string{`f:4: filter.guard: Apus has no filter "egg:guard#main"; it is left in the pipeline for you to replace it or take it out`,
				"f:5: filter.guard.key: commented out with the filter that Apus does not have"}, ""},
		"an unknown filter outside goes": {convert.Proxy,
			"[filter:guard]\nuse = config:other.conf\nkey = x\n", []string{"# [filter:guard]", "# use = config:other.conf", "# key = x"},
			[]string{`f:2: filter.guard: Apus has no filter "config:other.conf"; it is not in the pipeline and is commented out`}, ""},
		"a composite": {convert.Proxy, "[composite:main]\nuse = egg:Paste#urlmap\n/ = home\n", []string{"# [composite:main]", "# / = home"},
			[]string{"f:1: composite:main: Apus has one pipeline, [pipeline.main], of filters and an app; commented out"}, ""},
		"policies of the app": {convert.Proxy,
			"[app:proxy-server]\nuse = egg:swift#proxy\n[proxy-server:policy:1]\nsorting_method = affinity\n",
			[]string{"[app.proxy-server.policy.1]", `sorting_method = "affinity"`}, nil, ""},
		"a file without DEFAULT": {convert.Proxy, "[filter:slo]\nuse = egg:swift#slo\n", []string{"[DEFAULT]", `swift_dir = "/etc/swift"`},
			[]string{"f: DEFAULT.swift_dir: added: Apus would look elsewhere by itself"}, ""},
		"a second DEFAULT joins the first": {convert.Proxy, "[DEFAULT]\nbind_port = 1\n[filter:slo]\nuse = egg:swift#slo\n[DEFAULT]\nkeep_idle = 2\nbind_ip = ::\n",
			[]string{"bind_port = 1", "keep_idle = 2", `bind_ip = "::"`}, nil, "#"},
		"values that are odd": {convert.Proxy,
			"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = maybe\nnode_timeout = 1e1\nclient_chunk_size = 64 KiB\nmax_containers_whitelist = a, b,\n  c\nsorting_method = \"x\\y\"\n",
			[]string{"account_autocreate = false", "node_timeout = 10.0", `client_chunk_size = "64 KiB"`, `max_containers_whitelist = ["a", "b", "c"]`, `sorting_method = "\"x\\y\""`},
			[]string{`f:3: app.proxy-server.account_autocreate: "maybe" is none of Swift's words for true, so to Swift it is false`}, ""},
		"numbers that are none": {convert.Object, "[object-replicator]\nconcurrency = many\ninterval =\n", []string{`concurrency = "many"`, "# interval = "},
			[]string{`f:2: object-replicator.concurrency: "many" is not a whole number; Apus will refuse it`, "f:3: object-replicator.interval: commented out: it is empty"}, ""},
		"options that Apus does not have": {convert.Proxy,
			"[DEFAULT]\nservers_per_port = 8\nbind_prt = 8080\n[filter:tempauth]\nuse = egg:swift#tempauth\nset log_name = x\ntoken_live = 6\nuser_a_b = c .admin\n",
			[]string{"# servers_per_port = 8", "# bind_prt = 8080", "# log_name = x", "# token_live = 6", `user_a_b = "c .admin"`},
			[]string{"f:2: DEFAULT.servers_per_port: not needed: one process serves all devices", "f:3: DEFAULT.bind_prt: Apus has no such option here; commented out; did you mean bind_port?",
				"f:6: filter.tempauth.log_name: not needed: the log goes to standard error, from where the service manager takes it",
				"f:7: filter.tempauth.token_live: Apus has no such option here; commented out; did you mean token_life?"}, ""},
		"references": {convert.Proxy, "[DEFAULT]\ncert_file = %(here)s/a.pem\n[filter:slo]\nuse = egg:swift#slo\n", []string{`cert_file = "./a.pem"`}, nil, "%("},
		"an expirer's own file": {convert.Expirer, "[object-expirer]\ndequeue_from_legacy = false\ntasks_per_second = 5\ndelay_reaping_AUTH_a/c%20d = 60\n",
			[]string{"dequeue_from_legacy = true", "# dequeue_from_legacy = false", "tasks_per_second = 5", `"delay_reaping_AUTH_a/c%20d" = 60`}, nil, ""},
		"policies of the cluster": {convert.Cluster, "[DEFAULT]\ndeprecated = no\n[swift-hash]\nswift_hash_path_suffix = 100%% é\n[storage-policy:0]\nName = gold\naliases = a, b\ndefault = yes\n[other]\n",
			[]string{`swift_hash_path_suffix = "100% é"`, "[storage-policy.0]", `name = "gold"`, `aliases = ["a", "b"]`, "default = true", "deprecated = false", "# [other]", "# [DEFAULT]"}, nil, "\n[DEFAULT]"},
		"comments": {convert.Object, "# top\n\n; about\n#more\n[object-auditor]\n# about the interval\ninterval = 1\n\n# at\x07 the end\n",
			[]string{"# top", "", "# about", "#more", "[object-auditor]", "# about the interval", "# at? the end"}, nil, ""},
		"two sections of one name": {convert.Proxy, "[filter:slo]\nuse = egg:swift#slo\n[filter: slo]\nuse = egg:swift#slo\nallow_async_delete = 1\n",
			[]string{"# [filter: slo]", "# allow_async_delete = 1"}, []string{"f:3: filter: slo: there is such a section already; commented out"}, ""},
	} {
		toml, notes, err := convert.Convert("f", []byte(test.text), test.kind, known{registry()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		lines := strings.Split(string(toml), "\n")
		for _, want := range test.toml {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", name, want, toml)
			}
		}
		if test.not != "" && strings.Contains(string(toml), test.not) {
			t.Errorf("%s: %q is in\n%s", name, test.not, toml)
		}
		var got []string
		for _, n := range notes {
			got = append(got, n.String())
		}
		for _, want := range test.notes {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no note %q in\n%s", name, want, strings.Join(got, "\n"))
			}
		}
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		kind       convert.Kind
		text, want string
	}{
		"what Swift refuses":      {convert.Proxy, "a = b\n", `f:1: "a = b" stands before any [section]`},
		"what is no UTF-8":        {convert.Cluster, "[swift-hash]\n\nswift_hash_path_suffix = \xff\n", "f:3: is not UTF-8"},
		"a secret cut by Latin-1": {convert.Cluster, "[swift-hash]\nswift_hash_path_suffix = à\n", "f:2: swift_hash_path_suffix: is not UTF-8 as Swift reads it"},
		"a reference to nothing":  {convert.Proxy, "[DEFAULT]\nx = %(y)s\n", "names no option"},
	} {
		_, _, err := convert.Convert("f", []byte(test.text), test.kind, known{registry()})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	for name, want := range map[string]convert.Kind{"/etc/swift/proxy-server.conf": convert.Proxy, "swift.conf": convert.Cluster, "object-server.conf": convert.Object,
		"object-expirer.conf": convert.Expirer, "memcache.conf": convert.Memcache, "internal-client.conf": convert.Internal, "dispersion.conf": ""} {
		if got, ok := convert.KindOf(name); got != want || ok != (want != "") {
			t.Errorf("KindOf(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
}

func FuzzConvert(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.conf")
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), uint8(0))
		f.Add(string(data), uint8(6))
	}
	kinds := []convert.Kind{convert.Proxy, convert.Object, convert.Expirer, convert.Reconciler, convert.Internal, convert.Memcache, convert.Cluster}
	r := known{registry()}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		toml, notes, err := convert.Convert("f", []byte(text), kinds[int(kind)%len(kinds)], r)
		if err != nil {
			if strings.Contains(err.Error(), "the result is no TOML") {
				t.Errorf("%q: %v\n%s", text, err, toml)
			}
			return
		}
		for _, n := range notes {
			if n.Problem == "" || n.Line < 0 {
				t.Errorf("%q: note %+v", text, n)
			}
		}
	})
}
