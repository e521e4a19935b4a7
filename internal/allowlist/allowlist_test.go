package allowlist

import (
	"net/http"
	"strings"
	"testing"
)

func TestAllow(t *testing.T) {
	for _, tc := range []struct {
		name, list, addr, header string
		want                     bool
	}{
		{"the machine itself", "loopback", "127.0.0.1:1", "", true},
		{"the machine itself by IPv6", "loopback", "[::1]:1", "", true},
		{"the machine itself by mapped IPv4", "loopback", "[::ffff:127.0.0.1]:1", "", true},
		{"a Unix socket", "loopback", "@", "", true},
		{"a neighbour", "loopback", "10.0.0.1:1", "", false},
		{"a neighbour, asked for", "private", "10.0.0.1:1", "", true},
		{"a link-local neighbour", "private", "[fe80::1%eth0]:1", "", true},
		{"the world", "loopback private", "192.0.2.1:1", "", false},
		{"one address", "192.0.2.1", "192.0.2.1:1", "", true},
		{"the one next to it", "192.0.2.1", "192.0.2.2:1", "", false},
		{"a network with a host's bits", "192.0.2.7/24", "192.0.2.200:1", "", true},
		{"everybody", "any", "[2001:db8::1]:1", "", true},
		{"nobody", "", "127.0.0.1:1", "", false},
		{"something that is no address", "any", "nonsense", "", false},
		{"somebody behind a balancer", "any", "127.0.0.1:1", "X-Forwarded-For", false},
		{"somebody behind a proxy", "any", "127.0.0.1:1", "Via", false},
	} {
		n, err := Parse(strings.Fields(tc.list))
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{RemoteAddr: tc.addr, Header: http.Header{}}
		if tc.header != "" {
			r.Header.Set(tc.header, "192.0.2.1")
		}
		if got := n.Allow(r); got != tc.want {
			t.Errorf("%s: list %q, address %s: got %v, want %v", tc.name, tc.list, tc.addr, got, tc.want)
		}
	}
}

func TestParseNamesEveryFault(t *testing.T) {
	_, err := Parse([]string{"loopback", "local", "10.0.0.0/40"})
	if err == nil || !strings.Contains(err.Error(), `"local" is no network`) || !strings.Contains(err.Error(), `"10.0.0.0/40" is no network`) {
		t.Errorf("got %v", err)
	}
}

func FuzzAllow(f *testing.F) {
	for _, s := range []string{"loopback", "10.0.0.0/8", "::1", "fe80::1%eth0", "10.0.0.0/33", "::ffff:1.2.3.4/100"} {
		f.Add(s, "10.1.1.1:1")
	}
	f.Fuzz(func(t *testing.T, item, addr string) {
		n, err := Parse([]string{item})
		if err == nil == (len(n) == 0) {
			t.Errorf("%q: %v, %v", item, n, err)
		}
		n.Allow(&http.Request{RemoteAddr: addr})
	})
}
