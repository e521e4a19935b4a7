package versionedwrites_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// on switches versions on.
var on = map[string]string{"X-Versions-Enabled": "true"}

// TestPagesMakeTheWholeList follows pages of each size from the last entry of one to the next, as s3api does.
func TestPagesMakeTheWholeList(t *testing.T) {
	for name, filters := range map[string]string{"one filter": full, "two in one pipeline": twice} {
		t.Run(name, func(t *testing.T) {
			proxy, _ := pipelines(t, filters)
			me := login(t, proxy, "test:tester", "testing")
			const c = "/v1/AUTH_test/c"
			me.do(201, "PUT", c, on, "")
			for _, object := range []string{"a", "b", "b:x", "c/1", "c/2"} {
				me.do(201, "PUT", c+"/"+object, nil, "one")
				me.do(204, "DELETE", c+"/"+object, nil, "")
				me.do(201, "PUT", c+"/"+object, nil, "three")
			}
			me.do(204, "POST", c, map[string]string{"X-Versions-Enabled": "false"}, "")
			me.do(201, "PUT", c+"/b", nil, "null")
			whole := me.entries(c + "?versions")
			if len(whole) != 16 {
				t.Fatalf("%d entries, want 16: %v", len(whole), whole)
			}
			latest := 0
			for _, e := range whole {
				if e["is_latest"] == true {
					latest++
				}
			}
			if latest != 5 {
				t.Errorf("%d latest versions, want 5: %v", latest, whole)
			}
			for _, limit := range []int{1, 2, 3, 7, 16} {
				var all []map[string]any
				marker := ""
				for range len(whole) + 1 {
					page := me.entries(fmt.Sprintf("%s?versions&limit=%d%s", c, limit, marker))
					all = append(all, page...)
					if len(page) < limit {
						break
					}
					last := page[len(page)-1]
					marker = fmt.Sprintf("&marker=%s&version_marker=%s", url.QueryEscape(last["name"].(string)), last["version_id"])
				}
				if diff := cmp.Diff(whole, all); diff != "" {
					t.Errorf("in pages of %d, -whole +pages:\n%s", limit, diff)
				}
			}
		})
	}
}

// endless is a body of n bytes that notes how much memory there is while it is read.
type endless struct {
	left, n int64
	most    uint64
}

// Read fills p.
func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	if e.n += n; e.n >= 8<<20 {
		e.n = 0
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		e.most = max(e.most, m.HeapAlloc)
	}
	e.left -= n
	return int(n), nil
}

func TestOverwritesAreStreamed(t *testing.T) {
	const size = 48 << 20
	proxy, _ := pipelines(t, full)
	me := login(t, proxy, "test:tester", "testing")
	for _, c := range []struct {
		path  string
		setup map[string]string
	}{{"/v1/AUTH_test/v", nil}, {"/v1/AUTH_test/s", map[string]string{"X-Versions-Location": "old"}}} {
		me.do(0, "PUT", "/v1/AUTH_test/old", nil, "")
		me.do(201, "PUT", c.path, c.setup, "")
		for i := range 2 {
			if i == 1 && c.setup == nil {
				me.do(204, "POST", c.path, on, "") // so that the first is copied
			}
			body := &endless{left: size}
			r := httptest.NewRequestWithContext(t.Context(), "PUT", c.path+"/large", body)
			r.ContentLength = size
			r.Header.Set("X-Auth-Token", me.token)
			rec := httptest.NewRecorder()
			var before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			proxy.ServeHTTP(rec, r)
			if rec.Code != 201 {
				t.Fatalf("upload %d to %s: %d %s", i, c.path, rec.Code, rec.Body)
			}
			if body.most > before.HeapAlloc+16<<20 {
				t.Errorf("upload %d to %s: %d bytes of heap, %d before", i, c.path, body.most, before.HeapAlloc)
			}
		}
		if c.setup == nil {
			c.path += "?versions"
		} else {
			c.path = "/v1/AUTH_test/old?format=json"
		}
		for _, e := range me.entries(c.path) {
			if e["bytes"] != float64(size) {
				t.Errorf("%s: %v", c.path, e)
			}
		}
	}
}

// TestAnUploadThatBreaksOff leaves everything as it was.
func TestAnUploadThatBreaksOff(t *testing.T) {
	proxy, _ := pipelines(t, full)
	me := login(t, proxy, "test:tester", "testing")
	const c = "/v1/AUTH_test/c"
	me.do(201, "PUT", c, on, "")
	me.do(201, "PUT", c+"/o", nil, "whole")
	ctx, cancel := context.WithCancelCause(t.Context())
	body := io.MultiReader(strings.NewReader(strings.Repeat("x", 100000)), readerFunc(func([]byte) (int, error) {
		cancel(errors.New("gone"))
		return 0, io.ErrUnexpectedEOF
	}))
	r := httptest.NewRequestWithContext(ctx, "PUT", c+"/o", body)
	r.ContentLength = 200000
	r.Header.Set("X-Auth-Token", me.token)
	rec := httptest.NewRecorder()
	proxy.ServeHTTP(rec, r)
	if rec.Code < 400 {
		t.Errorf("half an upload: %d", rec.Code)
	}
	if got := me.do(200, "GET", c+"/o", nil, "").Body; got != "whole" {
		t.Errorf("after half an upload: %q", got)
	}
	if list := me.entries(c + "?versions"); len(list) != 1 {
		t.Errorf("versions after half an upload: %v", list)
	}
}

type readerFunc func([]byte) (int, error)

// Read calls f.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestMakingAVersionCurrentKeepsWhatHasNoVersion is about an object that was written while versioning was off.
func TestMakingAVersionCurrentKeepsWhatHasNoVersion(t *testing.T) {
	proxy, _ := pipelines(t, full)
	me := login(t, proxy, "test:tester", "testing")
	const c = "/v1/AUTH_test/c"
	me.do(201, "PUT", c, on, "")
	v1 := me.do(201, "PUT", c+"/o", nil, "first").Header.Get("X-Object-Version-Id")
	me.do(204, "POST", c, map[string]string{"X-Versions-Enabled": "false"}, "")
	me.do(201, "PUT", c+"/o", nil, "without a version")
	me.do(204, "POST", c, on, "")
	me.do(201, "PUT", c+"/o?version-id="+v1, nil, "")
	if got := me.do(200, "GET", c+"/o", nil, "").Body; got != "first" {
		t.Errorf("the current one is %q", got)
	}
	list := me.entries(c + "?versions")
	if len(list) != 2 || list[0]["bytes"] != float64(len("without a version")) {
		t.Errorf("versions %v", list)
	}
}
