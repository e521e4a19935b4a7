// Package allowlist says who may see a page that is about the server itself: metrics, profiles. Such a page has no
// credentials of its own, and a proxy faces the world.
//
//	networks, err := allowlist.Parse([]string{"loopback", "192.168.7.0/24"})
//	if !networks.Allow(r) {
//		reply.Write(w, r, reply.Status(http.StatusForbidden))
//	}
//
// Addresses are the connection's. A request that says that it came through another proxy is refused whatever its address,
// because a balancer on the same machine would otherwise open the page to everybody; a balancer that adds no header, at
// the level of TCP, must hand on addresses by the PROXY protocol, or the page's path must be made unreachable there.
package allowlist

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
)

// Networks are those whose clients may ask.
type Networks []netip.Prefix

// names stand for networks: loopback for the machine itself, private for those of RFC 1918, RFC 4193 and the link-local
// ones.
var names = map[string][]string{
	"loopback": {"127.0.0.0/8", "::1/128"},
	"private":  {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"},
	"any":      {"0.0.0.0/0", "::/0"},
}

// Parse reads networks (10.1.0.0/16), addresses, "loopback", "private" and "any". Its error, if any, joins one for each
// item that is none of these.
func Parse(items []string) (Networks, error) {
	var out Networks
	var errs []error
	for _, item := range items {
		if texts, ok := names[item]; ok {
			for _, t := range texts {
				out = append(out, netip.MustParsePrefix(t))
			}
			continue
		}
		if a, err := netip.ParseAddr(item); err == nil {
			a = a.Unmap()
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			errs = append(errs, fmt.Errorf(`%q is no network; want networks such as "10.1.0.0/16", "loopback", "private" or "any"`, item))
			continue
		}
		out = append(out, p.Masked())
	}
	return out, errors.Join(errs...)
}

// forwarding are headers of requests that have come through another proxy.
var forwarding = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Real-Ip", "X-Cluster-Client-Ip"}

// Allow says whether the client may ask.
func (n Networks) Allow(r *http.Request) bool {
	for _, name := range forwarding {
		if _, ok := r.Header[name]; ok {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		// The other end of a Unix socket has no address: it is on this machine.
		host = "127.0.0.1"
		if r.RemoteAddr != "" && r.RemoteAddr != "@" {
			return false
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(addr) })
}
