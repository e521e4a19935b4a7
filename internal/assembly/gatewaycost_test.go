package assembly

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/internal/sigv4"
)

// What the S3 gateway costs: `apus gateway` with the pipeline of its sample, in front of a store that answers a GET of 4 KiB at
// once; beside it a bare httputil.ReverseProxy in front of the same store; and the store alone. Each is a process of its own,
// and takes its turn in each round. Figures are in docs/performance.md; `make gatewaycost` runs it.

const (
	// costAs makes the test's binary one of the other processes.
	costAs = "APUS_TEST_GATEWAYCOST_AS"
	// maxAdded is what a GET over one connection may take longer than without the gateway, at the median.
	maxAdded = 300 * time.Microsecond
	// maxTimes is how many times the processor time of the bare proxy the gateway may take when both have something to do. With
	// one connection threads fall asleep and wake up between any two steps, which is most of what is measured.
	maxTimes = 2
)

// TestGatewayCostProcess is not a test: it is the store or the bare proxy.
func TestGatewayCostProcess(t *testing.T) {
	var handler http.Handler
	switch to := os.Getenv(costAs); to {
	case "":
		t.Skip("a part of TestGatewayCost")
	case "store":
		handler = http.HandlerFunc(smallObject)
	default:
		at, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		handler = bareProxy(at)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("http://" + l.Addr().String())
	t.Fatal(http.Serve(l, handler)) // until it is killed
}

var smallBody = bytes.Repeat([]byte("0123456789abcdef"), 256)

func smallObject(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(smallBody)))
	h.Set("Etag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	h.Set("Last-Modified", "Mon, 06 Jul 2026 10:00:00 GMT")
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Amz-Request-Id", "tx0123456789abcdef01234-0123456789")
	if r.Method != http.MethodHead {
		w.Write(smallBody)
	}
}

// bareProxy is the least that a proxy in Go does, with no handicap: it keeps its connections and its buffers.
func bareProxy(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:  &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
		BufferPool: &bufferPool{},
	}
}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(p []byte) { b.pool.Put(&p) }

// A contender is one of the three.
type contender struct {
	name, address string
	pid           int
	median, cpu   []time.Duration // by round; cpu is of one request
}

// costly starts the test's binary as something else. Its heap may grow as that of apus, which would be ahead otherwise.
func costly(t *testing.T, name, as string) *contender {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestGatewayCostProcess$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), costAs+"="+as, "GOGC=800")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started(t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &contender{name: name, address: strings.TrimPrefix(strings.TrimSpace(line), "http://"), pid: cmd.Process.Pid}
}

func started(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

const gatewayFile = `
[DEFAULT]
bind_ip = "127.0.0.1"
bind_port = %s
workers = %s

[pipeline.main]
pipeline = ["catch_errors", "metrics", "proxy-logging", "s3gateway", "end"]

[app.end]
use = "s3gateway_end"

[filter.catch_errors]
[filter.metrics]
[filter.proxy-logging]
[filter.s3gateway]

[filter.s3gateway.upstream.store]
endpoint = %q
access_key = "test:tester"
secret = "testing"

[filter.s3gateway.identity.alice]
access_key = "AKALICE"
secret = "alice's"
rights = ["read", "write", "list"]

[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["store"]
`

// gatewayProcess starts `apus gateway` in front of a store, and returns its address and its process. Workers are as in its file.
func gatewayProcess(t *testing.T, binary, store, workers string) (string, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	path := filepath.Join(t.TempDir(), "s3-gateway.toml")
	text := fmt.Sprintf(gatewayFile, port, workers, store)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(path + ".log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("what the gateway had to say:\n%s", tail(string(b)))
		}
	})
	cmd := exec.Command(binary, "gateway", "-c", path)
	cmd.Stderr = log
	started(t, cmd)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address, cmd.Process.Pid
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func buildApus(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "apus")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/apus").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func TestGatewayCost(t *testing.T) {
	if os.Getenv("APUS_TEST_GATEWAYCOST") == "" {
		t.Skip("measures for a minute; APUS_TEST_GATEWAYCOST=1 (make gatewaycost) runs it")
	}
	store := costly(t, "store alone", "store")
	bare := costly(t, "bare proxy", "http://"+store.address)
	all := []*contender{store, bare, {name: "gateway, one worker"}, {name: "gateway"}}
	binary := buildApus(t)
	for c, workers := range map[*contender]string{all[2]: "1", all[3]: `"auto"`} {
		c.address, c.pid = gatewayProcess(t, binary, "http://"+store.address, workers)
	}
	for _, connections := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d connections", connections), func(t *testing.T) {
			const rounds, count = 7, 4000
			for _, c := range all {
				c.median, c.cpu = nil, nil
				c.turn(t, connections, count/4) // until connections are open and caches warm
			}
			for range rounds {
				for _, c := range all {
					median, cpu := c.turn(t, connections, count)
					c.median, c.cpu = append(c.median, median), append(c.cpu, cpu)
				}
			}
			judgeCost(t, connections, all)
		})
	}
}

// judgeCost shows the rounds and says whether the gateway is good enough: with one connection that with one worker, which need not wake
// others up; with more that with a worker a processor, as it comes.
func judgeCost(t *testing.T, connections int, all []*contender) {
	t.Helper()
	for _, c := range all {
		t.Logf("%-19s median latency %v: %v", c.name, middle(c.median), c.median)
		t.Logf("%-19s processor time of a request %v: %v", c.name, middle(c.cpu), c.cpu)
	}
	store, bare := all[0], all[1]
	for _, c := range all[2:] {
		var added []time.Duration
		var times []float64
		for i := range c.median {
			added = append(added, c.median[i]-store.median[i])
			times = append(times, float64(c.cpu[i])/float64(bare.cpu[i]))
		}
		t.Logf("added by the %s: %v (%v to %v); processor time: %.2f times the bare proxy's (%.2f to %.2f)",
			c.name, middle(added), slices.Min(added), slices.Max(added), middle(times), slices.Min(times), slices.Max(times))
		if connections == 1 && c == all[2] && middle(added) > maxAdded {
			t.Errorf("the %s adds %v to a GET, want %v at most", c.name, middle(added), maxAdded)
		}
		if connections > 1 && c == all[3] && middle(times) > maxTimes {
			t.Errorf("the %s takes %.2f times the processor time of a bare proxy, want %d at most", c.name, middle(times), maxTimes)
		}
	}
}

func middle[T time.Duration | float64](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// turn sends requests over connections that stay open, and returns the median of their latency and what processor time each took.
func (c *contender) turn(t *testing.T, connections, count int) (median, cpu time.Duration) {
	t.Helper()
	request := signedGet(t, c.address)
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	before := processorTime(t, c.pid)
	took := make([][]time.Duration, connections)
	errs := make([]error, connections)
	var wait sync.WaitGroup
	for i, conn := range conns {
		wait.Go(func() { took[i], errs[i] = ask(conn, request, count/connections) })
	}
	wait.Wait()
	cpu = processorTime(t, c.pid) - before
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return middle(slices.Concat(took...)), cpu / time.Duration(count)
}

// signedGet is a request as an SDK sends it.
func signedGet(t *testing.T, address string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+address+"/photos/2026/07/summer/IMG_0042.jpg", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"User-Agent": "aws-sdk-go-v2/1.48.0 ua/2.1 os/linux lang/go#1.26 md/GOOS#linux md/GOARCH#amd64 api/s3#1.110.0 m/E,Z,e", "Accept-Encoding": "identity",
		"Amz-Sdk-Invocation-Id": "4d8ab6a3-4d2c-4f36-b9a2-0d9b8c3e6f55", "Amz-Sdk-Request": "attempt=1; max=3", "X-Amz-Checksum-Mode": "ENABLED",
	} {
		r.Header.Set(name, value)
	}
	if _, err := sigv4.NewSigner("AKALICE", "alice's", "", "us-east-1").Sign(r, sigv4.EmptyPayload, time.Now()); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ask sends a request again and again, each when the one before has been answered. It costs as little as can be.
func ask(conn net.Conn, request []byte, count int) ([]time.Duration, error) {
	in := bufio.NewReaderSize(conn, 16<<10)
	took := make([]time.Duration, 0, count)
	for range count {
		start := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		length := 0
		for first := true; ; first = false {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return nil, err
			}
			if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				return nil, fmt.Errorf("answered %q", line)
			}
			if len(line) == 2 {
				break
			}
			if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(n))); err != nil {
					return nil, err
				}
			}
		}
		if length != len(smallBody) {
			return nil, fmt.Errorf("a body of %d bytes", length)
		}
		if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// processorTime is what a process has used so far, to the nanosecond.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	const sched = 2 // CPUCLOCK_SCHED: all threads of a process, user and system
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &at); err != nil {
		t.Skip("the kernel does not tell the processor time of another process: ", err)
	}
	return time.Duration(at.Nano())
}
