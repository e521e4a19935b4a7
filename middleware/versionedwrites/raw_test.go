package versionedwrites_test

import (
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A rawContainer is a container as nodes keep it.
type rawContainer struct {
	Name    string
	Sysmeta map[string]string
	Rows    []rawRow
}

// A rawRow is an object as nodes keep it: in the container's listing, and itself.
type rawRow struct {
	Row  map[string]any
	Head map[string]string
}

// TestKeepsWhatSwiftKeeps does what testdata/raw.py did with OpenStack Swift, and compares what is on the nodes.
func TestKeepsWhatSwiftKeeps(t *testing.T) {
	data, err := os.ReadFile("testdata/raw.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Steps []struct {
			Method, Path, Body string
			Header             map[string]string
			Status             int
		}
		Containers []rawContainer
	}
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Steps) < 20 || len(recorded.Containers) < 5 {
		t.Fatalf("%d steps and %d containers were recorded", len(recorded.Steps), len(recorded.Containers))
	}
	for name, filters := range map[string]string{"one filter": full, "two in one pipeline": twice} {
		t.Run(name, func(t *testing.T) {
			proxy, bare := pipelines(t, filters)
			me, node := login(t, proxy, "test:tester", "testing"), user{t: t, h: bare}
			for _, s := range recorded.Steps {
				me.do(s.Status, s.Method, s.Path, s.Header, s.Body)
			}
			var got []rawContainer
			manifests := map[string]bool{}
			for _, c := range recorded.Containers {
				got = append(got, node.raw(c.Name, manifests))
			}
			for etag := range manifests {
				for _, c := range got {
					c.replace(func(s string) string { return strings.ReplaceAll(s, etag, "{manifest}") })
				}
			}
			for i, want := range recorded.Containers {
				if diff := cmp.Diff(want, got[i]); diff != "" {
					t.Errorf("container %q, -Swift +got:\n%s", want.Name, diff)
				}
			}
		})
	}
}

var (
	times = regexp.MustCompile(`\d{10}\.\d{5}`)
	kept  = regexp.MustCompile(`^(X-(Container|Object)-(Sysmeta|Meta)-.*|X-Backend-Timestamp|Content-Type|Content-Length|Etag|X-Static-Large-Object|X-Delete-At|X-Object-Manifest)$`)
)

// raw reads a container from the nodes, without what varies. The ETags of manifests, in which there are times, are added
// to manifests.
func (u user) raw(name string, manifests map[string]bool) rawContainer {
	u.t.Helper()
	reserved := map[string]string{"X-Backend-Allow-Reserved-Names": "true"}
	path := url.URL{Path: "/v1/AUTH_test/" + name}
	res := u.do(0, "GET", path.String(), reserved, "")
	c := rawContainer{Name: name, Sysmeta: map[string]string{}, Rows: []rawRow{}}
	for header := range res.Header {
		if strings.HasPrefix(header, "X-Container-Sysmeta-") {
			c.Sysmeta[header] = res.Header.Get(header)
		}
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(res.Body), &list); err != nil {
		u.t.Fatalf("%q: %d %q: %v", name, res.Code, res.Body, err)
	}
	for _, row := range list {
		path.Path = "/v1/AUTH_test/" + name + "/" + row["name"].(string)
		head := u.do(200, "HEAD", path.String(), reserved, "").Header
		r := rawRow{Row: row, Head: map[string]string{}}
		for header := range head {
			if kept.MatchString(header) {
				r.Head[header] = head.Get(header)
			}
		}
		etag := strings.Trim(r.Head["Etag"], `"`)
		r.Head["Etag"] = `"` + etag + `"` // as nodes quote it
		if r.Head["X-Static-Large-Object"] != "" {
			manifests[etag] = true
			delete(r.Head, "Content-Length")
		}
		delete(row, "last_modified")
		c.Rows = append(c.Rows, r)
	}
	c.replace(func(s string) string { return times.ReplaceAllString(s, "{time}") })
	return c
}

// replace changes all texts.
func (c rawContainer) replace(change func(string) string) {
	for _, r := range c.Rows {
		for k, v := range r.Row {
			if s, ok := v.(string); ok {
				r.Row[k] = change(s)
			}
		}
		for k, v := range r.Head {
			r.Head[k] = change(v)
		}
	}
}
