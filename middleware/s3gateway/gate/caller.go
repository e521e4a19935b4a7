package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// Allows says whether the caller's identity has the rights for a key, or, without a key, for the bucket itself. It is for what
// is not the request's own operation, which Authorize is for.
func (c *Caller) Allows(a Access, bucket, key string) error {
	if !c.Identity.allows(a, bucket, key) {
		return denied("identity %s has not the right: want %s", c.Identity.Name, a)
	}
	return nil
}

// Authorize says whether the request may be made: by the identity's rights, and by the operator's function if it has one, which
// may take rights away and can give none. A copy's source must be readable. The keys that a body names come later, in Body.
func (c *Caller) Authorize(ctx context.Context) error {
	o := &c.Operation
	if err := c.Identity.permits(o); err != nil {
		return err
	}
	if err := c.ask(ctx, o.Target.Bucket, o.Method, o.Target.Key); err != nil {
		return err
	}
	if s := o.Source; s != nil {
		return c.ask(ctx, s.Bucket, http.MethodGet, s.Key)
	}
	return nil
}

// ask asks the operator's function. Where there is none, there is no objection.
func (c *Caller) ask(ctx context.Context, bucket, method, key string) error {
	authorize := c.Identity.functions.Authorize
	if authorize == nil {
		return nil
	}
	ok, err := authorize(ctx, c.Token, bucket, method, key)
	switch {
	case errors.Is(err, callable.ErrUnknown) || err == nil && !ok:
		return denied("the functions %s of identity %s say no", c.Identity.Callable, c.Identity.Name)
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return s3err.ServiceUnavailable.With().Because(fmt.Errorf("ask whether a request is allowed: %w", err))
	}
	return nil
}
