package s3api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/internal/subreq"
)

// A signature is what a request says of who signed it, in either version.
type signature struct {
	*request.S3
	v4 *sigv4.Signature // nil of version 2
	// key is that of version 4 with which the signature was found good; the chunks of a streamed body are signed with it.
	key       sigv4.Key
	presigned bool
	mismatch  error // what the client is told if the signature is wrong
}

// parseSignature reads the signature and checks all of it that needs no secret.
func (f *filter) parseSignature(r *http.Request, hosted string) (*signature, error) {
	now := f.clock.Now()
	if sigv4.Recognise(r) {
		sig, err := sigv4.Parse(r, sigv4.Rules{Now: now, Skew: f.config.ClockSkew.Duration, Region: f.config.Location})
		if err != nil {
			return nil, f.nameRegion(err)
		}
		s := &signature{v4: sig, presigned: sig.Presigned}
		s.S3 = &request.S3{
			AccessKey: sig.AccessKey, Signature: sig.Given(), StringToSign: sig.StringToSign(), Version: 4,
			Check: func(secret string) bool {
				s.key = f.keys.Get(secret, sig.Scope)
				s.mismatch = sig.Verify(s.key)
				return s.mismatch == nil
			},
		}
		return s, noToken(sig.SecurityToken)
	}
	if lines, ok := r.Header["Authorization"]; ok && !strings.HasPrefix(lines[0], "AWS ") {
		if strings.TrimSpace(lines[0]) == "" {
			return nil, s3err.AccessDenied.With()
		}
		return nil, s3err.InvalidArgument.Say("Unsupported Authorization Type", "ArgumentName", "Authorization")
	}
	sig, err := sigv2.Parse(r, sigv2.Rules{Now: now, Skew: f.config.ClockSkew.Duration, Bucket: hosted})
	if err != nil {
		return nil, err
	}
	if sig.Presigned && sig.Time.Unix() >= latest {
		return nil, s3err.AccessDenied.Say("Invalid date (should be seconds since epoch): " + r.URL.Query().Get("Expires"))
	}
	s := &signature{presigned: sig.Presigned}
	s.S3 = &request.S3{
		AccessKey: sig.AccessKey, Signature: sig.Given(), StringToSign: sig.StringToSign(), Version: 2,
		Check: func(secret string) bool {
			s.mismatch = sig.Verify(secret)
			return s.mismatch == nil
		},
	}
	return s, noToken(sig.SecurityToken)
}

// latest is when a request that is presigned by version 2 expires at the latest, in seconds since 1970: more is a client that
// counts in something else. Swift's bound, 2038, is too near.
const latest = 1 << 32

// noToken refuses tokens of temporary credentials: there are none here, and one that is not checked proves nothing.
func noToken(token string) error {
	if token != "" {
		return s3err.InvalidToken.With()
	}
	return nil
}

// nameRegion adds the header that tells SDKs in which region to try again.
func (f *filter) nameRegion(err error) error {
	e := s3err.From(err)
	if errors.Is(e, s3err.AuthorizationHeaderMalformed) || errors.Is(e, s3err.AuthorizationQueryParameters) {
		return e.WithHeader("x-amz-bucket-region", f.config.Location)
	}
	return e
}

// anonymous says whether an S3 request is nobody's. Such a request does not say whose bucket it means: there is one account
// for all, if the operator has named it.
func (f *filter) anonymous(r *http.Request) bool {
	return f.config.AnonymousAccount != "" && !f.signed(r)
}

// meantForS3 says whether a request that is not signed is one for S3: an anonymous one, or a form whose policy is signed.
func (f *filter) meantForS3(r *http.Request) bool {
	if f.swiftPath(r.URL.Path) || r.Method == http.MethodOptions || hasToken(r) {
		return false
	}
	res, err := f.address(r, f.hostBucket(r))
	if err != nil || res.bucket == "" || slices.Contains(notBuckets, res.bucket) {
		return false
	}
	return f.config.AnonymousAccount != "" || f.isForm(r)
}

// notBuckets are the beginnings of paths that other filters and the proxy answer.
var notBuckets = []string{"auth", "info", "endpoints", "healthcheck"}

// tokens are Swift's, and what one is asked for with, wherever the operator has put that.
var tokens = []string{"X-Auth-Token", "X-Storage-Token", "X-Service-Token", "X-Auth-User", "X-Storage-User"}

func hasToken(r *http.Request) bool {
	return slices.ContainsFunc(tokens, func(name string) bool { _, ok := r.Header[name]; return ok })
}

// vouches says whether whoever has signed the request has signed the header, or has sent it himself.
// Nobody has signed an anonymous request, so all of it is its sender's.
func (s *signature) vouches(header string) bool {
	return s == nil || !s.presigned || s.v4 != nil && slices.Contains(s.v4.SignedHeaders, strings.ToLower(header))
}

// authenticate asks the auth filter who has signed. What it finds out is inherited by all that the exchange sends.
func (x *exchange) authenticate() error {
	if x.sig == nil {
		x.account = x.config.AnonymousAccount
		return nil
	}
	probe := subreq.New(x.r, subreq.Options{Method: http.MethodGet, Path: "/v1", Source: logSource})
	state := request.From(probe.Context())
	state.S3, state.Log.Done = x.sig.S3, true
	resp, err := subreq.Small(x.next, probe, 64<<10)
	switch {
	case err != nil:
		return err
	case x.sig.Account != "" && resp.OK():
		x.state.S3, x.state.User, x.state.Reseller = state.S3, state.User, state.Reseller
		x.state.Authorize, x.state.CleanACL = state.Authorize, state.CleanACL
		x.account = x.sig.Account
		return nil
	case resp.Code >= http.StatusInternalServerError:
		return s3err.ServiceUnavailable.With()
	case !x.sig.Known:
		return s3err.InvalidAccessKeyID.With("AWSAccessKeyId", x.sig.AccessKey)
	case x.sig.mismatch != nil:
		return x.sig.mismatch
	}
	return s3err.SignatureDoesNotMatch.With("AWSAccessKeyId", x.sig.AccessKey)
}
