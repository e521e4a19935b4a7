package segments_test

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/testcluster"
)

// A client has the first segment before anybody asks for the second, which may take as long as it likes, and the second
// before the third. They are smaller than what net/http would hold back.
func TestSegmentsDoNotWaitForTheNext(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{
		Devices: 1, Replicas: 1, Memory: true, Kind: testcluster.TCP, NodeTimeout: time.Minute, Filters: []string{"copy", "slo", "dlo", "symlink"},
	})
	const base = "/v1/AUTH_a/c"
	put := func(name, query, body string, header map[string]string) {
		c.Must(t.Context(), testcluster.Request{Method: "PUT", Path: base + name, Query: query, Body: []byte(body), Header: header})
	}
	bodies := []string{"first,", "second,", "third"}
	put("", "", "", nil)
	for i, name := range []string{"/s/1", "/s/2", "/s/3"} {
		put(name, "", bodies[i], nil)
	}
	put("/slo", "multipart-manifest=put", `[{"path": "c/s/1"}, {"path": "c/s/2"}, {"path": "c/s/3"}]`, nil)
	put("/within", "multipart-manifest=put", `[{"path": "c/s/1"}, {"path": "c/slo", "range": "6-"}]`, nil)
	put("/dlo", "", "", map[string]string{"X-Object-Manifest": "c/s/"})
	put("/link-slo", "", "", map[string]string{"X-Symlink-Target": "c/slo"})
	put("/link-dlo", "", "", map[string]string{"X-Symlink-Target": "c/dlo"})
	for name, of := range map[string]string{"/copy-slo": "c/slo", "/copy-dlo": "c/dlo"} {
		put(name, "multipart-manifest=get", "", map[string]string{"X-Copy-From": of})
	}

	for _, name := range []string{"/slo", "/within", "/dlo", "/link-slo", "/link-dlo", "/copy-slo", "/copy-dlo"} {
		for want, header := range map[string]string{strings.Join(bodies, ""): "", "irst,second,thi": "bytes=1-15"} {
			t.Run(name[1:]+header, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a busy machine needs no more; a failure takes it all
				defer cancel()
				goOn := make(chan struct{})
				c.SetFaults(func(_ *testcluster.Node, r *http.Request) testcluster.Fault {
					if strings.HasSuffix(r.URL.Path, "/c/s/2") || strings.HasSuffix(r.URL.Path, "/c/s/3") {
						select {
						case <-goOn:
						case <-ctx.Done():
						}
					}
					return testcluster.Fault{}
				})
				r, err := http.NewRequestWithContext(ctx, "GET", c.URL()+base+name, nil)
				if err != nil {
					t.Fatal(err)
				}
				if header != "" {
					r.Header.Set("Range", header)
				}
				res, err := c.Client().RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				for i, part := range strings.SplitAfter(want, ",") {
					if i > 0 {
						goOn <- struct{}{} // somebody asks for the next one now
					}
					got := make([]byte, len(part))
					if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != part {
						t.Fatalf("segment %d: %q, %v, want %q, while nobody had got the next one", i+1, got, err, part)
					}
				}
				if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
					t.Errorf("%q and %v after the end", rest, err)
				}
			})
		}
	}
	c.SetFaults(nil)
}

// An answer of one segment costs no flush, nor does the end of one of several.
func TestOnlyAnotherSegmentCostsAFlush(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1")
		io.WriteString(w, "x")
	})
	for count := range 4 {
		o := segments.Object{Header: http.Header{}, Size: int64(count), List: func(context.Context, []ranges.Range) iter.Seq2[segments.Segment, error] {
			return func(yield func(segments.Segment, error) bool) {
				for range count {
					if !yield(segments.Segment{Path: "/v1/a/c/o", Size: 1, Range: ranges.Range{End: ranges.None}}, nil) {
						return
					}
				}
			}
		}}
		w := &flushes{ResponseRecorder: httptest.NewRecorder()}
		r := request.With(httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), &request.State{Infos: &request.Infos{}})
		if err := o.Serve(w, r, segments.Source{Next: next, MaxTime: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if want := max(0, count-1); w.n != want || w.Body.Len() != count {
			t.Errorf("%d segments: %d bytes and %d flushes, want %d", count, w.Body.Len(), w.n, want)
		}
	}
}

// flushes counts them.
type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) Flush() { f.n++ }
