package respw

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

// wrappers are all of them, each doing nothing but passing on.
var wrappers = map[string]func(http.ResponseWriter) http.ResponseWriter{
	"OnHeader": func(w http.ResponseWriter) http.ResponseWriter {
		return OnHeader(w, func(code int, _ http.Header) int { return code })
	},
	"Divert": func(w http.ResponseWriter) http.ResponseWriter {
		return Divert(w, func(int, http.Header) http.ResponseWriter { return w })
	},
	"Filter": func(w http.ResponseWriter) http.ResponseWriter {
		return Filter(w, func(int, http.Header, io.Writer) io.Writer { return nil })
	},
	"Claimer": func(w http.ResponseWriter) http.ResponseWriter {
		c := &Claimer{}
		c.Begin(w, claims(func(int, http.Header) io.Writer { return nil }))
		return c
	},
	"Claimer behind headers": func(w http.ResponseWriter) http.ResponseWriter {
		w.Header().Set("X-Before", "1")
		c := &Claimer{}
		c.Begin(w, claims(func(int, http.Header) io.Writer { return nil }))
		return c
	},
	"Paced": func(w http.ResponseWriter) http.ResponseWriter { return NewPaced(w, func() {}, func() {}) },
	"Meter": func(w http.ResponseWriter) http.ResponseWriter { return NewMeter(w, clock.System) },
	"Meter in pieces": func(w http.ResponseWriter) http.ResponseWriter {
		m := NewMeter(w, clock.System)
		m.Passed = func(int64) {}
		return m
	},
}

type claims func(code int, h http.Header) io.Writer

func (f claims) ClaimHead(code int, h http.Header) io.Writer { return f(code, h) }

// sink is a client's writer that notes how a body came.
type sink struct {
	*httptest.ResponseRecorder
	file     bool
	deadline bool
}

func (s *sink) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		_, s.file = l.R.(*os.File)
	}
	return io.Copy(s.ResponseRecorder, r)
}

func (s *sink) SetReadDeadline(time.Time) error {
	s.deadline = true
	return nil
}

func TestEveryWrapperKeepsWhatIsBelowIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := &sink{ResponseRecorder: httptest.NewRecorder()}
			w := wrap(s)
			w.Header().Set("X-A", "1")
			if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil || !s.deadline {
				t.Errorf("deadline: %v, arrived %v", err, s.deadline)
			}
			if n, err := io.CopyN(w, f, 7); n != 7 || err != nil || s.file == (name == "Paced") {
				t.Errorf("copied %d, %v; as a file: %v", n, err, s.file)
			}
			if err := http.NewResponseController(w).Flush(); err != nil || !s.Flushed {
				t.Errorf("flush: %v, arrived %v", err, s.Flushed)
			}
			if s.Code != 200 || s.Body.String() != "content" || s.Header().Get("X-A") != "1" {
				t.Errorf("got %d %q %v", s.Code, s.Body, s.Header())
			}
		})
	}
}

func TestEveryWrapperTakesTheFirstFinalHead(t *testing.T) {
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			var codes []int
			w := wrap(heads{httptest.NewRecorder(), &codes})
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(201)
			w.WriteHeader(500)
			if len(codes) != 2 || codes[0] != 103 || codes[1] != 201 {
				t.Errorf("heads below: %v, want [103 201]", codes)
			}
		})
	}
}

type heads struct {
	http.ResponseWriter
	codes *[]int
}

func (h heads) WriteHeader(code int) { *h.codes = append(*h.codes, code) }

func TestOnHeaderEditsOnceAlsoWithoutABody(t *testing.T) {
	rec, calls := httptest.NewRecorder(), 0
	w := OnHeader(rec, func(code int, h http.Header) int {
		calls++
		h.Set("X-Edited", "yes")
		return code + 1
	})
	w.Finish()
	w.Finish()
	if rec.Code != 201 || calls != 1 || rec.Header().Get("X-Edited") != "yes" {
		t.Errorf("got %d after %d calls, %v", rec.Code, calls, rec.Header())
	}
}

func TestDivertedAnswersDoNotTouchTheClients(t *testing.T) {
	client, other := httptest.NewRecorder(), httptest.NewRecorder()
	d := Divert(client, func(int, http.Header) http.ResponseWriter { return other })
	d.Header().Set("X-Inner", "1")
	d.WriteHeader(404)
	io.WriteString(d, "gone")
	if other.Code != 404 || other.Body.String() != "gone" || other.Header().Get("X-Inner") != "1" {
		t.Errorf("diverted: %d %q %v", other.Code, other.Body, other.Header())
	}
	if client.Body.Len() > 0 || len(client.Header()) > 0 {
		t.Errorf("the client got %q, %v", client.Body, client.Header())
	}
	dropped := Divert(client, func(int, http.Header) http.ResponseWriter { return nil })
	if n, err := io.Copy(dropped, strings.NewReader("data")); n != 4 || err != nil || client.Body.Len() > 0 {
		t.Errorf("dropped: %d, %v; the client got %q", n, err, client.Body)
	}
}

type upper struct{ dst io.Writer }

func (u upper) Write(p []byte) (int, error) {
	_, err := u.dst.Write(bytes.ToUpper(p))
	return len(p), err
}

func (u upper) Close() error {
	_, err := io.WriteString(u.dst, "!")
	return err
}

func TestClaimedAnswersLeaveNothingBehind(t *testing.T) {
	for _, before := range []http.Header{{}, {"X-Before": {"1"}}} {
		client := httptest.NewRecorder()
		for k, v := range before {
			client.Header()[k] = v
		}
		var body bytes.Buffer
		var head http.Header
		c := &Claimer{}
		c.Begin(client, claims(func(code int, h http.Header) io.Writer {
			if code != 404 {
				return nil
			}
			head = h.Clone()
			return &body
		}))
		c.Header().Set("X-Inner", "1")
		c.WriteHeader(404)
		io.WriteString(c, "go")
		io.Copy(c, strings.NewReader("ne"))
		c.Header().Set("X-Late", "1")
		if err := c.FlushError(); err != nil {
			t.Error(err)
		}
		c.Finish()
		if body.String() != "gone" || head.Get("X-Inner") != "1" || head.Get("X-Before") != "" {
			t.Errorf("claimed: %q %v", body.String(), head)
		}
		if client.Body.Len() > 0 || client.Flushed || !reflect.DeepEqual(client.Header(), before) {
			t.Errorf("the client got %q, %v, flushed %v; it had %v", client.Body, client.Header(), client.Flushed, before)
		}
		// It can have another answer.
		c.Begin(client, claims(func(int, http.Header) io.Writer { return nil }))
		c.Header().Set("X-Outer", "1")
		c.Finish()
		if client.Code != 200 || client.Header().Get("X-Outer") != "1" || client.Header().Get("X-Inner") != "" ||
			client.Header().Get("X-Before") != before.Get("X-Before") {
			t.Errorf("then the client got %d, %v; it had %v", client.Code, client.Header(), before)
		}
	}
}

func TestFilterChangesTheBodyAndIsClosed(t *testing.T) {
	rec := httptest.NewRecorder()
	f := Filter(rec, func(_ int, h http.Header, dst io.Writer) io.Writer {
		h.Del("Content-Length")
		return upper{dst}
	})
	f.Header().Set("Content-Length", "4")
	io.WriteString(f, "da")
	io.Copy(f, strings.NewReader("ta"))
	if err := f.Finish(); err != nil || rec.Body.String() != "DATA!" || rec.Header().Get("Content-Length") != "" {
		t.Errorf("got %q, %v, %v", rec.Body, rec.Header(), err)
	}
}

type failing struct{ http.ResponseWriter }

func (failing) Write([]byte) (int, error) { return 2, errors.New("gone") }

func TestMeterNotesWhatWasSent(t *testing.T) {
	now := time.Unix(1000, 0)
	m := NewMeter(httptest.NewRecorder(), clock.Func(func() time.Time { return now }))
	m.WriteHeader(206)
	if !m.FirstByte.IsZero() {
		t.Error("a head is not a first byte")
	}
	io.WriteString(m, "abc")
	io.Copy(m, strings.NewReader("de"))
	if m.Status != 206 || m.Bytes != 5 || !m.FirstByte.Equal(now) || m.Err != nil {
		t.Errorf("%d, %d bytes, first at %v, %v", m.Status, m.Bytes, m.FirstByte, m.Err)
	}
	var passed []int64
	whole := NewMeter(httptest.NewRecorder(), clock.System)
	whole.Passed = func(n int64) { passed = append(passed, n) }
	io.WriteString(whole, "abc")
	io.Copy(whole, io.LimitReader(bytes.NewReader(make([]byte, 3*piece)), 2*piece+1))
	if !slices.Equal(passed, []int64{3, piece, piece, 1}) || whole.Bytes != 2*piece+4 {
		t.Errorf("told of %d, %d bytes", passed, whole.Bytes)
	}
	broken := NewMeter(failing{httptest.NewRecorder()}, clock.System)
	io.WriteString(broken, "abc")
	if broken.Bytes != 2 || broken.Err == nil {
		t.Errorf("broken: %d bytes, %v", broken.Bytes, broken.Err)
	}
}
