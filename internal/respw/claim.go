package respw

import (
	"io"
	"net/http"
)

// A Claim decides which responses are not for the client.
type Claim interface {
	// ClaimHead returns where the body of a response is to go that is not for the client; nil lets it pass. It may keep h of
	// a response that it claims, if it takes a copy.
	ClaimHead(code int, h http.Header) io.Writer
}

// A Claimer keeps from the client what its Claim claims and passes all else on. The client's writer is as it was before
// when a response has been claimed: it can have another one. What passes costs next to nothing, which is what sets it
// apart from a Diverter: the handler writes its headers where the client's are.
type Claimer struct {
	client http.ResponseWriter
	claim  Claim
	header http.Header // the handler's, where the client's has something in it that a claim must not touch; else nil
	body   io.Writer   // of a response that has been claimed
	wrote  bool
}

// Begin readies c for one response.
func (c *Claimer) Begin(client http.ResponseWriter, claim Claim) {
	*c = Claimer{client: client, claim: claim}
	if len(client.Header()) > 0 {
		c.header = http.Header{}
	}
}

// Header returns the handler's header map.
func (c *Claimer) Header() http.Header {
	if c.header != nil {
		return c.header
	}
	return c.client.Header()
}

// Unwrap gives http.ResponseController the client's writer.
func (c *Claimer) Unwrap() http.ResponseWriter { return c.client }

// WriteHeader asks whether the response is claimed.
func (c *Claimer) WriteHeader(code int) {
	if c.wrote {
		return
	}
	if informational(code) {
		c.client.WriteHeader(code)
		return
	}
	c.wrote = true
	if c.body = c.claim.ClaimHead(code, c.Header()); c.body != nil {
		if c.header == nil {
			c.header = http.Header{} // for what the handler sets afterwards
			clear(c.client.Header())
		}
		return
	}
	if c.header != nil {
		dst := c.client.Header()
		for k, v := range c.header {
			dst[k] = v
		}
	}
	c.client.WriteHeader(code)
}

// Write sends p to the client, or where the claim has said.
func (c *Claimer) Write(p []byte) (int, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	if c.body != nil {
		return c.body.Write(p)
	}
	return c.client.Write(p)
}

// ReadFrom sends all of r to the client, or where the claim has said.
func (c *Claimer) ReadFrom(r io.Reader) (int64, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	if c.body != nil {
		return Copy(c.body, r)
	}
	return Copy(c.client, r)
}

// FlushError flushes what goes to the client.
func (c *Claimer) FlushError() error {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	if c.body != nil {
		return nil
	}
	return http.NewResponseController(c.client).Flush()
}

// Finish sends the head of a response whose handler wrote nothing.
func (c *Claimer) Finish() {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
}
