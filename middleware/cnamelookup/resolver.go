package cnamelookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultPort = 53
	resolvConf  = "/etc/resolv.conf"

	// A server has so long for an answer, and all together.
	serverTimeout = 2 * time.Second
	totalTimeout  = 5 * time.Second
	// rounds is how often each server is asked before the lookup fails.
	rounds = 2
)

// errNoAlias is that the DNS knows no alias under a name.
var errNoAlias = errors.New("not an alias")

// A resolver asks name servers.
type resolver struct {
	servers  []string // host:port
	udp, tcp dns.Client
}

// newResolver makes one for the servers of the configuration, or else of the machine.
func newResolver(servers []string) (*resolver, error) {
	r := &resolver{udp: dns.Client{Net: "udp", Timeout: serverTimeout}, tcp: dns.Client{Net: "tcp", Timeout: serverTimeout}}
	for _, s := range servers {
		addr, err := parseServer(s)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, addr.String())
	}
	if len(r.servers) > 0 {
		return r, nil
	}
	machine, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("find the name servers: %w; give the option nameservers", err)
	}
	for _, s := range machine.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, machine.Port))
	}
	if len(r.servers) == 0 {
		return nil, fmt.Errorf("%s has no name servers; give the option nameservers", resolvConf)
	}
	return r, nil
}

// parseServer reads an address with an optional port.
func parseServer(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddrPort(text); err == nil && addr.Port() != 0 {
		return addr, nil
	}
	inner, bracketed := strings.CutPrefix(text, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if addr.Is6() != bracketed {
		return netip.AddrPort{}, fmt.Errorf("name server %q: addresses of IPv6, and no others, stand in brackets", text)
	}
	return netip.AddrPortFrom(addr, defaultPort), nil
}

// cname returns what a domain is an alias of, and how long that holds. [errNoAlias] is an answer too; other errors are that
// there was none.
func (r *resolver) cname(ctx context.Context, domain string) (target string, ttl time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(domain), dns.TypeCNAME)
	err = errors.New("no name server")
	for range rounds {
		for _, server := range r.servers {
			var answer *dns.Msg
			if answer, err = r.ask(ctx, question, server); err == nil {
				if target, ttl, err = read(answer, question.Question[0]); err == nil || errors.Is(err, errNoAlias) {
					return target, ttl, err
				}
			}
			if ctx.Err() != nil {
				return "", 0, fmt.Errorf("look up %q: %w", domain, err)
			}
		}
	}
	return "", 0, fmt.Errorf("look up %q: %w", domain, err)
}

// ask sends a question to a server, again over TCP if the answer does not fit into a packet.
func (r *resolver) ask(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	answer, err := exchange(ctx, &r.udp, question, server)
	if err == nil && answer.Truncated {
		return exchange(ctx, &r.tcp, question, server)
	}
	return answer, err
}

func exchange(ctx context.Context, client *dns.Client, question *dns.Msg, server string) (*dns.Msg, error) {
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// The library looks at a context's deadline only: a client that goes away closes the connection.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	answer, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	return answer, err
}

// read finds the alias in an answer.
func read(answer *dns.Msg, question dns.Question) (target string, ttl time.Duration, err error) {
	if len(answer.Question) != 1 || answer.Question[0].Qtype != question.Qtype || !strings.EqualFold(answer.Question[0].Name, question.Name) {
		return "", 0, errors.New("a name server answered another question")
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return "", 0, errNoAlias
	default:
		return "", 0, fmt.Errorf("a name server answered %s", dns.RcodeToString[answer.Rcode])
	}
	for _, rr := range answer.Answer {
		alias, ok := rr.(*dns.CNAME)
		if !ok || !strings.EqualFold(alias.Hdr.Name, question.Name) {
			continue
		}
		target := strings.TrimRight(alias.Target, ".")
		if !plain(target) {
			return "", 0, errNoAlias
		}
		return target, time.Duration(alias.Hdr.Ttl) * time.Second, nil
	}
	return "", 0, errNoAlias
}

// plain says whether a name can be a host: the DNS allows any byte, but a request's Host does not.
func plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return name != ""
}
