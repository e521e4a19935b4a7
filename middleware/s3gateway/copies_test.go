package s3gateway_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

const copiesRoutes = `
[[filter.s3gateway.route]]
bucket = ["photos"]
upstreams = ["far"]
[[filter.s3gateway.route]]
bucket = ["near-*"]
upstreams = ["near"]
`

// writes are the requests of a store that change it.
func writes(requests []string) []string {
	return slices.DeleteFunc(requests, func(r string) bool { return strings.HasPrefix(r, "GET ") || strings.HasPrefix(r, "HEAD ") })
}

func TestRangesOfCopiesBetweenStores(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, copiesRoutes)
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/near-1", "")
	g.want(200, "PUT", "/photos/a", "the bytes")
	g.want(200, "PUT", "/photos/empty", "")
	id := between(g.want(200, "POST", "/near-1/parts?uploads", "").body, "<UploadId>", "</UploadId>")
	part := "/near-1/parts?partNumber=1&uploadId=" + id
	partial := func(contentRange, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || r.URL.RawQuery != "" {
				return false
			}
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		path, source, bytes string
		far                 func(http.ResponseWriter, *http.Request) bool
		want                any
		unasked             bool
	}{
		"a range":                               {part, "a", "bytes=4-8", nil, 200, false},
		"all of it":                             {part, "a", "bytes=0-8", nil, 200, false},
		"no part":                               {"/near-1/whole", "a", "bytes=4-8", nil, "InvalidArgument", true},
		"no end":                                {part, "a", "bytes=4-", nil, "InvalidArgument", true},
		"the last bytes":                        {part, "a", "bytes=-4", nil, "InvalidArgument", true},
		"two ranges":                            {part, "a", "bytes=0-1,3-4", nil, "InvalidArgument", true},
		"the wrong way round":                   {part, "a", "bytes=4-3", nil, "InvalidArgument", true},
		"another unit":                          {part, "a", "octets=4-8", nil, "InvalidArgument", true},
		"blanks":                                {part, "a", "bytes=4 - 8", nil, "InvalidArgument", true},
		"upper case":                            {part, "a", "Bytes=4-8", nil, "InvalidArgument", true},
		"a zero in front":                       {part, "a", "bytes=04-8", nil, "InvalidArgument", true},
		"nothing":                               {part, "a", "", nil, "InvalidArgument", true},
		"an end after the object's":             {part, "a", "bytes=4-9", nil, "InvalidRange", false},
		"a start after the end":                 {part, "a", "bytes=9-10", nil, "InvalidRange", false},
		"an empty object":                       {part, "empty", "bytes=0-0", nil, "InvalidRange", false},
		"a store that gives another range":      {part, "a", "bytes=4-8", partial("bytes 3-7/9", " byte"), 502, false},
		"a store that gives too little":         {part, "a", "bytes=4-8", partial("bytes 4-8/9", "byte"), 502, false},
		"a store that does not say what it is":  {part, "a", "bytes=4-8", partial("", "bytes"), 502, false},
		"a store that does not say of how much": {part, "a", "bytes=4-8", partial("bytes 4-8/*", "bytes"), 200, false},
		"a store that gives all": {part, "a", "bytes=4-7", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			io.WriteString(w, "the bytes")
			return true
		}, 502, false},
	} {
		far.meet(c.far)
		near.requests()
		far.requests()
		a := g.do("PUT", c.path, "", "x-amz-copy-source", "/photos/"+c.source, "x-amz-copy-source-range", c.bytes)
		if c.want != a.status && c.want != a.code {
			t.Errorf("%s: got %v, want %v", name, a, c.want)
		}
		if asked := far.requests(); c.unasked && len(asked) > 0 {
			t.Errorf("%s: the source was asked %v", name, asked)
		}
		if wrote := writes(near.requests()); (len(wrote) > 0) != (c.want == 200) {
			t.Errorf("%s: the other store was asked %v", name, wrote)
		}
	}
	far.meet(partial("bytes 4-8/9", "bytes"))
	near.requests()
	g.want(502, "PUT", "/near-1/whole", "", "x-amz-copy-source", "/photos/a") // a part of it, unasked
	far.meet(nil)
	g.want("NotImplemented", "PUT", part+"&x-amz-copy-source-range=bytes%3D4-8", "", "x-amz-copy-source", "/photos/a")
	if wrote := writes(near.requests()); len(wrote) > 0 {
		t.Errorf("the other store was asked %v", wrote)
	}
}

func TestTagsOfCopiesBetweenStores(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, copiesRoutes)
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/photos/a", "the bytes")
	const document = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>a b</Key><Value>1+1=2&amp;</Value></Tag>" +
		"<Tag><Key>\u00fc</Key><Value></Value></Tag></TagSet></Tagging>"
	const written = "a%20b=1%2B1%3D2%26&%C3%BC="
	var tagged atomic.Value // what the copy was given
	near.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		io.Copy(io.Discard, r.Body)
		tagged.Store(strings.Join(r.Header["X-Amz-Tagging"], ","))
		w.Header().Set("Etag", `"abc"`)
		return true
	})
	told := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("tagging") {
				return false
			}
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}
	}
	failed := func(code string) string { return "<Error><Code>" + code + "</Code></Error>" }
	for name, c := range map[string]struct {
		far     func(http.ResponseWriter, *http.Request) bool
		headers []string
		want    any
		tagged  string
	}{
		"tags":                               {told(200, document), nil, 200, written},
		"tags by name":                       {told(200, document), []string{"x-amz-tagging-directive", "COPY", "x-amz-tagging", "c=d"}, 200, written},
		"tags beside new metadata":           {told(200, document), []string{"x-amz-metadata-directive", "REPLACE"}, 200, written},
		"other tags":                         {told(200, document), []string{"x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "c=d"}, 200, "c=d"},
		"no tags in place of them":           {told(403, failed("AccessDenied")), []string{"x-amz-tagging-directive", "REPLACE"}, 200, ""},
		"none":                               {nil, nil, 200, ""},
		"none, as old stores say it":         {told(404, failed("NoSuchTagSet")), nil, 200, ""},
		"a store without tags":               {told(501, failed("NotImplemented")), nil, 200, ""},
		"a store that does not tell":         {told(403, failed("AccessDenied")), nil, "AccessDenied", "unasked"},
		"a source that is gone":              {told(404, failed("NoSuchKey")), nil, "ServiceUnavailable", "unasked"},
		"a store that fails":                 {told(500, failed("InternalError")), nil, "ServiceUnavailable", "unasked"},
		"a store that says something else":   {told(200, "<Other/>"), nil, 502, "unasked"},
		"a store that breaks off":            {told(200, document[:100]), nil, 502, "unasked"},
		"a directive that there is not":      {nil, []string{"x-amz-tagging-directive", "KEEP"}, "InvalidArgument", "unasked"},
		"another directive that there isn't": {nil, []string{"x-amz-metadata-directive", "KEEP"}, "InvalidArgument", "unasked"},
	} {
		far.meet(c.far)
		tagged.Store("unasked")
		a := g.do("PUT", "/near-1/copy", "", append([]string{"x-amz-copy-source", "/photos/a"}, c.headers...)...)
		if c.want != a.status && c.want != a.code {
			t.Errorf("%s: got %v, want %v", name, a, c.want)
		}
		if got := tagged.Load(); got != c.tagged {
			t.Errorf("%s: the copy has the tags %q, want %q", name, got, c.tagged)
		}
	}
	// Of a version, its own; of a part, none.
	far.meet(told(200, document))
	far.requests()
	tagged.Store("unasked")
	g.want(200, "PUT", "/near-1/copy?partNumber=1&uploadId=u", "", "x-amz-copy-source", "/photos/a", "x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "c=d")
	if asked := far.requests(); len(asked) != 1 || tagged.Load() != "" {
		t.Errorf("for a part, the source was asked %v, and the part has tags %q", asked, tagged.Load())
	}
	far.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("tagging") {
			return told(200, document)(w, r)
		}
		io.WriteString(w, "the bytes")
		return true
	})
	g.want(200, "PUT", "/near-1/copy", "", "x-amz-copy-source", "/photos/a?versionId=v%2F1")
	if asked := far.requests(); len(asked) != 2 || !strings.Contains(asked[1], "tagging&versionId=v%2F1") || tagged.Load() != written {
		t.Errorf("for a version, the source was asked %v, and the copy has tags %q", asked, tagged.Load())
	}
}
