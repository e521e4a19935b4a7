package object

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/backend/store/diskfile"
	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/internal/timestamp"
)

// Deps are what a server needs of its surroundings.
type Deps struct {
	// Cluster is what all nodes have in common. It must be there.
	Cluster *swiftconf.Cluster

	Logger    *slog.Logger      // default slog.Default
	Clock     clock.Clock       // default clock.System
	FS        disk.FS           // default disk.OS
	Transport http.RoundTripper // to container servers; default TCP with conn_timeout
	Version   string            // told by OPTIONS; default "devel"
}

// Server is an object server.
type Server struct {
	cfg       Config
	deps      Deps
	store     store.Store
	queue     *updates.Queue
	allowed   []string // titles of the headers that are stored
	isAllowed map[string]bool
	buffers   sync.Pool // *[]byte of network_chunk_size
	agent     string    // how this process names itself to container servers
	reserved  *reservations

	ownTransport *nodes.TCP      // to be closed
	life         context.Context // ends when updates must be given up
	giveUp       context.CancelFunc
	background   sync.WaitGroup // updates that outlive their requests
}

var _ http.Handler = (*Server)(nil)

// New returns a server. Close it.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("object server: %w", err)
	}
	if deps.Cluster == nil {
		return nil, errors.New("object server: no cluster")
	}
	if deps.Logger == nil {
		deps.Logger = slog.Default()
	}
	if deps.Clock == nil {
		deps.Clock = clock.System
	}
	if deps.FS == nil {
		deps.FS = disk.OS{}
	}
	if deps.Version == "" {
		deps.Version = "devel"
	}
	s := &Server{cfg: cfg, deps: deps, isAllowed: map[string]bool{}}
	together := 0
	if cfg.SharedSyncs {
		together = diskfile.TogetherFrom
	}
	var err error
	s.store, err = diskfile.New(diskfile.Options{
		Devices: cfg.Devices, MountCheck: cfg.MountCheck, Hasher: deps.Cluster.Hasher,
		NoFallocate: cfg.DisableFallocate, Reserve: cfg.FallocateReserve, ReclaimAge: cfg.ReclaimAge.Duration,
		SyncBytes: cfg.MBPerSync << 20, Together: together, KeepCache: max(cfg.KeepCacheSize, 1),
		FS: deps.FS, Clock: deps.Clock, Logger: deps.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("object server: %w", err)
	}
	s.queue = updates.NewQueue(deps.FS, cfg.Devices, deps.Cluster.Hasher)
	if s.deps.Transport == nil {
		s.ownTransport = nodes.NewTCP(nodes.TCPOptions{ConnTimeout: cfg.ConnTimeout.Duration})
		s.deps.Transport = s.ownTransport
	}
	for _, name := range cfg.AllowedHeaders {
		switch title := meta.Title(strings.TrimSpace(name)); title {
		case "Content-Length", "Etag", "Deleted": // the server's own, as in Swift
		default:
			if !s.isAllowed[title] {
				s.isAllowed[title] = true
				s.allowed = append(s.allowed, title)
			}
		}
	}
	s.buffers.New = func() any { b := make([]byte, cfg.NetworkChunkSize); return &b }
	s.reserved = newReservations(deps.Clock)
	s.agent = "object-server " + strconv.Itoa(os.Getpid())
	s.life, s.giveUp = context.WithCancel(context.Background())
	return s, nil
}

// Close waits for container updates that are still on their way: each is delivered or saved within node_timeout.
func (s *Server) Close() error {
	s.background.Wait()
	s.giveUp()
	if s.ownTransport != nil {
		s.ownTransport.CloseIdleConnections()
	}
	return nil
}

// verbs are the methods that are offered, in the order in which OPTIONS lists them.
const verbs = "DELETE, GET, HEAD, OPTIONS, POST, PUT"

// call is one request.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	object store.Object
	at     timestamp.Timestamp // X-Timestamp
	status int                 // sent, if the verb itself has answered
	sent   int64               // bytes of body, likewise

	deadlineHolds time.Time // until when the connection's deadline for reading needs not be moved
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.deps.Clock.Now()
	c := &call{w: w, r: r}
	err := s.serve(c)
	if err != nil {
		e := reply.As(err)
		c.status, c.sent = e.Code, int64(len(e.Body))
		if c.status >= 500 && c.status != reply.StatusInsufficientStorage && c.status != http.StatusNotImplemented && e.Err != nil {
			s.deps.Logger.LogAttrs(r.Context(), slog.LevelError, "request failed", s.facts(c, start)...)
		}
		reply.Write(w, r, err)
	}
	if s.cfg.LogRequests {
		level := slog.LevelInfo
		if r.Header.Get("X-Backend-Replication") != "" || r.Method == "REPLICATE" || r.Method == "SSYNC" {
			level = slog.LevelDebug
		}
		if s.deps.Logger.Enabled(r.Context(), level) {
			attrs := s.facts(c, start)
			if err != nil {
				attrs = append(attrs, slog.Any("err", err))
			}
			// Past the logger, which would find out where this is called.
			rec := slog.NewRecord(s.deps.Clock.Now(), level, "request", 0)
			rec.AddAttrs(attrs...)
			_ = s.deps.Logger.Handler().Handle(r.Context(), rec) // as a logger drops it
		}
	}
	if c.status == statusBroken {
		// The head is out and the body is not what it promised. Cutting the connection is all that is left to say.
		panic(http.ErrAbortHandler)
	}
}

// statusBroken marks a response that broke off, and is logged as such.
const statusBroken = 597

func (s *Server) facts(c *call, start time.Time) []slog.Attr {
	return []slog.Attr{
		slog.String("remote", c.r.RemoteAddr),
		slog.String("method", c.r.Method),
		slog.String("path", c.r.URL.Path),
		slog.Int("status", c.status),
		slog.Int64("bytes", c.sent),
		slog.String("txn", c.r.Header.Get("X-Trans-Id")),
		slog.String("referer", c.r.Header.Get("Referer")),
		slog.String("agent", c.r.Header.Get("User-Agent")),
		slog.Duration("took", s.deps.Clock.Now().Sub(start)),
		slog.Int("policy", int(c.object.Policy)),
	}
}

// serve finds the verb. An error is what remains to be answered.
func (s *Server) serve(c *call) error {
	// "*" is the path of OPTIONS; everything else is a path of a storage node.
	if c.r.URL.Path != "*" && !apipath.ValidUTF8(c.r.URL.Path, true) {
		return reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	var verb func(*call) error
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
		verb = s.get
	case http.MethodPut:
		verb = s.put
	case http.MethodPost:
		verb = s.post
	case http.MethodDelete:
		verb = s.delete
	case http.MethodOptions:
		h := c.w.Header()
		h.Set("Allow", verbs)
		h.Set("Server", "object-server/"+s.deps.Version)
		return s.done(c, http.StatusOK)
	case "REPLICATE", "SSYNC":
		return text(http.StatusNotImplemented, c.r.Method+" is not implemented by this server")
	default:
		return reply.Status(http.StatusMethodNotAllowed)
	}
	if err := s.place(c); err != nil {
		return err
	}
	return verb(c)
}

// place finds out which object the request is about.
func (s *Server) place(c *call) error {
	index, ok := policy.ParseIndex(c.r.Header.Get("X-Backend-Storage-Policy-Index"))
	p, known := s.deps.Cluster.Policies.ByIndex(index)
	if !ok || !known {
		return text(http.StatusServiceUnavailable, "No policy with index "+c.r.Header.Get("X-Backend-Storage-Policy-Index"))
	}
	b, err := apipath.ParseBackend(c.r.URL.Path, apipath.LevelObject, apipath.LevelObject)
	if err != nil {
		if e, ok := errors.AsType[*apipath.InvalidError](err); ok {
			return text(http.StatusBadRequest, e.Text())
		}
		if e, ok := errors.AsType[*apipath.DeviceError](err); ok {
			return text(http.StatusBadRequest, e.Text())
		}
		return text(http.StatusBadRequest, "Invalid path").Because(err)
	}
	err = apipath.CheckReserved(b.Account, b.Container, b.Object, s.deps.Cluster.Limits.AutoCreateAccountPrefix)
	if e, ok := errors.AsType[*apipath.ReservedError](err); ok {
		return reply.Raw(http.StatusBadRequest, e.Text())
	}
	if p.Type == policy.ErasureCoding {
		return text(http.StatusNotImplemented, "erasure coded policies are not implemented by this server")
	}
	c.object = store.Object{Device: b.Device, Policy: index, Partition: b.Partition,
		Account: b.Account, Container: b.Container, Name: b.Object}
	return c.growth()
}

// growth reads the power of the ring that is to come.
func (c *call) growth() error {
	v := c.r.Header.Get("X-Backend-Next-Part-Power")
	if v == "" {
		return nil
	}
	n, ok := meta.DeleteAt(v) // an integer as Python reads it
	if !ok || n > 32 {
		return text(http.StatusBadRequest, "Invalid X-Backend-Next-Part-Power header")
	}
	c.object.NextPartPower = uint(n)
	return nil
}

// time reads X-Timestamp, which a request that changes something must have.
func (c *call) time(required bool) error {
	v := c.r.Header.Get("X-Timestamp")
	if v == "" && c.r.Method == http.MethodDelete {
		v = c.r.Header.Get(conditional.HeaderTime)
	}
	if v == "" {
		if required {
			return text(http.StatusBadRequest, "Missing X-Timestamp header")
		}
		return nil
	}
	var err error
	if c.at, err = timestamp.Parse(v); err != nil {
		return text(http.StatusBadRequest, "Invalid X-Timestamp header")
	}
	return nil
}

// done answers without a body.
func (s *Server) done(c *call, status int) error {
	h := c.w.Header()
	h["Content-Type"] = []string{reply.TypeHTML}
	h["Content-Length"] = []string{"0"}
	if status == http.StatusNoContent {
		delete(h, "Content-Length")
	}
	c.status = status
	c.w.WriteHeader(status)
	return nil
}

// text is a plain answer as storage nodes give it, without a charset.
func text(code int, message string) *reply.Error {
	e := reply.Text(code, message)
	e.Type = "text/plain"
	return e
}

// failure is the answer to an error of the store.
func (c *call) failure(err error) error {
	if e, ok := errors.AsType[*reply.Error](err); ok {
		return e // of a guard
	}
	switch {
	case errors.Is(err, store.ErrDeviceMissing), errors.Is(err, store.ErrNoSpace), errors.Is(err, store.ErrNoAttributes):
		return reply.Page(reply.StatusInsufficientStorage,
			"There was not enough space to save the resource. Drive: "+c.object.Device).Because(err)
	case errors.Is(err, store.ErrNotFound):
		e := reply.Status(http.StatusNotFound).Because(err)
		if at, ok := store.TombstoneTime(err); ok {
			e = e.With("X-Backend-Timestamp", at.Internal())
		}
		return e
	case errors.Is(err, store.ErrCollision):
		return reply.Status(http.StatusForbidden).Because(err)
	case errors.Is(err, store.ErrChanged), errors.Is(err, disk.ErrLockTimeout):
		return reply.Status(http.StatusServiceUnavailable).Because(err)
	case errors.Is(err, context.Canceled):
		return reply.Status(reply.StatusClientDisconnect).Because(err)
	}
	return reply.Status(http.StatusInternalServerError).Because(err)
}

// conflict is the answer to a request that comes too late.
func conflict(at timestamp.Timestamp) *reply.Error {
	return reply.Status(http.StatusConflict).With("X-Backend-Timestamp", at.Internal())
}
