package s3gateway

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// slowToBreak is a store that takes an object and breaks off long after.
func slowToBreak(t *testing.T, after time.Duration) *upstream.Upstream {
	t.Helper()
	var c upstream.Config
	c.SetDefaults()
	c.Endpoint, c.AccessKey, c.Secret, c.HealthPath = "http://store.test", "AKSTORE", "secret", ""
	c.ResponseTimeout, c.StallTimeout = config.Seconds(60), config.Seconds(60)
	u, err := upstream.New("store", c, upstream.Deps{Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			r, err := http.ReadRequest(bufio.NewReader(theirs))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
			time.Sleep(after)
		}()
		return ours, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestACopyThatFailsLate has a store break off when the client has begun to get its answer, whose head nobody may touch then.
func TestACopyThatFailsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := slowToBreak(t, 2*patience+time.Second)
		defer u.Close()
		group := upstream.NewGroup(route.Failover, []*upstream.Upstream{u})
		w, state := httptest.NewRecorder(), &request.State{TransID: "tx"}
		x := &exchange{
			filter: &filter{log: slog.New(slog.DiscardHandler)}, w: w, state: state, way: &way{group: group},
			r: request.With(httptest.NewRequest("PUT", "/photos/copy", nil), state),
		}
		err := x.patiently(func() ([]byte, http.Header, error) {
			return x.put(upstream.Call{Method: "PUT", Bucket: "photos", Key: "copy", Body: strings.NewReader("bytes"), Length: 5}, nil, false)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Body.String(); w.Code != 200 || !strings.HasPrefix(got, xmlHead+"  <Error><Code>InternalError</Code>") {
			t.Errorf("got %d %s", w.Code, got)
		}
		if got := w.Header().Get("Connection"); got != "" {
			t.Errorf("Connection: %s", got)
		}
	})
}
