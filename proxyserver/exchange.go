package proxyserver

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/proxyserver/fanout"
)

// exchange is one request on its way through a controller. Client headers are not changed: what nodes are to get is
// built from copies.
type exchange struct {
	*App
	w     http.ResponseWriter
	r     *http.Request
	state *request.State
	path  apipath.Path
	noun  controller
	// policy is the index of the object's policy, once it is known. Filters learn it from the answer, whatever that is.
	policy string
}

// response is what a handler answers.
type response struct {
	status int
	header http.Header
	body   fanout.Body // nil if there is none
}

// handler answers one method. An error is an answer too, see package reply.
type handler struct {
	method string
	serve  func(*exchange) (*response, error)
	// delayed says that a denial is not final: the handler asks again when it knows the container's ACL.
	delayed bool
	// private methods are for requests from within the cluster.
	private bool
}

// controller is what serves a noun.
type controller struct {
	handlers []handler
	cors     bool
}

func (c controller) allowed(private bool) []string {
	var names []string
	for _, h := range c.handlers {
		if !h.private || private {
			names = append(names, h.method)
		}
	}
	return names
}

// servePath serves the API.
func (a *App) servePath(w http.ResponseWriter, r *http.Request) {
	x := &exchange{App: a, w: w, r: withHyphens(r), state: request.From(r.Context())}
	x.expectBody()
	resp, err := x.route()
	if err != nil {
		resp = x.refusal(err)
	}
	x.send(resp)
}

// withHyphens renames headers with underscores, which Swift does not tell from hyphens: what gatekeeper let pass under
// one name must not mean something else under the other when a node in Python reads it.
func withHyphens(r *http.Request) *http.Request {
	clean := true
	for name := range r.Header {
		if strings.IndexByte(name, '_') >= 0 {
			clean = false
		}
	}
	if clean {
		return r
	}
	h := make(http.Header, len(r.Header))
	for name, v := range r.Header {
		if strings.IndexByte(name, '_') < 0 {
			h[name] = v
			continue
		}
		name = http.CanonicalHeaderKey(meta.FromClient(name))
		if _, taken := r.Header[name]; !taken && !meta.IsInternal(name) {
			h[name] = v
		}
	}
	r2 := *r
	r2.Header = h
	return &r2
}

// route finds and runs the handler, making the checks that all have in common in Swift's order.
func (x *exchange) route() (*response, error) {
	if x.r.URL.Path == "" {
		// The target of CONNECT is no path, and an absolute URL may lack one.
		return nil, reply.Status(http.StatusNotFound)
	}
	if !apipath.ValidUTF8(x.r.URL.Path, truthy(x.r, "X-Backend-Allow-Reserved-Names")) {
		return nil, reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	if err := x.parse(); err != nil {
		return nil, err
	}
	if x.hostDenied(x.r.Host) {
		return nil, reply.Raw(http.StatusForbidden, "Invalid host header")
	}
	err := apipath.CheckReserved(x.path.Account, x.path.Container, x.path.Object, x.cluster.Limits.AutoCreateAccountPrefix)
	if err != nil {
		if e, ok := err.(*apipath.ReservedError); ok {
			return nil, reply.Raw(http.StatusBadRequest, e.Text())
		}
		return nil, err
	}
	if x.state.TransID == "" {
		x.state.TransID = x.transID()
	}
	c := x.controller()
	x.noun = c
	private := truthy(x.r, "X-Backend-Allow-Private-Methods")
	i := slices.IndexFunc(c.handlers, func(h handler) bool { return h.method == x.r.Method && (private || !h.private) })
	if i < 0 {
		return nil, methodNotAllowed(c.allowed(private))
	}
	h := c.handlers[i]
	if again := x.state.Authorize; again != nil {
		switch err := again(x.r); {
		case err == nil:
			// Once is enough; and what the handler learns of the container must not revoke it.
			x.state.Authorize = nil
			defer func() { x.state.Authorize = again }()
		case !h.delayed:
			return nil, err
		}
	}
	if c.cors && x.r.Header.Get("Origin") != "" && x.r.Method != http.MethodOptions {
		return x.withCORS(h.serve)
	}
	return h.serve(x)
}

func methodNotAllowed(allowed []string) error {
	return reply.Status(http.StatusMethodNotAllowed).With("Allow", strings.Join(allowed, ", "))
}

// parse takes the path apart.
func (x *exchange) parse() error {
	p, err := apipath.Parse(x.r.URL.Path)
	x.path = p
	switch {
	case err != nil && p.Version == "":
		return reply.Status(http.StatusNotFound).Because(err)
	case p.Account != "" && !apipath.ValidVersion(p.Version, x.cluster.Limits.ValidAPIVersions):
		return reply.Status(http.StatusBadRequest)
	case err != nil || p.Account == "":
		return reply.Raw(http.StatusPreconditionFailed, "Bad URL").Because(err)
	}
	return nil
}

func (x *exchange) controller() controller {
	switch x.path.Level() {
	case apipath.LevelObject:
		return objectController
	case apipath.LevelContainer:
		return containerController
	}
	if x.config.AllowAccountManagement {
		return accountController
	}
	return managedAccountController
}

// truthy says whether a header of the request is one of Swift's words for yes.
func truthy(r *http.Request, name string) bool {
	v := r.Header[name]
	return len(v) > 0 && meta.Truthy(v[0])
}

// authorize asks the auth filter again, now that the container's ACL is known.
func (x *exchange) authorize(acl lookup.Text) error {
	x.state.ACL = string(acl)
	if x.state.Authorize == nil {
		return nil
	}
	return x.state.Authorize(x.r)
}

// account looks an account up. Autocreated accounts that only pretend to be there do not exist.
func (x *exchange) account() *lookup.Account {
	return lookup.GetAccount(x.r, x.subrequest(x.config.AccountSkipCachePct), x.path.Account)
}

// checkAccount answers 404 if there is no such account. Whether there is cannot be told while its nodes fail: Swift says 404
// then as well, to which clients might answer by throwing away what they think has gone.
func (x *exchange) checkAccount() error {
	switch a := x.account(); {
	case a.Exists() && a.ReallyExists:
		return nil
	case a.Status >= 500:
		return reply.Status(http.StatusServiceUnavailable)
	}
	return reply.Status(http.StatusNotFound)
}

func (x *exchange) container() *lookup.Container {
	return lookup.GetContainer(x.r, x.subrequest(x.config.ContainerSkipCachePct), x.path.Account, x.path.Container)
}

func (x *exchange) subrequest(skip float64) lookup.Subrequest {
	return lookup.Subrequest{Next: x.App, SkipCache: x.skipCache(skip)}
}

// autoCreated says whether the account belongs to the cluster itself and need not have been created.
func (x *exchange) autoCreated() bool {
	return strings.HasPrefix(x.path.Account, x.cluster.Limits.AutoCreateAccountPrefix)
}

// nameLimit is doubled for the cluster's own accounts, which put prefixes before names.
func (x *exchange) nameLimit(limit int) int {
	if x.autoCreated() {
		return 2 * limit
	}
	return limit
}

// tooLong is the refusal of a name. Names are measured in characters, as Swift does: nodes must take what its proxies take.
func tooLong(what string, name string, limit int) *reply.Error {
	return reply.Raw(http.StatusBadRequest, what+" name length of "+strconv.Itoa(utf8.RuneCountInString(name))+" longer than "+strconv.Itoa(limit))
}

// checkMeta applies the limits on metadata.
func (x *exchange) checkMeta(k meta.Kind) error {
	return textError(meta.Check(k, x.r.Header, x.cluster.Limits))
}

// textError makes a refusal of headers an answer.
func textError(err error) error {
	if e, ok := err.(interface{ Text() string }); ok {
		return plain(http.StatusBadRequest, e.Text()).Because(err)
	}
	return err
}

// clientHeaders copies the client's headers for a node: reads and all requests for objects carry them.
func (x *exchange) clientHeaders() http.Header {
	h := make(http.Header, len(x.r.Header)+8)
	for k, v := range x.r.Header {
		switch k {
		case "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Keep-Alive", "Te", "Trailer", "Upgrade":
			continue // between the client and this process only
		}
		h[k] = v
	}
	if v, ok := h["X-Storage-Token"]; ok && len(h["X-Auth-Token"]) == 0 {
		h["X-Auth-Token"] = v
	}
	if x.r.Host != "" {
		h["Host"] = []string{x.r.Host}
	}
	return h
}

// sign adds what every request to a node carries.
func (x *exchange) sign(h http.Header, rawQuery string) http.Header {
	if len(h["X-Timestamp"]) == 0 {
		h["X-Timestamp"] = []string{x.now().Internal()}
	}
	h["X-Trans-Id"] = []string{x.state.TransID}
	h["User-Agent"] = []string{x.agent}
	scheme := "http"
	if x.r.TLS != nil {
		scheme = "https"
	}
	referer := x.r.Method + " " + scheme + "://" + x.r.Host + apipath.Quote(x.r.URL.Path)
	if rawQuery != "" {
		referer += "?" + rawQuery
	}
	h["Referer"] = []string{referer}
	return h
}

// writeHeaders are those of a write to an account or container: of the client's, those that are stored, and those from
// within the cluster.
func (x *exchange) writeHeaders(k meta.Kind, settable []string) http.Header {
	h := http.Header{}
	for name, v := range x.r.Header {
		if strings.HasPrefix(name, "X-Backend-") {
			h[name] = v
		}
	}
	src := x.r.Header
	if !x.state.Owner && k == meta.Container {
		src = x.withoutOwners(src)
	}
	meta.Transfer(k, h, src, settable)
	return x.sign(h, x.r.URL.RawQuery)
}

// withoutOwners drops what only owners may set, and show.
func (a *App) withoutOwners(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for k, v := range h {
		if !a.owners[k] && !a.owners[http.CanonicalHeaderKey(strings.Replace(k, "X-Remove-", "X-", 1))] {
			out[k] = v
		}
	}
	return out
}

// newest says whether the client wants all nodes to be asked.
func (x *exchange) newest() bool { return truthy(x.r, "X-Newest") }

// read asks nodes and makes a response of the answer.
func (x *exchange) read(t fanout.Target, h http.Header) *response {
	ans := x.nodes.Read(x.r.Context(), t, x.r.Method, h, x.newest())
	if !ans.Good {
		return x.fromVerdict(ans)
	}
	resp := &response{status: ans.Status, header: ans.Header, body: ans.Body}
	cleanHeaders(resp.header)
	resp.header["Accept-Ranges"] = []string{"bytes"}
	if i := resp.header.Get("X-Backend-Storage-Policy-Index"); i != "" && ans.Status < 300 {
		x.namePolicy(resp.header, i)
	}
	return resp
}

// namePolicy adds the name of the policy that a container has.
func (x *exchange) namePolicy(h http.Header, index string) {
	if i, ok := policy.ParseIndex(index); ok {
		if p, ok := x.cluster.Policies.ByIndex(i); ok {
			h["X-Storage-Policy"] = []string{p.Name}
			return
		}
	}
	x.log.Error("no policy with the index that a container has", "index", index, "path", x.r.URL.Path)
}

// cleanHeaders makes a node's headers those of an answer to a client.
func cleanHeaders(h http.Header) {
	for _, k := range []string{"Date", "Connection", "X-Put-Timestamp", "X-Delete-After", "Transfer-Encoding"} {
		delete(h, k)
	}
	// A node in this process may spell it so, to keep it with 204.
	//lint:ignore SA1008 this very spelling is meant
	if v, ok := h["content-length"]; ok {
		delete(h, "content-length")
		h["Content-Length"] = v
	}
	if v := h["Etag"]; len(v) > 0 && strings.Contains(v[0], `"`) {
		h["Etag"] = []string{strings.ReplaceAll(v[0], `"`, "")}
	}
}

// write sends a request to all replicas.
func (x *exchange) write(t fanout.Target, w fanout.Write) *response {
	return x.fromVerdict(x.nodes.Write(x.r.Context(), t, w))
}

// verdictPage is the text of what nodes have agreed upon: theirs, even if it is none, or the usual page where they do
// not agree.
func verdictPage(ans *fanout.Answer) *reply.Error {
	if ans.NoQuorum {
		return reply.Status(ans.Status)
	}
	return reply.Raw(ans.Status, ans.Text())
}

// plain is a refusal in plain text. Swift does not name a charset there.
func plain(code int, text string) *reply.Error {
	return &reply.Error{Code: code, Type: "text/plain", Body: text}
}

// fromVerdict makes a response of what nodes have agreed upon.
func (x *exchange) fromVerdict(ans *fanout.Answer) *response {
	resp := x.refusal(verdictPage(ans))
	for k, v := range ans.Header {
		if k != "Content-Type" && k != "Content-Length" {
			resp.header[k] = v
		}
	}
	cleanHeaders(resp.header)
	if i := ans.Header.Get("X-Backend-Storage-Policy-Index"); i != "" && ans.Status < 300 && isRead(x.r.Method) {
		x.namePolicy(resp.header, i)
	}
	return resp
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// refusal makes a response of an error.
func (x *exchange) refusal(err error) *response {
	e := reply.As(err)
	if e.Code == http.StatusInternalServerError {
		x.log.Error("request failed", "method", x.r.Method, "path", x.r.URL.Path, "txn", x.state.TransID, "err", err)
	}
	resp := &response{status: e.Code, header: http.Header{}}
	for k, v := range e.Header {
		resp.header[k] = v
	}
	if e.Code == http.StatusUnauthorized && resp.header.Get("Www-Authenticate") == "" {
		resp.header["Www-Authenticate"] = []string{reply.Challenge(x.r.URL.Path)}
	}
	resp.header["Content-Type"] = []string{e.Type}
	resp.header["Content-Length"] = []string{strconv.Itoa(e.Length(x.r.Method))}
	if e.Body != "" {
		resp.body = fanout.TextBody(e.Body) // not sent as an answer to HEAD
	}
	return resp
}

// send writes the response. A body that breaks off ends in a cut connection.
func (x *exchange) send(resp *response) {
	if resp.body != nil {
		defer resp.body.Close()
	}
	h := x.w.Header()
	for k, v := range resp.header {
		h[k] = v
	}
	if x.policy != "" {
		h[headerPolicy] = []string{x.policy}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // a node that gave none has none: net/http is not to guess
	}
	x.w.WriteHeader(resp.status)
	if resp.body == nil || x.r.Method == http.MethodHead || resp.status == http.StatusNoContent || resp.status == http.StatusNotModified {
		return
	}
	if _, err := io.Copy(x.w, resp.body); err != nil {
		if x.r.Context().Err() == nil {
			x.log.Warn("body broke off", "method", x.r.Method, "path", x.r.URL.Path, "txn", x.state.TransID, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}
