package proxyserver

import (
	"errors"
	"net/http"

	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/proxyserver/fanout"
)

// condition says on what a write of an object depends. docs/conditional-writes.md says what filters send.
type condition struct {
	// set is that there is one.
	set bool
	// loose allows the check that Swift makes, where nodes do not promise more: the condition is the client's own.
	loose bool
}

// condition reads that of a PUT or DELETE. If-Match of a client says nothing there, as in Swift.
func (x *exchange) condition() (condition, error) {
	w, set, err := conditional.ParseWrite(x.r.Header)
	if err != nil {
		return condition{}, plain(http.StatusBadRequest, "Invalid condition: "+err.Error())
	}
	if _, ok := x.r.Header["If-None-Match"]; !ok || x.r.Method != http.MethodPut {
		return condition{set: set}, nil
	}
	if !hasStar(meta.Value(x.r.Header, "If-None-Match")) {
		return condition{}, plain(http.StatusBadRequest, "If-None-Match only supports *")
	}
	if set && !w.Absent {
		return condition{}, plain(http.StatusBadRequest, "Invalid condition: conditions contradict each other")
	}
	return condition{set: true, loose: !set}, nil
}

// refuseCondition refuses a condition where none is enforced.
func (x *exchange) refuseCondition() error {
	if _, set, _ := conditional.ParseWrite(x.r.Header); set {
		return plain(http.StatusNotImplemented, "Conditions on "+x.r.Method+" are not implemented.")
	}
	return nil
}

// upload sends an object to its nodes.
func (x *exchange) upload(t fanout.Target, put fanout.Put, c condition) (*fanout.Answer, error) {
	if !c.set {
		ans, err := x.nodes.Put(x.r.Context(), t, put)
		return ans, putError(err)
	}
	conditioned := put
	if c.loose {
		conditioned.Headers = make([]http.Header, len(put.Headers))
		for i, h := range put.Headers {
			conditioned.Headers[i] = cloneShallow(h)
			conditioned.Headers[i][conditional.HeaderIfNoneMatch] = []string{"*"}
		}
	}
	ans, err := x.nodes.PutIf(x.r.Context(), t, conditioned)
	if c.loose && errors.Is(err, fanout.ErrUnpromised) {
		put.IfNoneMatch = true
		ans, err = x.nodes.Put(x.r.Context(), t, put)
		return ans, putError(err)
	}
	return ans, conditionError(err)
}

// conditionError makes an answer of what went wrong with a conditional write.
func conditionError(err error) error {
	switch {
	case errors.Is(err, fanout.ErrConflict):
		// Not 202: nobody could tell whether that is a success.
		return reply.Status(http.StatusConflict).Because(err)
	case errors.Is(err, fanout.ErrUnpromised):
		return plain(http.StatusNotImplemented, "Conditional writes are not implemented by the storage nodes.").Because(err)
	}
	return putError(err)
}

// deleteIf deletes an object on a condition.
func (x *exchange) deleteIf(p *place, h http.Header) (*response, error) {
	hs := x.spreadUpdates(x.sign(h, x.r.URL.RawQuery), p, p.target.Replicas(), nil)
	for _, h := range hs {
		h["Expect"] = []string{"100-continue"}
	}
	ans, err := x.nodes.DeleteIf(x.r.Context(), p.target, hs)
	if err != nil {
		return nil, conditionError(err)
	}
	return x.fromVerdict(ans), nil
}
