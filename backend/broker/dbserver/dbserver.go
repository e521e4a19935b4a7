// Package dbserver is what the account server and the container server share: their common options, the checks that
// every request passes, the mapping of broker errors to statuses, and the log line.
//
// It knows neither accounts nor containers; the servers' own verbs are functions from a [Call] to an answer.
//
//	frame := dbserver.Frame{Config: cfg.Config, Deps: deps, Most: apipath.LevelContainer, Verbs: verbs}
//	http.Handle("/", &frame)
package dbserver

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// Config holds the options that the account server and the container server share.
type Config struct {
	// Directory that holds one directory per device.
	Devices string `toml:"devices"`
	// Refuse (507) a device whose directory is not a mount point: its disk is missing.
	MountCheck bool `toml:"mount_check"`
	// Refuse (507) writes to a device with less free space than this: bytes, or a percentage such as "1%".
	FallocateReserve disk.Reserve `toml:"fallocate_reserve"`
	// Log one line per request.
	LogRequests bool `toml:"log_requests"`
	// Answer REPLICATE. Off for the client-facing process where replication has a network of its own.
	ReplicationServer bool `toml:"replication_server"`
}

// Default returns Swift's defaults.
func Default() Config {
	c := Config{Devices: "/srv/node", MountCheck: true, LogRequests: true, ReplicationServer: true}
	// A constant that parses.
	_ = c.FallocateReserve.UnmarshalText([]byte("1%"))
	return c
}

// Deps is what a server is given by the owner of the process.
type Deps struct {
	Logger   *slog.Logger
	Clock    clock.Clock
	Hasher   hashpath.Hasher
	Policies policy.Set
	Limits   constraint.Limits
	// Brokers holds the open databases of the process. It stays the caller's to close.
	Brokers *broker.Pool
	// Transport reaches other nodes.
	Transport http.RoundTripper
}

// Validate says what is missing.
func (d *Deps) Validate() error {
	if d.Logger == nil || d.Clock == nil || d.Brokers == nil || d.Transport == nil || len(d.Policies.All()) == 0 {
		return errors.New("logger, clock, policies, brokers and transport must be given")
	}
	return nil
}

// A Call is one request that has passed the common checks.
type Call struct {
	*http.Request
	Path apipath.Backend
	// Time is the X-Timestamp of requests that must have one.
	Time timestamp.Timestamp
	// Trans is the transaction id, for requests to other nodes.
	Trans string
}

// Flag says whether a header is set to one of Swift's words for yes.
func (c *Call) Flag(header string) bool { return meta.Truthy(c.Header.Get(header)) }

// Place is where the thing of the given hash lies on the device that the request names.
func (f *Frame) Place(c *Call, sum hashpath.Sum) broker.Place {
	return broker.Place{Device: filepath.Join(f.Config.Devices, c.Path.Device), Partition: c.Path.Partition, Hash: sum.Hex()}
}

// A Verb is one method of a server.
type Verb struct {
	// Serve answers the request: with an error that holds an answer, see package reply, also if all is well.
	Serve func(*Call) *reply.Error
	// Most is the lowest level of path that the method takes.
	Most apipath.Level
	// Timed methods need an X-Timestamp, save for paths at level TimeOptional.
	Timed        bool
	TimeOptional apipath.Level
	// Writing methods are refused on a full device.
	Writing bool
	// Bare methods are served without any check; their Call has nothing but the request.
	Bare bool
}

// A Frame is a server without its verbs. It is an http.Handler.
type Frame struct {
	Config Config
	Deps   Deps
	// Least is the level of the paths that the server is about.
	Least apipath.Level
	Verbs map[string]Verb
}

// ServeHTTP answers one request and logs it.
func (f *Frame) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := f.Deps.Clock.Now()
	answer := f.serve(r)
	headname.Send(r, answer.Header)
	reply.Write(w, r, answer)
	f.log(r, answer, f.Deps.Clock.Now().Sub(start))
}

func (f *Frame) log(r *http.Request, answer *reply.Error, took time.Duration) {
	if !f.Deps.Logger.Enabled(r.Context(), slog.LevelInfo) && (answer.Err == nil || answer.Code < 500) {
		return
	}
	attrs := []any{"method", r.Method, "path", r.URL.Path, "status", answer.Code, "txn", r.Header.Get("X-Trans-Id"), "took", took}
	switch {
	case answer.Err != nil && answer.Code >= 500:
		f.Deps.Logger.Error("request failed", append(attrs, "err", answer.Err)...)
	case f.Config.LogRequests && answer.Err != nil:
		f.Deps.Logger.Info("request", append(attrs, "err", answer.Err)...)
	case f.Config.LogRequests:
		f.Deps.Logger.Info("request", attrs...)
	}
}

func (f *Frame) serve(r *http.Request) *reply.Error {
	if !utf8.ValidString(r.URL.Path) {
		return reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	v, ok := f.Verbs[r.Method]
	if !ok {
		return reply.Status(http.StatusMethodNotAllowed)
	}
	if v.Bare {
		return v.Serve(&Call{Request: r})
	}
	c, answer := f.check(r, v)
	if answer != nil {
		return answer
	}
	return v.Serve(c)
}

// check applies what all methods have in common, in Swift's order.
func (f *Frame) check(r *http.Request, v Verb) (*Call, *reply.Error) {
	c := &Call{Request: r, Trans: r.Header.Get("X-Trans-Id")}
	if c.Trans == "" {
		c.Trans = "-"
	}
	var err error
	if c.Path, err = apipath.ParseBackend(r.URL.Path, f.Least, v.Most); err != nil {
		return nil, BadRequest(err)
	}
	if err := apipath.CheckReserved(c.Path.Account, c.Path.Container, c.Path.Object, f.Deps.Limits.AutoCreateAccountPrefix); err != nil {
		a := BadRequest(err)
		a.Type = reply.TypeHTML // as Swift has it
		return nil, a
	}
	if v.Timed && c.Path.Level() != v.TimeOptional {
		value := r.Header.Get("X-Timestamp")
		if value == "" {
			return nil, badText("Missing X-Timestamp header")
		}
		if c.Time, err = timestamp.Parse(value); err != nil {
			return nil, badText("Invalid X-Timestamp header").Because(err)
		}
	}
	if err := f.checkDevice(c.Path.Device, v.Writing); err != nil {
		return nil, reply.Page(reply.StatusInsufficientStorage,
			"There was not enough space to save the resource. Drive: "+apipath.Quote(c.Path.Device)).Because(err)
	}
	return c, nil
}

// AddCommon adds the methods that both servers answer alike. REPLICATE is there for whoever asks what a server does, but
// is not served yet.
func (f *Frame) AddCommon() {
	f.Verbs[http.MethodOptions] = Verb{Bare: true, Serve: func(*Call) *reply.Error {
		return reply.Status(http.StatusOK).With("Allow", f.allow())
	}}
	if f.Config.ReplicationServer {
		f.Verbs["REPLICATE"] = Verb{Bare: true, Serve: func(*Call) *reply.Error { return reply.Status(http.StatusNotImplemented) }}
	}
}

func (f *Frame) allow() string {
	return strings.Join(slices.Sorted(maps.Keys(f.Verbs)), ", ")
}

// badText is a 400 with a plain text, as Swift sends it, without a charset.
func badText(text string) *reply.Error {
	return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: text}
}

// BadRequest is a 400 with the text that an error has for the client.
func BadRequest(err error) *reply.Error {
	if t, ok := errors.AsType[interface {
		error
		Text() string
	}](err); ok {
		return badText(t.Text()).Because(err)
	}
	return reply.Status(http.StatusBadRequest).Because(err)
}

// Fail maps an error of the broker to an answer. A damaged database is set aside, so that replication can bring a good
// copy; quarantine may be nil.
func Fail(err error, quarantine func() (string, error)) *reply.Error {
	if a, ok := errors.AsType[*reply.Error](err); ok {
		return a
	}
	switch {
	case errors.Is(err, broker.ErrNotExist):
		return reply.Status(http.StatusNotFound)
	case errors.Is(err, broker.ErrFull):
		return reply.Status(reply.StatusInsufficientStorage).Because(err)
	case errors.Is(err, broker.ErrLocked):
		return reply.Status(http.StatusServiceUnavailable).Because(err)
	case errors.Is(err, broker.ErrInvalidRow):
		return reply.Status(http.StatusBadRequest).Because(err)
	case errors.Is(err, broker.ErrCorrupt) && quarantine != nil:
		if _, qerr := quarantine(); qerr != nil {
			err = errors.Join(err, qerr)
		}
	}
	return reply.Status(http.StatusInternalServerError).Because(err)
}

// PolicyIndex reads X-Backend-Storage-Policy-Index; ok is false if there is none. An index that the cluster does not
// have is an answer.
func (f *Frame) PolicyIndex(c *Call) (index policy.Index, ok bool, answer *reply.Error) {
	const header = "X-Backend-Storage-Policy-Index"
	value := c.Header.Get(header)
	if value == "" {
		return 0, false, nil
	}
	index, ok = policy.ParseIndex(value)
	if !ok {
		return 0, false, badText("Invalid " + header + " '" + value + "'")
	}
	if _, ok = f.Deps.Policies.ByIndex(index); !ok {
		return 0, false, badText("Invalid " + header + " " + value)
	}
	return index, true, nil
}

// A Listing is what the query string and the Accept header of a GET or HEAD ask for.
type Listing struct {
	listing.Query
	// Type is the media type, without a charset.
	Type string
}

// Listing reads the listing parameters of a request.
func (c *Call) Listing(kind listing.Kind, limit int) (l Listing, answer *reply.Error) {
	if c.Method == http.MethodHead {
		// Nothing is listed, so only the type matters, and a bad limit is no fault.
		l.Format, _ = listing.Param(c.URL.RawQuery, "format")
	} else {
		var err error
		if l.Query, err = listing.ParseQuery(kind, c.URL.RawQuery, limit); err != nil {
			if e, ok := errors.AsType[*listing.LimitError](err); ok {
				return l, reply.Raw(http.StatusPreconditionFailed, e.Text())
			}
			return l, BadRequest(err)
		}
	}
	var err error
	l.Type, err = listing.Choose(l.Format, c.Header.Get("Accept"))
	switch {
	case errors.Is(err, listing.ErrNotAcceptable):
		return l, reply.Status(http.StatusNotAcceptable)
	case err != nil:
		return l, reply.Raw(http.StatusBadRequest, "Invalid Accept header").Because(err)
	}
	return l, nil
}

// Head is the answer to a HEAD: all of a listing but the listing.
func (l Listing) Head(header http.Header) *reply.Error {
	// The proxies' listing filter asks for JSON, and gives the answer the client's type only if it has a length. Swift's nodes
	// send one with 204; net/http takes it away, unless it is spelled like this.
	header["content-length"] = []string{"0"}
	return &reply.Error{Code: http.StatusNoContent, Type: l.Type + "; charset=utf-8", Header: header}
}

// Render finishes the answer of a listing, given its JSON. An empty text is 204, an empty JSON list is not.
func (l Listing) Render(kind listing.Kind, name string, json []byte, header http.Header) *reply.Error {
	answer := &reply.Error{Code: http.StatusOK, Type: l.Type + "; charset=utf-8", Header: header}
	if l.Type == "application/json" {
		answer.Body = string(json)
		return answer
	}
	entries, err := listing.Decode(json)
	if err != nil {
		return reply.Status(http.StatusInternalServerError).Because(err)
	}
	var body []byte
	if l.Type == "text/plain" {
		if body, err = listing.RenderText(entries); err == nil && len(body) == 0 {
			answer.Code = http.StatusNoContent
		}
	} else {
		body, err = listing.RenderXML(entries, kind, name)
	}
	if err != nil {
		// Records other than objects and containers have no form in XML.
		return reply.Status(http.StatusNotAcceptable).Because(err)
	}
	answer.Body = string(body)
	return answer
}

// Metadata picks from a request's headers what a database remembers: user and system metadata, and the headers in
// saved, which are title-cased.
func (c *Call) Metadata(kind meta.Kind, saved ...string) broker.Metadata {
	var m broker.Metadata
	for key := range c.Header {
		name := meta.FromClient(key)
		if !slices.Contains(saved, name) && !meta.IsUserMeta(kind, name) && !meta.IsSysmeta(kind, name) {
			continue
		}
		if m == nil {
			m = make(broker.Metadata)
		}
		m[name] = broker.MetaValue{Value: meta.Value(c.Header, key), Timestamp: c.Time.Internal()}
	}
	return m
}

// CheckMetadata refuses metadata beyond the cluster's limits.
func (f *Frame) CheckMetadata(m broker.Metadata) error {
	err := meta.CheckTotal(func(yield func(string, string) bool) {
		for name, v := range m {
			if !yield(name, v.Value) {
				return
			}
		}
	}, f.Deps.Limits)
	if e, ok := errors.AsType[*meta.Error](err); ok {
		return reply.Raw(http.StatusBadRequest, e.Text()).Because(err)
	}
	return err
}

// AddMetadata puts the metadata with values into an answer's headers. The names are not Go's canonical ones.
func AddMetadata(h http.Header, m broker.Metadata, show func(name string) bool) {
	for name, v := range m {
		if v.Value != "" && show(name) {
			h[name] = []string{v.Value}
		}
	}
}

// bodyLimit bounds the lists that other nodes send.
const bodyLimit = 256 << 20

// Body reads the whole body of a request from inside the cluster.
func (c *Call) Body() ([]byte, *reply.Error) {
	data, err := io.ReadAll(http.MaxBytesReader(nil, c.Request.Body, bodyLimit))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, reply.Status(http.StatusRequestEntityTooLarge).Because(err)
		}
		return nil, reply.Status(reply.StatusClientDisconnect).Because(err)
	}
	return data, nil
}
