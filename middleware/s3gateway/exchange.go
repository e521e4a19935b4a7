package s3gateway

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// An exchange is one request of a client and its answer.
type exchange struct {
	*filter
	w      http.ResponseWriter
	r      *http.Request
	state  *request.State
	target route.Target
	query  url.Values

	caller  *gate.Caller
	way     *way
	payload gate.Payload // what the client sends, once somebody has asked for it
	body    *clientBody  // the same, as it comes; nil if it sends none

	reading reading // what the read cache is to do

	started time.Time
	asked   string // the store that has answered
	status  int
}

// errNotOurs says that a request is for somebody further down the pipeline.
var errNotOurs = errors.New("not for the gateway")

// handle answers a request if it is one for the gateway. Otherwise it is false, and nothing has happened.
func (f *filter) handle(w http.ResponseWriter, r *http.Request) bool {
	target, err := route.Address(r, f.domains)
	if !f.routes.Names(target.Bucket) && !listsBuckets(r, target) || !f.meant(r) {
		return false
	}
	x := &exchange{filter: f, w: w, state: request.From(r.Context()), target: target, started: f.clock.Now()}
	if x.r, x.body = f.bounded(w, r); x.body != nil {
		defer x.body.leave()
	}
	x.identify()
	if err == nil {
		defer x.forget()
		err = x.serve()
	}
	if errors.Is(err, errNotOurs) {
		delete(w.Header(), requestID)
		if x.body != nil {
			x.body.release()
		}
		return false
	}
	if err != nil {
		x.fail(err)
	}
	x.note()
	return true
}

// listsBuckets says whether the request is for a list of buckets. That is the gateway's to answer for its identities even if no route
// is for requests that name no bucket: it has the buckets of all routes.
func listsBuckets(r *http.Request, target route.Target) bool {
	return target.Bucket == "" && r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

func (x *exchange) serve() error {
	if x.isPreflight() {
		return x.preflight()
	}
	if err := x.admit(); err != nil {
		return err
	}
	if x.target.Bucket == "" {
		return x.listBuckets()
	}
	if x.way == nil {
		return s3err.AccessDenied.With().Because(errNoRoute)
	}
	switch {
	case x.caller.Form != nil:
		return x.postForm()
	case x.caller.Operation.Source != nil:
		return x.copy(*x.caller.Operation.Source)
	case x.cacheable():
		return x.readCached()
	case x.way.route.Policy == route.Mirror:
		return x.mirror()
	}
	return x.forward()
}

var errNoRoute = errors.New("no route is for this identity, method and key")

// admit finds out who asks, which way the request goes, and whether it is allowed.
func (x *exchange) admit() error {
	claim, err := x.gate.Claim(x.r, x.target)
	if err != nil {
		if x.target.Bucket == "" && !x.alone && errors.Is(err, s3err.InvalidAccessKeyID) {
			return errNotOurs // somebody known further down asks for his own buckets
		}
		return x.nameRegion(err)
	}
	if x.query, err = url.ParseQuery(strings.ReplaceAll(claim.Query(), ";", "%3B")); err != nil {
		return s3err.InvalidURI.With("URI", x.r.URL.Path).Because(err)
	}
	var options gate.Options
	if x.way = x.find(claim.Operation.Way(), x.r.Method, claim.Identity.Name); x.way != nil {
		options = gate.Options{AllowV2: x.way.route.AllowV2, SkipSignature: x.way.route.Skip}
	}
	if x.target.Bucket == "" {
		options = x.forAll()
	}
	if x.caller, err = claim.Admit(options); err != nil {
		return x.nameRegion(err)
	}
	if x.caller.Operation.Deletes && x.routes.Particular(x.target.Bucket) {
		x.caller.CheckKey = x.goesSameWay
	}
	return x.caller.Authorize(x.r.Context())
}

// forAll is how a request may be signed that has to do with all routes: a list of buckets has those of each route whose
// clients may sign so.
func (x *exchange) forAll() gate.Options {
	o := gate.Options{SkipSignature: true}
	for _, r := range x.routes.Routes() {
		o.AllowV2 = o.AllowV2 || r.AllowV2
		o.SkipSignature = o.SkipSignature && r.Skip
	}
	return o
}

// accepts says whether the way takes the caller's signature, which was found good for another.
func (x *exchange) accepts(w *way) error {
	if x.way.route.Skip && !w.route.Skip || x.caller.Version == 2 && !w.route.AllowV2 {
		return s3err.AccessDenied.With().Because(errSignature)
	}
	return nil
}

var errSignature = errors.New("the route of the copy's source wants a better signature")

// goesSameWay refuses a key that is to be deleted with others, and would go another way alone.
func (x *exchange) goesSameWay(key string) error {
	if x.find(route.Target{Bucket: x.target.Bucket, Key: key}, http.MethodDelete, x.caller.Identity.Name) != x.way {
		return s3err.AccessDenied.With("Key", key).Because(errNoRoute)
	}
	return nil
}

// isPreflight says whether a browser asks whether a page may send a request. It cannot sign that.
func (x *exchange) isPreflight() bool {
	h := x.r.Header
	return x.r.Method == http.MethodOptions && h.Get("Origin") != "" && h.Get("Access-Control-Request-Method") != "" && h.Get("Authorization") == ""
}

// preflight has the store say what it allows: it is asked just what anybody may ask it.
func (x *exchange) preflight() error {
	r := x.routes.First(x.target, x.r.Header.Get("Access-Control-Request-Method"))
	if r == nil {
		return s3err.AccessDenied.With().Because(errNoRoute)
	}
	x.way = x.ways[r]
	h := make(http.Header)
	for _, name := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
		if values := x.r.Header[name]; values != nil {
			h[name] = values
		}
	}
	resp, from, err := x.way.group.Do(x.r.Context(), upstream.Call{
		Method: http.MethodOptions, Bucket: r.Bucket(x.target.Bucket), Key: x.target.Key, Header: h, Unsigned: true,
	})
	if err != nil {
		return x.unanswered(err)
	}
	return x.answer(resp, from)
}

// plain says whether the request has no parameters that say anything: SDKs name the operation in one.
func (x *exchange) plain() bool { return len(x.query) == 0 || len(x.query) == 1 && x.query.Has("x-id") }

// find returns the way of a request, nil if there is none.
func (x *exchange) find(t route.Target, method, identity string) *way {
	return x.ways[x.routes.Find(t, method, identity)]
}

// nameRegion adds the header that tells SDKs in which region to try again.
func (x *exchange) nameRegion(err error) error {
	e := s3err.From(err)
	if errors.Is(e, s3err.AuthorizationHeaderMalformed) || errors.Is(e, s3err.AuthorizationQueryParameters) {
		return e.WithHeader("x-amz-bucket-region", x.config.Region)
	}
	return e
}

// forward has a store of the way answer.
func (x *exchange) forward() error {
	call, err := x.call()
	if err != nil {
		return err
	}
	resp, from, err := x.send(call)
	if err != nil {
		return x.unanswered(err)
	}
	return x.answer(resp, from)
}

// send sends a call to the store that its query names, or else to one of the way's, and once more to where that store says the
// bucket is, if nothing of a body has been sent.
func (x *exchange) send(c upstream.Call) (*http.Response, *upstream.Upstream, error) {
	group := x.way.group
	if store, query := x.way.named(c.Query); store != nil {
		group, c.Query = store, query
	}
	return x.sendTo(group, c)
}

// sendTo is send to the stores of a group.
func (x *exchange) sendTo(group *upstream.Group, c upstream.Call) (*http.Response, *upstream.Upstream, error) {
	resp, from, err := group.Do(x.r.Context(), c)
	if err != nil || c.Body != nil || c.Document != nil {
		return resp, from, err
	}
	place, ok := from.Redirection(resp, c)
	if !ok {
		return resp, from, nil
	}
	resp.Body.Close()
	x.log.Info("a store says that a bucket is elsewhere; give the upstream that endpoint and region", "upstream", from.Name(), "bucket", c.Bucket,
		"region", place.Region)
	c.Place = &place
	resp, err = from.Send(x.r.Context(), c)
	return resp, from, err
}
