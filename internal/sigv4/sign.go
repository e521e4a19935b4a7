package sigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// A Signer signs requests to one store for one user. It is for many goroutines.
type Signer struct {
	credentials aws.Credentials
	region      string
	service     string
	sdk         *v4.Signer
	keys        *Keys
}

// NewSigner returns a signer for S3. The token is that of temporary credentials, otherwise empty.
func NewSigner(accessKey, secret, token, region string) *Signer {
	return &Signer{
		credentials: aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret, SessionToken: token},
		region:      region,
		service:     "s3",
		// S3 alone does not have paths escaped twice.
		sdk:  v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		keys: NewKeys(4),
	}
}

// Sign signs a request in its Authorization header, and sets x-amz-date, x-amz-content-sha256 and the token's header. All its headers are
// signed but those that change on the way. The payload is a SHA-256 in hexadecimal or one of the modes. The path and the query
// are written anew, as they are signed; values of one parameter are sorted. The chain is for the chunks of a streamed body. It is an error if the query could
// not be sent as it is meant.
func (s *Signer) Sign(r *http.Request, payload string, at time.Time) (*Chain, error) {
	if err := prepare(r); err != nil {
		return nil, err
	}
	if _, err := ParsePayload(payload); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	r.Header.Set("X-Amz-Content-Sha256", payload)
	err := s.sdk.SignHTTP(context.Background(), s.credentials, r, payload, s.service, s.region, at)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	scope := NewScope(at, s.region, s.service)
	return &Chain{
		key:   s.keys.Get(s.credentials.SecretAccessKey, scope),
		at:    at.UTC().Format(timeFormat),
		scope: scope.String(),
		last:  signature,
	}, nil
}

// Presign returns a URL that does what the request says, for the time given, with any body. Some x-amz-* headers move to the
// query; the others and the host must be sent with the URL and are returned. The request does not change but for its path.
func (s *Signer) Presign(r *http.Request, expires time.Duration, at time.Time) (string, http.Header, error) {
	if err := prepare(r); err != nil {
		return "", nil, err
	}
	if expires < time.Second || expires > MaxExpires {
		return "", nil, fmt.Errorf("presign: valid for %v, must be a second to a week", expires)
	}
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("X-Amz-Expires", strconv.Itoa(int(expires/time.Second)))
	r.URL.RawQuery = query.Encode()
	link, header, err := s.sdk.PresignHTTP(context.Background(), s.credentials, r, UnsignedPayload, s.service, s.region, at)
	if err != nil {
		return "", nil, fmt.Errorf("presign: %w", err)
	}
	return link, header, nil
}

var errTwice = errors.New("sign: the query has a signature already")

// prepare has the request sent as it will be signed. The SDK signs the path as net/url writes it, while a store encodes more
// characters before it checks; and it leaves parameters out that net/url cannot read.
func prepare(r *http.Request) error {
	path, err := recode(r.URL.EscapedPath(), true)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	r.URL.RawPath = path
	if r.URL.Path, err = url.PathUnescape(path); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	for _, name := range []string{"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Algorithm"} {
		if values.Has(name) {
			return errTwice
		}
	}
	if slices.ContainsFunc([]string{"Connection", "Te", "Upgrade", "Proxy-Authorization"}, func(h string) bool { return r.Header.Get(h) != "" }) {
		return errors.New("sign: the request has headers of one connection alone")
	}
	return nil
}
