package fanout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/ranges"
)

const (
	older = "X-Backend-Data-Timestamp: 1700000000.00000"
	newer = "X-Backend-Data-Timestamp: 1700000009.00000"
	tomb  = "X-Backend-Timestamp: 1700000005.00000"
)

func TestReadStatuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		replicas int
		nodes    []http.HandlerFunc
		kind     string
		newest   bool
		want     int
		body     string
	}{
		{"the first node has it", 3, []http.HandlerFunc{answer(200, "a", older)}, "Object", false, 200, "a"},
		{"the third node has it", 3, []http.HandlerFunc{answer(404, ""), answer(503, ""), answer(200, "a", older)}, "Object", false, 200, "a"},
		{"a handoff has it", 3, []http.HandlerFunc{answer(404, ""), answer(404, ""), die, answer(200, "a", older), answer(200, "a", older), answer(200, "a", older), answer(200, "a", older)}, "Object", false, 200, "a"},
		{"nobody has it", 3, nil, "Object", false, 404, ""},
		{"the only replica does not have it", 1, nil, "Object", false, 404, ""},
		{"everybody is down", 3, []http.HandlerFunc{die, die, die, die, die, die}, "Object", false, 503, ""},
		{"handoffs that are down do not count", 3, []http.HandlerFunc{answer(404, ""), answer(404, ""), answer(404, ""), answer(503, ""), answer(503, ""), answer(503, "")}, "Object", false, 404, ""},
		{"one missing primary is ignored, two that are down count", 3, []http.HandlerFunc{answer(404, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, "")}, "Object", false, 503, ""},
		{"a newer tombstone beats an object", 3, []http.HandlerFunc{answer(404, "", tomb), answer(200, "a", older), answer(200, "a", older)}, "Object", false, 404, ""},
		{"a newer object beats a tombstone", 3, []http.HandlerFunc{answer(404, "", tomb), answer(200, "a", newer)}, "Object", false, 200, "a"},
		{"newest takes the newest", 3, []http.HandlerFunc{answer(200, "old", older), answer(200, "new", newer), answer(404, "")}, "Object", true, 200, "new"},
		{"newest takes the newest metadata of one body", 3, []http.HandlerFunc{answer(200, "old", older, tomb), answer(200, "new", older, "X-Backend-Timestamp: 1700000006.00000"), answer(200, "old", older, tomb)}, "Object", true, 200, "new"},
		{"newest sees a tombstone that comes later", 3, []http.HandlerFunc{answer(200, "old", older), answer(200, "old", older), answer(404, "", tomb)}, "Object", true, 404, ""},
		{"a range that cannot be satisfied is an answer", 3, []http.HandlerFunc{answer(416, "", older)}, "Object", false, 416, ""},
		{"a container that was never put is not there", 3, []http.HandlerFunc{answer(204, "", "X-Put-Timestamp: 0000000000.00000"), answer(204, "", "X-Put-Timestamp: 0"), answer(404, "")}, "Container", false, 404, ""},
		{"a deleted container's time is no tombstone", 3, []http.HandlerFunc{answer(404, "", tomb), answer(200, "a", "X-Timestamp: 1700000000.00000")}, "Container", false, 200, "a"},
		{"conditions are decided by the nodes", 3, []http.HandlerFunc{answer(412, ""), answer(412, ""), answer(412, "")}, "Object", false, 412, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, 7, c.replicas, func(t *testing.T, f *fake) {
				for i, h := range c.nodes {
					f.nodes[i].serve = h
				}
				target := f.target()
				target.Kind = c.kind
				a := f.d.Read(t.Context(), target, http.MethodGet, http.Header{}, c.newest)
				body, err := text(t, a)
				if a.Status != c.want || body != c.body || err != nil || a.Good != (a.Status < 400 || a.Status == 416) {
					t.Errorf("got %d %q good %v, %v; want %d %q", a.Status, body, a.Good, err, c.want, c.body)
				}
			})
		})
	}
}

func TestReadSkipsHungNodes(t *testing.T) {
	both(t, 4, 3, func(t *testing.T, f *fake) {
		f.impatient()
		f.all(hang, 0, 2)
		f.nodes[2].serve = answer(200, "late", older)
		a := f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false)
		if body, err := text(t, a); a.Status != 200 || body != "late" || err != nil {
			t.Errorf("got %d %q %v", a.Status, body, err)
		}
	})
}

func TestConcurrentGets(t *testing.T) {
	both(t, 4, 3, func(t *testing.T, f *fake) {
		f.options.ConcurrentGets = true
		f.all(hang, 0, 2)
		f.nodes[2].serve = answer(200, "quick", older)
		a := f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false)
		if body, err := text(t, a); a.Status != 200 || body != "quick" || err != nil {
			t.Errorf("got %d %q %v", a.Status, body, err)
		}
	})
}

func TestClientGoesWhileNodesThink(t *testing.T) {
	both(t, 4, 3, func(t *testing.T, f *fake) {
		ctx, cancel := context.WithCancel(t.Context())
		f.all(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			hang(w, r)
		}, 0, 4)
		if a := f.d.Read(ctx, f.target(), http.MethodGet, http.Header{}, false); a.Status != 503 {
			t.Errorf("got %d", a.Status)
		}
		if f.limiter.Limited(f.nodes[0].device) {
			t.Error("a node was blamed for the client")
		}
	})
}

func TestErrorLimiting(t *testing.T) {
	both(t, 4, 1, func(t *testing.T, f *fake) {
		f.options.RequestNodeCount = func(int) int { return 2 }
		f.nodes[0].serve = answer(507, "")
		f.all(answer(200, "x", older), 1, 4)
		for range 3 {
			text(t, f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false))
		}
		if got := f.nodes[0].requests(); got != 1 {
			t.Errorf("node without its device was asked %d times, want 1", got)
		}
		f.now = f.now.Add(61 * time.Second)
		text(t, f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false))
		if got := f.nodes[0].requests(); got != 2 {
			t.Errorf("after the interval it was asked %d times in all, want 2", got)
		}
		f.now = f.now.Add(61 * time.Second)
		want := 2
		for _, code := range []int{500, 529} { // 529 is that of a device that is asked for too much
			f.nodes[0].serve = answer(code, "")
			for range 15 {
				a := f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false)
				if body, err := text(t, a); a.Status != 200 || body != "x" || err != nil {
					t.Errorf("%d of one node: got %d %q %v, want what the others have", code, a.Status, body, err)
				}
			}
			want += 11
			if got := f.nodes[0].requests(); got != want {
				t.Errorf("node that answers %d was asked %d times in all, want %d: 10 errors are allowed", code, got, want)
			}
			f.now = f.now.Add(61 * time.Second)
		}
	})
}

// content is what the nodes of the resuming tests have.
var content = strings.Repeat("0123456789abcdef", 20000)

// partial serves content with ranges and breaks off after so many bytes; negative for never.
func partial(etag string, after int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, code := content, 200
		if set, ok := ranges.Parse(r.Header.Get("Range")); ok {
			parts, err := set.Resolve(int64(len(content)))
			if err != nil || len(parts) != 1 {
				w.WriteHeader(416)
				return
			}
			data, code = content[parts[0].Start:parts[0].End], 206
			w.Header().Set("Content-Range", parts[0].ContentRange(int64(len(content))))
		}
		w.Header().Set("Etag", etag)
		w.Header().Set("X-Backend-Data-Timestamp", "1700000000.00000")
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.WriteHeader(code)
		if after < 0 || after >= len(data) {
			io.WriteString(w, data)
			return
		}
		io.WriteString(w, data[:after])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// read reads the target in one of two ways, to where it ends or breaks off.
func read(t *testing.T, f *fake, h http.Header, how string) (string, error) {
	a := f.d.Read(t.Context(), f.target(), http.MethodGet, h, false)
	defer a.Body.Close()
	var b bytes.Buffer
	var err error
	if how == "WriteTo" {
		_, err = a.Body.WriteTo(&b)
	} else {
		_, err = io.Copy(&b, struct{ io.Reader }{a.Body})
	}
	return b.String(), err
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		name  string
		rng   string
		nodes []http.HandlerFunc
		want  string
		fails bool
	}{
		{"the second node goes on", "", []http.HandlerFunc{partial("x", 1000), partial("x", -1)}, content, false},
		{"quotes around the etag do not matter", "", []http.HandlerFunc{partial("x", 1000), partial(`"x"`, -1)}, content, false},
		{"and the third after it", "", []http.HandlerFunc{partial("x", 100000), partial("x", 70000), partial("x", -1)}, content, false},
		{"before the first byte", "", []http.HandlerFunc{partial("x", 0), partial("x", -1)}, content, false},
		{"in a range", "bytes=100-150099", []http.HandlerFunc{partial("x", 90000), partial("x", -1)}, content[100:150100], false},
		{"in a range without end", "bytes=1000-", []http.HandlerFunc{partial("x", 90000), partial("x", -1)}, content[1000:], false},
		{"in the last bytes", "bytes=-150000", []http.HandlerFunc{partial("x", 90000), partial("x", -1)}, content[len(content)-150000:], false},
		{"not with another object", "", []http.HandlerFunc{partial("x", 1000), partial("y", -1), partial("y", -1)}, content[:1000], true},
		{"nobody is left", "", []http.HandlerFunc{partial("x", 1000), die, die, die}, content[:1000], true},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, 4, 3, func(t *testing.T, f *fake) {
				for i, h := range c.nodes {
					f.nodes[i].serve = h
				}
				h := http.Header{}
				if c.rng != "" {
					h.Set("Range", c.rng)
				}
				for _, how := range []string{"WriteTo", "Read"} {
					if got, err := read(t, f, h, how); got != c.want || (err != nil) != c.fails {
						t.Errorf("%s: got %d bytes, equal %v, error %v; want %d bytes, failing %v", how, len(got), got == c.want, err, len(c.want), c.fails)
					}
				}
			})
		})
	}
}

// A stalled body is taken over too. Only over TCP: a node in this process holds its caller.
func TestResumeAfterStall(t *testing.T) {
	f := newFake(t, "tcp", 4, 3)
	f.impatient()
	f.nodes[0].serve = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", "x")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		io.WriteString(w, content[:5000])
		http.NewResponseController(w).Flush()
		hang(w, r)
	}
	f.nodes[1].serve = partial("x", -1)
	a := f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false)
	if body, err := text(t, a); body != content || err != nil {
		t.Errorf("got %d bytes, %v", len(body), err)
	}
}

// several serves two ranges of content with a boundary and breaks off after so many bytes; negative for never.
func several(boundary, etag string, after int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		set, _ := ranges.Parse(r.Header.Get("Range"))
		parts, _ := set.Resolve(int64(len(content)))
		m := ranges.Multipart{Boundary: boundary, ContentType: "text/plain", Size: int64(len(content))}
		var body []byte
		for _, p := range parts {
			body = append(m.AppendHead(body, p), content[p.Start:p.End]...)
			body = append(body, ranges.PartEnd...)
		}
		body = m.AppendTail(body)
		w.Header().Set("Etag", etag)
		w.Header().Set("Content-Type", m.Header())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(206)
		if after < 0 {
			w.Write(body)
			return
		}
		w.Write(body[:after])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestResumeOfSeveralRanges(t *testing.T) {
	rec := httptest.NewRecorder()
	header := http.Header{"Range": {"bytes=10-99999,-100000"}}
	several("aaaa", "x", -1)(rec, &http.Request{Header: header})
	whole := rec.Body.String()
	ours, theirs := several("aaaa", "x", -1), several("bbbb", "x", -1)
	for _, c := range []struct {
		name   string
		after  []int // bytes of the first nodes
		last   http.HandlerFunc
		failed bool
	}{
		{"before the first byte", []int{0}, theirs, false},
		{"in the first head", []int{20}, theirs, false},
		{"in the first part", []int{5000}, theirs, false},
		{"in the second head", []int{100080}, theirs, false},
		{"in the second part, twice", []int{100200, 150000}, theirs, false},
		{"the next breaks off earlier", []int{150000, 300}, theirs, false},
		{"in the tail", []int{len(whole) - 3}, theirs, false},
		{"the same boundary", []int{5000}, ours, false},
		{"another object", []int{5000}, several("bbbb", "y", -1), true},
		{"a boundary of another length", []int{5000}, several("bbbbbbbb", "x", -1), true},
		{"a node that knows no ranges", []int{5000}, answer(200, content, older), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, 4, 3, func(t *testing.T, f *fake) {
				f.all(c.last, 0, 3)
				for i, n := range c.after {
					f.nodes[i].serve = several("abcd"[i:i+1]+"aaa", "x", n)
				}
				for _, how := range []string{"WriteTo", "Read"} {
					got, err := read(t, f, header, how)
					want := whole
					if c.failed {
						want = whole[:c.after[0]]
					}
					if got != want || (err != nil) != c.failed {
						t.Errorf("%s: got %d bytes, equal %v, error %v; want %d bytes, failing %v", how, len(got), got == want, err, len(want), c.failed)
					}
				}
			})
		})
	}
}

func TestReadOrder(t *testing.T) {
	for _, c := range []struct {
		affinity string
		want     []int // nodes asked, in order
	}{
		{"r1z2=1, r1=5", []int{2, 0, 1}},
		{"r1z1=1, r1z2=2", []int{1, 2, 0}},
	} {
		f := newFake(t, "direct", 3, 3)
		var err error
		if f.options.ReadAffinity, err = ParseReadAffinity(c.affinity); err != nil {
			t.Fatal(err)
		}
		f.options.Sorting, f.options.RebalanceMissing = SortAffinity, 0
		var got []int
		for i, n := range f.nodes {
			n.serve = func(w http.ResponseWriter, _ *http.Request) {
				got = append(got, i)
				w.WriteHeader(404)
			}
		}
		f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: asked %v, want %v", c.affinity, got, c.want)
		}
	}
}

func TestTimingOrder(t *testing.T) {
	f := newFake(t, "direct", 3, 3)
	f.options.Sorting = SortTiming
	now := time.Now()
	// Nodes here share an address, as far as timing goes: only the arithmetic is looked at.
	f.d.timings.set("127.0.0.1", 3*time.Millisecond, time.Minute, now)
	if got := f.d.timings.get("127.0.0.1", now); got != 3*time.Millisecond {
		t.Errorf("got %v", got)
	}
	if got := f.d.timings.get("127.0.0.1", now.Add(2*time.Minute)); got != -1 {
		t.Errorf("after its time: got %v", got)
	}
}

func TestParseAffinity(t *testing.T) {
	for in, ok := range map[string]bool{
		"": true, "r1=5": true, "r1z2=5, r2=6": true, "r1": false, "z1=3": false, "r1z=3": false, "r1=x": false, "rx=1": false, "r-1=1": false,
	} {
		if _, err := ParseReadAffinity(in); (err == nil) != ok {
			t.Errorf("read %q: %v", in, err)
		}
	}
	for in, ok := range map[string]bool{"": true, "r1": true, "r1, r2z3": true, "r1=1": false, "x": false} {
		if _, err := ParseWriteAffinity(in); (err == nil) != ok {
			t.Errorf("write %q: %v", in, err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{0, 4 << 10, 1 << 20} {
		for _, kind := range kinds {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				f := newFake(b, kind, 1, 1)
				f.nodes[0].serve = answer(200, strings.Repeat("x", size), older)
				target := f.target()
				h := http.Header{"X-Trans-Id": {"tx"}}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					f.nodes[0].seen = f.nodes[0].seen[:0]
					a := f.d.Read(b.Context(), target, http.MethodGet, h, false)
					if n, err := io.Copy(io.Discard, a.Body); int(n) != size || err != nil {
						b.Fatal(n, err)
					}
					a.Body.Close()
				}
			})
		}
	}
}

// TestRefusalsWhoseTextStops checks that a node cannot keep a client waiting by the text of its refusal.
func TestRefusalsWhoseTextStops(t *testing.T) {
	for _, kind := range []string{"tcp", "interruptible"} { // in this process nothing can be interrupted
		t.Run(kind, func(t *testing.T) {
			f := newFake(t, kind, 3, 3)
			f.impatient()
			f.all(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				w.Header().Set("X-Backend-Timestamp", "1700000000.00000")
				w.WriteHeader(404)
				io.WriteString(w, "gone")
				_ = http.NewResponseController(w).Flush()
				hang(w, r)
			}, 0, 3)
			a := f.d.Read(t.Context(), f.target(), http.MethodGet, http.Header{}, false)
			if a.Status != 404 {
				t.Errorf("got %d, want 404", a.Status)
			}
			if err := a.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
