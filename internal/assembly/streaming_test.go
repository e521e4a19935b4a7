package assembly

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Bodies stream: `apus serve`, as a process of its own with the sample's pipeline, moves large objects and archives
// while its memory stays what it was, and what a client no longer waits for ends. By default sizes are a few times what
// memory may grow by; with APUS_TEST_STREAMING=1 (make streaming) they are those of docs/performance.md, which takes 4 GiB
// on the disk and minutes.

const mib = 1 << 20

// maxGrowth is how much resident memory may grow by, whatever is moved.
const maxGrowth = 64 * mib

// scale is how much is moved.
type scale struct {
	segments    int
	segmentSize int64
	files       int
	fileSize    int64
}

func (s scale) total() int64 { return int64(s.segments) * s.segmentSize }

func newScale() scale {
	if os.Getenv("APUS_TEST_STREAMING") != "" {
		return scale{segments: 100, segmentSize: 10 * mib, files: 10_000, fileSize: 8 << 10}
	}
	return scale{segments: 24, segmentSize: 8 * mib, files: 384, fileSize: mib / 2}
}

func TestStreaming(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program, and moves some hundred megabytes")
	}
	binary := filepath.Join(t.TempDir(), "apus")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/apus").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Run("memory does not grow with what is moved", func(t *testing.T) { memoryStays(t, binary) })
	t.Run("nothing goes on for a client that has gone", func(t *testing.T) { workEnds(t, binary) })
}

// flow is n bytes that are not the same at any two places near each other.
func flow(n int64) io.Reader {
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i ^ i>>8 ^ i>>16*31)
	}
	return io.LimitReader(&cycle{block: block}, n)
}

type cycle struct {
	block []byte
	at    int
}

func (c *cycle) Read(p []byte) (int, error) {
	n := copy(p, c.block[c.at:])
	c.at = (c.at + n) % len(c.block)
	return n, nil
}

func sumOf(r io.Reader) string {
	h := md5.New()
	io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil))
}

// large makes a large object of each kind over the same segments: c/slo and c/dlo.
func (p *process) large(segments int, size int64) {
	p.t.Helper()
	p.send("PUT", "segments", nil)
	p.send("PUT", "c", nil)
	var manifest []string
	for i := range segments {
		name := fmt.Sprintf("segments/film/%04d", i)
		p.put(name, size)
		manifest = append(manifest, fmt.Sprintf(`{"path": "/%s", "size_bytes": %d}`, name, size))
	}
	p.send("PUT", "c/slo?multipart-manifest=put", strings.NewReader("["+strings.Join(manifest, ",")+"]"))
	p.send("PUT", "c/dlo", nil, "X-Object-Manifest", "segments/film/")
}

// archive is a tar file as it is being made.
func archive(files int, size int64) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		t := tar.NewWriter(w)
		for i := range files {
			if err := t.WriteHeader(&tar.Header{Name: fmt.Sprintf("tree/%02d/file-%05d", i%100, i), Mode: 0o644, Size: size}); err != nil {
				w.CloseWithError(err)
				return
			}
			if _, err := io.Copy(t, flow(size)); err != nil {
				w.CloseWithError(err)
				return
			}
		}
		w.CloseWithError(t.Close())
	}()
	return r
}

func memoryStays(t *testing.T, binary string) {
	s := newScale()
	p := startProcess(t, binary,
		"# allow_versioned_writes = \"\"", "allow_versioned_writes = true",
		"[filter.dlo]", "[filter.dlo]\nrate_limit_segments_per_sec = 0")
	whole := sumOf(io.LimitReader(&segmented{s.segmentSize, flow(s.segmentSize), s.segmentSize}, s.total()))
	before := p.memory()
	check := func(what string, f func()) {
		t.Helper()
		start := time.Now()
		f()
		grown := p.memory() - before
		t.Logf("%s: %d MiB resident at most, %d more than at first; %v", what, p.memory()/mib, grown/mib, time.Since(start).Round(time.Millisecond))
		if grown > maxGrowth {
			t.Errorf("%s: memory has grown by %d MiB", what, grown/mib)
		}
	}
	read := func(path string) {
		t.Helper()
		if o := p.send("GET", path, nil); o.bytes != s.total() || o.sum != whole {
			t.Errorf("GET %s: %d bytes with the sum %s, want %d with %s", path, o.bytes, o.sum, s.total(), whole)
		}
	}
	check("upload of segments", func() { p.large(s.segments, s.segmentSize) })
	check("GET of a static large object", func() { read("c/slo") })
	check("GET of a dynamic large object", func() { read("c/dlo") })
	p.send("PUT", "old", nil)
	p.send("PUT", "versioned", nil, "X-Versions-Location", "old")
	check("copy", func() { p.send("COPY", "c/slo", nil, "Destination", "versioned/film") })
	check("GET of the copy", func() { read("versioned/film") })
	p.send("DELETE", "c/slo?multipart-manifest=delete", nil)
	check("overwrite of an object that is kept", func() { p.put("versioned/film", s.total()) })
	list := strings.Fields(p.send("GET", "old?prefix=004film", nil).text)
	if len(list) != 1 {
		t.Fatalf("versions kept: %q", list)
	}
	check("GET of the version that was kept", func() { read("old/" + list[0]) })
	p.send("DELETE", "versioned/film", nil) // brings the kept one back
	check("restored version", func() { read("versioned/film") })
	p.send("DELETE", "versioned/film", nil)
	check("upload of an archive", func() {
		o := p.send("PUT", "archive?extract-archive=tar", archive(s.files, s.fileSize))
		if want := fmt.Sprintf("Number Files Created: %d\n", s.files); !strings.Contains(o.text, want) {
			t.Errorf("want %q in %s", want, o.text)
		}
	})
}

// segmented reads the same n bytes again and again.
type segmented struct {
	size int64
	r    io.Reader
	left int64
}

func (s *segmented) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.r, s.left = flow(s.size), s.size
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Small segments are read one a second after the first ten, so that each of these would take half a minute if its client
// stayed.
func workEnds(t *testing.T, binary string) {
	const segments = 40
	p := startProcess(t, binary)
	p.large(segments, 64<<10)
	for _, test := range []struct {
		name, method, path string
		header             []string
		body               func(context.Context) io.Reader
		absent             string // what must not have come to be
	}{
		{"GET of a static large object", "GET", "c/slo", nil, nil, ""},
		{"GET of a dynamic large object", "GET", "c/dlo", nil, nil, ""},
		{"copy of a static large object", "COPY", "c/slo", []string{"Destination", "c/copy"}, nil, "c/copy"},
		{"copy of a dynamic large object", "COPY", "c/dlo", []string{"Destination", "c/copy"}, nil, "c/copy"},
		{"copy with a heartbeat", "COPY", "c/slo?heartbeat=on", []string{"Destination", "c/copy"}, nil, "c/copy"},
		{"archive of which no more comes", "PUT", "archive?extract-archive=tar", nil, stalled, "tree/00/file-00000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !p.wait(0, 10*time.Second) {
				t.Fatal("the process is not at rest")
			}
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			var body io.Reader
			if test.body != nil {
				body = test.body(ctx)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if res, err := http.DefaultClient.Do(p.request(ctx, test.method, test.path, body, test.header...)); err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}()
			if !p.wait(1, 10*time.Second) {
				t.Fatal("the request has not arrived")
			}
			leave()
			<-done
			start := time.Now()
			if !p.wait(0, 10*time.Second) {
				t.Fatal("the request goes on although its client has gone")
			}
			t.Logf("ended after %v", time.Since(start).Round(time.Millisecond))
			if test.absent != "" {
				if o, err := p.try("HEAD", test.absent, nil); err != nil || o.StatusCode != http.StatusNotFound {
					t.Errorf("HEAD %s: %v, %v; want 404", test.absent, o.Response, err)
				}
			}
		})
	}
}

// stalled is the beginning of an archive, of whose file half comes, and then nothing until ctx ends.
func stalled(ctx context.Context) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "tree/00/file-00000", Mode: 0o644, Size: 2000}); err != nil {
		panic(err)
	}
	w.Write(make([]byte, 1000))
	r, end := io.Pipe()
	context.AfterFunc(ctx, func() { end.CloseWithError(ctx.Err()) })
	return io.MultiReader(&b, r)
}
