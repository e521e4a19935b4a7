package s3gateway

import (
	"errors"
	"net/http"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// call makes of the client's request what a store is asked.
func (x *exchange) call() (upstream.Call, error) {
	var err error
	if x.payload, err = x.caller.Body(x.r); err != nil {
		return upstream.Call{}, err
	}
	payload := x.payload
	c := upstream.Call{
		Method: x.r.Method, Bucket: x.way.route.Bucket(x.target.Bucket), Key: x.target.Key, Query: x.caller.Query,
		Header: x.r.Header, Length: payload.Length, SHA256: payload.SHA256, Checksum: payload.Checksum,
		Token: x.caller.Token, Identity: x.caller.Identity.Name, ClientBucket: x.target.Bucket, Expires: x.caller.Expires,
	}
	if payload.Length != 0 {
		c.Body = x.watchDeletes(payload.Reader)
	}
	if x.createsBucket() {
		return x.createBucket(c)
	}
	return c, nil
}

// fault is what was wrong with the body of the client, if anything was.
func (x *exchange) fault() error {
	err := x.payload.Err()
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*awserr.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*s3err.Error](err); ok {
		return err
	}
	return s3err.IncompleteBody.With().Because(err)
}

// unanswered says what a client is told of a request that got no answer.
func (x *exchange) unanswered(err error) error {
	if fault := x.fault(); fault != nil {
		x.abandonBody()
		return fault
	}
	failed, ok := errors.AsType[*upstream.Error](err)
	if !ok {
		return err // refused before it was sent
	}
	x.asked = failed.Upstream
	if failed.Started {
		x.abandonBody()
	}
	e := s3err.ServiceUnavailable.Say("The store behind this endpoint cannot be reached. Please try again.")
	switch failed.Kind {
	case upstream.Canceled:
		if failed.Started { // who has gone has not sent all
			return s3err.IncompleteBody.With().Because(err)
		}
	case upstream.Credentials:
		e = s3err.ServiceUnavailable.Say("This endpoint has no credentials for the store at the moment. Please try again.")
	case upstream.Timeout:
		e = s3err.ServiceUnavailable.Say("The store behind this endpoint did not answer in time. Please try again.").WithStatus(http.StatusGatewayTimeout)
	case upstream.Broken:
		e = s3err.InternalError.Say("The store behind this endpoint broke off. Please try again.").WithStatus(http.StatusBadGateway)
	}
	return e.Because(err)
}

// abandonBody ends the reading of the client's body, which the connection to the store may still be at: nobody can answer before it
// ends. The connection cannot be used again.
func (x *exchange) abandonBody() {
	x.w.Header().Set("Connection", "close")
	if x.body != nil {
		x.body.abandon()
	}
}
