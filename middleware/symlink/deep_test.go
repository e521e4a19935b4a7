package symlink_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apus-storage/apus/internal/testcluster"
)

// levels is how long the chains of these tests are.
const levels = 10000

const (
	deepPath  = "/v1/AUTH_a/deep/"
	tooMany   = "Too many levels of symbolic links, maximum allowed is 2"
	emptyETag = "d41d8cd98f00b204e9800998ecf8427e"
	endETag   = "7f021a1415b86f2d013b2618fb31ae53" // of "end"
)

// deepCluster has one replica of everything, and counts what nodes are asked about objects.
func deepCluster(t *testing.T) (c *testcluster.Cluster, asked *atomic.Int64) {
	c = testcluster.New(t, testcluster.Options{Devices: 1, Replicas: 1, Memory: true, Filters: []string{"copy", "slo", "dlo", "symlink"}})
	asked = &atomic.Int64{}
	c.SetFaults(func(_ *testcluster.Node, r *http.Request) testcluster.Fault {
		if strings.Contains(r.URL.Path, deepPath[len("/v1"):]) {
			asked.Add(1)
		}
		return testcluster.Fault{}
	})
	c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: strings.TrimSuffix(deepPath, "/")})
	return c, asked
}

// A chain of links is followed to its limit and no further, however long it is. What is answered is what OpenStack Swift
// was seen to answer for a chain of 14.
func TestTenThousandLevels(t *testing.T) {
	c, asked := deepCluster(t)
	put := func(name string, header map[string]string) {
		c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: deepPath + name, Header: header, Body: []byte{}})
	}
	var workers sync.WaitGroup
	for first := range 4 {
		workers.Go(func() {
			for i := first; i < levels; i += 4 {
				put(fmt.Sprint("dynamic", i), map[string]string{"X-Symlink-Target": fmt.Sprint("deep/dynamic", i+1)})
			}
			// A static link to a dynamic one is bound to that, which need not lead anywhere yet.
			for i := first * 2; i < levels/10; i += 8 {
				put(fmt.Sprint("mixed", i+1), map[string]string{"X-Symlink-Target": fmt.Sprint("deep/mixed", i+2)})
				put(fmt.Sprint("mixed", i), map[string]string{"X-Symlink-Target": fmt.Sprint("deep/mixed", i+1), "X-Symlink-Target-Etag": emptyETag})
			}
		})
	}
	workers.Wait()
	c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: deepPath + fmt.Sprint("dynamic", levels), Body: []byte("end")})

	for _, test := range []struct {
		name, method, path string
		header             map[string]string
		code               int
		body               string
		most               int64 // requests to nodes
	}{
		{"the last two links", "GET", fmt.Sprint("dynamic", levels-2), nil, 200, "end", 3},
		{"one more", "GET", fmt.Sprint("dynamic", levels-3), nil, 409, tooMany, 3},
		{"one more, its head", "HEAD", fmt.Sprint("dynamic", levels-3), nil, 409, "", 3},
		{"the whole chain", "GET", "dynamic0", nil, 409, tooMany, 3},
		{"its head", "HEAD", "dynamic0", nil, 409, "", 3},
		{"a range of it", "GET", "dynamic0", map[string]string{"Range": "bytes=0-0"}, 409, tooMany, 3},
		{"the link itself", "GET", "dynamic0", map[string]string{"?": "symlink=get"}, 200, "", 1},
		{"a chain in which every other link is static", "GET", "mixed0", nil, 409, tooMany, 3},
		{"the head of that", "HEAD", "mixed0", nil, 409, "", 3},
		{"a copy from it", "PUT", "copy", map[string]string{"X-Copy-From": "deep/dynamic0"}, 409, tooMany, 3},
		{"a copy of it", "COPY", "dynamic0", map[string]string{"Destination": "deep/copy"}, 409, tooMany, 3},
		{"a copy of a chain in which every other link is static", "COPY", "mixed0", map[string]string{"Destination": "deep/copy"}, 409, tooMany, 3},
		{"it as a segment", "PUT", "slo", map[string]string{"?": "multipart-manifest=put"}, 400, "Errors:\ndeep/dynamic0, 409 Conflict\n", 3},
		{"nothing was copied", "GET", "copy", nil, 404, "", 1},
	} {
		req := testcluster.Request{Method: test.method, Path: deepPath + test.path, Header: map[string]string{}}
		for k, v := range test.header {
			if k == "?" {
				req.Query = v
				continue
			}
			req.Header[k] = v
		}
		if test.method == "PUT" {
			req.Body = []byte{}
		}
		if test.path == "slo" {
			req.Body = []byte(`[{"path": "deep/dynamic0"}]`)
		}
		asked.Store(0)
		res := c.Do(t.Context(), req)
		if res.Err != nil || res.Status != test.code || test.code != 404 && string(res.Body) != test.body {
			t.Errorf("%s: %v %q, want %d %q", test.name, res, res.Body, test.code, test.body)
		}
		if length := res.Header.Get("Content-Length"); test.method == "HEAD" && length != fmt.Sprint(len(tooMany)) {
			t.Errorf("%s: Content-Length %q, want %d", test.name, length, len(tooMany))
		}
		if n := asked.Load(); n > test.most {
			t.Errorf("%s: %d requests to nodes, want at most %d", test.name, n, test.most)
		}
	}
}

// A static link is made only if what it refers to can be reached, so a chain of them ends as soon as it could not be read.
// OpenStack Swift answers 500 there.
func TestStaticChainsEndAtTheLimit(t *testing.T) {
	c, asked := deepCluster(t)
	c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: deepPath + "static0", Body: []byte("end")})
	for level := 1; level <= 5; level++ {
		asked.Store(0)
		res := c.Do(t.Context(), testcluster.Request{Method: "PUT", Path: deepPath + fmt.Sprint("static", level), Body: []byte{}, Header: map[string]string{
			"X-Symlink-Target": fmt.Sprint("deep/static", level-1), "X-Symlink-Target-Etag": endETag,
		}})
		want := map[int]int{1: 201, 2: 201, 3: 201, 4: 409, 5: 409}[level]
		if res.Status != want || asked.Load() > 5 { // three targets, the link, its row
			t.Errorf("level %d: %v %q with %d requests to nodes, want %d with at most 5", level, res, res.Body, asked.Load(), want)
		}
	}
	for level, want := range []int{200, 200, 200, 409, 404} {
		if res := c.Do(t.Context(), testcluster.Request{Method: "GET", Path: deepPath + fmt.Sprint("static", level)}); res.Status != want {
			t.Errorf("read level %d: %v %q, want %d", level, res, res.Body, want)
		}
	}
}
