package s3gateway

import (
	"errors"
	"io"
	"net/http"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// call makes of the client's request what a store is asked.
func (x *exchange) call() (upstream.Call, error) {
	payload, err := x.caller.Body(x.r)
	if err != nil {
		return upstream.Call{}, err
	}
	c := upstream.Call{
		Method: x.r.Method, Bucket: x.way.route.Bucket(x.target.Bucket), Key: x.target.Key, Query: x.caller.Query,
		Header: x.r.Header.Clone(), Length: payload.Length, SHA256: payload.SHA256, Checksum: payload.Checksum,
		Token: x.caller.Token, Identity: x.caller.Identity.Name, ClientBucket: x.target.Bucket, Expires: x.caller.Expires,
	}
	if payload.Length != 0 {
		x.body = &watched{r: payload.Reader}
		c.Body = x.body
	}
	delete(c.Header, "X-Amz-Expected-Bucket-Owner") // names an account at a store that the client does not know
	if x.createsBucket() {
		return x.createBucket(c)
	}
	return c, nil
}

// watched is the body of a client. It keeps the error that reading it gave, which tells whose fault a failure is.
type watched struct {
	r   io.Reader
	err error
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// fault is what the client did wrong, if it did.
func (b *watched) fault() error {
	if b == nil || b.err == nil {
		return nil
	}
	if _, ok := errors.AsType[*awserr.Error](b.err); ok {
		return b.err
	}
	if _, ok := errors.AsType[*s3err.Error](b.err); ok {
		return b.err
	}
	return s3err.IncompleteBody.With().Because(b.err)
}

// unanswered says what a client is told of a request that got no answer.
func (x *exchange) unanswered(err error) error {
	if fault := x.body.fault(); fault != nil {
		return fault
	}
	failed, ok := errors.AsType[*upstream.Error](err)
	if !ok {
		return err // refused before it was sent
	}
	x.asked = failed.Upstream
	e := s3err.ServiceUnavailable.Say("The store behind this endpoint cannot be reached. Please try again.")
	switch failed.Kind {
	case upstream.Credentials:
		e = s3err.ServiceUnavailable.Say("This endpoint has no credentials for the store at the moment. Please try again.")
	case upstream.Timeout:
		e = s3err.ServiceUnavailable.Say("The store behind this endpoint did not answer in time. Please try again.").WithStatus(http.StatusGatewayTimeout)
	case upstream.Broken:
		e = s3err.InternalError.Say("The store behind this endpoint broke off. Please try again.").WithStatus(http.StatusBadGateway)
	}
	return e.Because(err)
}
