package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// A Kind is what became of a request that got no answer, or no whole one.
type Kind string

// The kinds.
const (
	Credentials Kind = "credentials" // there are none to be had for the store
	Resolve     Kind = "resolve"     // the store's name has no address
	Connect     Kind = "connect"     // nobody takes the connection
	TLS         Kind = "tls"         // the store is not who it should be, or cannot speak TLS
	Timeout     Kind = "timeout"     // the store does not answer in time
	Refused     Kind = "refused"     // the request was not sent: too many failed before it, or too many are on their way
	Broken      Kind = "broken"      // the connection ended before the answer did
	Canceled    Kind = "canceled"    // who asked has gone
)

// An Error is a request that got no answer, or no whole one. It tells no secrets.
type Error struct {
	Upstream string
	Kind     Kind
	// Sent says whether the store may have seen the head of the request.
	Sent bool
	// Started says whether a byte of the body has been asked for: nobody may then send it again.
	Started bool
	Err     error

	stale bool // it was sent over a connection that had been idle, and may have been closed meanwhile
}

func (e *Error) Error() string { return fmt.Sprintf("upstream %s: %s: %v", e.Upstream, e.Kind, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errStall    = errors.New("nothing was sent or taken for too long")
	errOpen     = errors.New("too many requests have failed in a row")
	errBusy     = errors.New("too many requests are on their way")
	errClosed   = errors.New("the gateway is being closed")
	errDetached = errors.New("the request has ended")
	errLength   = errors.New("the body has another length than was said")
	errBearer   = errors.New("with a bearer token no URL can be signed")
)

// kindOf tells the causes of failure apart. The context is that of who asked.
func kindOf(ctx context.Context, err error) Kind {
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Canceled
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Resolve
	}
	if timedOut(err) {
		return Timeout
	}
	if isTLS(err) {
		return TLS
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return Connect
	}
	return Broken
}

func timedOut(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout() || errors.Is(err, errStall)
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
