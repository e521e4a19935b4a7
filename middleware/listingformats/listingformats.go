// Package listingformats is the filter that shows listings as clients want them:
//
//	[filter.listing_formats]
//
// Inside the cluster, listings of accounts and containers are JSON. A client gets text, JSON or XML: by the parameter
// format (plain, json, xml; anything else means plain), else by the header Accept, else text. Accept headers that cannot
// be read are refused with 400, those that take none of the three with 406. An empty text is a 204.
//
// A listing of a form of its own, as ?versions gives one, goes through as it comes as well.
//
// JSON goes through as it comes, without being held. Text and XML are made of the whole page, since Content-Length and
// status depend on it. What is no listing goes through untouched: other statuses, other types than JSON, bodies without
// a length or longer than 20,480,000 bytes, and JSON of another shape.
//
// Names of the reserved namespace are left out of text and XML and logged, should a node have let them through.
//
// It must stand to the right of gatekeeper, and to the left of everything that makes or changes listings in JSON. A proxy
// adds it where it is missing.
package listingformats

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/pull"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// maxLength is the size of the largest listing, in bytes: names of 1024, 10,000 a page, and as much for the rest.
const maxLength = 1024 * 10000 * 2

// Filter is the definition.
var Filter = middleware.Define("listing_formats", Config{}, build).After("catch_errors", "gatekeeper")

// Config is the section of the filter, which has no options.
type Config struct{}

func build(h middleware.Host, _ Config) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return &filter{log: h.Log, versions: h.Cluster.Limits.ValidAPIVersions, next: next}
	}}, nil
}

type filter struct {
	log      *slog.Logger
	versions []string
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f.next.ServeHTTP(w, r)
		return
	}
	if p, err := apipath.Parse(r.URL.Path); err == nil && p.Level() == apipath.LevelObject {
		f.next.ServeHTTP(w, r) // as most are; to find that out by the error below costs more
		return
	}
	var buf [3]string
	path, err := apipath.Split(buf[:0], r.URL.Path, 2, 3)
	if err != nil || !apipath.ValidVersion(path[0], f.versions) {
		f.next.ServeHTTP(w, r)
		return
	}
	container := ""
	if len(path) > 2 {
		container = path[2]
	}
	f.list(w, r, path[1], container)
}

// list answers a request for the listing of an account, or of a container if its name is not empty.
func (f *filter) list(w http.ResponseWriter, r *http.Request, account, container string) {
	c := conversion{account: account, container: container, state: request.From(r.Context())}
	format, given := listing.Param(r.URL.RawQuery, "format")
	c.vary = !given
	var err error
	if c.mediaType, err = choose(format, r.Header["Accept"]); err != nil {
		reply.Write(w, r, err)
		return
	}
	c.reserved = config.Truthy(r.Header.Get("X-Backend-Allow-Reserved-Names"))
	inner := asJSON(r)
	if given && (c.mediaType != listing.TypeJSON || len(r.Header["Accept"]) > 0) {
		// Filters with listings of one form only have to know what the client takes.
		inner.Header = maps.Clone(r.Header)
		inner.Header["Accept"] = []string{c.mediaType}
	}
	if r.Method == http.MethodHead || c.mediaType == listing.TypeJSON {
		out := respw.OnHeader(w, func(code int, h http.Header) int {
			// The head of a 204 has no length on its way over a network; the body would tell whether it is a listing.
			if c.applies(code, h) && (r.Method == http.MethodHead || hasLength(h)) {
				h["Content-Type"] = []string{c.mediaType + "; charset=utf-8"}
				if r.Method == http.MethodHead {
					h["Content-Length"] = []string{"0"} // the true one is known only from the body
				}
			}
			return code
		})
		f.next.ServeHTTP(out, inner)
		out.Finish()
		return
	}
	f.convert(w, inner, c)
}

// choose decides on the media type; its errors are answers.
func choose(format string, accept []string) (string, error) {
	if !utf8.ValidString(format) {
		return "", &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: (&listing.ParamError{Name: "format"}).Text()}
	}
	mediaType, err := listing.Choose(format, strings.Join(accept, ","))
	switch {
	case errors.Is(err, listing.ErrAccept):
		return "", reply.Raw(http.StatusBadRequest, "Invalid Accept header").Because(err)
	case err != nil:
		return "", reply.Status(http.StatusNotAcceptable).Because(err)
	}
	return mediaType, nil
}

// asJSON returns the request for the same listing in JSON. The client's own request stays as it is, for the log.
func asJSON(r *http.Request) *http.Request {
	u := *r.URL
	u.RawQuery = forceJSON(u.RawQuery)
	inner := new(http.Request)
	*inner = *r
	inner.URL = &u
	return inner
}

func forceJSON(query string) string {
	var b strings.Builder
	b.Grow(len(query) + len("&format=json"))
	for pair := range strings.SplitSeq(query, "&") {
		if _, ok := listing.Param(pair, "format"); !ok && pair != "" {
			b.WriteString(pair)
			b.WriteByte('&')
		}
	}
	b.WriteString("format=json")
	return b.String()
}

// convert gets the listing in JSON and answers with another form of it.
func (f *filter) convert(w http.ResponseWriter, r *http.Request, c conversion) {
	res, err := pull.Do(f.next, r)
	if err != nil {
		// The app has given up before its head: so do we, whatever it was.
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	h := w.Header()
	for k, v := range res.Header {
		h[k] = v
	}
	if !c.applies(res.StatusCode, h) || !hasLength(h) {
		w.WriteHeader(res.StatusCode)
		if _, err := res.Body.(io.WriterTo).WriteTo(w); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	body := make([]byte, res.ContentLength)
	if _, err := io.ReadFull(res.Body, body); err != nil {
		panic(http.ErrAbortHandler) // half a listing must not look like a whole one
	}
	code := res.StatusCode
	if shown, hidden, err := c.render(body); err == nil {
		f.report(r, c, hidden)
		body = shown
		if len(body) == 0 {
			code = http.StatusNoContent
		}
		h["Content-Type"] = []string{c.mediaType + "; charset=utf-8"}
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(code)
	w.Write(body)
}

// report logs names that should not have come this far.
func (f *filter) report(r *http.Request, c conversion, hidden []string) {
	for _, name := range hidden {
		f.log.Warn("listing had a reserved name", "txn", request.From(r.Context()).TransID,
			"account", c.account, "container", c.container, "name", strconv.Quote(name))
	}
}

// A conversion is what is to be made of one listing.
type conversion struct {
	state              *request.State
	account, container string
	mediaType          string
	vary               bool // the answer depends on the Accept header
	reserved           bool // the client may see reserved names
}

// applies adds Vary where it belongs and says whether the response is a listing, by its head.
func (c conversion) applies(code int, h http.Header) bool {
	if code != http.StatusOK && code != http.StatusNoContent || c.state.RawListing {
		return false
	}
	if c.vary {
		varyOnAccept(h)
	}
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return kind == listing.TypeJSON
}

// hasLength says whether the body has a known length that can be held.
func hasLength(h http.Header) bool {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	return err == nil && n >= 0 && n <= maxLength
}

func varyOnAccept(h http.Header) {
	vary := h["Vary"]
	for _, v := range vary {
		if slices.ContainsFunc(config.SplitList(v), func(name string) bool { return strings.EqualFold(name, "Accept") }) {
			return
		}
	}
	if len(vary) == 0 {
		h["Vary"] = []string{"Accept"}
		return
	}
	// A copy: the slice may be the app's.
	vary = slices.Clone(vary)
	vary[len(vary)-1] += ", Accept"
	h["Vary"] = vary
}

// render makes text or XML of a listing in JSON; hidden are the names that were left out.
func (c conversion) render(body []byte) (shown []byte, hidden []string, err error) {
	entries, err := listing.Decode(body)
	if err != nil {
		return nil, nil, err
	}
	if !c.reserved {
		entries, hidden = listing.Visible(entries)
	}
	switch {
	case c.mediaType == listing.TypeText:
		shown, err = listing.RenderText(entries)
	case c.container != "":
		shown, err = listing.RenderXML(entries, listing.Container, c.container)
	default:
		shown, err = listing.RenderXML(entries, listing.Account, c.account)
	}
	return shown, hidden, err
}
