package conditional

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"
)

// The vectors were made by OpenStack Swift's request class: a header value and the date, or "" if ignored.
func TestDatesAgreeWithSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/dates.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]string
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		got := ""
		if d, ok := ParseDate(row[0]); ok {
			got = d.Format("2006-01-02T15:04:05Z")
		}
		if got != row[1] {
			t.Errorf("ParseDate(%q) = %q, want %q", row[0], got, row[1])
		}
	}
	if _, ok := ParseDate("21 Nov 2026 23:02:01 \xa0"); ok {
		t.Error("a date with a byte above 0x7f was read")
	}
}

// Statuses as a real server gave them for an object modified at 23:02:01.
func TestEvaluate(t *testing.T) {
	const etag = "781e5e245d69b566979b86e28d23f2c7"
	const same, before = "Sat, 21 Nov 2026 23:02:01 GMT", "Sat, 21 Nov 2026 23:02:00 GMT"
	found := Entity{ETag: etag, LastModified: time.Date(2026, 11, 21, 23, 2, 1, 0, time.UTC)}
	for _, tc := range []struct {
		name string
		e    Entity
		h    http.Header
		want int
	}{
		{"no condition", found, http.Header{}, 0},
		{"the same tag", found, http.Header{"If-None-Match": {etag}}, 304},
		{"the same tag, quoted", found, http.Header{"If-None-Match": {`"` + etag + `"`}}, 304},
		{"the same tag, weak", found, http.Header{"If-None-Match": {`W/"` + etag + `"`}}, 0},
		{"a quoted star", found, http.Header{"If-None-Match": {`"*"`}}, 304},
		{"one of two headers", found, http.Header{"If-None-Match": {etag, "x"}}, 304},
		{"a repeated date", found, http.Header{"If-Modified-Since": {same, same}}, 304},
		{"an empty if-match", found, http.Header{"If-Match": {""}}, 412},
		{"if-match with only commas", found, http.Header{"If-Match": {","}}, 412},
		{"one of several", found, http.Header{"If-Match": {"x, " + etag}}, 0},
		{"half a quote", found, http.Header{"If-Match": {`"x`}}, 412},
		{"not modified since", found, http.Header{"If-Modified-Since": {same}}, 304},
		{"modified since", found, http.Header{"If-Modified-Since": {before}}, 0},
		{"another tag, but not modified", found, http.Header{"If-None-Match": {"x"}, "If-Modified-Since": {same}}, 304},
		{"none-match before match", found, http.Header{"If-None-Match": {etag}, "If-Match": {"x"}}, 304},
		{"match before modified-since", found, http.Header{"If-Match": {"x"}, "If-Modified-Since": {same}}, 412},
		{"unmodified since", found, http.Header{"If-Unmodified-Since": {same}}, 0},
		{"not unmodified since", found, http.Header{"If-Unmodified-Since": {before}}, 412},
		{"a date that is none", found, http.Header{"If-Unmodified-Since": {"2026-11-20"}}, 0},
		{"missing, any wanted", Entity{Missing: true}, http.Header{"If-Match": {"*"}}, 412},
		{"missing, one wanted", Entity{Missing: true}, http.Header{"If-Match": {"x"}}, 0},
		{"missing, none wanted", Entity{Missing: true}, http.Header{"If-None-Match": {"*"}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Evaluate(tc.h, tc.e).Status(); got != tc.want {
				t.Errorf("Evaluate(%v) = %d, want %d", tc.h, got, tc.want)
			}
		})
	}
}

func TestAlternativeETag(t *testing.T) {
	stored := map[string]string{"X-Object-Sysmeta-B": "b", "X-Object-Sysmeta-C": "c"}
	lookup := func(name string) (string, bool) { v, ok := stored[name]; return v, ok }
	for in, want := range map[string]string{
		"": "", "X-Object-Sysmeta-A": "", "X-Object-Sysmeta-A, X-Object-Sysmeta-B,X-Object-Sysmeta-C": "b", ",X-Object-Sysmeta-C": "c",
	} {
		if got, ok := AlternativeETag(in, lookup); got != want || ok != (want != "") {
			t.Errorf("AlternativeETag(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add("Sat, 21 Nov 2026 23:02:01 GMT")
	f.Add("Saturday, 21-Nov-26 23:02:01 GMT")
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := ParseDate(s)
		if !ok {
			return
		}
		if again, ok := ParseDate(d.Format(http.TimeFormat)); !ok || !again.Equal(d) {
			t.Errorf("ParseDate(%q) = %v, written and read %v, %v", s, d, again, ok)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add(`"a", b`, "a")
	f.Fuzz(func(t *testing.T, tags, etag string) {
		if Match(tags, etag) && !Match(tags+",x", etag) {
			t.Errorf("Match(%q, %q) is lost by one more tag", tags, etag)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	b.ReportAllocs()
	h := http.Header{"If-Modified-Since": {"Sat, 21 Nov 2026 23:02:01 GMT"}, "If-None-Match": {`"x"`}}
	e := Entity{ETag: "y", LastModified: time.Now()}
	for b.Loop() {
		Evaluate(h, e)
	}
}
