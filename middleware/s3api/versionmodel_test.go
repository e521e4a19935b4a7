package s3api_test

import (
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A modelVersion is a version or a delete marker as S3 has it.
type modelVersion struct {
	id, body string
	marker   bool
}

// A model is what a bucket with versions is to S3 clients: of each key its versions, the newest first, which is the current one.
type model struct {
	mode string // "" before versions were ever switched on, "on" or "off"
	keys map[string][]modelVersion
}

// without removes a version.
func without(all []modelVersion, id string) []modelVersion {
	return slices.DeleteFunc(slices.Clone(all), func(v modelVersion) bool { return v.id == id })
}

// add adds what was stored or deleted; the null version replaces the former one.
func (m *model) add(key string, v modelVersion) {
	all := m.keys[key]
	if v.id == "null" {
		all = without(all, "null")
	}
	m.keys[key] = append([]modelVersion{v}, all...)
}

// list is the list of versions, and the common prefixes.
func (m *model) list(prefix, delimiter string) (versions, prefixes []string) {
	names := make([]string, 0, len(m.keys))
	for key := range m.keys {
		names = append(names, key)
	}
	slices.Sort(names)
	for _, key := range names {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || len(m.keys[key]) == 0 {
			continue
		}
		if before, _, found := strings.Cut(rest, delimiter); delimiter != "" && found {
			prefixes = append(prefixes, prefix+before+delimiter)
			continue
		}
		for i, v := range m.keys[key] {
			s := key + "@" + v.id
			if v.marker {
				s += " marker"
			}
			if i == 0 {
				s += " latest"
			}
			versions = append(versions, s)
		}
	}
	return versions, slices.Compact(prefixes)
}

// current is what GET without an id finds.
func (m *model) current(key string) string {
	switch all := m.keys[key]; {
	case len(all) == 0:
		return "NoSuchKey"
	case all[0].marker:
		return "marker " + all[0].id
	case m.mode == "":
		return " " + all[0].body // without versions nothing has an id
	default:
		return all[0].id + " " + all[0].body
	}
}

// modelRuns is how many random histories are gone through; each takes a bucket and some hundred requests.
const modelRuns = "12"

// TestVersionsAreThoseOfAModel puts, deletes and switches at random, and compares lists of all kinds in pages of all sizes, and
// what is read, with a model.
func TestVersionsAreThoseOfAModel(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	defer checks.Value.Set(before)
	if before == checks.DefValue {
		if err := checks.Value.Set(modelRuns); err != nil {
			t.Fatal(err)
		}
	}
	c := newCluster(t)
	buckets := 0
	keys := []string{"a", "a/b", "a/c", "a-", "b", "d/é", "d/e/f"}
	rapid.Check(t, func(r *rapid.T) {
		buckets++
		b := c.bucket(fmt.Sprint("model-", buckets))
		m := &model{keys: map[string][]modelVersion{}}
		bodies := 0
		key := func() string { return rapid.SampledFrom(keys).Draw(r, "key") }
		history := []func(){
			func() {
				key := key()
				bodies++
				v := modelVersion{id: b.put(key, fmt.Sprint(bodies)), body: fmt.Sprint(bodies)}
				if m.mode == "" {
					v.id = "null"
				}
				m.add(key, v)
			},
			func() {
				key := key()
				got := b.remove(key, "")
				id, marker := strings.CutPrefix(got, "marker ")
				if marker != (m.mode != "") || m.mode == "off" && id != "null" {
					r.Fatalf("a deletion of %s has made %q while versions are %q", key, got, m.mode)
				}
				if !marker {
					delete(m.keys, key)
					return
				}
				m.add(key, modelVersion{id: id, marker: true})
			},
			func() {
				key, id := key(), "null"
				if all := m.keys[key]; len(all) > 0 && rapid.IntRange(0, 4).Draw(r, "null") > 0 {
					id = rapid.SampledFrom(all).Draw(r, "version").id
				}
				b.remove(key, id)
				m.keys[key] = without(m.keys[key], id)
			},
			func() { b.enable(); m.mode = "on" },
			func() {
				b.enable()
				b.suspend()
				m.mode = "off"
			},
		}
		for range rapid.IntRange(3, 25).Draw(r, "steps") {
			// Mostly something is stored.
			history[rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2, 2, 3, 4}).Draw(r, "step")]()
		}
		for _, key := range keys {
			if got, want := b.get(key, ""), m.current(key); got != want {
				r.Errorf("GET of %s is %q, want %q", key, got, want)
			}
		}
		for range 4 {
			size := rapid.SampledFrom([]int{1, 2, 3, 5, 1000}).Draw(r, "page")
			prefix := rapid.SampledFrom([]string{"", "a", "a/", "d/", "d/e"}).Draw(r, "prefix")
			delimiter := rapid.SampledFrom([]string{"", "/", "-"}).Draw(r, "delimiter")
			q := url.Values{"prefix": {prefix}}
			if delimiter != "" {
				q.Set("delimiter", delimiter)
			}
			var versions, prefixes []string
			for _, e := range b.list(size, q.Encode()) {
				if strings.Contains(e, "@") {
					versions = append(versions, e)
				} else {
					prefixes = append(prefixes, e)
				}
			}
			wantVersions, wantPrefixes := m.list(prefix, delimiter)
			if !slices.Equal(versions, wantVersions) || !slices.Equal(prefixes, wantPrefixes) {
				r.Errorf("in pages of %d, prefix %q, delimiter %q:\n%q %q\nwant\n%q %q", size, prefix, delimiter, versions, prefixes, wantVersions, wantPrefixes)
			}
		}
	})
}
