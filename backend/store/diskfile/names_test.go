package diskfile

import (
	"slices"
	"testing"
)

// named returns a choice by file names.
func (c choice) named() (out [4]string, obsolete, stray []string) {
	for _, e := range c.obsolete {
		obsolete = append(obsolete, e.name)
	}
	for _, e := range c.stray {
		stray = append(stray, e.name)
	}
	slices.Sort(obsolete)
	return [4]string{c.data.name, c.meta.name, c.ctype.name, c.ts.name}, obsolete, stray
}

func TestChoose(t *testing.T) {
	const (
		d1, d2, d3       = "0000000001.00000.data", "0000000002.00000.data", "0000000003.00000.data"
		m2, m3, m4       = "0000000002.00000.meta", "0000000003.00000.meta", "0000000004.00000.meta"
		m3c3, m3c2, m4c1 = "0000000003.00000+0.meta", "0000000003.00000-186a0.meta", "0000000004.00000-493e0.meta"
		t1, t2, t3       = "0000000001.00000.ts", "0000000002.00000.ts", "0000000003.00000.ts"
		t2o              = "0000000002.00000_0000000000000001.ts"
	)
	for _, tc := range []struct {
		name            string
		files           []string
		want            [4]string // data, meta, content-type meta, tombstone
		obsolete, stray []string
	}{
		{"nothing", nil, [4]string{}, nil, nil},
		{"data", []string{d1}, [4]string{d1}, nil, nil},
		{"newest data", []string{d1, d3, d2}, [4]string{d3}, []string{d1, d2}, nil},
		{"tombstone newer", []string{d1, m2, t3}, [4]string{3: t3}, []string{d1, m2}, nil},
		{"tombstone as old as data", []string{d2, t2}, [4]string{3: t2}, []string{d2}, nil},
		{"tombstone older", []string{t1, d2}, [4]string{d2}, []string{t1}, nil},
		{"tombstone with an offset beats data of its time", []string{d2, t2o}, [4]string{3: t2o}, []string{d2}, nil},
		{"newest of two tombstones", []string{t1, t2}, [4]string{3: t2}, []string{t1}, nil},
		{"metadata", []string{d1, m2}, [4]string{d1, m2}, nil, nil},
		{"metadata as old as data", []string{d2, m2}, [4]string{d2}, []string{m2}, nil},
		{"newest metadata", []string{m2, d1, m4, m3}, [4]string{d1, m4}, []string{m2, m3}, nil},
		{"content type of its own", []string{d1, m3c3}, [4]string{d1, m3c3, m3c3}, nil, nil},
		{"content type no newer than data", []string{d1, m4c1}, [4]string{d1, m4c1}, nil, nil},
		{"older metadata has the content type", []string{d1, m3c3, m4}, [4]string{d1, m4, m3c3}, nil, nil},
		{"older metadata has the newer content type", []string{d1, m3c2, m4c1}, [4]string{d1, m4c1, m3c2}, nil, nil},
		{"two of one time", []string{d1, m3c3, m3c2}, [4]string{d1, m3c3, m3c3}, []string{m3c2}, nil},
		{"metadata without data", []string{m2, m3}, [4]string{}, []string{m2}, []string{m3}},
		{"metadata after a tombstone", []string{t2, m3}, [4]string{3: t2}, nil, []string{m3}},
		{"what is none of ours", []string{".1.data.abcdef", "x.data", "1.txt", "0000000001.00000#0.data", d1}, [4]string{d1}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 2 { // the order of a listing must not matter
				got, obsolete, stray := choose(tc.files).named()
				if got != tc.want || !slices.Equal(obsolete, tc.obsolete) || !slices.Equal(stray, tc.stray) {
					t.Errorf("choose(%q):\n got %q, obsolete %q, stray %q\nwant %q, obsolete %q, stray %q", tc.files, got, obsolete, stray,
						tc.want, tc.obsolete, tc.stray)
				}
				slices.Reverse(tc.files)
			}
		})
	}
}

func TestFileNamesAreReadBack(t *testing.T) {
	for _, name := range []string{"1700000000.00000.data", "1700000004.00000_0000000000000003.data", "1700000003.00000.ts",
		"1700000005.12345.meta", "1700000015.00000+0.meta", "1700000009.00000-493e0.meta", "1700000009.00000_a+1.meta"} {
		e, ok := parseName(name)
		if !ok {
			t.Errorf("parseName(%q) failed", name)
			continue
		}
		if got := fileName(e.kind, e.at, e.ctype, !e.ctype.IsZero()); got != name {
			t.Errorf("%q is written as %q", name, got)
		}
	}
}

func FuzzChoose(f *testing.F) {
	f.Add("1700000000.00000.data", "1700000001.00000.ts", "1700000009.00000-493e0.meta")
	f.Add(".1.data.abcdef", "1.meta", "-.meta")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if a == b || b == c || a == c {
			return
		}
		files := []string{a, b, c}
		first := choose(files)
		// Every file is in one place, and cleaning up changes nothing more.
		var left []string
		places := map[string]int{}
		for _, e := range []entry{first.data, first.meta, first.ts} {
			if e.chosen() {
				places[e.name]++
				left = append(left, e.name)
			}
		}
		if first.ctype.chosen() && first.ctype != first.meta {
			places[first.ctype.name]++
			left = append(left, first.ctype.name)
		}
		for _, e := range first.stray {
			places[e.name]++
			left = append(left, e.name)
		}
		for _, e := range first.obsolete {
			places[e.name]++
		}
		for _, name := range first.unexpected {
			places[name]++
		}
		for _, name := range files {
			if places[name] > 1 {
				t.Errorf("choose(%q) has %q in %d places: %+v", files, name, places[name], first)
			}
		}
		second := choose(left)
		if second.data != first.data || second.meta != first.meta || second.ctype != first.ctype || second.ts != first.ts ||
			len(second.obsolete) > 0 {
			t.Errorf("choose(%q) = %+v, and of what is left %+v", files, first, second)
		}
	})
}
