package headname

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// pass swaps a message in two pieces.
func pass(s *Swapper, message string, cut int) string {
	p := []byte(message)
	s.Swap(p[:cut])
	s.Swap(p[cut:])
	return string(p)
}

func TestSwap(t *testing.T) {
	for _, tc := range []struct {
		name, message, want string
		response            bool
	}{
		{"a request", "PUT /a=b HTTP/1.1\r\nHost: a=b\r\nA=5Fb=: c=d\r\nX: y\r\n\r\nE=f: g", "PUT /a=b HTTP/1.1\r\nHost: a=b\r\nA|5Fb|: c=d\r\nX: y\r\n\r\nE=f: g", false},
		{"an answer", "HTTP/1.1 200 a=b: c\r\nA=b: c=d\r\n\r\nE=f: g", "HTTP/1.1 200 a=b: c\r\nA|b: c=d\r\n\r\nE=f: g", true},
		{"lines without CR", "GET /a=b HTTP/1.0\nA=b: c=d\n\nE=f: g\r\n\r\n", "GET /a=b HTTP/1.0\nA|b: c=d\n\nE=f: g\r\n\r\n", false},
		{"an answer without headers", "HTTP/1.1 204\r\n\r\nE=f: g", "HTTP/1.1 204\r\n\r\nE=f: g", true},
		{"interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nA=b: c\r\n\r\nHTTP/1.1  200\r\nA=b: c\r\n\r\nE=f:", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nA|b: c\r\n\r\nHTTP/1.1  200\r\nA|b: c\r\n\r\nE=f:", true},
		{"another protocol", "HTTP/1.1 101 Up\r\nA=b: c\r\n\r\nE=f: g", "HTTP/1.1 101 Up\r\nA|b: c\r\n\r\nE=f: g", true},
		{"line ends before a request", "\r\n\nGET / HTTP/1.1\r\nA=b: c\r\n\r\nE=f: g", "\r\n\nGET / HTTP/1.1\r\nA|b: c\r\n\r\nE=f: g", false},
		{"a line that goes on", "GET / HTTP/1.1\r\nX: a\r\n b=c: d\r\n\te=f\r\nA=b: c\r\n\r\n", "GET / HTTP/1.1\r\nX: a\r\n b=c: d\r\n\te=f\r\nA|b: c\r\n\r\n", false},
		{"what may be of a body", "a=b\r\nA=b: c\r\n\r\n", "a=b\r\nA=b: c\r\n\r\n", false},
		{"a bar", "GET / HTTP/1.1\r\nA|b: c\r\n\r\n", "GET / HTTP/1.1\r\nA|b: c\r\n\r\n", false},
	} {
		for cut := range len(tc.message) + 1 {
			var s Swapper
			s.BeginRead(tc.response)
			if got := pass(&s, tc.message, cut); got != tc.want || s.Swapped() != (tc.want != tc.message) {
				t.Errorf("%s, cut at %d: got %q, swapped %v, want %q", tc.name, cut, got, s.Swapped(), tc.want)
			}
			if !tc.response || tc.want == tc.message {
				continue
			}
			s.BeginWrite()
			if got := pass(&s, tc.want, cut); got != tc.message {
				t.Errorf("%s, cut at %d, on the way back: got %q, want %q", tc.name, cut, got, tc.message)
			}
		}
	}
}

func TestNothingHappensBeforeBegin(t *testing.T) {
	var s Swapper
	const message = "GET / HTTP/1.1\r\nA=b: c\r\n\r\n"
	if got := pass(&s, message, 3); got != message || s.Swapped() {
		t.Errorf("got %q", got)
	}
}

func TestRestore(t *testing.T) {
	h := http.Header{"X-Object-Meta-A|5fb": {"1"}, "X-Plain": {"2|3"}, "X-A|b": {"4", "5"}}
	Restore(h)
	if want := (http.Header{"X-Object-Meta-A=5Fb": {"1"}, "X-Plain": {"2|3"}, "X-A=B": {"4", "5"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("got %q, want %q", h, want)
	}
}

// A request within the process has the context of the one it serves, but not its connection.
func TestSend(t *testing.T) {
	const key, changed = "X-Object-Meta-A=5Fb", "X-Object-Meta-A|5Fb"
	for _, tc := range []struct {
		name, from, key, want string
		sends                 bool
	}{
		{"such a name over the connection", "192.0.2.1:1234", key, changed, true},
		{"such a name within the process", "direct", key, key, false},
		{"a bar over the connection", "192.0.2.1:1234", "X|A", "X|A", false},
	} {
		c := NewConn("192.0.2.1:1234")
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(NewContext(r.Context(), c))
		r.RemoteAddr = tc.from
		h := http.Header{tc.key: {"v"}, "X-Other": {"a=b"}}
		Send(r, h)
		if h.Get("X-Other") != "a=b" || len(h[tc.want]) != 1 || len(h) != 2 || c.sends.Load() != tc.sends {
			t.Errorf("%s: got %q, sends %v", tc.name, h, c.sends.Load())
		}
	}
	h := http.Header{key: {"v"}}
	if Send(httptest.NewRequest("GET", "/", nil), h); len(h[key]) != 1 {
		t.Errorf("without a connection: got %q", h)
	}
}

// short takes a few bytes of each write.
type short struct {
	bytes.Buffer
	takes int
}

var errShort = errors.New("timeout")

func (s *short) Write(p []byte) (int, error) {
	if len(p) <= s.takes {
		return s.Buffer.Write(p)
	}
	s.Buffer.Write(p[:s.takes])
	return s.takes, errShort
}

func TestWritesMayBeTriedAgain(t *testing.T) {
	const head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA|b: c|d\r\n\r\nE|f: g"
	want := strings.Replace(head, "A|b", "A=b", 1)
	for takes := 1; takes <= len(head); takes++ {
		c, w := NewConn(""), &short{takes: takes}
		c.sends.Store(true)
		p := []byte(head)
		for len(p) > 0 {
			n, err := c.Write(w, p)
			if p = p[n:]; err != nil && !errors.Is(err, errShort) || n == 0 {
				t.Fatalf("%d at a time: wrote %d, %v", takes, n, err)
			}
		}
		// The next answer is not announced.
		io.WriteString(writer{c, w}, "HTTP/1.1 200 OK\r\n")
		if got := w.String(); got != want+"HTTP/1.1 200 OK\r\n"[:min(takes, 17)] {
			t.Errorf("%d at a time: got %q, want %q", takes, got, want)
		}
	}
}

type writer struct {
	c *Conn
	w io.Writer
}

func (w writer) Write(p []byte) (int, error) { return w.c.Write(w.w, p) }

func TestWriteLeavesItsBytesAlone(t *testing.T) {
	c := NewConn("")
	c.sends.Store(true)
	p := []byte("HTTP/1.1 200 OK\r\nA|b: c\r\n\r\n")
	before := string(p)
	if n, err := c.Write(io.Discard, p); n != len(p) || err != nil || string(p) != before {
		t.Errorf("wrote %d of %q, %v", n, p, err)
	}
}

func TestHeadsWithoutSignsCostNoMemory(t *testing.T) {
	head := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Object-Meta-A: b\r\n\r\nbody")
	c := NewConn("192.0.2.1:1")
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(NewContext(context.Background(), c))
	r.RemoteAddr = c.remote
	h := http.Header{"X-Object-Meta-A": {"b=c"}}
	if n := testing.AllocsPerRun(100, func() {
		c.Begin()
		c.Received(head)
		Received(r)
		Send(r, h)
		c.Write(io.Discard, head)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// net/http says where a head ends, and what is a name.
func FuzzSwap(f *testing.F) {
	for _, s := range []string{
		"GET /a=b HTTP/1.1\r\nHost: h\r\nA=b: c=d\r\n\r\nE=f: g", "\r\nPOST / HTTP/1.1\r\nHost: h\r\n\r\n=", "HTTP/1.1 200 OK\nA=b: c\n\n=",
		"HTTP/1.1 100\r\nA=b:\r\n\r\nHTTP/1.1  101 x\r\nA=b: c\r\n =\r\n\r\n=:",
	} {
		f.Add([]byte(s), 9, strings.HasPrefix(s, "H"))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut int, response bool) {
		if cut < 0 || cut > len(data) {
			return
		}
		var whole, parts Swapper
		whole.BeginRead(response)
		parts.BeginRead(response)
		got := pass(&whole, string(data), 0)
		if cutGot := pass(&parts, string(data), cut); cutGot != got || parts.Swapped() != whole.Swapped() {
			t.Fatalf("%q became %q, cut at %d %q", data, got, cut, cutGot)
		}
		for i := range data {
			if data[i] != got[i] && (data[i] != sign || got[i] != bar) {
				t.Fatalf("%q became %q", data, got)
			}
		}
		left, ok := tail(got, response)
		if ok && got[len(got)-left:] != string(data[len(data)-left:]) {
			t.Fatalf("the body of %q is changed: %q", data, got)
		}
		if !ok || response {
			return
		}
		// Names are all that differs, and what net/http has refused because of them it takes.
		if r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data))); err == nil {
			if whole.Swapped() {
				t.Fatalf("%q was good, and became %q", data, got)
			}
			r.Body.Close()
		}
	})
}

// tail returns how many bytes net/http leaves behind the heads of a message.
func tail(message string, response bool) (int, bool) {
	in := strings.NewReader(message)
	b := bufio.NewReaderSize(in, len(message)+16)
	for {
		if !response {
			r, err := http.ReadRequest(b)
			if err != nil {
				return 0, false
			}
			_ = r
			return b.Buffered() + in.Len(), true
		}
		r, err := http.ReadResponse(b, nil)
		if err != nil {
			return 0, false
		}
		if r.StatusCode < 100 || r.StatusCode >= 200 || r.StatusCode == http.StatusSwitchingProtocols {
			return b.Buffered() + in.Len(), true
		}
	}
}
