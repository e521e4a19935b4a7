package statsd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen opens a StatsD server's socket.
func listen(t testing.TB, network, addr string) *net.UDPConn {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP(network, a)
	if err != nil {
		t.Skipf("no socket on %s: %v", addr, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func receive(t *testing.T, conn *net.UDPConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatalf("wait for a packet: %v", err)
	}
	return string(buf[:n])
}

func configFor(conn *net.UDPConn) Config {
	cfg := Defaults()
	addr := conn.LocalAddr().(*net.UDPAddr)
	cfg.Host, cfg.Port = addr.IP.String(), addr.Port
	return cfg
}

func open(t *testing.T, cfg Config, o Options) *Client {
	t.Helper()
	c, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestPacketsOverUDP(t *testing.T) {
	for _, n := range []struct{ network, addr string }{{"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
		t.Run(n.network, func(t *testing.T) {
			server := listen(t, n.network, n.addr)
			c := open(t, configFor(server), Options{}).WithPrefix("proxy-server")
			c.Increment("errors")
			c.Count("object.PUT.201.xfer", 4096)
			c.Timing("object.GET.200.timing", 12500*time.Microsecond)
			for _, want := range []string{
				"proxy-server.errors:1|c",
				"proxy-server.object.PUT.201.xfer:4096|c",
				"proxy-server.object.GET.200.timing:12.5|ms",
			} {
				if got := receive(t, server); got != want {
					t.Errorf("packet: got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestPackets(t *testing.T) {
	tests := []struct {
		name string
		cfg  func(*Config)
		send func(*Client)
		want string
	}{
		{"no prefix", nil, func(c *Client) { c.Increment("errors") }, "errors:1|c"},
		{"decrement", nil, func(c *Client) { c.Decrement("a") }, "a:-1|c"},
		{"negative count", nil, func(c *Client) { c.Count("a", -12) }, "a:-12|c"},
		{"whole milliseconds", nil, func(c *Client) { c.Timing("a", 5*time.Millisecond) }, "a:5.0|ms"},
		{"no time at all", nil, func(c *Client) { c.Timing("a", 0) }, "a:0.0|ms"},
		{"a nanosecond", nil, func(c *Client) { c.Timing("a", 1) }, "a:1e-06|ms"},
		{"a tenth of a microsecond", nil, func(c *Client) { c.Timing("a", 100) }, "a:0.0001|ms"},
		{"transfer rate", nil, func(c *Client) { c.TransferRate("a", 2*time.Second, 500_000) }, "a:4.0|ms"},
		{"transfer rate of nothing", nil, func(c *Client) { c.TransferRate("a", time.Second, 0) }, ""},
		{"set", nil, func(c *Client) { c.Set("users", "test:tester") }, "users:test:tester|s"},
		{"configured prefix", func(c *Config) { c.MetricPrefix = "dc1.node2" }, func(c *Client) { c.Increment("a") },
			"dc1.node2.a:1|c"},
		{"both prefixes", func(c *Config) { c.MetricPrefix = "dc1" },
			func(c *Client) { c.WithPrefix("tempauth.AUTH_").Increment("unauthorized") },
			"dc1.tempauth.AUTH_.unauthorized:1|c"},
		{"the later prefix counts", func(c *Config) { c.MetricPrefix = "dc1" },
			func(c *Client) { c.WithPrefix("a").WithPrefix("b").Increment("n") }, "dc1.b.n:1|c"},
		{"prefix taken back", nil, func(c *Client) { c.WithPrefix("a").WithPrefix("").Increment("n") }, "n:1|c"},
		{"names are not mangled", nil, func(c *Client) { c.Increment("a b/caf\u00e9") }, "a b/caf\u00e9:1|c"},
		{"default rate", func(c *Config) { c.DefaultSampleRate = 0.5 }, func(c *Client) { c.Increment("a") }, "a:1|c|@0.5"},
		{"rate times factor", func(c *Config) { c.DefaultSampleRate, c.SampleRateFactor = 0.5, 0.7 },
			func(c *Client) { c.Timing("a", time.Millisecond) }, "a:1.0|ms|@0.35"},
		{"rate of its own", func(c *Config) { c.DefaultSampleRate, c.SampleRateFactor = 0.01, 0.5 },
			func(c *Client) { c.WithRate(0.8).Increment("a") }, "a:1|c|@0.4"},
		{"factor above one", func(c *Config) { c.DefaultSampleRate, c.SampleRateFactor = 0.5, 4 },
			func(c *Client) { c.Increment("a") }, "a:1|c"},
		{"tiny rate", func(c *Config) { c.SampleRateFactor = 0.00001 }, func(c *Client) { c.Increment("a") }, "a:1|c|@1e-05"},
		{"rate of zero", func(c *Config) { c.DefaultSampleRate = 0 }, func(c *Client) { c.Increment("a") }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Defaults()
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			var got string
			c := ToFunc(cfg, func(p string) { got += p })
			c.random = func() float64 { return 0 }
			tt.send(c)
			if got != tt.want {
				t.Errorf("packet: got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLabels has the same metrics in each form. account is as clients make it up.
func TestLabels(t *testing.T) {
	for mode, want := range map[string][]string{
		"disabled": {"dc1.legacy:1|c|@0.5"},
		"dogstatsd": {"dc1.legacy:1|c|@0.5", "n:4096|c|@0.5|#account:a%7C%23%2C%3B%3D%3A%25%C3%A9%7E,method:GET,user_dc:eu.1",
			"t:12.5|ms|@0.5|#user_dc:eu.1"},
		"graphite": {"dc1.legacy:1|c|@0.5", "n;account=a%7C%23%2C%3B%3D%3A%25%C3%A9%7E;method=GET;user_dc=eu.1:4096|c|@0.5",
			"t;user_dc=eu.1:12.5|ms|@0.5"},
		"influxdb": {"dc1.legacy:1|c|@0.5", "n,account=a%7C%23%2C%3B%3D%3A%25%C3%A9%7E,method=GET,user_dc=eu.1:4096|c|@0.5",
			"t,user_dc=eu.1:12.5|ms|@0.5"},
		"librato": {"dc1.legacy:1|c|@0.5", "n#account=a%7C%23%2C%3B%3D%3A%25%C3%A9%7E,method=GET,user_dc=eu.1:4096|c|@0.5",
			"t#user_dc=eu.1:12.5|ms|@0.5"},
	} {
		for _, legacy := range []bool{true, false} {
			cfg := Defaults()
			cfg.MetricPrefix, cfg.DefaultSampleRate = "dc1", 0.5
			cfg.LabelMode, cfg.EmitLegacy, cfg.UserLabels = mode, legacy, map[string]string{"dc": "eu.1"}
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			var got []string
			c := ToFunc(cfg, func(p string) { got = append(got, p) })
			c.random = func() float64 { return 0 }
			c.Increment("legacy")
			c.Labelled(Label{"method", "GET"}, Label{"container", ""}, Label{"account", "a|#,;=:%\u00e9~"}).Count("n", 4096)
			c.WithPrefix("proxy-server").Labelled().Timing("t", 12500*time.Microsecond)
			c.WithRate(0).Labelled().Count("not sampled", 1)
			want := want
			if !legacy {
				want = want[1:]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, legacy %v:\n got %q\nwant %q", mode, legacy, got, want)
			}
			if on := mode != "disabled"; c.HasLabels() != on {
				t.Errorf("%s: HasLabels %v", mode, !on)
			}
		}
	}
	cfg := Defaults()
	cfg.LabelMode = "graphite"
	ToFunc(cfg, func(p string) {
		if p != "n:1|c" {
			t.Errorf("without labels: %q", p)
		}
	}).Labelled().Count("n", 1)
}

func TestSampling(t *testing.T) {
	cfg := Defaults()
	cfg.DefaultSampleRate = 0.25
	sent := 0
	c := ToFunc(cfg, func(string) { sent++ })
	i := 0
	c.random = func() float64 { i++; return float64(i%100) / 100 }
	for range 1000 {
		c.Increment("a")
	}
	if sent != 250 {
		t.Errorf("packets of 1000 at rate 0.25: got %d, want 250", sent)
	}
}

func TestNoServerMeansNoMetrics(t *testing.T) {
	c, err := New(Defaults(), Options{})
	if c != nil || err != nil {
		t.Fatalf("New without a host: got %v, %v, want nil, nil", c, err)
	}
	c = c.WithPrefix("a").WithRate(0.5)
	c.Increment("a")
	c.Decrement("a")
	c.Count("a", 2)
	c.Timing("a", time.Second)
	c.TransferRate("a", time.Second, 1)
	c.Set("a", "b")
	c.Labelled(Label{"a", "b"}).Count("a", 1)
	c.Labelled(Label{"a", "b"}).Timing("a", 1)
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for option, change := range map[string]func(*Config){
		"log_statsd_port":                func(c *Config) { c.Port = 65536 },
		"log_statsd_default_sample_rate": func(c *Config) { c.DefaultSampleRate = 1.5 },
		"log_statsd_sample_rate_factor":  func(c *Config) { c.SampleRateFactor = -1 },
		"statsd_label_mode":              func(c *Config) { c.LabelMode = "prometheus" },
		"statsd_user_label_a-b":          func(c *Config) { c.UserLabels = map[string]string{"a-b": "c"} },
		"statsd_user_label_a":            func(c *Config) { c.UserLabels = map[string]string{"a": "b,c"} },
		"statsd_user_label_empty":        func(c *Config) { c.UserLabels = map[string]string{"empty": ""} },
	} {
		cfg := Defaults()
		change(&cfg)
		if _, err := New(cfg, Options{}); err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("New with a bad %s: got %v, want an error that names it", option, err)
		}
	}
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	server := listen(t, "udp4", "127.0.0.1:0")
	c := open(t, configFor(server), Options{})
	for i := range 100 {
		c.Count("n", int64(i))
	}
	if err := c.WithPrefix("shared").Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if got, want := receive(t, server), "n:"+strconv.Itoa(i)+"|c"; got != want {
			t.Fatalf("packet: got %q, want %q", got, want)
		}
	}
	for range 2 * queued {
		c.Increment("after the end")
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestAFullQueueDropsAndNeverBlocks(t *testing.T) {
	var log bytes.Buffer
	s := newSender("127.0.0.1", 9, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Clock: clock.System})
	c := newClient(Defaults(), nil, s)
	for range queued + 5 { // nobody sends yet
		c.Increment("a")
	}
	go s.run()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "metrics lost") != 1 || !strings.Contains(got, "packets=5") {
		t.Errorf("log: got %q, want one line about 5 packets", got)
	}
}

func TestTheServersNameIsLookedUpAgain(t *testing.T) {
	first, second := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.2:0")
	port := uint16(first.LocalAddr().(*net.UDPAddr).Port)
	second.Close()
	second = listen(t, "udp4", "127.0.0.2:"+strconv.Itoa(int(port)))

	now := time.Unix(1_795_292_775, 0)
	var log bytes.Buffer
	s := newSender("statsd.example", port, Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Clock:  clock.Func(func() time.Time { return now }),
	})
	var answer []netip.Addr
	asked := 0
	s.lookUp = func(_ context.Context, network, host string) ([]netip.Addr, error) {
		if network == "ip4" {
			asked++
		}
		if answer == nil || network != "ip4" || host != "statsd.example" {
			return nil, errors.New("no such host")
		}
		return answer, nil
	}
	defer func() { s.conn.Close() }()
	send := func(text string) {
		b := s.buffer()
		*b = append((*b)[:0], text...)
		s.transmit(b)
	}

	send("lost")
	send("lost without a look-up")
	answer = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	now = now.Add(lookUpAgain)
	send("first")
	answer = []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	now = now.Add(lookUpEvery - 1)
	send("still first")
	now = now.Add(1)
	send("second")
	answer = nil
	now = now.Add(lookUpEvery)
	send("second though the name is gone")

	got := []string{receive(t, first), receive(t, first), receive(t, second), receive(t, second)}
	want := []string{"first", "still first", "second", "second though the name is gone"}
	if !slices.Equal(got, want) {
		t.Errorf("packets: got %q, want %q", got, want)
	}
	if asked != 4 {
		t.Errorf("look-ups: got %d, want 4", asked)
	}
	if n := strings.Count(log.String(), "metrics lost"); n != 2 {
		t.Errorf("complaints: got %d, want one at once and one a minute later: %s", n, log.String())
	}
}

// TestSwiftSendsTheSame compares with what OpenStack Swift's own client sends for the same calls.
func TestSwiftSendsTheSame(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "from swift.common.utils import StatsdClient").Run() != nil {
		t.Skip("OpenStack Swift's Python package is not installed")
	}
	server := listen(t, "udp4", "127.0.0.1:0")
	cfg := configFor(server)
	cfg.MetricPrefix, cfg.DefaultSampleRate, cfg.SampleRateFactor = "dc1", 0.3, 0.7
	cmd := exec.Command(python, "-c", `
import sys
from swift.common.utils import StatsdClient
c = StatsdClient("127.0.0.1", int(sys.argv[1]), "dc1", "proxy-server", 0.3, 0.7)
c.random = lambda: 0
c.increment("errors")
c.decrement("errors")
c.update_stats("object.GET.200.xfer", 1234567)
for ms in (0.0, 5.0, 12.3456789012345, 1e-05, 0.0001, 123456789.25):
    c.timing("t", ms)
c.transfer_rate("rate", 2.0, 500000)
c.increment("sampled", sample_rate=0.1)
`, strconv.Itoa(cfg.Port))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run Swift's client: %v\n%s", err, out)
	}
	var got []string
	c := ToFunc(cfg, func(p string) { got = append(got, p) }).WithPrefix("proxy-server")
	c.random = func() float64 { return 0 }
	c.Increment("errors")
	c.Decrement("errors")
	c.Count("object.GET.200.xfer", 1234567)
	for _, ms := range []float64{0, 5, 12.3456789012345, 1e-05, 0.0001, 123456789.25} {
		c.milliseconds("t", ms)
	}
	c.TransferRate("rate", 2*time.Second, 500_000)
	c.WithRate(0.1).Increment("sampled")
	for i := range got {
		if want := receive(t, server); got[i] != want {
			t.Errorf("packet %d: got %q, Swift sends %q", i, got[i], want)
		}
	}
}

func BenchmarkTiming(b *testing.B) {
	server := listen(b, "udp4", "127.0.0.1:0")
	c, err := New(configFor(server), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c = c.WithPrefix("proxy-server")
	b.ReportAllocs()
	for b.Loop() {
		c.Timing("object.GET.200.timing", 12345678)
	}
}

func BenchmarkNotSampled(b *testing.B) {
	c := ToFunc(Defaults(), func(string) {}).WithRate(0)
	b.ReportAllocs()
	for b.Loop() {
		c.Timing("object.GET.200.timing", 12345678)
	}
}
