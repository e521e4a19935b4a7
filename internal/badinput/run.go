package badinput

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Run plays the whole table against the Swift proxy that listens on addr (host:port, plain HTTP) and fails t for each
// difference. It makes its own containers and removes them in the end.
func Run(t *testing.T, addr string, creds Creds) {
	t.Helper()
	run(t, newRig(t, addr, creds))
}

func run(t *testing.T, r *rig) {
	t.Helper()
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Category+"/"+slug(c.Name), func(t *testing.T) { r.compare(t, &c) })
	}
}

// Record plays the tables in dir against an OpenStack Swift on addr and rewrites the recorded answers in them.
func Record(t *testing.T, addr string, creds Creds, dir string) {
	t.Helper()
	r := newRig(t, addr, creds)
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no tables in %s: %v", dir, err)
	}
	for _, name := range names {
		t.Run(category(name), func(t *testing.T) { r.record(t, name) })
	}
}

func (r *rig) record(t *testing.T, name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(category(name), string(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i := range f.cases {
		c := &f.cases[i]
		for j := range c.Exchanges {
			answers, err := r.play(&c.Exchanges[j], c, anyNumber)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
			for k := range answers {
				answers[k] = answers[k].without(c.Ignore)
			}
			c.Exchanges[j].Recorded = answers
		}
		if err := r.alive(); err != nil {
			t.Fatalf("after %s: %v", c.Name, err)
		}
	}
	if err := os.WriteFile(name, []byte(f.format()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare plays one case.
func (r *rig) compare(t *testing.T, c *Case) {
	for _, problem := range r.problems(c) {
		t.Error(problem)
	}
	if err := r.alive(); err != nil {
		t.Fatalf("after %q: %v", c.Name, err)
	}
}

// problems plays one case and tells every exchange that went otherwise than wanted.
func (r *rig) problems(c *Case) []string {
	var all []string
	for i := range c.Exchanges {
		e := &c.Exchanges[i]
		want, partial := e.want()
		if r.recorded {
			want, partial = e.Recorded, false
		}
		if !partial {
			want = essential(want)
		}
		got, err := r.play(e, c, len(want))
		var bad []string
		if err != nil {
			bad = append(bad, err.Error())
		}
		for k := range max(len(want), len(got)) {
			switch {
			case k >= len(got):
				bad = append(bad, "missing: "+want[k].title())
			case k >= len(want):
				bad = append(bad, "not asked for: "+got[k].title())
			default:
				bad = append(bad, diff(want[k], got[k], partial, c.Ignore)...)
			}
		}
		if len(bad) > 0 {
			all = append(all, fmt.Sprintf("exchange %d of %q (%s)\n%s\ndifferences:\n  %s",
				i+1, c.Name, c.Why, show(e, got), strings.Join(bad, "\n  ")))
		}
	}
	return all
}

// essential drops what follows the answers proper: how long a server keeps a connection, and that it refuses bytes
// that it takes for a further request. A server that gives up on a connection earlier is no worse.
func essential(answers []Answer) []Answer {
	for len(answers) > 1 && answers[len(answers)-1].refused() {
		answers = answers[:len(answers)-1]
	}
	return answers
}

// show prints request, got and want as the files have them.
func show(e *Exchange, got []Answer) string {
	var b strings.Builder
	for _, line := range e.Send {
		prefixed(&b, ">", line)
	}
	b.WriteString("got:\n")
	formatAnswers(&b, "<", got)
	b.WriteString("want:\n")
	if want, partial := e.want(); partial {
		formatAnswers(&b, "=", want)
	} else {
		formatAnswers(&b, "<", want)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// anyNumber of answers are awaited when recording: until the server is quiet.
const anyNumber = -1

// play sends one exchange's request and reads its answers. With n answers wanted, more than these are an error.
func (r *rig) play(e *Exchange, c *Case, n int) ([]Answer, error) {
	v := r.varsOf(c)
	raw, err := e.request(v)
	if err != nil {
		return nil, err
	}
	conn, err := send(r.addr, raw, e.HalfClose)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	head := conn.method == "HEAD"
	if n == anyNumber {
		return conn.record(e.HalfClose, v)
	}
	var got []Answer
	for len(got) != n {
		resp, err := conn.next(answerBound)
		switch {
		case errors.Is(err, io.EOF):
			return append(got, Answer{Closed: true}), nil
		case err != nil:
			return got, err
		}
		got = append(got, resp.normalise(v, head && len(got) == 0))
	}
	if len(got) > 0 && got[len(got)-1].Closed {
		return got, nil
	}
	extra, err := conn.rest(v)
	if len(extra) > 0 {
		return got, fmt.Errorf("answers to requests that were not sent: %q", extra)
	}
	return got, err
}

// record reads answers until the server has no more: whatever is left after the writing side is closed.
func (c *conn) record(halfClosed bool, v vars) ([]Answer, error) {
	head := c.method == "HEAD"
	var got []Answer
	bound := answerBound
	for {
		resp, err := c.next(bound)
		switch {
		case errors.Is(err, io.EOF):
			if !halfClosed || len(got) == 0 {
				got = append(got, Answer{Closed: true})
			}
			return got, nil
		case errors.Is(err, errSilent) && len(got) > 0 && !halfClosed:
			// All that comes by itself has come: below, the server is told that no more will be asked.
		case err != nil:
			return got, err
		default:
			got = append(got, resp.normalise(v, head && len(got) == 0))
			if !halfClosed {
				bound = quiet
			}
			continue
		}
		_ = c.tcp.CloseWrite()
		halfClosed, bound = true, answerBound
	}
}
