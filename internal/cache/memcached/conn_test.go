package memcached

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// saying is a connection on which a server says what, and nothing more. What is written to it is lost.
type saying struct {
	net.Conn
	io.Reader
}

func (s saying) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s saying) Write(p []byte) (int, error) { return len(p), nil }
func (s saying) SetDeadline(time.Time) error { return nil }
func hearing(what string) *conn              { return newConn(saying{Reader: strings.NewReader(what)}, time.Second) }
func text(c *conn, keys ...string) (string, error) {
	items, err := c.get(keys...)
	var b strings.Builder
	for i, it := range items {
		if it.ok {
			b.WriteString(keys[i] + "=" + string(it.Data) + " ")
		}
	}
	return b.String(), err
}

func TestAnswersToGet(t *testing.T) {
	for _, tt := range []struct{ name, says, want, err string }{
		{"nothing is there", "END\r\n", "", ""},
		{"one of two", "VALUE b 0 1\r\nx\r\nEND\r\n", "b=x ", ""},
		{"both, the other way round", "VALUE b 0 1\r\nx\r\nVALUE a 0 2\r\nyz\r\nEND\r\n", "a=yz b=x ", ""},
		{"with a number of the item", "VALUE a 2 4 77\r\ntrue\r\nEND\r\n", "a=true ", ""},
		{"line ends in an item", "VALUE a 0 9\r\n\r\nEND\r\n\r\n\r\nEND\r\n", "a=\r\nEND\r\n\r\n ", ""},
		{"an empty item", "VALUE a 0 0\r\n\r\nEND\r\n", "a= ", ""},
		{"a pickle", "VALUE a 1 1\r\nx\r\nEND\r\n", "", ""},
		{"an item that was not asked for", "VALUE c 0 1\r\nx\r\nEND\r\n", "", ""},
		{"an item longer than announced", "VALUE a 0 1\r\nxyz\r\nEND\r\n", "", "unexpected answer"},
		{"a length that is none", "VALUE a 0 -1\r\n\r\nEND\r\n", "", "unexpected answer"},
		{"a length beyond all items", "VALUE a 0 4000000000\r\n", "", "unexpected answer"},
		{"flags that are none", "VALUE a x 1\r\nx\r\nEND\r\n", "", "unexpected answer"},
		{"too few words", "VALUE a 0\r\nEND\r\n", "", "unexpected answer"},
		{"something else", "secret\r\n", "", "unexpected answer"},
		{"a line without its end", "END\n", "", "unexpected answer"},
		{"a line that is too long", strings.Repeat("VALUE ", 1000) + "\r\n", "", "unexpected answer"},
		{"an error", "SERVER_ERROR out of memory\r\n", "", "SERVER_ERROR out of memory"},
		{"an item that breaks off", "VALUE a 0 10\r\nx", "", "unexpected EOF"},
		{"no answer", "", "", "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := text(hearing(tt.says), "a", "b")
			message := ""
			if err != nil {
				message = err.Error()
			}
			if got != tt.want || message != tt.err {
				t.Errorf("get of a and b, answered by %q: got %q, %q, want %q, %q", tt.says, got, message, tt.want, tt.err)
			}
		})
	}
}

func TestAConnectionThatSaysTooMuchIsNotUsedAgain(t *testing.T) {
	for says, want := range map[string]bool{
		"END\r\n":               true,
		"END\r\nEND\r\n":        false,
		"SERVER_ERROR busy\r\n": false,
	} {
		c := hearing(says)
		_, err := text(c, "a")
		if got := c.reusable(err); got != want {
			t.Errorf("connection that said %q: reusable %v, want %v", says, got, want)
		}
	}
}

func FuzzAnswersToGet(f *testing.F) {
	f.Add("VALUE a 2 4 77\r\ntrue\r\nVALUE b 0 0\r\n\r\nEND\r\n")
	f.Add("SERVER_ERROR\r\n")
	f.Fuzz(func(t *testing.T, says string) {
		items, err := hearing(says).get("a", "b")
		if err == nil && len(items) != 2 {
			t.Errorf("answer %q: got %d items, want 2", says, len(items))
		}
	})
}

// BenchmarkGetWith asks a server for a token and a container.
func BenchmarkGetWith(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		data := strings.Repeat("x", 500)
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			words := strings.Fields(line)
			io.WriteString(c, "VALUE "+words[1]+" 0 500\r\n"+data+"\r\nVALUE "+words[2]+" 0 500\r\n"+data+"\r\nEND\r\n")
		}
	}()
	cfg := Defaults()
	cfg.Servers = []string{l.Addr().String()}
	c, err := New(cfg, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		if v, more, err := c.GetWith(b.Context(), "token", []string{"container"}); err != nil || len(more) != 1 || len(v.Data) != 500 {
			b.Fatal(v, more, err)
		}
	}
}
