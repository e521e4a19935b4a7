package serve

import (
	"net/http"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/respw"
)

// impatient ends streams of HTTP/2 whose client takes nothing of what is written. What patience does for a connection does not
// help here: the connection moves for other streams, and one that is not read holds its handler, its file and its backend's
// connection all the same.
func impatient(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			next.ServeHTTP(w, r)
			return
		}
		s := &stream{limit: 2 * limit, control: http.NewResponseController(w)}
		s.timer = time.AfterFunc(s.limit, s.look)
		defer s.handled()
		next.ServeHTTP(respw.NewPaced(w, s.begin, s.end), r)
	})
}

// stream watches one stream's writes. A deadline for each would be two more messages to the goroutine that has the connection;
// this one is set when it has passed.
type stream struct {
	limit   time.Duration
	control *http.ResponseController

	mu    sync.Mutex  // guards what follows
	since time.Time   // when the write under way began; zero if there is none
	timer *time.Timer // when to look next; nil when the handler has returned
}

func (s *stream) begin() { s.writing(time.Now()) }
func (s *stream) end()   { s.writing(time.Time{}) }

func (s *stream) writing(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = since
}

// look ends the stream if the write under way has had its time.
func (s *stream) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		return
	}
	left := s.limit
	if !s.since.IsZero() {
		left -= time.Since(s.since)
	}
	if left <= 0 {
		_ = s.control.SetWriteDeadline(time.Unix(1, 0)) // streams have deadlines
		return
	}
	s.timer.Reset(left)
}

// handled leaves a deadline to what net/http has gathered and writes now.
func (s *stream) handled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.timer = nil
	_ = s.control.SetWriteDeadline(time.Now().Add(s.limit)) // as above
}
