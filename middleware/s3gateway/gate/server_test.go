package gate_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// gateway is the least that can stand before a store: it sends on what the gate lets through, unsigned.
type gateway struct {
	gate  *gate.Gate
	store string
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := g.serve(w, r); err != nil {
		e := s3err.From(err)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(e.Status)
		w.Write(e.Document(r.URL.Path, "tx"))
	}
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) error {
	t, err := route.Address(r, domains)
	if err != nil {
		return err
	}
	c, err := g.gate.Admit(r, t, gate.Options{})
	if err != nil {
		return err
	}
	if err := c.Authorize(r.Context()); err != nil {
		return err
	}
	p, err := c.Body(r)
	if err != nil {
		return err
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, g.store, p.Reader)
	if err != nil {
		return err
	}
	if out.ContentLength = p.Length; p.Length == 0 {
		out.Body = http.NoBody
	}
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err == nil {
		defer resp.Body.Close()
	}
	if wrong := p.Err(); wrong != nil {
		return wrong
	}
	if err != nil {
		return err
	}
	w.WriteHeader(resp.StatusCode)
	_, err = io.Copy(w, resp.Body)
	return err
}

// TestAttacksOnConnections sends every attack to a server, with a store behind it that counts what it got whole.
func TestAttacksOnConnections(t *testing.T) {
	var whole atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
		}
	}))
	defer store.Close()
	front := httptest.NewServer(&gateway{open(t, attacks.Identities("s3gateway"), nil), store.URL})
	defer front.Close()
	addr := front.Listener.Addr().String()
	here := world
	here.Host = addr
	for _, c := range attacks.Cases() {
		status, code, err := attacks.Send(addr, c.Raw(here))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		want := s3err.Code(c.Code).With().Status
		if status != want || c.Method != http.MethodHead && code != c.Code {
			t.Errorf("%s: got %d %s, want %d %s", c.Name, status, code, want, c.Code)
		}
		if n := whole.Swap(0); n != 0 {
			t.Errorf("%s: the store got it", c.Name)
		}
	}
	for _, c := range attacks.Controls() {
		if status, code, err := attacks.Send(addr, c.Raw(here)); status != 200 || whole.Swap(0) != 1 {
			t.Errorf("%s: %d %s %v", c.Name, status, code, err)
		}
	}
}
