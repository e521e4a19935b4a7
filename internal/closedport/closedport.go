//go:build unix

// Package closedport is for tests in which a server is down: it gives addresses at which connections are refused, and stay so.
//
// The address of a listener that was closed is not enough. The system may give its port to the next listener of the test, or of
// another one that runs at the same time, which then answers in the place of the server that is down.
package closedport

import (
	"net/netip"
	"syscall"
	"testing"
)

// New returns an address of loopback at which nobody listens until the test has ended.
func New(tb testing.TB) string {
	tb.Helper()
	return Keep(tb, "127.0.0.1:0")
}

// Keep does the same for the IPv4 address of a server that has just been closed, and returns it.
func Keep(tb testing.TB, address string) string {
	tb.Helper()
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	// Connections of the closed server may still be fading out on its port. Once bound, the port is shared with nobody.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: want.Addr().As4(), Port: int(want.Port())}); err != nil {
		tb.Fatalf("%s: %v", address, err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	got, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		tb.Fatalf("%s: got a socket of %T", address, name)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(got.Addr), uint16(got.Port)).String()
}
