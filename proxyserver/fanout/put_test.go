package fanout

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// touchy is a body that notes whether it was read.
type touchy struct {
	io.Reader
	touched bool
}

func (b *touchy) Read(p []byte) (int, error) {
	b.touched = true
	return b.Reader.Read(p)
}

var errBroken = errors.New("the client broke off")

// broken is a body that fails after data.
func broken(data string) io.Reader {
	return io.MultiReader(strings.NewReader(data), readerFunc(func([]byte) (int, error) { return 0, errBroken }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// halfway is a node that reads a little and breaks off.
func halfway(_ http.ResponseWriter, r *http.Request) {
	io.ReadFull(r.Body, make([]byte, 1000))
	panic(http.ErrAbortHandler)
}

// stuck is a node that reads a little and then hangs.
func stuck(w http.ResponseWriter, r *http.Request) {
	io.ReadFull(r.Body, make([]byte, 1000))
	hang(w, r)
}

// full is a node that reads a little and has no room for more.
func full(w http.ResponseWriter, r *http.Request) {
	io.ReadFull(r.Body, make([]byte, 1000))
	w.WriteHeader(507)
}

func TestPut(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 100000)
	for _, replicas := range []int{1, 2, 3, 5} {
		for _, body := range []string{"", "hello", big} {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d replicas, %d bytes, length known %v", replicas, len(body), known), func(t *testing.T) {
					both(t, replicas+1, replicas, func(t *testing.T, f *fake) {
						f.stored("x")
						p := Put{Headers: f.headers(replicas), Body: strings.NewReader(body), Length: -1}
						if known {
							p.Length = int64(len(body))
						}
						a, err := f.d.Put(t.Context(), f.target(), p)
						if err != nil || a.Status != 201 || a.Header.Get("Etag") != "x" {
							t.Fatalf("got %v, %v", a, err)
						}
						f.d.Wait()
						for i, n := range f.nodes[:replicas] {
							if got := n.bodies(); len(got) != 1 || got[0] != body {
								t.Errorf("node %d has %d bodies", i, len(got))
							}
						}
					})
				})
			}
		}
	}
}

func TestPutWithBadNodes(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 100000)
	for _, c := range []struct {
		name   string
		nodes  []http.HandlerFunc // nil stores
		status int
		err    error
		stored int // at least
		slow   bool
	}{
		{"one node is down, a handoff takes its place", []http.HandlerFunc{die}, 201, nil, 3, false},
		{"one node has no disk", []http.HandlerFunc{answer(507, "")}, 201, nil, 3, false},
		{"one node is asked for too much", []http.HandlerFunc{answer(529, "Too Many Backend Requests")}, 201, nil, 3, false},
		{"one node hangs", []http.HandlerFunc{hang}, 201, nil, 3, true},
		{"all nodes are down", []http.HandlerFunc{die, die, die, die, die, die}, 0, ErrNoQuorum, 0, false},
		{"only one node is up", []http.HandlerFunc{nil, die, die, die, die, die}, 0, ErrNoQuorum, 0, false},
		{"one breaks off in mid-body", []http.HandlerFunc{halfway}, 201, nil, 2, false},
		{"two break off in mid-body", []http.HandlerFunc{halfway, halfway}, 0, ErrNoQuorum, 0, false},
		{"one stops reading", []http.HandlerFunc{stuck}, 201, nil, 2, true},
		{"two stop reading", []http.HandlerFunc{stuck, stuck}, 0, ErrNoQuorum, 0, true},
		{"one is full in mid-body", []http.HandlerFunc{full}, 201, nil, 2, false},
		{"all refuse", []http.HandlerFunc{answer(400, "bad"), answer(400, "bad"), answer(400, "bad")}, 400, nil, 0, false},
		{"one has a newer object", []http.HandlerFunc{answer(409, "")}, 0, ErrConflict, 0, false},
		{"one has the object", []http.HandlerFunc{answer(412, "")}, 0, ErrPrecondition, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, 6, 3, func(t *testing.T, f *fake) {
				if c.slow {
					f.impatient()
				}
				f.stored("x")
				for i, h := range c.nodes {
					if h != nil {
						f.nodes[i].serve = h
					}
				}
				b := &touchy{Reader: strings.NewReader(body)}
				a, err := f.d.Put(t.Context(), f.target(), Put{
					Headers: f.headers(3), Body: b, Length: int64(len(body)), IfNoneMatch: true,
				})
				if !errors.Is(err, c.err) || err == nil && a.Status != c.status {
					t.Fatalf("got %+v, %v; want %d, %v", a, err, c.status, c.err)
				}
				if refused := c.status == 400 || errors.Is(c.err, ErrConflict) || errors.Is(c.err, ErrPrecondition); refused && b.touched {
					t.Error("the body of a refused upload was read")
				}
				f.d.Wait()
				stored := 0
				for _, n := range f.nodes {
					for _, got := range n.bodies() {
						if got != body {
							t.Errorf("a node kept %d bytes of %d", len(got), len(body))
						}
						stored++
					}
				}
				if stored < c.stored {
					t.Errorf("stored on %d nodes, want %d at least", stored, c.stored)
				}
			})
		})
	}
}

func TestPutFinalStatuses(t *testing.T) {
	for _, c := range []struct {
		nodes []int
		etags []string
		want  int
		err   error
	}{
		{[]int{201, 201, 201}, []string{"a", "a", "a"}, 201, nil},
		{[]int{201, 201, 500}, []string{"a", "a", ""}, 201, nil},
		{[]int{201, 500, 500}, []string{"a", "", ""}, 0, ErrNoQuorum},
		{[]int{422, 422, 201}, []string{"", "", "a"}, 422, nil},
		{[]int{422, 201, 503}, []string{"", "a", ""}, 0, ErrNoQuorum},
		{[]int{201, 201, 201}, []string{"a", "b", "a"}, 0, ErrEtags},
		{[]int{408, 499, 201}, []string{"", "", "a"}, 499, nil},
	} {
		t.Run(fmt.Sprint(c.nodes, c.etags), func(t *testing.T) {
			both(t, 3, 3, func(t *testing.T, f *fake) {
				for i, n := range f.nodes {
					n.serve = n.store(c.nodes[i], c.etags[i])
				}
				a, err := f.d.Put(t.Context(), f.target(), Put{Headers: f.headers(3), Body: strings.NewReader("data"), Length: 4})
				if !errors.Is(err, c.err) || err == nil && a.Status != c.want {
					t.Errorf("got %+v, %v; want %d, %v", a, err, c.want, c.err)
				}
			})
		})
	}
}

func TestPutOfABodyThatBreaksOff(t *testing.T) {
	for _, data := range []string{"", "abc", strings.Repeat("x", 1<<20)} {
		for _, replicas := range []int{1, 3} {
			both(t, replicas, replicas, func(t *testing.T, f *fake) {
				f.stored("x")
				_, err := f.d.Put(t.Context(), f.target(), Put{Headers: f.headers(replicas), Body: broken(data), Length: 2 << 20})
				if !errors.Is(err, errBroken) {
					t.Errorf("%d bytes, %d replicas: got %v", len(data), replicas, err)
				}
				f.d.Wait()
				for _, n := range f.nodes {
					if got := n.bodies(); len(got) > 0 {
						t.Errorf("a node kept %d bytes of a body that broke off", len(got[0]))
					}
					if n.serve = nil; f.limiter.nodes[keyOf(n.device)] != nil {
						t.Error("a node was blamed for the client")
					}
				}
			})
		}
	}
}

func TestPutPrefersLocalNodes(t *testing.T) {
	f := newFake(t, "direct", 6, 2)
	var err error
	if f.options.WriteAffinity, err = ParseWriteAffinity("r1z4, r1z1"); err != nil {
		t.Fatal(err)
	}
	f.stored("x")
	if _, err := f.d.Put(t.Context(), f.target(), Put{Headers: f.headers(2), Body: strings.NewReader("x"), Length: 1}); err != nil {
		t.Fatal(err)
	}
	f.d.Wait()
	if got := f.asked(); !slices.Equal(got, []int{0, 1, 0, 0, 1, 0}) {
		t.Errorf("asked %v", got)
	}
}

// footerNode takes an upload apart as an object server does.
func footerNode(t *testing.T, n *fakeNode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		boundary := r.Header.Get("X-Backend-Obj-Multipart-Mime-Boundary")
		if r.Header.Get("X-Backend-Obj-Metadata-Footer") != "yes" || len(boundary) != 64 || r.ContentLength != -1 {
			t.Errorf("got headers %v, length %d", r.Header, r.ContentLength)
		}
		w.Header().Set("X-Obj-Metadata-Footer", "yes")
		w.WriteHeader(http.StatusContinue)
		mr := multipart.NewReader(r.Body, boundary)
		var parts []string
		for {
			p, err := mr.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Error(err)
				w.WriteHeader(499)
				return
			}
			b, _ := io.ReadAll(p)
			if sum := md5.Sum(b); p.Header.Get("Content-Md5") != "" && p.Header.Get("Content-Md5") != hex.EncodeToString(sum[:]) {
				t.Error("wrong MD5 of the footer")
			}
			parts = append(parts, p.Header.Get("X-Document")+"="+string(b))
		}
		n.mu.Lock()
		n.bodys = parts
		n.mu.Unlock()
		w.WriteHeader(201)
	}
}

func TestPutWithFooters(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		for _, n := range f.nodes {
			n.serve = footerNode(t, n)
		}
		var seen bytes.Buffer
		a, err := f.d.Put(t.Context(), f.target(), Put{
			Headers: f.headers(3), Body: io.TeeReader(strings.NewReader("hello"), &seen), Length: 5,
			Footers: func() http.Header {
				return http.Header{"Etag": {"tag"}, "X-Object-Sysmeta-Seen": {seen.String() + "\xe9"}}
			},
		})
		if err != nil || a.Status != 201 {
			t.Fatalf("got %+v, %v", a, err)
		}
		f.d.Wait()
		meta, _ := json.Marshal(map[string]string{"Etag": "tag", "X-Object-Sysmeta-Seen": "hello\u00e9"})
		for _, n := range f.nodes {
			if want := []string{"object body=hello", "object metadata=" + string(meta)}; !slices.Equal(n.bodies(), want) {
				t.Errorf("got %q, want %q", n.bodies(), want)
			}
		}
	})
}

func TestNodesWithoutFootersAreGivenUp(t *testing.T) {
	f := newFake(t, "tcp", 2, 1)
	f.nodes[0].serve = func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // makes a server say 100 Continue, without a promise
		w.WriteHeader(201)
	}
	f.nodes[1].serve = footerNode(t, f.nodes[1])
	a, err := f.d.Put(t.Context(), f.target(), Put{
		Headers: f.headers(1), Body: strings.NewReader("hello"), Length: 5, Footers: func() http.Header { return http.Header{} },
	})
	if err != nil || a.Status != 201 || len(f.nodes[1].bodies()) != 2 {
		t.Errorf("got %+v, %v; second node has %q", a, err, f.nodes[1].bodies())
	}
}

func TestFooterText(t *testing.T) {
	b, err := footerText("B", http.Header{"Etag": {"x"}})
	if err != nil {
		t.Fatal(err)
	}
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	var lines []string
	for {
		l, err := r.ReadLine()
		if err != nil {
			break
		}
		lines = append(lines, l)
	}
	want := []string{"", "--B", "X-Document: object metadata", "Content-MD5: 27e7b1ae4eb6d0ab9dd28ae4a5b3fb46", "", `{"Etag":"x"}`, "--B--"}
	want[3] = "Content-MD5: " + fmt.Sprintf("%x", md5.Sum([]byte(want[5])))
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, replicas := range []int{1, 3} {
		for _, size := range []int{4 << 10, 1 << 20} {
			for _, kind := range kinds {
				b.Run(fmt.Sprintf("%s/%d replicas/%d", kind, replicas, size), func(b *testing.B) {
					f := newFake(b, kind, replicas, replicas)
					f.all(func(w http.ResponseWriter, r *http.Request) {
						io.Copy(io.Discard, r.Body)
						w.WriteHeader(201)
					}, 0, replicas)
					target, data, hs := f.target(), bytes.Repeat([]byte("x"), size), f.headers(replicas)
					b.ReportAllocs()
					b.SetBytes(int64(size))
					for b.Loop() {
						for _, n := range f.nodes {
							n.mu.Lock()
							n.seen = n.seen[:0]
							n.mu.Unlock()
						}
						a, err := f.d.Put(b.Context(), target, Put{Headers: hs, Body: bytes.NewReader(data), Length: int64(size)})
						if err != nil || a.Status != 201 {
							b.Fatal(a, err)
						}
					}
				})
			}
		}
	}
}
