//go:build unix

package closedport_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/apus-storage/apus/internal/closedport"
)

func TestConnectionsAreRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	server.Close()
	closed := server.Listener.Addr().String()
	if got := closedport.Keep(t, closed); got != closed {
		t.Errorf("got %s, want %s", got, closed)
	}
	for _, address := range []string{closed, closedport.New(t)} {
		if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: got %v, want a refusal", address, err)
		}
		// Not even a listener that would share its port, as Go's would, gets this one.
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			t.Errorf("%s could be listened at", address)
		}
	}
}
