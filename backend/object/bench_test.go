package object_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/apus-storage/apus/backend/object"
)

// onDisk starts a server on real files.
func onDisk(b *testing.B) *object.Server {
	dir := b.TempDir()
	if err := os.Mkdir(dir+"/sdb1", 0o755); err != nil {
		b.Fatal(err)
	}
	return newServer(b, func(c *object.Config, _ *object.Deps) { c.Devices = dir })
}

// sink is the cheapest ResponseWriter that there is.
type sink struct {
	h      http.Header
	status int
	bytes  int64
}

func (s *sink) Header() http.Header  { return s.h }
func (s *sink) WriteHeader(code int) { s.status = code }
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return len(p), nil
}

// reportCPU adds what the process spent on each operation, which means more than the time on a busy machine.
func reportCPU(b *testing.B) func() {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	start := used()
	return func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }
}

var body4k = bytes.Repeat([]byte("x"), 4096)

func putRequest(i int64) *http.Request {
	r, err := http.NewRequest("PUT", fmt.Sprintf("http://node/sdb1/%d/AUTH_test/c/o%d", i%64, i), bytes.NewReader(body4k))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Content-Length", strconv.Itoa(len(body4k)))
	r.Header.Set("X-Timestamp", "1795000000.00000")
	return r
}

func BenchmarkPut4K(b *testing.B) {
	for _, parallel := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at once", parallel), func(b *testing.B) {
			s := onDisk(b)
			var next atomic.Int64
			b.ReportAllocs()
			defer reportCPU(b)()
			b.SetParallelism(parallel) // times GOMAXPROCS; see the command line's -cpu 1
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					w := &sink{h: http.Header{}}
					if s.ServeHTTP(w, putRequest(next.Add(1))); w.status != 201 {
						b.Errorf("status %d", w.status)
					}
				}
			})
		})
	}
}

func benchmarkRead(b *testing.B, method string) {
	s := onDisk(b)
	w := &sink{h: http.Header{}}
	s.ServeHTTP(w, putRequest(1))
	if w.status != 201 {
		b.Fatalf("status %d", w.status)
	}
	r := putRequest(1)
	r.Method, r.Body = method, http.NoBody
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		w := &sink{h: make(http.Header, 16)}
		if s.ServeHTTP(w, r); w.status != 200 {
			b.Fatalf("status %d", w.status)
		}
	}
}

func BenchmarkGet4K(b *testing.B)  { benchmarkRead(b, "GET") }
func BenchmarkHead4K(b *testing.B) { benchmarkRead(b, "HEAD") }

// BenchmarkGet4KOverTCP is what a client sees, kernel and both ends of the connection included.
func BenchmarkGet4KOverTCP(b *testing.B) {
	s := onDisk(b)
	w := &sink{h: http.Header{}}
	s.ServeHTTP(w, putRequest(1))
	url := listen(b, s) + "/sdb1/1/AUTH_test/c/o1"
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		resp, err := http.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 4096 || err != nil {
			b.Fatal(n, err)
		}
		resp.Body.Close()
	}
}
