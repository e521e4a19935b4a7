package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// overHTTP2 asks a server for an answer of HTTP/2. It is called in a bubble, whose time it takes.
func overHTTP2(t *testing.T, limit time.Duration, h http.HandlerFunc) *http.Response {
	t.Helper()
	c := Defaults()
	c.CutStalled, c.ClientTimeout = true, config.Duration{Duration: limit}
	s := c.Server(h, slog.New(slog.DiscardHandler))
	s.Protocols = new(http.Protocols)
	s.Protocols.SetUnencryptedHTTP2(true)
	conns := make(chan net.Conn, 1)
	done := make(chan error, 1)
	go func() { done <- s.Serve(once{conns}) }()
	transport := &http.Transport{Protocols: s.Protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		conns <- there
		return here, nil
	}}
	resp, err := transport.RoundTrip(mustRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		resp.Body.Close()
		transport.CloseIdleConnections()
		close(conns)
		s.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return resp
}

func mustRequest(t *testing.T) *http.Request {
	r, err := http.NewRequest("GET", "http://h/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// window is how much of an answer a client of package net/http lets come before anybody reads it.
const window = 4 << 20

func TestStreamsThatAreReadSteadily(t *testing.T) {
	const limit = 10 * time.Second
	for name, h := range map[string]http.HandlerFunc{
		"one write": func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 2*window)) },
		"a copy":    func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(neverEnding('x'), 2*window)) },
		"a source that takes its time": func(w http.ResponseWriter, _ *http.Request) {
			for range 4 {
				w.Write(make([]byte, window/2))
				http.NewResponseController(w).Flush()
				time.Sleep(10 * limit)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp := overHTTP2(t, limit, h)
				got := int64(0)
				for {
					n, err := io.CopyN(io.Discard, resp.Body, 64<<10)
					got += n
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatalf("%v after %d bytes", err, got)
					}
					time.Sleep(limit)
				}
				if got != 2*window {
					t.Errorf("got %d bytes", got)
				}
			})
		})
	}
}

func TestStreamsThatNobodyReads(t *testing.T) {
	const limit = 10 * time.Second
	for name, more := range map[string]int{"while the handler writes": window, "with a rest that the handler leaves": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failed := false
				resp := overHTTP2(t, limit, func(w http.ResponseWriter, _ *http.Request) {
					_, err := w.Write(make([]byte, window))
					if err == nil {
						_, err = w.Write(make([]byte, more))
					}
					failed = err != nil
				})
				time.Sleep(5 * limit)
				synctest.Wait()
				if failed != (more == window) {
					t.Errorf("the handler's write has failed: %v", failed)
				}
				if n, err := io.Copy(io.Discard, resp.Body); err == nil || n > window {
					t.Errorf("got %d bytes, %v", n, err)
				}
			})
		})
	}
}
