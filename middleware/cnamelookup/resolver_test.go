package cnamelookup

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// resolve makes a resolver that does not wait long.
func resolve(t *testing.T, servers ...*server) *resolver {
	t.Helper()
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	r, err := newResolver(addrs)
	if err != nil {
		t.Fatal(err)
	}
	r.udp.Timeout, r.tcp.Timeout = 300*time.Millisecond, 300*time.Millisecond
	return r
}

// says answers every question after change has been at the answer.
func says(change func(*dns.Msg)) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Answer = []dns.RR{&dns.CNAME{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}, Target: "a.example.com.",
		}}
		change(m)
		w.WriteMsg(m)
	}
}

func silent(dns.ResponseWriter, *dns.Msg) {}

func TestAnotherServerIsAsked(t *testing.T) {
	good := serve(t, knows(zone(t)))
	for _, tc := range []struct {
		name  string
		first dns.HandlerFunc
	}{
		{"one that does not answer", silent},
		{"one that fails", says(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })},
		{"one that refuses", says(func(m *dns.Msg) { m.Rcode = dns.RcodeRefused })},
		{"an answer to another question", says(func(m *dns.Msg) { m.Question[0].Name = "other.test." })},
		{"an answer of another type", says(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA })},
		{"an answer without its question", says(func(m *dns.Msg) { m.Question = nil })},
		{"an answer to another id", says(func(m *dns.Msg) { m.Id++ })},
		{"no answer but bytes", func(w dns.ResponseWriter, q *dns.Msg) { w.Write([]byte{byte(q.Id >> 8), byte(q.Id), 1, 2, 3}) }},
	} {
		got, ttl, err := resolve(t, serve(t, tc.first), good).cname(t.Context(), "www.customer.test")
		if err != nil || got != "c.AUTH-a.example.com" || ttl != 300*time.Second {
			t.Errorf("%s: got %q for %s, %v", tc.name, got, ttl, err)
		}
	}
}

func TestFailuresAreNotTakenForAnAnswer(t *testing.T) {
	for name, h := range map[string]dns.HandlerFunc{
		"no answer":         silent,
		"a failure":         says(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }),
		"cut, over TCP too": says(func(m *dns.Msg) { m.Truncated, m.Rcode = true, dns.RcodeServerFailure }),
	} {
		s := serve(t, h)
		if got, _, err := resolve(t, s).cname(t.Context(), "www.customer.test"); err == nil || errors.Is(err, errNoAlias) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if s.questions() < rounds {
			t.Errorf("%s: asked %d times, want at least %d", name, s.questions(), rounds)
		}
	}
	if _, _, err := resolve(t, serve(t, silent)).cname(t.Context(), "a..b"); err == nil || errors.Is(err, errNoAlias) {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestNamesThatCannotBeHosts(t *testing.T) {
	for _, target := range []string{`a\032b.example.com.`, `a\000.example.com.`, `a:80.example.com.`, `x\.y.example.com.`, `a/b.example.com.`, "."} {
		s := serve(t, says(func(m *dns.Msg) { m.Answer[0].(*dns.CNAME).Target = target }))
		if got, _, err := resolve(t, s).cname(t.Context(), "www.customer.test"); !errors.Is(err, errNoAlias) {
			t.Errorf("%s: got %q, %v", target, got, err)
		}
	}
	s := serve(t, says(func(m *dns.Msg) { m.Answer[0].Header().Name = "other.test." }))
	if got, _, err := resolve(t, s).cname(t.Context(), "www.customer.test"); !errors.Is(err, errNoAlias) {
		t.Errorf("an alias of another name: got %q, %v", got, err)
	}
}

// TestAClientThatGoesAwayEndsTheLookup cancels in the middle of a question that is never answered.
func TestAClientThatGoesAwayEndsTheLookup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(dns.ResponseWriter, *dns.Msg) { cancel() })
	r := resolve(t, s)
	r.udp.Timeout = time.Hour
	done := make(chan error, 1)
	go func() {
		_, _, err := r.cname(ctx, "www.customer.test")
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("an answer")
		}
	case <-time.After(4 * time.Second): // before the lookup's own time is over
		t.Error("the lookup goes on")
	}
}

func TestServers(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:53", "10.0.0.1:5353": "10.0.0.1:5353", "[fd00::1]": "[fd00::1]:53", "[fd00::1]:5353": "[fd00::1]:5353",
	} {
		r, err := newResolver([]string{text})
		if err != nil || len(r.servers) != 1 || r.servers[0] != want {
			t.Errorf("%s: got %+v, %v, want %s", text, r, err, want)
		}
	}
}

func TestTheMachinesServersAreTheDefault(t *testing.T) {
	machine, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil || len(machine.Servers) == 0 {
		if _, err := newResolver(nil); err == nil || errors.Is(err, os.ErrExist) {
			t.Errorf("without any: got %v", err)
		}
		return
	}
	r, err := newResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	if host, port, err := net.SplitHostPort(r.servers[0]); err != nil || host != machine.Servers[0] || port != "53" {
		t.Errorf("got %v, want %v", r.servers, machine.Servers)
	}
}

func FuzzRead(f *testing.F) {
	question := dns.Question{Name: "www.customer.test.", Qtype: dns.TypeCNAME, Qclass: dns.ClassINET}
	m := new(dns.Msg)
	m.SetQuestion(question.Name, question.Qtype)
	says(func(a *dns.Msg) { m = a })(discard{}, m)
	wire, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		if target, ttl, err := read(m, question); err == nil && (!plain(target) || ttl < 0) {
			t.Errorf("%s: got %q for %s", m, target, ttl)
		}
	})
}

// discard takes answers.
type discard struct{ dns.ResponseWriter }

// WriteMsg drops m.
func (discard) WriteMsg(*dns.Msg) error { return nil }
