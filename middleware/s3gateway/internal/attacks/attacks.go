// Package attacks is a table of requests that an S3 gateway must refuse: with signatures that are wrong, too old or of
// something else, with two meanings, without rights, and with bodies that are not what was said of them.
//
//	for _, c := range attacks.Cases() {
//		status, code, err := attacks.Send(addr, c.Raw(world))
//		// code must be c.Code, and no store may have stored or told anything
//	}
//
// A case is bytes, as a connection brings them, since much of it no HTTP client sends. They are signed by code of this package
// alone, so that a mistake in the gateway's is not made twice. Controls are requests that look much the same and must pass: where they
// do not, refusals show nothing. The identities that all of them are made for are those of Identities.
package attacks

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A Key is what a client signs with.
type Key struct{ Access, Secret string }

// The keys of the identities.
var (
	Owner   = Key{"AKOWNER", "owner/secret+0123456789abcdefghijklmnopq"} // all rights on photos-*
	Reader  = Key{"AKREADER", "reader/secret0123456789abcdefghijklmnop"} // read
	Lister  = Key{"AKLISTER", "lister/secret0123456789abcdefghijklmnop"} // list
	Writer  = Key{"AKWRITER", "writer/secret0123456789abcdefghijklmnop"} // write
	Tenant  = Key{"AKTENANT", "tenant/secret0123456789abcdefghijklmnop"} // all rights under 2026/
	Expired = Key{"AKEXPIRED", "expired/secret0123456789abcdefghijklmn"} // all rights, until 2020
	nobody  = Key{"AKNOBODY", "nobody/secret0123456789abcdefghijklmnop"}
)

// Identities is the configuration of the identities, as tables within the section.
func Identities(section string) string {
	text := ""
	for _, i := range []struct {
		name string
		key  Key
		more string
	}{
		{"owner", Owner, `rights = ["read", "write", "list"]` + "\nbuckets = [\"photos-*\"]"},
		{"reader", Reader, `rights = ["read"]`},
		{"lister", Lister, `rights = ["list"]`},
		{"writer", Writer, `rights = ["write"]`},
		{"tenant", Tenant, `rights = ["read", "write", "list"]` + "\nprefixes = [\"2026/\"]"},
		{"expired", Expired, `rights = ["read", "write", "list"]` + "\nexpires = 2020-01-01T00:00:00Z"},
	} {
		text += fmt.Sprintf("[%s.identity.%s]\naccess_key = %q\nsecret = %q\n%s\n", section, i.name, i.key.Access, i.key.Secret, i.more)
	}
	return text
}

// The buckets that requests are about. Routes must name both.
const (
	Bucket  = "photos-1"
	Foreign = "private-1" // the owner may not use it
)

// Domain is one under which buckets are names of hosts. The endpoint must know it.
const Domain = "s3.example.net"

// A World is where requests are sent, and when.
type World struct {
	Host   string // of the endpoint, with its port; buckets are in paths
	Region string
	Now    time.Time
}

// A Case is a request that must be refused.
type Case struct {
	Name string
	Code string // AWS's
	// Method is the request's. Answers to HEAD have no code.
	Method string
	// Body says that only the body shows what is wrong.
	Body bool

	make func(w World) *message
}

// Raw is the request as a connection brings it. A body that is too short ends with the connection.
func (c Case) Raw(w World) []byte { return c.make(w).bytes() }

// Cases are all requests that must be refused.
func Cases() []Case {
	var all []Case
	for _, part := range [][]Case{signatures(), times(), ambiguities(), presigned(), paths(), hosts(), rights(), deletes(), bodies(), chunks(), trailers(), forms()} {
		all = append(all, part...)
	}
	w := World{Host: "localhost", Now: time.Unix(1e9, 0)}
	for i := range all {
		all[i].Method = all[i].make(w).method
	}
	return all
}

// A Control is a request that must pass.
type Control struct {
	Name   string
	Method string
	Sent   string // the body as a store is to get it
	make   func(w World) *message
}

// Raw is the request as a connection brings it.
func (c Control) Raw(w World) []byte { return c.make(w).bytes() }

// Send sends a request on a connection of its own, and returns what the answer says. If its body is shorter than its head says, no
// more is sent after it: a client that sends no more otherwise is taken for one that has gone.
func Send(addr string, raw []byte) (status int, code string, err error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, "", err
	}
	// A server may answer before it has read everything, and close: the answer counts.
	_, _ = conn.Write(raw)
	if tcp, ok := conn.(*net.TCPConn); ok && lacks(raw) {
		_ = tcp.CloseWrite()
	}
	// An answer to HEAD has no body, whatever its length says.
	method, _, _ := strings.Cut(string(raw[:min(len(raw), 16)]), " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return resp.StatusCode, "", err
	}
	var document struct{ Code string }
	if xml.Unmarshal(body, &document) != nil {
		return resp.StatusCode, "", nil // not an error of S3
	}
	return resp.StatusCode, document.Code, nil
}

// lacks says whether a server would wait for more of a body.
func lacks(raw []byte) bool {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return true
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err != nil
}
