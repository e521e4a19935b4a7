package object

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// patient is a connection that notes its deadline for reading, and how often it was moved.
type patient struct {
	*httptest.ResponseRecorder
	deadline time.Time
	moved    int
}

func (p *patient) SetReadDeadline(t time.Time) error {
	p.deadline = t
	p.moved++
	return nil
}

func filling() (*Server, *call, *patient) {
	s := &Server{cfg: Config{ClientTimeout: config.Seconds(60)}}
	w := &patient{ResponseRecorder: httptest.NewRecorder()}
	return s, &call{w: w, r: httptest.NewRequest(http.MethodPut, "/", nil)}, w
}

// TestPiecesComeTogether checks that a body in small pieces fills the buffer, and that an error comes with what was read before it.
func TestPiecesComeTogether(t *testing.T) {
	s, c, _ := filling()
	broken := errors.New("broken")
	body := io.MultiReader(iotest.OneByteReader(bytes.NewReader(make([]byte, 100))), iotest.ErrReader(broken))
	p := make([]byte, 64)
	later := time.Now().Add(time.Hour)
	if n, err := s.fill(c, body, p, later); n != 64 || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if n, err := s.fill(c, body, p, later); n != 36 || err != broken {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	if _, err := s.fill(c, bytes.NewReader(p), p, time.Now().Add(-time.Second)); err == nil {
		t.Error("an upload that takes too long is no error")
	}
}

// TestClientHasItsTimeForEachPiece lets a client take nearly client_timeout for each piece.
func TestClientHasItsTimeForEachPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, w := filling()
		limit := s.cfg.ClientTimeout.Duration
		for _, wait := range []time.Duration{0, time.Second, limit - 1, 5 * time.Second, limit / 8, limit} {
			time.Sleep(wait)
			s.beginRead(c)
			if left := time.Until(w.deadline); left < limit || left > limit+limit/8 {
				t.Errorf("%v after the piece before, %v are left, want %v or up to an eighth more", wait, left, limit)
			}
		}
		w.moved = 0
		for range 1000 {
			s.beginRead(c)
		}
		if w.moved > 1 {
			t.Errorf("the deadline was moved %d times at one moment", w.moved)
		}
	})
}
