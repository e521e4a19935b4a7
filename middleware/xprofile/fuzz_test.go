package xprofile

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// FuzzQuery has parameters that anybody may send: what is understood is written again as it was.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "profile=all&sort=calls&limit=0.1&fulldirs=1", "limit=-1e300", "kind=heap&plot=plot&plottype=pie&metric=nc",
		"nfl_filter=%3Cscript%3E&mode=callers", "clear=1&download=2&format=csv", "limit=Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, _ := url.ParseQuery(text)
		q, err := parseQuery(values)
		if err != nil {
			return
		}
		r, err := newReport(made("samples", "cpu", sampled{"a b", 1, 1, nil}), views[0])
		if err != nil {
			t.Fatal(err)
		}
		r.sort(q.sort)
		r.choose(q.part, q.limit)
		r.draw(q)
		again, _ := url.ParseQuery(q.encode())
		if q2, err := parseQuery(again); err != nil || q2 != q {
			t.Errorf("%q: %+v is written as %q, which is %+v, %v", text, q, q.encode(), q2, err)
		}
	})
}

// FuzzProfile has files that somebody else may have written: every form of what can be read is well-formed.
func FuzzProfile(f *testing.F) {
	for _, p := range []*profile.Profile{
		everyRequest(), busy(), made("goroutine", "goroutine", sampled{"x", 1, 1, nil}),
		made("samples", "cpu", sampled{"\x01<&\"'>\xff", -1, 1 << 62, nil}, sampled{"a", 5, 1 << 62, nil}),
	} {
		var buf bytes.Buffer
		if err := p.WriteUncompressed(&buf); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePlain(data)
		if err != nil {
			return
		}
		r, err := newReport(p, views[0])
		if err != nil {
			return
		}
		for _, q := range []query{parsed("format=json"), parsed("plottype=pie&metric=cc"), parsed("plottype=flame"), parsed("mode=callers")} {
			if _, err := r.json(q); err != nil {
				t.Errorf("json: %v", err)
			}
			r.csv(q)
			r.text(q)
			wellFormed(t, r.draw(q).svg(true, "x"))
		}
	})
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := tok.(xml.StartElement); ok && !strings.Contains(" svg rect text title circle g ", " "+e.Name.Local+" ") {
			t.Fatalf("element %s in\n%s", e.Name.Local, svg)
		}
	}
}
