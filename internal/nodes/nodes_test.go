package nodes

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/nodes/nodestest"
	"github.com/apus-storage/apus/internal/serve"
)

func TestTCP(t *testing.T) {
	nodestest.Run(t, func(t *testing.T, h http.Handler) (http.RoundTripper, string) {
		as := serve.Defaults()
		s := httptest.NewUnstartedServer(nil)
		l, err := as.Wrap(s.Listener)
		if err != nil {
			t.Fatal(err)
		}
		s.Listener, s.Config = l, as.Server(serve.Bound(constraint.Default(), h), slog.New(slog.DiscardHandler))
		s.Start()
		tr := NewTCP(TCPOptions{})
		t.Cleanup(func() { tr.CloseIdleConnections(); s.Close() })
		return tr, s.Listener.Addr().String()
	})
}

func TestDirect(t *testing.T) {
	nodestest.Run(t, func(t *testing.T, h http.Handler) (http.RoundTripper, string) {
		d := NewDirect(nil)
		d.Handle("127.0.0.1:6200", h)
		return d, "127.0.0.1:6200"
	})
}

func TestNobodyThere(t *testing.T) {
	nodestest.Refused(t, NewDirect(nil), "127.0.0.1:1")
	nodestest.Refused(t, NewTCP(TCPOptions{}), "127.0.0.1:1")
}
