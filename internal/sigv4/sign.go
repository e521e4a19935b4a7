package sigv4

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
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
	today       atomic.Pointer[day]
}

// NewSigner returns a signer for S3. The token is that of temporary credentials, otherwise empty.
func NewSigner(accessKey, secret, token, region string) *Signer {
	return &Signer{
		credentials: aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret, SessionToken: token},
		region:      region,
		service:     "s3",
		// S3 alone does not have paths escaped twice.
		sdk: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
	}
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

// prepare has the request presigned as it will be sent: the SDK signs the path as net/url writes it, and it leaves parameters out
// that net/url cannot read.
func prepare(r *http.Request) error {
	if err := singleHop(r); err != nil {
		return err
	}
	if _, err := recodePath(r); err != nil {
		return err
	}
	_, err := recodeQuery(r.URL.RawQuery)
	return err
}
