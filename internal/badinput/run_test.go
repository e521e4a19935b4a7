package badinput

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
)

// stub is a server that says the same on every connection once it has seen a blank line, and closes.
func stub(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for br := bufio.NewReader(c); ; {
				line, err := br.ReadString('\n')
				if err != nil || line == "\r\n" {
					break
				}
			}
			_, _ = c.Write([]byte(answer))
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

const ok = "HTTP/1.1 200 OK\r\nX-Trans-Id: tx000000000000000000000-0000000000\r\nEtag: e\r\nContent-Length: 2\r\n\r\nhi"

func TestProblems(t *testing.T) {
	const head = "case: a\nwhy: b\n> GET / HTTP/1.1\n>\n"
	const good = "< 200 OK\n< Content-Length: {length}\n< Etag: e\n<\n< hi\n"
	const refusal = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad"
	for _, c := range []struct{ name, table, answer, want string }{
		{"the recorded answer", good, ok, ""},
		{"the recorded answer and a connection kept longer", good + "< [closed]\n", ok, ""},
		{"another status", strings.Replace(good, "200", "404", 1), ok, "status: want 404 OK, got 200 OK"},
		{"another body", strings.Replace(good, "hi", "ho", 1), ok, `body: want "ho", got "hi"`},
		{"a header too few", strings.Replace(good, "Etag: e", "Etag: e\n< Vary: x", 1), ok, "header missing: Vary: x"},
		{"a header too many", strings.Replace(good, "< Etag: e\n", "", 1), ok, "header not expected: Etag: e"},
		{"a header that is ignored", "ignore: Etag\n" + strings.Replace(good, "Etag: e", "Etag: f", 1), ok, ""},
		{"an answer too many", good, ok + ok, "answers to requests that were not sent"},
		{"a refusal of bytes left over", good, ok + refusal, ""},
		{"an answer too few", good + "\n" + good, ok, "the connection closed"},
		{"no answer", good, "", "got the connection closed"},
		{"no answer as recorded", "< [closed]\n", "", ""},
		{"a refusal with another status", "< 414 (below the proxy)\n", refusal, ""},
		{"a refusal in place of an answer", good, refusal, "status: want 200 OK, got 400"},
		{"an answer in place of a refusal", "< 400 (below the proxy)\n", ok, "status: want 400"},
		{"a replaced answer", good + "apus: c\n= 400|431\n", refusal, ""},
		{"a replaced answer with a header", good + "apus: c\n= 200\n= Etag: x\n", ok, "header missing: Etag: x"},
		{"a replaced answer with a body", good + "apus: c\n= 200\n=\n= ha\n", ok, `body: want "ha", got "hi"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := head + c.table
			if line, rest, found := strings.Cut(c.table, "\n"); found && strings.HasPrefix(line, "ignore:") {
				table = strings.Replace(head, ">", line+"\n>", 1) + rest
			}
			f, err := parse("x", table)
			if err != nil {
				t.Fatalf("parse(%q): %v", table, err)
			}
			r := &rig{addr: stub(t, c.answer)}
			got := strings.Join(r.problems(&f.cases[0]), "\n")
			if got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("table %q\nanswer %q\ngot problems %q\nwant %q", c.table, c.answer, got, c.want)
			}
		})
	}
}

func TestNormalisedAnswersNameWhatIsThisServers(t *testing.T) {
	r := &response{status: "200 OK", body: "hello AUTH_x\n", header: map[string][]string{
		"X-Trans-Id":     {"tx1"},
		"Last-Modified":  {"Sat, 01 Jan 2000 00:00:00 GMT"},
		"X-Timestamp":    {"1000000000.00000"},
		"Content-Length": {"13"},
		"X-Long":         {strings.Repeat("v", 100)},
	}}
	got := r.normalise(vars{"account": "AUTH_x"}, false)
	want := "Content-Length: {length}|Last-Modified: {date}|X-Long: {repeat:v:100}|X-Timestamp: {timestamp}"
	if headers := strings.Join(got.Headers, "|"); headers != want || got.Body != "hello {account}\n" {
		t.Errorf("got headers %q and body %q, want %q and %q", headers, got.Body, want, "hello {account}\n")
	}
}
