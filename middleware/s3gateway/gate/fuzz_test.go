package gate_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// what is what a signature of version 4 binds of a request's line.
func what(r *http.Request) string { return r.Method + " " + r.Host + " " + r.URL.Path }

// FuzzAdmit changes requests that pass: none passes that asks for something else, and no body ends well that is another.
func FuzzAdmit(f *testing.F) {
	g := open(f, attacks.Identities("s3gateway"), nil)
	var seeds [][]byte
	for _, c := range attacks.Controls() {
		seeds = append(seeds, c.Raw(world))
	}
	for _, c := range attacks.Cases() {
		if raw := c.Raw(world); len(raw) < 4<<10 {
			seeds = append(seeds, raw)
		}
	}
	// Some of the attacks are signed well, by somebody who has not the right.
	known := make(map[string]bool)
	for _, raw := range seeds {
		f.Add(raw)
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			continue
		}
		to, err := route.Address(r, domains)
		if err != nil {
			continue
		}
		if _, err := g.Admit(r, to, gate.Options{AllowV2: true}); err == nil {
			known[what(r)] = true
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, o := range []gate.Options{{AllowV2: true}, {AllowV2: true, SkipSignature: true}} {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				return
			}
			to, err := route.Address(r, domains)
			if err != nil {
				return
			}
			c, err := g.Admit(r, to, o)
			if err != nil {
				if code(err) == "InternalError" {
					t.Errorf("an error without a code: %v", err)
				}
				continue
			}
			if !o.SkipSignature && !known[what(r)] {
				t.Errorf("%s is let through", what(r))
			}
			if c.Authorize(r.Context()) != nil {
				continue
			}
			p, err := c.Body(r)
			if err != nil {
				continue
			}
			body, err := io.ReadAll(p.Reader)
			if sum := sha256.Sum256(body); err == nil && p.SHA256 != "" && hex.EncodeToString(sum[:]) != p.SHA256 {
				t.Errorf("a body with another hash ends well")
			}
			if err == nil && p.Length >= 0 && int64(len(body)) != p.Length {
				t.Errorf("a body of %d bytes ends well after %d", p.Length, len(body))
			}
			if err != nil && p.Length >= 0 && int64(len(body)) >= p.Length {
				t.Errorf("a body is given whole, and then wrong: %v", err)
			}
		}
	})
}
