package gate_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

var now = time.Date(2026, 7, 9, 12, 0, 0, 0, time.UTC)

func at(t time.Time) clock.Clock { return clock.Func(func() time.Time { return t }) }

// identities reads identities as a file has them.
func identities(t testing.TB, toml string) map[string]gate.Config {
	t.Helper()
	f, err := config.Parse("test.toml", []byte(toml))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Identity map[string]gate.Config `toml:"identity"`
	}
	section, _ := f.Section("s3gateway")
	if _, err := section.Decode(&c, config.Section{}); err != nil {
		t.Fatal(err)
	}
	return c.Identity
}

func open(t testing.TB, toml string, functions map[string]callable.Functions) *gate.Gate {
	t.Helper()
	g, err := gate.New(identities(t, toml), functions, gate.Deps{Region: "us-east-1", Clock: at(now)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var world = attacks.World{Host: "127.0.0.1:8080", Region: "us-east-1", Now: now}

var domains = route.NewDomains([]string{attacks.Domain})

// pass takes a request as far as the gate lets it, and returns what a store would get of its body and what the body's length
// would be.
func pass(g *gate.Gate, raw []byte, o gate.Options) (body []byte, length int64, c *gate.Caller, err error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, 0, nil, err
	}
	t, err := route.Address(r, domains)
	if err != nil {
		return nil, 0, nil, err
	}
	if c, err = g.Admit(r, t, o); err != nil {
		return nil, 0, nil, err
	}
	if err := c.Authorize(r.Context()); err != nil {
		return nil, 0, nil, err
	}
	p, err := c.Body(r)
	if err != nil {
		return nil, -1, c, err
	}
	body, err = io.ReadAll(p.Reader)
	return body, p.Length, c, err
}

func code(err error) string {
	if err == nil {
		return "none"
	}
	return string(s3err.From(err).Code)
}

// TestAttacks has every attack refused with AWS's code, before a store could have got the whole of anything.
func TestAttacks(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	cases := attacks.Cases()
	names := make(map[string]bool)
	for _, c := range cases {
		if names[c.Name] {
			t.Errorf("two cases %q", c.Name)
		}
		names[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			got, length, caller, err := pass(g, c.Raw(world), gate.Options{})
			if code(err) != c.Code {
				t.Fatalf("got %s (%v), want %s", code(err), err, c.Code)
			}
			if (caller != nil) != c.Body {
				t.Errorf("let through to the body: %v, want %v", caller != nil, c.Body)
			}
			if length >= 0 && caller != nil && int64(len(got)) >= length {
				t.Errorf("a store would have got %d bytes of %d", len(got), length)
			}
			for _, k := range []attacks.Key{attacks.Owner, attacks.Reader, attacks.Writer, attacks.Tenant} {
				if e := s3err.From(err); strings.Contains(string(e.Document("/", "tx")), k.Secret) || strings.Contains(err.Error(), k.Secret) {
					t.Error("the error tells a secret")
				}
			}
		})
	}
	if len(cases) < 200 {
		t.Errorf("there are %d cases only", len(cases))
	}
}

// TestControls has requests that look like attacks pass, with their bodies whole.
func TestControls(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	for _, c := range attacks.Controls() {
		t.Run(c.Name, func(t *testing.T) {
			got, _, _, err := pass(g, c.Raw(world), gate.Options{})
			if err != nil {
				t.Fatalf("got %s (%v)", code(err), err)
			}
			if string(got) != c.Sent {
				t.Errorf("a store gets %d bytes, want %d", len(got), len(c.Sent))
			}
		})
	}
}

// TestSkipSignature has a route that compares no signatures let through exactly those attacks that need the comparison.
func TestSkipSignature(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	for _, c := range attacks.Cases() {
		_, _, _, err := pass(g, c.Raw(world), gate.Options{SkipSignature: true})
		got := code(err)
		if c.Code == "SignatureDoesNotMatch" || c.Code == "IncompleteBody" && strings.Contains(c.Name, "signature") {
			continue // what they would do is as may be
		}
		if got != c.Code {
			t.Errorf("%s: got %s, want %s: only signatures are not compared", c.Name, got, c.Code)
		}
	}
	for _, c := range attacks.Controls() {
		if got, _, _, err := pass(g, c.Raw(world), gate.Options{SkipSignature: true}); err != nil || string(got) != c.Sent {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// TestNothingSentSwitchesOff sends what a careless gateway could obey.
func TestNothingSentSwitchesOff(t *testing.T) {
	g := open(t, attacks.Identities("s3gateway"), nil)
	for _, target := range []string{"?skip", "?skip_signature_validation=true", "?uploadId=u", "?uploadId=u&partNumber=1", "?X-Amz-Expires=604800", "?x-id=GetObject", "?health"} {
		for _, header := range []string{"X-Skip-Signature: true", "Authorization: ", "Authorization: none", "X-Auth-Token: t", "Cookie: a=b", "Upgrade: h2c", "Expect: 100-continue"} {
			for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"} {
				_, _, _, err := pass(g, []byte(method+" /photos-1/2026/a"+target+" HTTP/1.1\r\nHost: h\r\n"+header+"\r\n\r\n"), gate.Options{AllowV2: true})
				if err == nil || errors.Is(err, io.EOF) {
					t.Fatalf("%s %s with %s is let through: %v", method, target, header, err)
				}
			}
		}
	}
}
