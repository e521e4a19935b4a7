package xprofile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"go.uber.org/goleak"

	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options makes a section with a directory of its own.
func options(t testing.TB, more ...string) string {
	prefix := filepath.Join(t.TempDir(), "profiles", "test.")
	return "log_filename_prefix = " + strconv.Quote(prefix) + "\n" + strings.Join(more, "\n")
}

func TestConform(t *testing.T) {
	mt.ConformWith(t, mt.Host(t), Filter, options(t), nil, mt.MaxAllocs(2))
}

func TestConformUnwinding(t *testing.T) {
	mt.ConformWith(t, mt.Host(t), Filter, options(t, "unwind = true"), nil, mt.MaxAllocs(0))
}

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, options(b), nil) }

// A sampled is a stack, outermost first, with its two values.
type sampled struct {
	stack  string // names with blanks between them
	count  int64
	value  int64
	labels map[string][]string
}

// made makes a profile of two kinds of values.
func made(count, value string, samples ...sampled) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: count, Unit: "count"}, {Type: value, Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: value, Unit: "nanoseconds"}, Period: 1,
		TimeNanos: 1_700_000_000e9, DurationNanos: int64(5 * time.Second),
	}
	if count == value {
		p.SampleType = p.SampleType[:1]
	}
	known := map[string]*profile.Location{}
	for _, s := range samples {
		sample := &profile.Sample{Value: []int64{s.count, s.value}[:len(p.SampleType)], Label: s.labels}
		for _, name := range slices.Backward(strings.Fields(s.stack)) {
			loc := known[name]
			if loc == nil {
				id := uint64(len(known) + 1)
				f := &profile.Function{ID: id, Name: name, Filename: "/src/" + name + ".go", StartLine: int64(id)}
				loc = &profile.Location{ID: id, Line: []profile.Line{{Function: f, Line: 9}}}
				known[name] = loc
				p.Function, p.Location = append(p.Function, f), append(p.Location, loc)
			}
			sample.Location = append(sample.Location, loc)
		}
		p.Sample = append(p.Sample, sample)
	}
	return p
}

// encoded is a profile as a file has it.
func encoded(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := p.Write(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// everyRequest is what a fake profiler finds in each stretch: 40 ms in b, of which 10 were called by itself, 20 in a.
func everyRequest() *profile.Profile {
	return made("samples", "cpu", sampled{"a b", 3, 30e6, nil}, sampled{"a b b", 1, 10e6, nil}, sampled{"a", 2, 20e6, nil})
}

// A fake is a profiler that finds what it is told to.
type fake struct {
	t       testing.TB
	mu      sync.Mutex
	w       io.Writer
	cpu     func() *profile.Profile
	busy    bool
	started int
	broken  bool
}

func (f *fake) Rates(int, int) {}

func (f *fake) Start(w io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started++
	if f.busy {
		return errors.New("already in use")
	}
	f.w = w
	return nil
}

func (f *fake) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		io.WriteString(f.w, "no profile")
		return
	}
	f.w.Write(encoded(f.t, f.cpu()))
}

func (f *fake) Snapshot(w io.Writer, file string) error {
	p := made("contentions", "delay", sampled{"main lock", 2, 3e6, nil})
	switch file {
	case "goroutine":
		p = made("goroutine", "goroutine", sampled{"main wait", 7, 7, nil})
	case "heap":
		p = made("x", "y", sampled{"main make", 5, 10 << 20, nil})
		p.SampleType = []*profile.ValueType{{Type: "alloc_objects"}, {Type: "alloc_space"}, {Type: "inuse_objects"}, {Type: "inuse_space"}}
		p.Sample[0].Value = []int64{5, 10 << 20, 1, 3 << 10}
	}
	return p.Write(w)
}

// faked is the filter with a profiler that finds what cpu returns.
func faked(t testing.TB, cpu func() *profile.Profile) (*middleware.Definition, *fake) {
	f := &fake{t: t, cpu: cpu}
	return middleware.Define("xprofile", defaults(), func(h middleware.Host, c Config) (middleware.Instance, error) {
		return buildWith(h, c, f)
	}), f
}

// profiled is a server that has been profiled for one stretch, by a pipeline that it has replaced.
func profiled(t *testing.T, cpu func() *profile.Profile, more ...string) http.Handler {
	t.Helper()
	filter, _ := faked(t, cpu)
	section := options(t, more...)
	app := mt.NewApp().Otherwise(mt.Answer{Body: "content"})
	stretch(t, filter, section, app)
	return mt.Build(t, filter, section, app)
}

// stretch makes a request and ends the stretch that it begins.
func stretch(t *testing.T, filter *middleware.Definition, section string, app http.Handler) {
	t.Helper()
	p, err := mt.TryBuild(mt.Host(t), filter, section, app)
	if err != nil {
		t.Fatal(err)
	}
	mt.Get(t, p, "/v1/a/c/o")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

var local = mt.From("127.0.0.1:1234")

func TestFormats(t *testing.T) {
	h := profiled(t, everyRequest)
	t.Run("csv", func(t *testing.T) {
		got := mt.Get(t, h, "/__profile__/current?format=csv", local)
		want := "samples(nc),cumulative samples(cc),total seconds(tt),per samples,cumulative seconds(ct),per samples,function\r\n" +
			"4,4,0.04,0.01,0.04,0.01,/src/b.go:1(b)\r\n2,6,0.02,0.01,0.06,0.01,/src/a.go:2(a)\r\n"
		if got.Header.Get("Content-Type") != "text/csv" || got.Body != want {
			t.Errorf("%v\n got %q\nwant %q", got.Header, got.Body, want)
		}
	})
	t.Run("text", func(t *testing.T) {
		got := mt.Get(t, h, "/__profile__/current?format=text&mode=callers&limit=1", local).Body
		for _, want := range []string{"CPU, profile current: 60.00 ms in 6 samples\n", "Profiled for 5s\n", "40.00 ms  66.67%  40.00 ms  66.67%  b.go:1(b)\n",
			"40.00 ms  66.67%      a.go:2(a)\n", "10.00 ms  16.67%      b.go:1(b)\n", "\n1 more\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	})
	t.Run("json", func(t *testing.T) {
		got := mt.Get(t, h, "/__profile__/all?format=json&sort=name", local)
		var r jsonReport
		if err := json.Unmarshal([]byte(got.Body), &r); err != nil {
			t.Fatalf("%v in %s", err, got.Body)
		}
		a, b := jsonName{"/src/a.go", 2, "a"}, jsonName{"/src/b.go", 1, "b"}
		if r.Total != 6 || r.TotalTT != 0.06 || r.SortType != "name" || r.Unit != "seconds" || len(r.Stats) != 2 || r.Stats[0].jsonName != a ||
			r.Stats[0].Own != 2 || r.Stats[0].Cum != 6 || r.Stats[0].Time != 0.02 || r.Stats[0].CumT != 0.06 || len(r.Stats[0].From) != 0 ||
			!slices.Equal(r.Stats[0].To, []jsonLink{{b, 4, 0.04}}) || !slices.Equal(r.Stats[1].From, []jsonLink{{a, 4, 0.04}, {b, 1, 0.01}}) {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("one function", func(t *testing.T) {
		got := mt.Get(t, h, "/__profile__/current/src/b.go:1(b)?format=csv", local).Body
		if !strings.Contains(got, "(b)") || strings.Contains(got, "(a)") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("pprof", func(t *testing.T) {
		got := mt.Get(t, h, "/__profile__/current", local)
		p, err := profile.ParseData([]byte(got.Body))
		if err != nil || got.Header.Get("Content-Type") != "application/octet-stream" || len(p.Sample) != 3 {
			t.Errorf("%v: %v, %v", got.Header, p, err)
		}
		p, err = profile.ParseData([]byte(mt.Get(t, h, "/__profile__/current/b.go", local).Body))
		if err != nil || len(p.Sample) != 2 {
			t.Errorf("one function: %v, %v", p, err)
		}
	})
	for kind, want := range map[string]string{
		"heap": "1,1,3072,", "allocs": "5,5,10485760,", "goroutine": "7,7,7,", "block": "2,2,0.003,", "mutex": "2,2,0.003,",
	} {
		if got := mt.Get(t, h, "/__profile__/current?format=csv&kind="+kind, local).Body; !strings.Contains(got, "\n"+want) {
			t.Errorf("%s: no %s in %s", kind, want, got)
		}
	}
}

func TestAnswers(t *testing.T) {
	h := profiled(t, everyRequest, `path = "prof"`)
	form := mt.Header("Content-Type", "application/x-www-form-urlencoded")
	for _, tc := range []struct {
		name, method, target, body string
		code                       int
		contentType, text          string
	}{
		{"the page", "GET", "/prof", "", 200, "text/html; charset=UTF-8", "<title>CPU"},
		{"the page's head", "HEAD", "/prof", "", 200, "text/html; charset=UTF-8", ""},
		{"the page by a form", "POST", "/prof", "kind=heap", 200, "text/html; charset=UTF-8", "<title>Memory in use"},
		{"a function that is not there", "GET", "/prof?nfl_filter=zz", "", 200, "text/html; charset=UTF-8", "No function matches."},
		{"an unknown profile's page", "GET", "/prof?profile=77", "", 200, "text/html; charset=UTF-8", "There is no such profile."},
		{"the list", "GET", "/prof/", "", 200, "application/json", `{"profile_ids":["`},
		{"a download by a form", "POST", "/prof", "download=download&format=json", 200, "application/json", `"stats"`},
		{"a plot", "GET", "/prof?plot=plot", "", 200, "image/svg+xml", "<svg"},
		{"a ring", "GET", "/prof?plot=plot&plottype=pie&metric=nc", "", 200, "image/svg+xml", "<circle"},
		{"a flame graph", "GET", "/prof?plot=plot&plottype=flame", "", 200, "image/svg+xml", "b.go:1(b)"},
		{"an unknown profile", "GET", "/prof/77", "", 404, "text/plain; charset=UTF-8", "Profiling Error: no log file found"},
		{"a path out of the directory", "GET", "/prof?download=1&profile=../../etc/passwd", "", 404, "text/plain; charset=UTF-8", "Profiling Error: no log file found"},
		{"a path with dots", "GET", "/prof/..?format=json", "", 404, "text/plain; charset=UTF-8", "Profiling Error: no log file found"},
		{"an unknown format", "GET", "/prof/all?format=ods", "", 400, "text/plain; charset=UTF-8", "format must be one of default, json, csv, text"},
		{"source code", "GET", "/prof/all/etc/passwd?format=python", "", 400, "text/plain; charset=UTF-8", "format must be one of"},
		{"an unknown order", "GET", "/prof?sort=luck", "", 400, "text/plain; charset=UTF-8", "sort must be one of time,"},
		{"no number", "GET", "/prof?limit=many", "", 400, "text/plain; charset=UTF-8", "limit must be a number"},
		{"not a number", "GET", "/prof?limit=NaN", "", 400, "text/plain; charset=UTF-8", "limit must be a number"},
		{"an unknown kind", "GET", "/prof?kind=luck", "", 400, "text/plain; charset=UTF-8", "kind must be one of cpu,"},
		{"a long form", "POST", "/prof", "kind=" + strings.Repeat("x", maxForm), 400, "text/plain; charset=UTF-8", "the form cannot be read"},
		{"a method", "PUT", "/prof", "", 405, "text/plain; charset=UTF-8", "Profiling Error: method PUT is not allowed."},
		{"a method for a profile", "POST", "/prof/all", "", 405, "text/plain; charset=UTF-8", "Profiling Error: method POST is not allowed."},
		{"clearing by a link", "GET", "/prof?clear=clear", "", 405, "text/plain; charset=UTF-8", "Profiling Error: a profile is cleared by POST."},
		{"the icon", "GET", "/favicon.ico", "", 200, "", ""},
		{"something else", "GET", "/profile", "", 200, "", "content"},
	} {
		got := mt.Do(t, h, tc.method, tc.target, local, form, mt.Body(tc.body))
		if got.Code != tc.code || got.Header.Get("Content-Type") != tc.contentType || !strings.Contains(got.Body, tc.text) || tc.text == "" && got.Body != "" {
			t.Errorf("%s: %s %s: got %d %q %.300q, want %d %q %q", tc.name, tc.method, tc.target,
				got.Code, got.Header.Get("Content-Type"), got.Body, tc.code, tc.contentType, tc.text)
		}
	}
}

func TestWhoMayLook(t *testing.T) {
	h := profiled(t, everyRequest)
	for _, target := range []string{"/__profile__", "/__profile__/", "/__profile__/all", "/__profile__/all/x"} {
		for _, who := range []mt.Option{mt.From("192.0.2.1:1"), mt.Header("X-Forwarded-For", "192.0.2.1")} {
			if got := mt.Get(t, h, target, local, who); got.Code != 403 {
				t.Errorf("%s from elsewhere: %d", target, got.Code)
			}
		}
	}
	// Another site's form, in the browser of somebody who may look.
	got := mt.Do(t, h, "POST", "/__profile__?clear=clear&profile=all", local, mt.Header("Sec-Fetch-Site", "cross-site"), mt.Header("Origin", "http://evil.example"))
	if got.Code != 403 {
		t.Errorf("clear by another site: %d", got.Code)
	}
	if got := mt.Get(t, h, "/__profile__/all", local); got.Code != 200 || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("afterwards: %d %v", got.Code, got.Header)
	}
}

// TestNothingIsExecuted has a profile whose names are markup, and asks with parameters that are.
func TestNothingIsExecuted(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	h := profiled(t, func() *profile.Profile {
		return made("samples", "cpu", sampled{"<script>alert(1)</script>'\"></svg>", 1, 1e6, nil})
	})
	for _, target := range []string{
		"/__profile__?nfl_filter=script", "/__profile__?nfl_filter=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/__profile__?profile=%22%3E%3Cscript%3E",
		"/__profile__?plottype=pie&fulldirs=1&mode=callers", "/__profile__?plot=plot", "/__profile__?plot=plot&plottype=flame", "/__profile__?plot=1&plottype=pie",
	} {
		got := mt.Get(t, h, target, local)
		if got.Code != 200 || strings.Contains(got.Body, "<script") || strings.Contains(got.Body, evil) || strings.Count(got.Body, "</svg>") > 50 {
			t.Errorf("%s: %d\n%s", target, got.Code, got.Body)
		}
		if csp := got.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") {
			t.Errorf("%s: policy %q", target, csp)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, tc := range []struct{ config, want string }{
		{`path = "/v1/profile"`, "test.toml:6: filter.xprofile.path: must be one part of a path outside of the Swift API"},
		{`path = "/"`, "test.toml:6: filter.xprofile.path: must be one part"},
		{`path = "/a/b"`, "test.toml:6: filter.xprofile.path: must be one part"},
		{`log_filename_prefix = "profiles"`, "test.toml:6: filter.xprofile.log_filename_prefix: must be an absolute path"},
		{`log_filename_prefix = "/tmp/profiles/"`, `test.toml:6: filter.xprofile.log_filename_prefix: must end in the beginning of a file's name, such as "/tmp/profiles/proxy."`},
		{`log_filename_prefix = "/proc/none/p"`, "test.toml:6: filter.xprofile.log_filename_prefix: make the directory of profiles: "},
		{`dump_interval = 0.1`, "test.toml:6: filter.xprofile.dump_interval: must be 250ms or more"},
		{`keep = 0`, "test.toml:6: filter.xprofile.keep: must be from 1 to 10000"},
		{`block_profile_rate = -1`, "test.toml:6: filter.xprofile.block_profile_rate: must be 0 or more"},
		{`mutex_profile_fraction = -1`, "test.toml:6: filter.xprofile.mutex_profile_fraction: must be 0 or more"},
		{`allow = "lan"`, `test.toml:6: filter.xprofile.allow: "lan" is no network`},
		{`profile_module = "eventlet.green.profile"`, "test.toml:6: filter.xprofile.profile_module: take it out: eventlet.green.profile is one of Python's; there is one profiler here, Go's own"},
	} {
		_, err := mt.TryBuild(mt.Host(t), Filter, tc.config, http.NotFoundHandler())
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s...", tc.config, err, tc.want)
		}
	}
}

// TestGosProfiler has a real profile of work that is done before an answer's head, and after.
func TestGosProfiler(t *testing.T) {
	for _, unwind := range []bool{false, true} {
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handling(300 * time.Millisecond)
			w.WriteHeader(200)
			sending(300 * time.Millisecond)
			if got := labels(r); (got == "") == (unwind == false) {
				t.Errorf("unwind %v: the goroutine has the labels %q", unwind, got)
			}
		})
		section := options(t, "unwind = "+strconv.FormatBool(unwind))
		stretch(t, Filter, section, app)
		body := mt.Get(t, mt.Build(t, Filter, section, app), "/__profile__/current?format=csv", local).Body
		if !strings.Contains(body, "xprofile.handling") || strings.Contains(body, "xprofile.sending") != unwind {
			t.Errorf("unwind %v: got\n%s", unwind, body)
		}
	}
}

//go:noinline
func handling(d time.Duration) { burn(d) }

//go:noinline
func sending(d time.Duration) { burn(d) }

//go:noinline
func burn(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// labels returns what the goroutine is labelled with, by a profile of all goroutines.
func labels(*http.Request) string {
	var buf bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&buf, 0)
	p, err := profile.ParseData(buf.Bytes())
	if err != nil {
		return err.Error()
	}
	for _, s := range p.Sample {
		if v := s.Label[phaseLabel]; v != nil {
			return strings.Join(v, ",")
		}
	}
	return ""
}
