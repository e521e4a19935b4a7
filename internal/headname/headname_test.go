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
		{"line ends before a request", "\r\nGET / HTTP/1.1\r\nA=b: c\r\nHost: \xe9\r\n\r\nE=f: g", "\r\nGET / HTTP/1.1\r\nA=b: c\r\nHost: \xe9\r\n\r\nE=f: g", false},
		{"line ends before an answer", "\r\n\nHTTP/1.1 200 OK\r\nA=b: c\r\n\r\nE=f: g", "\r\n\nHTTP/1.1 200 OK\r\nA|b: c\r\n\r\nE=f: g", true},
		{"a host", "GET /\xe9 HTTP/1.1\r\nhost:\tA\xc3\xa9=:\r\nX-Host: \xe9\r\nHosts: \xe9\r\n\r\nHost: \xe9", "GET /\xe9 HTTP/1.1\r\nhost:\tA!!=:\r\nX-Host: \xe9\r\nHosts: \xe9\r\n\r\nHost: \xe9", false},
		{"a host that goes on", "GET / HTTP/1.1\nHOST:\xe9\n \xe9\nA: b\n\nHost: \xe9", "GET / HTTP/1.1\nHOST:!\n \xe9\nA: b\n\nHost: \xe9", false},
		{"a host in an answer", "HTTP/1.1 200 OK\r\nHost: \xe9\r\n\r\n", "HTTP/1.1 200 OK\r\nHost: \xe9\r\n\r\n", true},
		{"a line that goes on", "GET / HTTP/1.1\r\nX: a\r\n b=c: d\r\n\te=f\r\nA=b: c\r\n\r\n", "GET / HTTP/1.1\r\nX: a\r\n b=c: d\r\n\te=f\r\nA|b: c\r\n\r\n", false},
		{"what may be of a body", "a=b\r\nA=b: c\r\n\r\n", "a=b\r\nA=b: c\r\n\r\n", false},
		{"a bar", "GET / HTTP/1.1\r\nA|b: c\r\n\r\n", "GET / HTTP/1.1\r\nA|b: c\r\n\r\n", false},
		{"all delimiters", "GET / HTTP/1.1\r\nA\"(),/;<=>?@[\\]{}: (c)\r\n\r\n", "GET / HTTP/1.1\r\nA||||||||||||||||: (c)\r\n\r\n", false},
		{"what no name may have", "GET / HTTP/1.1\r\nA b : c\r\nA\tb: c\r\nA\x00\xe9b: c\r\n\r\n", "GET / HTTP/1.1\r\nA b : c\r\nA\tb: c\r\nA\x00\xe9b: c\r\n\r\n", false},
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
			s.BeginWrite(lines(tc.message))
			if got := pass(&s, tc.want, cut); got != tc.message {
				t.Errorf("%s, cut at %d, on the way back: got %q, want %q", tc.name, cut, got, tc.message)
			}
		}
	}
}

// lines are the names of an answer that have had delimiters.
func lines(message string) (names []string) {
	head, _, _ := strings.Cut(message, "\r\n\r\nE=f")
	for line := range strings.SplitSeq(head, "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && Odd(name) && !strings.HasPrefix(line, "HTTP/") {
			names = append(names, name)
		}
	}
	return names
}

func TestNothingHappensBeforeBegin(t *testing.T) {
	var s Swapper
	const message = "GET / HTTP/1.1\r\nA=b: c\r\n\r\n"
	if got := pass(&s, message, 3); got != message || s.Swapped() {
		t.Errorf("got %q", got)
	}
}

// Names that net/http takes for one are told apart by the order of their lines; bars that have been there stay.
func TestRestore(t *testing.T) {
	const head = "PUT / HTTP/1.1\r\nHost: h\r\nx-object-meta-a=5fb: 1\r\nX-Plain: 2|3\r\nX-A(b: 4\r\nX-A|b: 5\r\nX-A\"b: 6\r\nX-A(b: 7\r\nX-C|d: 8\r\n\r\n"
	for cut := range len(head) + 1 {
		var s Swapper
		s.BeginRead(false)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(pass(&s, head, cut))))
		if err != nil {
			t.Fatal(err)
		}
		s.Restore(r.Header)
		want := http.Header{"X-Object-Meta-A=5Fb": {"1"}, "X-Plain": {"2|3"}, "X-A(B": {"4", "7"}, "X-A|b": {"5"}, `X-A"B`: {"6"}, "X-C|d": {"8"}}
		if !reflect.DeepEqual(r.Header, want) {
			t.Fatalf("cut at %d: got %q, want %q", cut, r.Header, want)
		}
	}
}

// Names that mean something keep their meaning, so that who removes or refuses them finds them.
func TestRestoredNamesAreSpelledAsOthers(t *testing.T) {
	for name, want := range map[string]string{
		"x-object-SYSMETA-(a": "X-Object-Sysmeta-(A", "X-BACKEND-a,b": "X-Backend-A,B", "x-object-transient-sysmeta-=": "X-Object-Transient-Sysmeta-=",
	} {
		var s Swapper
		s.BeginRead(false)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(pass(&s, "GET / HTTP/1.1\r\nHost: h\r\n"+name+": v\r\n\r\n", 0))))
		if err != nil {
			t.Fatal(err)
		}
		if s.Restore(r.Header); r.Header[want] == nil || len(r.Header) != 1 {
			t.Errorf("%s is %q", name, r.Header)
		}
	}
}

func TestRestoreKeepsInterimHeadsApart(t *testing.T) {
	const message = "HTTP/1.1 100\r\nX-A=: 1\r\n\r\nHTTP/1.1 103\r\n\r\nHTTP/1.1 200 OK\r\nX-A(: 2\r\n\r\n"
	var s Swapper
	s.BeginRead(true)
	b := bufio.NewReader(strings.NewReader(pass(&s, message, 0)))
	for _, want := range []http.Header{{"X-A=": {"1"}}, {}, {"X-A(": {"2"}}} {
		r, err := http.ReadResponse(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Restore(r.Header); !reflect.DeepEqual(r.Header, want) {
			t.Errorf("got %q, want %q", r.Header, want)
		}
	}
}

// What is sent is on the wire what it has been in the handler.
func TestSendOfManyNames(t *testing.T) {
	h := http.Header{"X-A|b": {"1", "2"}, "X-A=b": {"3"}, "X-A(b": {"4", "5"}, "X-Z/|": {"6"}, "X-Y|": {"7"}, "X-Bad (": {"8"}, "Content-Type": {"a/b"}}
	c := NewConn("192.0.2.1:1")
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(NewContext(r.Context(), c))
	r.RemoteAddr = c.remote
	Send(r, h)
	var out bytes.Buffer
	io.WriteString(writer{c, &out}, "HTTP/1.1 200 OK\r\n")
	if err := h.Write(writer{c, &out}); err != nil { // as net/http does it
		t.Fatal(err)
	}
	want := "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-A|b: 1\r\nX-A|b: 2\r\nX-A(b: 4\r\nX-A(b: 5\r\nX-A=b: 3\r\nX-Y|: 7\r\nX-Z/|: 6\r\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
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
		if h.Get("X-Other") != "a=b" || len(h[tc.want]) != 1 || len(h) != 2 || (c.sends.Load() != nil) != tc.sends {
			t.Errorf("%s: got %q, sends %v", tc.name, h, c.sends.Load() != nil)
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
		c.sends.Store(&[]string{"A=b"})
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
	c.sends.Store(&[]string{"A=b"})
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
		c.State(http.StateIdle)
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
		"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\nHost: a\r\n\r\n\xe9", "GET http://h/ HTTP/1.1\nA: b\nhost:\xe9\n\xe9\n\n",
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
			if data[i] != got[i] && (!isDelimiter[data[i]] || got[i] != bar) && (data[i] < 0x80 || got[i] != mark || response) {
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
			if whole.Swapped() && whole.host == "" { // it is not ReadRequest that refuses hosts
				t.Fatalf("%q was good, and became %q", data, got)
			}
			r.Body.Close()
		}
		// Restored, there are as many lines as before, and nothing without delimiters has become another.
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(got)))
		if err != nil {
			return
		}
		defer r.Body.Close()
		before := r.Header.Clone()
		whole.Restore(r.Header)
		if original, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data))); err == nil && whole.host != "" {
			original.Body.Close()
			if restoreHost(r, whole.host); r.Host != original.Host && len(bytes.Split(bytes.ToLower(data), []byte("\nhost:"))) == 2 {
				t.Fatalf("%q: the host %q has become %q", data, original.Host, r.Host)
			}
		}
		for key, values := range r.Header {
			if !Odd(key) && strings.IndexByte(key, bar) < 0 && !reflect.DeepEqual(values, before[key]) {
				t.Fatalf("%q: %s is %q, was %q", data, key, values, before[key])
			}
		}
		if countValues(r.Header) != countValues(before) {
			t.Fatalf("%q: %q became %q", data, before, r.Header)
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

func countValues(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}
