package pipeline_test

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/pipeline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// greeterConfig is the configuration of a filter that shows itself: it adds its greeting to the header X-Path.
type greeterConfig struct {
	Greeting string `toml:"greeting"`
	LogLevel string `toml:"log_level"`
}

func (c *greeterConfig) Validate() error {
	if strings.Contains(c.Greeting, "\n") {
		return config.Invalid("greeting", "must be one line")
	}
	return nil
}

func build(h middleware.Host, c greeterConfig) (middleware.Instance, error) {
	in := marker(c.Greeting)
	in.Info = map[string]any{h.Section: map[string]any{"greeting": c.Greeting}}
	in.AdminInfo = map[string]any{"secret": func() any { return h.Pipeline }}
	return in, nil
}

// marker is a filter that adds a word to the request's X-Path, so that a test sees who stands where.
func marker(word string) middleware.Instance {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Add("X-Path", word)
			next.ServeHTTP(w, r)
		})
	}}
}

func named(kind string) *middleware.Definition {
	return middleware.Define(kind, struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return marker(kind), nil
	})
}

type authConfig struct {
	TokenLife config.Duration `toml:"token_life"`
}

type appConfig struct {
	Workers int `toml:"workers"`
}

func (c *appConfig) Validate() error {
	if c.Workers < 1 {
		return config.Invalid("workers", "must be 1 or more")
	}
	return nil
}

var app = middleware.DefineApp("proxy", appConfig{Workers: 1}, func(middleware.Host, appConfig) (middleware.Instance, error) {
	return middleware.Instance{App: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !request.Has(r.Context()) {
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, strings.Join(r.Header["X-Path"], " "))
	})}, nil
}).Alias("proxy-server")

func registry(more ...*middleware.Definition) pipeline.Registry {
	return pipeline.NewRegistry(append([]*middleware.Definition{
		app,
		named("catch_errors"), named("gatekeeper"), named("healthcheck"), named("listing_formats"), named("copy"),
		named("dlo"), named("slo"), named("versioned_writes"), named("staticweb"), named("domain_remap"), named("keystoneauth"), named("tempauth"),
		named("proxy_logging").Alias("proxy-logging"), named("memcache").Alias("cache"),
		middleware.Define("greeter", greeterConfig{Greeting: "hello"}, build).Before("auth"),
		middleware.Define("auth", authConfig{}, func(middleware.Host, authConfig) (middleware.Instance, error) {
			return marker("auth"), nil
		}).After("catch_errors", "greeter"),
	}, more...)...)
}

type serverConfig struct {
	BindPort int `toml:"bind_port"`
}

type limits struct {
	Rate int `toml:"rate"`
}

func spec(r pipeline.Registry) pipeline.Spec {
	return pipeline.Spec{Server: "proxy", Registry: r, Default: &serverConfig{}, Tables: map[string]any{"limits": &limits{}}}
}

func host() middleware.Host {
	m := prometheus.NewRegistry()
	return middleware.Host{Log: slog.New(slog.DiscardHandler), Clock: clock.System, Metrics: m, Gather: m}
}

func read(t *testing.T, s pipeline.Spec, text string) (*pipeline.Plan, error) {
	t.Helper()
	f, err := config.Parse("proxy-server.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Read(f, s)
}

func mustBuild(t *testing.T, s pipeline.Spec, text string) *pipeline.Pipeline {
	t.Helper()
	plan, err := read(t, s, text)
	if err != nil {
		t.Fatalf("read\n%s\n%v", text, err)
	}
	p, err := plan.Build(host())
	if err != nil {
		t.Fatalf("build\n%s\n%v", text, err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func get(h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		return http.StatusText(w.Code)
	}
	return w.Body.String()
}

// TestFaults holds each faulty file against the errors that an operator gets; -update rewrites them. All but "several"
// have one fault and must give one error, which names file and line.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			err = check(a.Files[0].Name, a.Files[0].Data)
			if err == nil {
				t.Fatalf("%s was taken", name)
			}
			got := err.Error() + "\n"
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "errors", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if len(a.Files) != 2 || got != string(a.Files[1].Data) {
				t.Errorf("got\n%s\nwant the errors in %s", got, name)
			}
			if n := strings.Count(got, "\n"); n != 1 && !strings.HasSuffix(name, "/several.txtar") {
				t.Errorf("%d errors for one fault:\n%s", n, got)
			}
			for line := range strings.Lines(got) {
				if e := (&config.Error{}); !errors.As(err, &e) || !strings.HasPrefix(line, "proxy-server.toml:") {
					t.Errorf("an error without a place: %s", line)
				}
			}
		})
	}
}

func check(name string, data []byte) error {
	f, err := config.Parse(name, data)
	if err != nil {
		return err
	}
	_, err = pipeline.Read(f, spec(registry()))
	return err
}

func TestThePipelineRunsAsListed(t *testing.T) {
	for _, tc := range []struct{ name, list, want string }{
		{"an array", `["catch_errors", "greeter", "auth", "proxy-server"]`, "catch_errors hello auth"},
		{"a string with blanks, as Swift's files have it", `"catch_errors greeter auth proxy-server"`, "catch_errors hello auth"},
		{"one section twice", `["greeter", "catch_errors", "greeter", "proxy-server"]`, "hello catch_errors hello"},
		{"no filters", `["proxy-server"]`, ""},
		{"two of a kind with options of their own", `["greeter", "second", "proxy-server"]`, "hello good-bye"},
	} {
		p := mustBuild(t, spec(registry()), `
[pipeline.main]
pipeline = `+tc.list+`
[filter.catch_errors]
[filter.greeter]
[filter.second]
use = "greeter"
greeting = "good-bye"
[filter.auth]
[app.proxy-server]
`)
		if got := get(p); got != tc.want {
			t.Errorf("%s: %s ran as %q, want %q", tc.name, tc.list, got, tc.want)
		}
	}
}

// TestLookupsPassTheRightmostLogAlone has the app make a lookup, and reports which filters that passes.
func TestLookupsPassTheRightmostLogAlone(t *testing.T) {
	asking := middleware.DefineApp("asking", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{App: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lookups := request.From(r.Context()).Lookups
			switch {
			case r.Method == http.MethodHead:
				w.Header()["X-Passed"] = r.Header["X-Path"]
			case lookups != nil:
				head := httptest.NewRequest(http.MethodHead, "/v1/a", nil).WithContext(r.Context())
				rec := httptest.NewRecorder()
				lookups.ServeHTTP(rec, head)
				io.WriteString(w, strings.Join(rec.Header()["X-Passed"], " "))
			default:
				io.WriteString(w, "none")
			}
		})}, nil
	})
	for _, tc := range []struct{ name, list, want string }{
		{"a log on either side", "left auth right", "right"},
		{"one on the left", "catch_errors left auth", "left"},
		{"no log", "catch_errors auth", "none"},
	} {
		log := middleware.Define("proxy_logging", greeterConfig{}, build)
		r := pipeline.NewRegistry(asking, log, named("catch_errors"), named("auth"))
		p := mustBuild(t, spec(r), `
[pipeline.main]
pipeline = "`+tc.list+` asking"
[filter.left]
use = "proxy_logging"
greeting = "left"
[filter.right]
use = "proxy_logging"
greeting = "right"
[filter.auth]
[filter.catch_errors]
[app.asking]
`)
		if got := get(p); got != tc.want {
			t.Errorf("%s: the lookup passed %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSharedOptionsAreInheritedAndOverridden(t *testing.T) {
	s := spec(registry())
	text := `
[DEFAULT]
bind_port = 8080
greeting = "shared"
rate = 7
[pipeline.main]
pipeline = ["inherits", "overrides", "proxy-server"]
[filter.inherits]
use = "greeter"
[filter.overrides]
use = "greeter"
greeting = "own"
[app.proxy-server]
[limits]
`
	if got := get(mustBuild(t, s, text)); got != "shared own" {
		t.Errorf("ran as %q, want %q", got, "shared own")
	}
	if got := s.Default.(*serverConfig).BindPort; got != 8080 {
		t.Errorf("bind_port %d, want 8080", got)
	}
	if got := s.Tables["limits"].(*limits).Rate; got != 7 {
		t.Errorf("rate %d, want 7 from [DEFAULT]", got)
	}
	plan, err := read(t, s, text)
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Entries[0].Report.Options[0]; got.Source != "proxy-server.toml:4" {
		t.Errorf("source of an inherited option: %+v, want proxy-server.toml:4", got)
	}
}

func TestFiltersAreInsertedAsSwiftDoes(t *testing.T) {
	for _, tc := range []struct{ name, list, want string }{
		{"into an empty pipeline", "", "catch_errors gatekeeper listing_formats copy dlo versioned_writes"},
		{"nothing when all are there", "versioned_writes catch_errors listing_formats dlo gatekeeper copy",
			"versioned_writes catch_errors listing_formats dlo gatekeeper copy"},
		{"gatekeeper right of a leading catch_errors", "catch_errors healthcheck", "catch_errors gatekeeper listing_formats copy dlo versioned_writes healthcheck"},
		{"gatekeeper first when catch_errors is not", "healthcheck catch_errors", "gatekeeper healthcheck catch_errors listing_formats copy dlo versioned_writes"},
		{"catch_errors before a gatekeeper", "gatekeeper healthcheck", "catch_errors gatekeeper listing_formats copy dlo versioned_writes healthcheck"},
		{"listing_formats after cache", "catch_errors gatekeeper healthcheck cache tempauth", "catch_errors gatekeeper healthcheck memcache listing_formats tempauth copy dlo versioned_writes"},
		{"listing_formats after the first proxy-logging", "catch_errors gatekeeper proxy-logging tempauth proxy-logging",
			"catch_errors gatekeeper proxy_logging listing_formats tempauth copy dlo versioned_writes proxy_logging"},
		{"listing_formats after what changes the path", "catch_errors gatekeeper cache domain_remap tempauth",
			"catch_errors gatekeeper memcache domain_remap listing_formats tempauth copy dlo versioned_writes"},
		{"copy after staticweb", "catch_errors gatekeeper tempauth staticweb slo", "catch_errors gatekeeper listing_formats tempauth staticweb copy dlo slo versioned_writes"},
		{"copy after keystoneauth", "catch_errors gatekeeper keystoneauth healthcheck", "catch_errors gatekeeper listing_formats keystoneauth copy dlo versioned_writes healthcheck"},
		{"dlo after a listed copy", "catch_errors gatekeeper copy healthcheck slo", "catch_errors gatekeeper listing_formats copy dlo healthcheck slo versioned_writes"},
		{"versioned_writes after a listed dlo", "catch_errors gatekeeper copy dlo healthcheck", "catch_errors gatekeeper listing_formats copy dlo versioned_writes healthcheck"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := "[pipeline.main]\npipeline = \"" + tc.list + " proxy-server\"\n[app.proxy-server]\n"
			for _, name := range strings.Fields(tc.list) {
				if !strings.Contains(text, "[filter."+name+"]") {
					text += "[filter." + name + "]\n"
				}
			}
			s := spec(registry())
			s.Insert = true
			plan, err := read(t, s, text)
			if err != nil {
				t.Fatal(err)
			}
			kinds := plan.Kinds()
			if got := strings.Join(kinds[:len(kinds)-1], " "); got != tc.want {
				t.Errorf("%q became\n%q, want\n%q", tc.list, got, tc.want)
			}
			s.Insert = false
			plan, err = read(t, s, text)
			if err != nil || len(plan.Entries) != len(strings.Fields(tc.list))+1 {
				t.Errorf("without insertion: %v, %v", plan.Kinds(), err)
			}
		})
	}
}

func TestMatchingIsByKindNotByName(t *testing.T) {
	s := spec(registry())
	s.Insert = true
	plan, err := read(t, s, `
[pipeline.main]
pipeline = "first second proxy-server"
[filter.first]
use = "catch_errors"
[filter.second]
use = "gatekeeper"
[app.proxy-server]
`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"catch_errors", "gatekeeper", "listing_formats", "copy", "dlo", "versioned_writes", "proxy"}; !slices.Equal(plan.Kinds(), want) {
		t.Errorf("kinds %q, want %q", plan.Kinds(), want)
	}
}

func TestInsertedFiltersInheritSharedOptions(t *testing.T) {
	catch := middleware.Define("catch_errors", greeterConfig{}, build)
	s := pipeline.Spec{Server: "proxy", Insert: true, Registry: pipeline.NewRegistry(catch, app)}
	p := mustBuild(t, s, "[DEFAULT]\ngreeting = \"shared\"\n[pipeline.main]\npipeline = \"proxy-server\"\n[app.proxy-server]\n")
	if got := get(p); got != "shared" {
		t.Errorf("ran as %q, want %q", got, "shared")
	}
}

func TestInfoIsAssembled(t *testing.T) {
	p := mustBuild(t, spec(registry()), `
[pipeline.main]
pipeline = ["one", "two", "proxy-server"]
[filter.one]
use = "greeter"
[filter.two]
use = "greeter"
greeting = "hi"
[app.proxy-server]
`)
	want := middleware.Infos{
		Public: map[string]any{"one": map[string]any{"greeting": "hello"}, "two": map[string]any{"greeting": "hi"}},
		Admin:  map[string]any{"secret": []string{"greeter", "greeter", "proxy"}},
	}
	if got := p.Info(); !reflect.DeepEqual(got, want) {
		t.Errorf("info %v, want %v", got, want)
	}
}

func TestHostIsSetForEachInstance(t *testing.T) {
	var hosts []middleware.Host
	spy := middleware.Define("spy", struct{}{}, func(h middleware.Host, _ struct{}) (middleware.Instance, error) {
		h.Metrics.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "spies"}))
		hosts = append(hosts, h)
		return marker("spy"), nil
	})
	mustBuild(t, spec(registry(spy)), `
[pipeline.main]
pipeline = ["spy", "other", "spy", "proxy-server"]
[filter.spy]
[filter.other]
use = "spy"
[app.proxy-server]
`)
	var sections []string
	for _, h := range hosts {
		sections = append(sections, h.Section)
		if h.Server != "proxy" || len(h.Pipeline) != 4 || h.Log == nil || h.Clock == nil {
			t.Errorf("host of %s: %+v", h.Section, h)
		}
	}
	if want := []string{"spy", "other", "spy"}; !slices.Equal(sections, want) {
		t.Errorf("sections %q, want %q", sections, want)
	}
	if got := hosts[0].Info(); len(got.Public) != 0 {
		t.Errorf("info %v", got)
	}
}

// closers returns a filter whose instances note when they are closed, and one that cannot be made.
func closers(closed *[]string) (closer, broken *middleware.Definition) {
	closer = middleware.Define("closer", struct{}{}, func(h middleware.Host, _ struct{}) (middleware.Instance, error) {
		in := marker("closer")
		in.Close = func() error {
			*closed = append(*closed, h.Section)
			if h.Section == "bad" {
				return errors.New("cannot close")
			}
			return nil
		}
		return in, nil
	})
	type brokenConfig struct {
		Path string `toml:"path"`
	}
	broken = middleware.Define("broken", brokenConfig{}, func(_ middleware.Host, c brokenConfig) (middleware.Instance, error) {
		if c.Path == "" {
			return middleware.Instance{}, config.Invalid("path", "is needed")
		}
		return middleware.Instance{}, &os.PathError{Op: "open", Path: c.Path, Err: os.ErrNotExist}
	})
	return closer, broken
}

func TestCloseGoesFromLeftToRight(t *testing.T) {
	var closed []string
	closer, _ := closers(&closed)
	p := mustBuild(t, spec(registry(closer)), `
[pipeline.main]
pipeline = ["left", "bad", "right", "proxy-server"]
[filter.left]
use = "closer"
[filter.bad]
use = "closer"
[filter.right]
use = "closer"
[app.proxy-server]
`)
	err := p.Close()
	if want := []string{"left", "bad", "right"}; !slices.Equal(closed, want) || err == nil || err.Error() != "cannot close" {
		t.Errorf("closed %q, %v; want %q and the one error", closed, err, want)
	}
}

func TestAFailedBuildSaysWhereAndClosesTheRest(t *testing.T) {
	for _, tc := range []struct{ name, option, want string }{
		{"a failure points at the section", `path = "/nowhere"`, "proxy-server.toml:6: filter.broken: cannot make broken: open /nowhere: file does not exist"},
		{"a bad option points at its line", `path = ""`, "proxy-server.toml:7: filter.broken.path: is needed"},
	} {
		var closed []string
		closer, broken := closers(&closed)
		plan, err := read(t, spec(registry(closer, broken)), `[pipeline.main]
pipeline = ["closer", "broken", "last", "proxy-server"]
[filter.closer]
[filter.last]
use = "closer"
[filter.broken]
`+tc.option+`
[app.proxy-server]
`)
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.Build(host())
		if p != nil || err == nil || err.Error() != tc.want || !slices.Equal(closed, []string{"closer"}) {
			t.Errorf("%s: got %v, %v, closed %q; want %q, closed [closer]", tc.name, p, err, closed, tc.want)
		}
		if strings.Contains(tc.want, "nowhere") && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v does not wrap its cause", tc.name, err)
		}
	}
}

func TestADefinitionThatMistakesAppAndFilterIsRefused(t *testing.T) {
	liar := middleware.Define("liar", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{App: http.NotFoundHandler()}, nil
	})
	plan, err := read(t, spec(registry(liar)), "[pipeline.main]\npipeline = \"liar proxy-server\"\n[filter.liar]\n[app.proxy-server]\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Build(host()); err == nil {
		t.Error("a filter that is an app was taken")
	}
}

func TestAPipelineServesManyAtOnce(t *testing.T) {
	p := mustBuild(t, spec(registry()), `
[pipeline.main]
pipeline = ["catch_errors", "greeter", "auth", "proxy-server"]
[filter.catch_errors]
[filter.greeter]
[filter.auth]
[app.proxy-server]
`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := get(p); got != "catch_errors hello auth" {
					t.Errorf("ran as %q", got)
					return
				}
				p.Info()
			}
		})
	}
	wg.Wait()
}

func TestTwoDefinitionsWithOneNamePanic(t *testing.T) {
	defer func() {
		if v := recover(); v == nil {
			t.Error("no panic")
		}
	}()
	pipeline.NewRegistry(named("proxy-logging"), named("proxy_logging"))
}

// FuzzRead holds that no file makes Read panic, and that every refusal has a text.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/faults/*.txtar")
	for _, name := range files {
		if a, err := txtar.ParseFile(name); err == nil {
			f.Add(string(a.Files[0].Data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := config.Parse("x.toml", []byte(text))
		if err != nil {
			return
		}
		s := spec(registry())
		s.Insert = true
		plan, err := pipeline.Read(file, s)
		if (plan == nil) == (err == nil) || err != nil && err.Error() == "" {
			t.Errorf("read %q: %v, %v", text, plan, err)
		}
	})
}
