package serve

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/respw"
)

// impatient ends streams of HTTP/2 whose client takes nothing of an answer that has begun. What patience does for a connection
// does not help here: the connection moves for other streams, and one that is not read holds its handler, its file and its
// backend's connection all the same.
func impatient(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			next.ServeHTTP(w, r)
			return
		}
		control := http.NewResponseController(w)
		var armed atomic.Int64
		arm := func() {
			now := time.Now()
			if last := armed.Load(); last == 0 || now.UnixNano()-last > int64(limit/8) {
				armed.Store(now.UnixNano())
				_ = control.SetWriteDeadline(now.Add(2 * limit)) // streams have deadlines
			}
		}
		m := respw.NewMeter(respw.OnHeader(w, func(code int, _ http.Header) int { arm(); return code }), clock.System)
		m.Passed = func(int64) { arm() }
		next.ServeHTTP(m, r)
	})
}
