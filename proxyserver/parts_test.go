package proxyserver

import (
	"testing"
)

func TestQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"": "format=json", "prefix=a%2Fb+c": "prefix=a%2Fb+c&format=json", "format=xml&limit=5": "format=json&limit=5", "a=1&a=2": "a=2&format=json",
		"a": "a=&format=json", "x=%zz": "x=%25zz&format=json", "&&b=%00": "b=%00&format=json",
	} {
		if got := parseQuery(raw).with("format", "json").encode(); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("prefix=a%2Fb+c&x=%zz&limit=99999999999999999999")
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw)
		if err := q.checkListing(10000); err != nil {
			_ = err.Error()
		}
		if again := parseQuery(q.encode()).encode(); again != q.encode() {
			t.Errorf("%q: written %q, read and written again %q", raw, q.encode(), again)
		}
	})
}

func TestWithoutSwiftParams(t *testing.T) {
	for in, want := range map[string]string{
		"a/b; charset=x": "a/b; charset=x", "a/b;swift_bytes=5": "a/b", "a/b; charset=x ; swift_bytes=5": "a/b; charset=x", "a/b;swift_bytes=5;c=d": "a/b;swift_bytes=5;c=d",
		"application/x-deleted;swift_versions_deleted=1": "application/x-deleted;swift_versions_deleted=1",
	} {
		if got := withoutSwiftParams(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
