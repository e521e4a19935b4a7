package pull

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
)

func do(t *testing.T, h http.HandlerFunc) *http.Response {
	t.Helper()
	resp, err := Do(h, httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestBodyComesInOrderWhateverTheBuffers(t *testing.T) {
	want := strings.Repeat("abcdefghij", 1000)
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "1")
		w.WriteHeader(201)
		w.Header().Set("X-Late", "1")
		for i := 0; i < len(want); i += 333 {
			io.WriteString(w, want[i:min(i+333, len(want))])
		}
	}
	for name, read := range map[string]func(io.Reader) ([]byte, error){
		"ReadAll": io.ReadAll,
		"WriteTo": func(r io.Reader) ([]byte, error) {
			var b bytes.Buffer
			_, err := r.(io.WriterTo).WriteTo(&b)
			return b.Bytes(), err
		},
		"some reads, then WriteTo": func(r io.Reader) ([]byte, error) {
			var b bytes.Buffer
			if _, err := io.CopyN(&b, r, 400); err != nil {
				return nil, err
			}
			n, err := r.(io.WriterTo).WriteTo(&b)
			if int(n) != b.Len()-400 {
				t.Errorf("WriteTo counts %d bytes, want %d", n, b.Len()-400)
			}
			return b.Bytes(), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			resp := do(t, handler)
			defer resp.Body.Close()
			if resp.StatusCode != 201 || resp.Header.Get("X-A") != "1" || resp.Header.Get("X-Late") != "" {
				t.Errorf("head: %d %v", resp.StatusCode, resp.Header)
			}
			got, err := read(resp.Body)
			if err != nil || string(got) != want {
				t.Errorf("body of %d bytes, %v; want %d bytes", len(got), err, len(want))
			}
		})
	}
}

func TestHandlerThatWritesNothingIsAnEmpty200(t *testing.T) {
	resp := do(t, func(http.ResponseWriter, *http.Request) {})
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || len(b) > 0 || err != nil {
		t.Errorf("got %d %q %v", resp.StatusCode, b, err)
	}
}

func TestEarlyCloseStopsTheHandler(t *testing.T) {
	var wrote, after error
	var ctxErr error
	resp := do(t, func(w http.ResponseWriter, r *http.Request) {
		for wrote == nil {
			_, wrote = w.Write([]byte("x"))
		}
		_, after = w.Write([]byte("x"))
		ctxErr = r.Context().Err()
	})
	io.ReadFull(resp.Body, make([]byte, 3))
	resp.Body.Close()
	resp.Body.Close()
	if !errors.Is(wrote, ErrClosed) || !errors.Is(after, ErrClosed) || ctxErr == nil {
		t.Errorf("handler saw %v, %v, context %v", wrote, after, ctxErr)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("read after close succeeded")
	}
}

func TestBrokenBodyDoesNotEndCleanly(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"abort": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		},
		"short": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, direct := range []bool{false, true} {
				resp := do(t, h)
				var err error
				var b bytes.Buffer
				if direct {
					_, err = io.Copy(&b, resp.Body)
				} else {
					_, err = io.Copy(&b, struct{ io.Reader }{resp.Body})
				}
				if b.String() != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("direct %v: got %q, %v", direct, b.String(), err)
				}
				resp.Body.Close()
			}
		})
	}
}

func TestAbortBeforeTheHeadIsAnError(t *testing.T) {
	_, err := Do(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		httptest.NewRequest("GET", "/", nil))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestPanicSurfacesInTheCaller(t *testing.T) {
	defer func() {
		if v := recover(); v != "boom" {
			t.Errorf("recovered %v", v)
		}
	}()
	Do(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }), httptest.NewRequest("GET", "/", nil))
}

type fileSink struct {
	bytes.Buffer
	file bool
}

func (s *fileSink) ReadFrom(r io.Reader) (int64, error) {
	if lr, ok := r.(*io.LimitedReader); ok {
		_, s.file = lr.R.(*os.File)
	}
	return s.Buffer.ReadFrom(r)
}

func TestFileReachesTheDestinationsReadFrom(t *testing.T) {
	f, err := os.Open("pull_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	resp := do(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "20")
		io.CopyN(w, f, 20)
	})
	defer resp.Body.Close()
	var s fileSink
	if n, err := io.Copy(&s, resp.Body); n != 20 || err != nil || !s.file {
		t.Errorf("copied %d, %v; the file itself arrived: %v", n, err, s.file)
	}
}

func TestDestinationsFailureIsReported(t *testing.T) {
	var seen error
	resp := do(t, func(w http.ResponseWriter, r *http.Request) { _, seen = io.WriteString(w, "data") })
	defer resp.Body.Close()
	pr, pw := io.Pipe()
	pr.CloseWithError(os.ErrDeadlineExceeded)
	if _, err := io.Copy(pw, resp.Body); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(seen, os.ErrDeadlineExceeded) {
		t.Errorf("caller saw %v, handler saw %v", err, seen)
	}
}

func BenchmarkSmallBody(b *testing.B) {
	page := make([]byte, 4096)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	r := httptest.NewRequest("GET", "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := Do(h, r)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func TestInformationalResponsesGoToTheTrace(t *testing.T) {
	var seen []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			seen = append(seen, fmt.Sprint(code, h.Get("X-A")))
			return errors.New("dropped")
		},
	})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "early")
		w.WriteHeader(100)
		w.Header().Set("X-A", "late")
		w.WriteHeader(204)
		w.WriteHeader(103)
	})
	for range 2 { // with a trace, and without
		resp, err := Do(handler, httptest.NewRequest("PUT", "/", nil).WithContext(ctx))
		if err != nil || resp.StatusCode != 204 || resp.Header.Get("X-A") != "late" {
			t.Errorf("%v, %v", resp, err)
		}
		resp.Body.Close()
		ctx = t.Context()
	}
	if fmt.Sprint(seen) != "[100early]" {
		t.Errorf("the trace saw %v", seen)
	}
}
