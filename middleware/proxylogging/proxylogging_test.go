package proxylogging

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
	"github.com/apus-storage/apus/middleware/pipeline"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(3)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func BenchmarkPassWithoutLines(b *testing.B) {
	mt.Benchmark(b, Filter, `access_log_level = "ERROR"`, nil)
}

const short = `log_msg_template = "{method} {path} {status_int} {wire_status_int} {bytes_recvd} {bytes_sent} {source} {log_info} {policy_index} {access_user_id}"`

// start builds a pipeline that writes short lines, and returns what gives them.
func start(t *testing.T, toml string, app http.Handler) (*pipeline.Pipeline, func() []string) {
	t.Helper()
	host := mt.Host(t)
	logged := mt.Capture(&host)
	return mt.BuildOn(t, host, Filter, toml, app), func() []string { return messages(logged) }
}

var message = regexp.MustCompile(`level=INFO msg=(?:"([^"]*)"|(\S+))`)

func messages(logged *mt.Log) []string {
	var out []string
	for _, line := range logged.Lines() {
		if m := message.FindStringSubmatch(line); m != nil {
			out = append(out, m[1]+m[2])
		}
	}
	return out
}

func TestTheWholeLine(t *testing.T) {
	host := mt.Host(t)
	now := time.Unix(1700000000, 125e6)
	host.Clock = clock.Func(func() time.Time { now = now.Add(250 * time.Millisecond); return now })
	logged := mt.Capture(&host)
	app := mt.NewApp().On("GET /v1/a/c/o", mt.Answer{Body: "content", Header: map[string]string{"X-Backend-Storage-Policy-Index": "1"}})
	h := mt.BuildOn(t, host, Filter, "", app)
	mt.Get(t, h, "/v1/a/c/o", mt.From("192.0.2.1:4711"), mt.Header("X-Forwarded-For", "198.51.100.7"), mt.Header("User-Agent", "curl/8 (x)"))
	want := `level=INFO msg="198.51.100.7 192.0.2.1 14/Nov/2023/22/13/20 GET /v1/a/c/o HTTP/1.1 200 - curl/8%20%28x%29 - - 7 - - - ` +
		`0.5000 - - 1700000000.375000000 1700000000.875000000 1 -" filter=proxy_logging name=proxy-access`
	if got := logged.Lines(); len(got) != 1 || got[0] != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestStatusAndBytes(t *testing.T) {
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }
	}
	for _, tc := range []struct {
		name, method, body string
		app                http.HandlerFunc
		want               string
	}{
		{"a GET", "GET", "", write("content"), "GET / 200 200 - 7 - - - -"},
		{"a HEAD has no body", "HEAD", "", write("content"), "HEAD / 200 200 - - - - - -"},
		{"nothing written", "GET", "", func(http.ResponseWriter, *http.Request) {}, "GET / 200 200 - - - - - -"},
		{"a status", "GET", "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) }, "GET / 404 404 - - - - - -"},
		{"a body read", "PUT", "upload", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(201)
		}, "PUT / 201 201 6 - - - - -"},
		{"a body not read", "PUT", "upload", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }, "PUT / 401 401 - - - - - -"},
		{"another status for the log", "GET", "", func(w http.ResponseWriter, r *http.Request) {
			request.From(r.Context()).Log.Status = 404
			io.WriteString(w, "page")
		}, "GET / 404 200 - 4 - - - -"},
		{"the client's method", "PUT", "", func(w http.ResponseWriter, r *http.Request) {
			request.From(r.Context()).Method = "COPY"
		}, "COPY / 200 200 - - - - - -"},
		{"facts and a user", "GET", "", func(w http.ResponseWriter, r *http.Request) {
			s := request.From(r.Context())
			s.Log.AddInfo("x-delete-at:17")
			s.Log.AddInfo("b c")
			s.User = "test:tester,test,AUTH_test"
		}, "GET / 200 200 - - - x-delete-at:17%2Cb%20c - test:tester"},
		{"a policy, which gatekeeper takes away later", "GET", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Backend-Storage-Policy-Index", "0")
			w.WriteHeader(200)
			w.Header().Del("X-Backend-Storage-Policy-Index")
		}, "GET / 200 200 - - - - 0 -"},
		{"a body shorter than its length", "GET", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "ten bytes.")
		}, "GET / 500 200 - 10 - - - -"},
		{"not modified, with a length", "GET", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(304)
		}, "GET / 304 304 - - - - - -"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, lines := start(t, short, tc.app)
			mt.Do(t, h, tc.method, "/", mt.Body(tc.body))
			if got := lines(); !slices.Equal(got, []string{tc.want}) {
				t.Errorf("%s: got %q, want %q", tc.method, got, tc.want)
			}
		})
	}
}

func TestPanicsAreLoggedAndPassOn(t *testing.T) {
	for _, tc := range []struct {
		name string
		app  http.HandlerFunc
		want string
	}{
		{"before the head", func(http.ResponseWriter, *http.Request) { panic("out of luck") }, "GET / 500 500 - - - - - -"},
		{"after the head", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}, "GET / 500 200 - 4 - - - -"},
	} {
		h, lines := start(t, short, tc.app)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the panic did not pass", tc.name)
				}
			}()
			mt.Get(t, h, "/")
		}()
		if got := lines(); !slices.Equal(got, []string{tc.want}) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestClientsThatGoAway has real clients that leave at each point where one can.
func TestClientsThatGoAway(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		app           http.HandlerFunc
		want          string
	}{
		{"in the middle of its body", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nten bytes.", func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Error("the body came to its end")
			}
			w.WriteHeader(400)
		}, "PUT / 499 400 10 - - - - -"},
		{"before the head", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}, "GET / 499 500 - - - - - -"},
		{"in the middle of the answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "ten bytes.")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "GET / 499 200 - 10 - - - -"},
		{"after the whole answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "ten bytes.")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "GET / 200 200 - 10 - - - -"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, lines := start(t, short, tc.app)
			done := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				h.ServeHTTP(w, r)
			}))
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, tc.request)
			if strings.Contains(tc.name, "answer") {
				conn.Read(make([]byte, 4096))
			}
			conn.Close()
			<-done
			if got := lines(); !slices.Equal(got, []string{tc.want}) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestTwoInstances has a filter between them that asks for something on its own account.
func TestTwoInstances(t *testing.T) {
	asking := middleware.Define("asking", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := subreq.Small(next, subreq.New(r, subreq.Options{Method: "HEAD", Path: "/v1/a/c", Source: "SLO"}), 100); err != nil {
					t.Error(err)
				}
				next.ServeHTTP(w, r)
			})
		}}, nil
	})
	app := mt.NewApp().Otherwise(mt.Answer{Body: "content"})
	host := mt.Host(t)
	logged := mt.Capture(&host)
	p := twoWith(t, host, asking, app)
	mt.Get(t, p, "/v1/a/c/o")
	want := []string{"right HEAD /v1/a/c SLO", "left GET /v1/a/c/o -"}
	if got := messages(logged); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func twoWith(t *testing.T, host middleware.Host, between *middleware.Definition, app *mt.App) *pipeline.Pipeline {
	t.Helper()
	const file = `
[pipeline.main]
pipeline = "proxy-logging asking right app"
[filter.proxy-logging]
log_msg_template = "left {method} {path} {source}"
[filter.asking]
[filter.right]
use = "proxy_logging"
log_msg_template = "right {method} {path} {source}"
[app.app]
`
	plan, err := planOf(file, pipeline.NewRegistry(Filter, between, app.Definition()))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestLevels(t *testing.T) {
	for level, lines := range map[string]int{"": 1, "DEBUG": 1, "info": 1, "NOTICE": 0, "WARNING": 0, "ERROR": 0, "CRITICAL": 0} {
		for _, key := range []string{"access_log_level", "log_level"} {
			h, got := start(t, key+" = "+strconv.Quote(level), mt.NewApp())
			mt.Get(t, h, "/")
			if n := len(got()); n != lines {
				t.Errorf("%s = %s: %d lines, want %d", key, level, n, lines)
			}
		}
	}
}

func TestHeadersInLines(t *testing.T) {
	for _, tc := range []struct{ name, config, want string }{
		{"none by default", "", "-"},
		{"all but whole secrets", "access_log_headers = true\nreveal_sensitive_prefix = 4",
			"Content-Length:%203%0AHost:%20example.com%0AX-Account-Meta-Temp-Url-Key:%20secr...%0AX-Auth-Token:%20AUTH...%0AX-Foo:%20a%20b"},
		{"some", "log_headers = true\naccess_log_headers_only = \"x-foo\"", "X-Foo:%20a%20b"},
		{"the filter's own word counts", "log_headers = true\naccess_log_headers = false", "-"},
	} {
		h, lines := start(t, "log_msg_template = \"{headers}\"\n"+tc.config, mt.NewApp())
		mt.Do(t, h, "PUT", "/", mt.Header("X-Auth-Token", "AUTH_tkxyz"), mt.Header("X-Foo", "a b"), mt.Header("Content-Length", "3"),
			mt.Header("X-Account-Meta-Temp-Url-Key", "secret"), mt.Body("abc"))
		if got := lines(); !slices.Equal(got, []string{tc.want}) {
			t.Errorf("headers, %s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// A collector is a server for datagrams, syslog's or StatsD's.
type collector struct {
	net.PacketConn
}

func collect(t *testing.T, network, address string) collector {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return collector{c}
}

func (c collector) next(t *testing.T) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 4096)
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatalf("no packet came: %v", err)
	}
	return string(b[:n])
}

func (c collector) port() string {
	return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
}

const line = "log_msg_template = \"{method} {path}\"\n"

func TestSyslogBySocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	c := collect(t, "unixgram", socket)
	host := mt.Host(t)
	now := time.Unix(0, 0)
	host.Clock = clock.Func(func() time.Time { return now })
	logged := mt.Capture(&host)
	h := mt.BuildOn(t, host, Filter, line+"access_log_facility = \"LOG_LOCAL1\"\naccess_log_name = \"proxy-server\"\naccess_log_address = "+strconv.Quote(socket), mt.NewApp())
	mt.Get(t, h, "/v1/a")
	if got, want := c.next(t), "<142>proxy-server: GET /v1/a"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// Syslog goes away: lines are lost, and that is said once in a while.
	c.Close()
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mt.Get(t, h, "/lost")
	}
	if got := logged.Lines(); len(got) != 1 || !strings.Contains(got[0], "access log lines are lost") {
		t.Errorf("log %q, want one line about it", got)
	}
	// It comes back. The first try comes when it is time for one.
	c = collect(t, "unixgram", socket)
	mt.Get(t, h, "/lost")
	now = now.Add(2 * syslogAgain)
	mt.Get(t, h, "/v1/b")
	if got, want := c.next(t), "<142>proxy-server: GET /v1/b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSyslogByUDP(t *testing.T) {
	c := collect(t, "udp", "127.0.0.1:0")
	host := mt.Host(t)
	logged := mt.Capture(&host)
	h := mt.BuildOn(t, host, Filter, line+"access_log_udp_host = \"127.0.0.1\"\naccess_log_udp_port = "+c.port(), mt.NewApp())
	mt.Get(t, h, "/v1/a")
	if got, want := c.next(t), "<134>swift: GET /v1/a"; got != want || len(logged.Lines()) != 0 {
		t.Errorf("got %q, want %q; log %q", got, want, logged.Lines())
	}
}

func TestSyslogFromMany(t *testing.T) {
	c := collect(t, "udp", "127.0.0.1:0")
	h := mt.Build(t, Filter, line+"access_log_udp_host = \"127.0.0.1\"\naccess_log_udp_port = "+c.port(), mt.NewApp())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				mt.Get(t, h, "/v1/a")
			}
		})
	}
	wg.Wait()
	for range 40 {
		if got, want := c.next(t), "<134>swift: GET /v1/a"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStatsd(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Header: map[string]string{"X-Backend-Storage-Policy-Index": "1"}, Body: "content"})
	for _, tc := range []struct {
		name, method, target string
		want                 []string
	}{
		{"an object", "GET", "/v1/a/c/o", []string{
			"object.GET.200.first-byte.timing", "object.GET.200.timing", "object.GET.200.xfer:7|c",
			"object.policy.1.GET.200.first-byte.timing", "object.policy.1.GET.200.timing", "object.policy.1.GET.200.xfer:7|c"}},
		{"a container", "HEAD", "/v1/a/c", []string{"container.HEAD.200.timing", "container.HEAD.200.xfer:0|c"}},
		{"an account", "PUT", "/v1.0/a/", []string{"account.PUT.200.timing", "account.PUT.200.xfer:10|c"}},
		{"another method", "BREW", "/v1/a/c", []string{"container.BAD_METHOD.200.timing", "container.BAD_METHOD.200.xfer:7|c"}},
		{"something else", "PUT", "/auth/v1.0", []string{"UNKNOWN.PUT.200.timing", "UNKNOWN.PUT.200.xfer:10|c"}},
	} {
		host := mt.Host(t)
		var got []string
		host.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) {
			if name, value, _ := strings.Cut(packet, ":"); strings.HasSuffix(value, "|ms") {
				packet = name
			}
			got = append(got, packet)
		})
		body := ""
		if tc.method == "PUT" {
			body = "abc"
		}
		mt.Do(t, mt.BuildOn(t, host, Filter, "", app), tc.method, tc.target, mt.Body(body))
		for i := range tc.want {
			tc.want[i] = "proxy-server." + tc.want[i]
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

func TestStatsdOfItsOwn(t *testing.T) {
	c := collect(t, "udp", "127.0.0.1:0")
	for _, tc := range []struct{ name, config, want string }{
		{"its own server", "access_log_statsd_host = \"127.0.0.1\"\naccess_log_statsd_port = " + c.port(), "proxy-server.account.GET.404.first-byte.timing"},
		{"the server's server, and a prefix of its own", "log_statsd_host = \"127.0.0.1\"\nlog_statsd_port = " + c.port() +
			"\nlog_statsd_metric_prefix = \"eu\"\naccess_log_statsd_metric_prefix = \"de\"", "de.proxy-server.account.GET.404.first-byte.timing"},
	} {
		host := mt.Host(t)
		host.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) { t.Errorf("%s: %s went to the server's own", tc.name, packet) })
		mt.Get(t, mt.BuildOn(t, host, Filter, tc.config, mt.NewApp()), "/v1/a")
		got, _, _ := strings.Cut(c.next(t), ":")
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		c.next(t)
		c.next(t)
	}
	// Switched off, although the server has one.
	host := mt.Host(t)
	host.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) { t.Errorf("%s was sent", packet) })
	mt.Get(t, mt.BuildOn(t, host, Filter, `access_log_statsd_host = ""`, mt.NewApp()), "/v1/a")
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, tc := range []struct{ config, want string }{
		{`log_anonymization_method = "rot13"`, "test.toml:6: filter.proxy_logging.log_anonymization_method: want one of md5, sha1"},
		{`reveal_sensitive_prefix = -1`, "test.toml:6: filter.proxy_logging.reveal_sensitive_prefix: must be 0 or more"},
		{`access_log_headers = "perhaps"`, "test.toml:6: filter.proxy_logging.access_log_headers: want true or false"},
		{`access_log_level = "LOUD"`, "test.toml:6: filter.proxy_logging.access_log_level: want DEBUG"},
		{`access_log_facility = "LOG_LOCAL8"`, "test.toml:6: filter.proxy_logging.access_log_facility: want LOG_LOCAL0"},
		{`access_log_facility = "LOG_."`, "test.toml:6: filter.proxy_logging.access_log_facility: want LOG_LOCAL0"},
		{`access_log_udp_port = 0`, "test.toml:6: filter.proxy_logging.access_log_udp_port: must be from 1 to 65535"},
		{"access_log_udp_host = \"h\"\naccess_log_address = \"/dev/log\"", "test.toml:7: filter.proxy_logging.access_log_address: cannot stand beside"},
		{`access_log_statsd_port = "many"`, `test.toml:6: filter.proxy_logging.access_log_statsd_port: want a number, have "many"`},
		{`access_log_statsd_port = 1.5`, "test.toml:6: filter.proxy_logging.access_log_statsd_port: must be from 1 to 65535"},
		{`log_statsd_sample_rate_factor = -1`, "test.toml:6: filter.proxy_logging.log_statsd_sample_rate_factor: must be 0 or more"},
		{`access_log_statsd_default_sample_rate = 2`, "test.toml:6: filter.proxy_logging.access_log_statsd_default_sample_rate: must be from 0 to 1"},
		{`statsd_emit_buffer_xfer_bytes_seconds = "nan"`, "test.toml:6: filter.proxy_logging.statsd_emit_buffer_xfer_bytes_seconds: must be a number"},
		{`statsd_label_mode = "prometheus"`, "test.toml:6: filter.proxy_logging.statsd_label_mode: want one of disabled, dogstatsd, graphite, influxdb, librato"},
		{`statsd_emit_legacy = "perhaps"`, "test.toml:6: filter.proxy_logging.statsd_emit_legacy: want true or false"},
		{`"statsd_user_label_a-b" = "c"`, "test.toml:6: filter.proxy_logging.statsd_user_label_a-b: a label's name"},
		{`statsd_user_label_dc = "a b"`, "test.toml:6: filter.proxy_logging.statsd_user_label_dc: a label's value"},
		{`log_facility = "LOG_LOCAL1"`, "test.toml:6: filter.proxy_logging.log_facility: unknown key"},
	} {
		_, err := mt.TryBuild(mt.Host(t), Filter, tc.config, http.NotFoundHandler())
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s...", tc.config, err, tc.want)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	h, lines := start(t, short, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				body := strings.Repeat("x", 100+i)
				if got := mt.Do(t, h, "PUT", "/"+strconv.Itoa(i), mt.Body(body)); got.Body != body {
					t.Errorf("got %d bytes, want %d", len(got.Body), len(body))
				}
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		want := "PUT /" + strconv.Itoa(i) + " 200 200 10" + strconv.Itoa(i) + " 10" + strconv.Itoa(i) + " - - - -"
		n := 0
		for _, l := range lines() {
			if l == want {
				n++
			}
		}
		if n != 20 {
			t.Errorf("%d lines %q, want 20", n, want)
		}
	}
}

func TestABodyThatFailsIsTheClientsFault(t *testing.T) {
	h, lines := start(t, short, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusRequestTimeout)
	}))
	r := httptest.NewRequestWithContext(context.Background(), "PUT", "/", io.MultiReader(bytes.NewReader([]byte("some")), broken{}))
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got, want := lines(), "PUT / 499 408 4 - - - - -"; !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func planOf(text string, registry pipeline.Registry) (*pipeline.Plan, error) {
	file, err := config.Parse("test.toml", []byte(text))
	if err != nil {
		return nil, err
	}
	return pipeline.Read(file, pipeline.Spec{Server: "proxy", Registry: registry})
}
