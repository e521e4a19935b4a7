package subreq

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
)

func client() *http.Request {
	r := httptest.NewRequest("PUT", "http://h/v1/a/c/o?x=1", strings.NewReader("body"))
	r.Header.Set("X-Auth-Token", "t")
	r.Header.Set("Content-Type", "a/b")
	r.Header.Set("If-None-Match", "*")
	r.Header.Set("User-Agent", "curl")
	return request.With(r, &request.State{TransID: "tx", User: "a:u", Infos: &request.Infos{}})
}

func TestNewCarriesWhoAsksAndNothingElse(t *testing.T) {
	sub := New(client(), Options{Method: "GET", Path: "/v1/a/c2", Source: "X"})
	if sub.Header.Get("X-Auth-Token") != "t" || sub.Header.Get("User-Agent") != "curl" ||
		sub.Header.Get("Content-Type") != "" || sub.Header.Get("If-None-Match") != "" || sub.URL.RawQuery != "" {
		t.Errorf("headers %v, query %q", sub.Header, sub.URL.RawQuery)
	}
	if b, _ := io.ReadAll(sub.Body); len(b) > 0 {
		t.Errorf("carries the client's body %q", b)
	}
	s := request.From(sub.Context())
	if s.TransID != "tx" || s.User != "a:u" || s.Log.Source != "X" || s.AuthOverride {
		t.Errorf("state %+v", s)
	}
	pre := New(client(), Options{Source: "X", PreAuthed: true})
	if s := request.From(pre.Context()); !s.AuthOverride || pre.Header.Get("X-Auth-Token") != "" {
		t.Errorf("pre-authorised: state %+v, headers %v", s, pre.Header)
	}
}

func TestSmallIsBounded(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "0123456789") })
	if resp, err := Small(h, New(client(), Options{Source: "X"}), 10); err != nil || string(resp.Body) != "0123456789" || !resp.OK() {
		t.Errorf("within the limit: %v, %v", resp, err)
	}
	if _, err := Small(h, New(client(), Options{Source: "X"}), 9); err == nil {
		t.Error("beyond the limit: no error")
	}
}

func TestStreamBreaksOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := NewStream(ctx, cancel, io.NopCloser(strings.NewReader("body")))
	if b, err := io.ReadAll(s); string(b) != "body" || err != nil || s.Err() != nil {
		t.Errorf("whole: %q, %v, %v", b, err, s.Err())
	}
	if err := s.Close(); err != nil || ctx.Err() == nil {
		t.Errorf("close: %v; context: %v", err, ctx.Err())
	}
	if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("after the client has gone: %v", err)
	}
	broken := NewStream(t.Context(), func() {}, io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)))
	if _, err := io.ReadAll(broken); err != io.ErrUnexpectedEOF || broken.Err() != err {
		t.Errorf("a source that breaks off: %v, %v", err, broken.Err())
	}
}

func TestReplyIsTheWholeAnswer(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "b")
		w.Header().Set("Content-Type", "text/x")
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, "text")
	})
	res, _ := Small(h, New(client(), Options{Source: "X"}), 10)
	rec := httptest.NewRecorder()
	reply.Write(rec, client(), res.Reply())
	if rec.Code != 409 || rec.Body.String() != "text" || rec.Header().Get("X-A") != "b" || rec.Header().Get("Content-Type") != "text/x" || rec.Header().Get("Content-Length") != "4" {
		t.Errorf("%d %v %q", rec.Code, rec.Header(), rec.Body)
	}
	if res.Header.Get("Content-Type") == "" {
		t.Error("the answer has changed")
	}
}
