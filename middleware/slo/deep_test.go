package slo_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apus-storage/apus/internal/testcluster"
)

// levels is how many manifests the test has within each other.
const levels = 1000

const deepPath = "/v1/AUTH_a/deep/"

// Manifests can be put into manifests without end. What is asked of the cluster then has one, and the answers are those that
// OpenStack Swift was seen to give for 14 levels.
func TestAThousandLevels(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Devices: 1, Replicas: 1, Memory: true, Filters: []string{"copy", "slo", "symlink"}})
	var asked atomic.Int64
	c.SetFaults(func(_ *testcluster.Node, r *http.Request) testcluster.Fault {
		if strings.Contains(r.URL.Path, deepPath[len("/v1"):]) {
			asked.Add(1)
		}
		return testcluster.Fault{}
	})
	c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: strings.TrimSuffix(deepPath, "/")})
	c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: deepPath + "end", Body: []byte("end")})
	inner := "end"
	for i := range levels {
		asked.Store(0)
		body := fmt.Appendf(nil, `[{"path": "deep/%s"}]`, inner)
		inner = fmt.Sprint("m", i+1)
		c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: deepPath + inner, Query: "multipart-manifest=put", Body: body})
		if n := asked.Load(); n > 3 { // the segment, the manifest, its row
			t.Fatalf("level %d was made by %d requests to nodes", i+1, n)
		}
	}
	conflict := "<html><h1>Conflict</h1><p>There was a conflict when trying to complete your request.</p></html>"
	top := fmt.Sprint("m", levels)
	for _, test := range []struct {
		name, method, path, query string
		header                    map[string]string
		code                      int
		body                      string
		most                      int64 // requests to nodes
	}{
		{"ten levels", "GET", "m10", "", nil, 200, "end", 11},
		{"eleven", "GET", "m11", "", nil, 409, conflict, 10},
		{"eleven, their head", "HEAD", "m11", "", nil, 200, "", 1},
		{"all", "GET", top, "", nil, 409, conflict, 10},
		{"their head", "HEAD", top, "", nil, 200, "", 1},
		{"a range", "GET", top, "", map[string]string{"Range": "bytes=1-1"}, 409, conflict, 10},
		{"several ranges", "GET", top, "", map[string]string{"Range": "bytes=0-0,2-2"}, 409, conflict, 10},
		{"a part", "GET", top, "part-number=1", nil, 409, conflict, 10},
		{"a copy", "COPY", top, "", map[string]string{"Destination": "deep/copy"}, 409, conflict, 10},
		{"a copy from it", "PUT", "copy", "", map[string]string{"X-Copy-From": "deep/" + top}, 409, conflict, 10},
		{"a link to it", "PUT", "link", "", map[string]string{"X-Symlink-Target": "deep/" + top}, 201, "", 2},
		{"and through that", "GET", "link", "", nil, 409, conflict, 11},
		{"a copy of the manifest", "COPY", top, "multipart-manifest=get", map[string]string{"Destination": "deep/copy"}, 201, "", 6},
	} {
		req := testcluster.Request{Method: test.method, Path: deepPath + test.path, Query: test.query, Header: test.header}
		if test.method == "PUT" {
			req.Body = []byte{}
		}
		asked.Store(0)
		res := c.Do(t.Context(), req)
		if res.Err != nil || res.Status != test.code || string(res.Body) != test.body {
			t.Errorf("%s: %v %q, want %d %q", test.name, res, res.Body, test.code, test.body)
		}
		if n := asked.Load(); n > test.most {
			t.Errorf("%s: %d requests to nodes, want at most %d", test.name, n, test.most)
		}
	}
	asked.Store(0)
	res := c.Do(t.Context(), testcluster.Request{Method: "DELETE", Path: deepPath + top, Query: "multipart-manifest=delete"})
	if n := asked.Load(); res.Status != 200 || !strings.Contains(string(res.Body), "Manifests are nested too deep") || n > 50 {
		t.Errorf("deletion: %v %q with %d requests to nodes, want a report that it is nested too deep, with at most 50", res, res.Body, n)
	}
}
