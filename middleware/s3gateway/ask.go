package s3gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// Everything that stores are asked goes through ask, whether a client wants it or the gateway. An answer goes on to the client by answer,
// or, if it is not for him, what is wrong with it by wrong.

// ask sends a call to the stores of a group, and once more to where one says that the bucket is, if nothing of a body has been sent.
// The error is what a client may be told; it wraps the *upstream.Error of a request that got no answer. The exchange stays as it is,
// so that this is for several goroutines.
func (x *exchange) ask(ctx context.Context, group *upstream.Group, c upstream.Call) (*http.Response, *upstream.Upstream, error) {
	resp, from, err := group.Do(ctx, c)
	if err != nil {
		return nil, from, silence(err)
	}
	if c.Body != nil || c.Document != nil {
		return resp, from, nil
	}
	place, ok := from.Redirection(resp, c)
	if !ok {
		return resp, from, nil
	}
	resp.Body.Close()
	x.log.Info("a store says that a bucket is elsewhere; give the upstream that endpoint and region", "upstream", from.Name(), "bucket", c.Bucket,
		"region", place.Region)
	c.Place = &place
	if resp, err = from.Send(ctx, c); err != nil {
		return nil, from, silence(err)
	}
	return resp, from, nil
}

// own is a call of the gateway's own, with the credentials that the client's calls have. The bucket is called as clients do.
func (x *exchange) own(method string, w *way, bucket, key string) upstream.Call {
	return upstream.Call{
		Method: method, Bucket: w.route.Bucket(bucket), Key: key, Header: make(http.Header),
		Token: x.caller.Token, Identity: x.caller.Identity.Name, ClientBucket: bucket,
	}
}

// only is one of the way's stores, as a group.
func (w *way) only(u *upstream.Upstream) *upstream.Group {
	if w.byTag == nil {
		return w.group
	}
	return w.byTag[tagOf(u.Name())]
}

// newest is the store of a mirror that has the last word.
func (w *way) newest() *upstream.Upstream { return w.group.Upstreams()[0] }

// mirrors says whether the way is a mirror.
func (w *way) mirrors() bool { return w.route.Policy == route.Mirror }

// silence says what a client is told of a store that has not answered.
func silence(err error) error {
	failed, ok := errors.AsType[*upstream.Error](err)
	if !ok {
		return err // refused before it was sent
	}
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

// unanswered is what the client is told of his own request, if that is what got no answer: it may be his body's fault.
func (x *exchange) unanswered(err error) error {
	if fault := x.fault(); fault != nil {
		x.abandonBody()
		return fault
	}
	failed, ok := errors.AsType[*upstream.Error](err)
	if !ok {
		return err
	}
	x.asked = failed.Upstream
	if !failed.Started {
		return err
	}
	x.abandonBody()
	if failed.Kind == upstream.Canceled { // who has gone has not sent all
		return s3err.IncompleteBody.With().Because(err)
	}
	return err
}

// wrong is what a client is told of an answer that the gateway wanted for itself, and that is no success.
func (x *exchange) wrong(resp *http.Response, from *upstream.Upstream) error {
	if err := x.refused(resp, from); err != nil {
		return err
	}
	return storeError(resp)
}
