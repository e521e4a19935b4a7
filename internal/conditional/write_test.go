package conditional

import (
	"net/http"
	"testing"

	"github.com/apus-storage/apus/internal/timestamp"
)

func TestWrite(t *testing.T) {
	at, _ := timestamp.Parse("1700000000.00000")
	here := &Version{ETag: "abc", Data: at}
	for _, c := range []struct {
		name          string
		header        http.Header
		ok, bad       bool
		there, absent bool // whether it holds
	}{
		{name: "none", header: http.Header{"If-None-Match": {"*"}, "If-Match": {"x"}}, there: true, absent: true},
		{name: "create", header: http.Header{HeaderIfNoneMatch: {"*"}}, ok: true, absent: true},
		{name: "the tag", header: http.Header{HeaderIfMatch: {`"abc"`}}, ok: true, there: true},
		{name: "one of two tags", header: http.Header{HeaderIfMatch: {`"x"`, `"abc"`}}, ok: true, there: true},
		{name: "another tag", header: http.Header{HeaderIfMatch: {`"abd"`}}, ok: true},
		{name: "a weak tag", header: http.Header{HeaderIfMatch: {`W/"abc"`}}, ok: true},
		{name: "any object", header: http.Header{HeaderIfMatch: {"*"}}, ok: true, there: true},
		{name: "the version", header: http.Header{HeaderIfData: {"1700000000.00000"}}, ok: true, there: true},
		{name: "another version", header: http.Header{HeaderIfData: {"1700000000.00001"}}, ok: true},
		{name: "version and tag", header: http.Header{HeaderIfData: {"1700000000.00000"}, HeaderIfMatch: {"abc"}}, ok: true, there: true},
		{name: "version and another tag", header: http.Header{HeaderIfData: {"1700000000.00000"}, HeaderIfMatch: {"abd"}}, ok: true},
		{name: "a tag in If-None-Match", header: http.Header{HeaderIfNoneMatch: {`"abc"`}}, ok: true, bad: true},
		{name: "nothing in If-Match", header: http.Header{HeaderIfMatch: {" , "}}, ok: true, bad: true},
		{name: "an empty If-None-Match", header: http.Header{HeaderIfNoneMatch: {""}}, ok: true, bad: true},
		{name: "no time", header: http.Header{HeaderIfData: {"yesterday"}}, ok: true, bad: true},
		{name: "time zero", header: http.Header{HeaderIfData: {"0"}}, ok: true, bad: true},
		{name: "a contradiction", header: http.Header{HeaderIfNoneMatch: {"*"}, HeaderIfMatch: {"*"}}, ok: true, bad: true},
	} {
		w, ok, err := ParseWrite(c.header)
		if ok != c.ok || (err != nil) != c.bad {
			t.Errorf("%s: parsed %+v, %v, %v", c.name, w, ok, err)
		}
		if err == nil && (w.Holds(here) != c.there || w.Holds(nil) != c.absent) {
			t.Errorf("%s: holds of an object %v, of none %v; want %v, %v", c.name, w.Holds(here), w.Holds(nil), c.there, c.absent)
		}
	}
}

func FuzzParseWrite(f *testing.F) {
	f.Add(`"abc"`, "1700000000.00000", "*")
	f.Add("*", "", "")
	f.Fuzz(func(t *testing.T, match, data, none string) {
		h := http.Header{}
		for name, v := range map[string]string{HeaderIfMatch: match, HeaderIfData: data, HeaderIfNoneMatch: none} {
			if v != "" {
				h[name] = []string{v}
			}
		}
		w, ok, err := ParseWrite(h)
		if ok != (len(h) > 0) {
			t.Errorf("%v: conditional %v", h, ok)
		}
		if ok && err == nil && w == (Write{}) {
			t.Errorf("%v: a condition that always holds", h)
		}
	})
}
