package cnamelookup

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// An entry is what a name server knows of a name.
type entry struct {
	CNAME, Address, With, Rcode string
	TTL                         uint32
	Truncated                   bool // over UDP
}

// zone reads what record.py answered with.
func zone(t testing.TB) map[string]entry {
	t.Helper()
	data, err := os.ReadFile("testdata/zone.json")
	if err != nil {
		t.Fatal(err)
	}
	var z map[string]entry
	if err := json.Unmarshal(data, &z); err != nil {
		t.Fatal(err)
	}
	return z
}

// knows answers questions by a zone.
func knows(z map[string]entry) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		name := q.Question[0].Name
		e, ok := z[strings.ToLower(name)]
		switch {
		case !ok:
			m.Rcode = dns.RcodeNameError
		case e.Rcode != "":
			m.Rcode = dns.StringToRcode[e.Rcode]
		case e.Truncated && w.RemoteAddr().Network() == "udp":
			m.Truncated = true
		case e.CNAME != "":
			m.Answer = append(m.Answer, &dns.CNAME{
				Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: e.TTL}, Target: e.CNAME,
			})
			if e.With != "" {
				m.Answer = append([]dns.RR{&dns.A{
					Hdr: dns.RR_Header{Name: e.CNAME, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.ParseIP(e.With),
				}}, m.Answer...)
			}
		}
		w.WriteMsg(m) // a client that has gone away is none of the test's business
	}
}

// A server is a name server on loopback.
type server struct {
	addr string

	// mu guards asked.
	mu    sync.Mutex
	asked []string
}

// serve runs a name server until the end of the test.
func serve(t testing.TB, h dns.HandlerFunc) *server {
	t.Helper()
	l, p := listen(t)
	s := &server{addr: l.Addr().String()}
	counted := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		s.mu.Lock()
		s.asked = append(s.asked, q.Question[0].Name)
		s.mu.Unlock()
		h(w, q)
	})
	for _, srv := range []*dns.Server{{Listener: l, Handler: counted}, {PacketConn: p, Handler: counted}} {
		started, done := make(chan struct{}), make(chan error, 1)
		srv.NotifyStartedFunc = func() { close(started) }
		go func() { done <- srv.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := srv.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

// listen finds a port that is free for TCP and for UDP: somebody else may have one half of it.
func listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for tries := 1; ; tries++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, p
		}
		t.Cleanup(func() { l.Close() }) // not before, or the next one would be the same
		if tries == 100 {
			t.Fatal(err)
		}
	}
}

// questions returns how often the server was asked.
func (s *server) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}
