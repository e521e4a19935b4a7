package gate

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/postform"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// Options are what a route says of how its clients may sign.
type Options struct {
	AllowV2       bool // version 2 is good enough
	SkipSignature bool // signatures are not compared; for development
}

// A Claim is who a request says that it is from. Nothing of it is proved, but everything that needs no secret is checked: the
// form of the signature, its time, its scope, and that everything is signed that must be.
type Claim struct {
	Identity  *Identity
	Operation Operation

	gate   *Gate
	token  string
	secret string
	v4     *sigv4.Signature // nil if there is none
	v2     *sigv2.Signature
	params params
	header http.Header
	form   *form // nil if it is none
}

// String names the identity; the claim holds a secret.
func (c *Claim) String() string { return "claim of identity " + c.Identity.Name }

// GoString is String, so that no verb prints the secret.
func (c *Claim) GoString() string { return c.String() }

// Claim reads who a request says that it is from, and what it would do. The target is what route.Address made of it. The
// body is not touched, but for the fields of a browser's form, which say who has signed it.
func (g *Gate) Claim(r *http.Request, t route.Target) (*Claim, error) {
	c := &Claim{gate: g, header: r.Header}
	if err := c.parse(r, t); err != nil {
		return nil, err
	}
	if err := noTokens(r.Header, c.params); err != nil {
		return nil, err
	}
	var err error
	if c.form != nil {
		c.Operation = c.form.operation(t)
	} else if c.Operation, err = derive(r, t, c.params); err != nil {
		return nil, err
	}
	if c.token == "" {
		if c.Identity = g.anonymous; c.Identity == nil {
			return nil, denied("the request has no signature")
		}
		return c, nil
	}
	c.Identity, c.secret, err = g.find(r.Context(), c.token)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// parse reads the signature, of either version, and the query.
func (c *Claim) parse(r *http.Request, t route.Target) error {
	if err := disguised(r.Header); err != nil {
		return err
	}
	var err error
	if c.params, err = parseParams(r.URL.RawQuery); err != nil {
		return err
	}
	lines, inHeader := r.Header["Authorization"]
	inQuery, inQuery2 := c.params.get("X-Amz-Algorithm") != nil || c.params.get("X-Amz-Credential") != nil || c.params.get("X-Amz-Signature") != nil,
		c.params.get("AWSAccessKeyId") != nil || c.params.get("Signature") != nil
	rules := c.gate.deps
	switch {
	case inHeader && (inQuery || inQuery2) || inQuery && inQuery2:
		return s3err.InvalidArgument.Say("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, " +
			"Signature query string parameter or the Authorization header should be specified")
	case inQuery || inHeader && strings.HasPrefix(lines[0], "AWS4-"):
		c.v4, err = sigv4.Parse(r, sigv4.Rules{Now: rules.Clock.Now(), Skew: rules.Skew, Region: rules.Region})
		if err != nil {
			return err
		}
		c.token = c.v4.AccessKey
	case inQuery2 || inHeader && strings.HasPrefix(lines[0], "AWS "):
		hosted := ""
		if t.VirtualHost {
			hosted = t.Bucket
		}
		c.v2, err = sigv2.Parse(r, sigv2.Rules{Now: rules.Clock.Now(), Skew: rules.Skew, Bucket: hosted})
		if err != nil {
			return err
		}
		c.token = c.v2.AccessKey
		return c.signedByV2()
	case inHeader:
		return s3err.InvalidArgument.Say("Unsupported Authorization Type", "ArgumentName", "Authorization")
	case t.Bucket != "" && t.Key == "" && postform.Is(r):
		return c.parseForm(r, t)
	}
	return nil
}

// signedByV2 refuses parameters that decide what is done and that version 2 does not sign, so that anybody could add them.
func (c *Claim) signedByV2() error {
	for i := range c.params {
		p := &c.params[i]
		steers := p.kind == facts || p.kind == bucketFacts || p.kind == objectFacts || p.kind == lists || p.kind == unknown
		if steers && !slices.Contains(v2Signs, p.name) {
			return s3err.AccessDenied.Say("There were query parameters present in the request which version 2 does not sign", "ParametersNotSigned", p.name)
		}
	}
	return nil
}

var v2Signs = sigv2.SubResources()

// disguised refuses headers that are x-amz-* ones to servers that take _ for -, and others here: nobody would have checked them.
// In names of metadata it means nothing.
func disguised(h http.Header) error {
	for name := range h {
		if strings.IndexByte(name, '_') < 0 || len(name) >= len(metadata) && strings.EqualFold(name[:len(metadata)], metadata) {
			continue
		}
		if plain := strings.ToLower(strings.ReplaceAll(name, "_", "-")); strings.HasPrefix(plain, "x-amz-") {
			return s3err.AccessDenied.Say("There were headers present in the request which were not signed", "HeadersNotSigned", strings.ToLower(name))
		}
	}
	return nil
}

const metadata = "x-amz-meta-"

// noTokens refuses temporary credentials: there are none here, and a token that is not checked proves nothing.
func noTokens(h http.Header, ps params) error {
	if h["X-Amz-Security-Token"] != nil || ps.get("X-Amz-Security-Token") != nil {
		return s3err.InvalidToken.With()
	}
	return nil
}

// A Caller is who a request is from, proved.
type Caller struct {
	Identity *Identity
	// Token is the access key, "" of anonymous requests.
	Token string
	// Presigned says that the signature stands in the URL, which lives until Expires, or until its identity ends.
	Presigned bool
	Expires   time.Time
	// Version of the signature: 4, 2, or 0 of anonymous requests.
	Version int
	// Query is the request's, encoded, without what belongs to its signature. A copy's source is in Operation.Source alone.
	Query string
	// Operation is what the request would do.
	Operation Operation
	// CheckKey, if it is set before the body is asked for, is asked about each key that a document wants deleted.
	CheckKey func(key string) error
	// Form is what a browser's form says, nil if the request is none.
	Form *Form

	payload sigv4.Payload
	chain   *sigv4.Chain // nil if the signatures of chunks are not to be compared
}

// Query is the request's, encoded, without what belongs to its signature.
func (c *Claim) Query() string { return c.params.unsigned() }

// Admit proves a claim by its signature, and by all else that can be checked before the body.
func (c *Claim) Admit(o Options) (*Caller, error) {
	caller := &Caller{Identity: c.Identity, Token: c.token, Query: c.Query(), Operation: c.Operation}
	var err error
	switch {
	case c.form != nil:
		err = c.admitForm(caller, o)
	case c.v4 != nil:
		caller.Version, caller.Presigned, caller.payload = 4, c.v4.Presigned, c.v4.Payload
		if c.v4.Presigned {
			caller.Expires = c.v4.Time.Add(c.v4.Expires)
		}
		if !o.SkipSignature {
			key := c.gate.keys.Get(c.secret, c.v4.Scope)
			if err := c.v4.Verify(key); err != nil {
				return nil, err
			}
			if caller.payload.ChunksSigned() {
				caller.chain = c.v4.Chain(key)
			}
		}
	case c.v2 != nil:
		if !o.AllowV2 {
			return nil, noV2()
		}
		caller.Version, caller.Presigned = 2, c.v2.Presigned
		if c.v2.Presigned {
			caller.Expires = c.v2.Time
		}
		if !o.SkipSignature {
			if err := c.v2.Verify(c.secret); err != nil {
				return nil, err
			}
		}
		caller.payload, err = unsignedPayload(c.header)
	default:
		caller.payload, err = unsignedPayload(c.header)
	}
	if err != nil {
		return nil, err
	}
	return caller, caller.alive(c.gate.deps.Clock.Now())
}

func noV2() error {
	return awserr.New(awserr.InvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

// alive refuses an identity that has ended. Whoever hears so has proved that it is his.
func (c *Caller) alive(now time.Time) error {
	end := c.Identity.Expires
	if end.IsZero() {
		return nil
	}
	if !now.Before(end) {
		return s3err.AccessDenied.Say("The access key has expired.", "Expires", end.Format(time.RFC3339))
	}
	if c.Presigned && end.Before(c.Expires) {
		c.Expires = end
	}
	if c.Form != nil && end.Before(c.Form.Expires) {
		c.Form.Expires = end
	}
	return nil
}

// unsignedPayload is what a head says of its body that no signature of version 4 covers.
func unsignedPayload(h http.Header) (sigv4.Payload, error) {
	text := sigv4.UnsignedPayload
	if lines := h["X-Amz-Content-Sha256"]; len(lines) == 1 {
		text = lines[0]
	} else if len(lines) > 1 {
		return sigv4.Payload{}, s3err.InvalidArgument.Say("x-amz-content-sha256 is given more than once.", "ArgumentName", "x-amz-content-sha256")
	}
	p, err := sigv4.ParsePayload(text)
	if err == nil && p.ChunksSigned() {
		return p, s3err.InvalidRequest.Say("Signed chunks need a signature of version 4.")
	}
	return p, err
}
