// Package account is the account server of a storage node: it answers what proxies, container servers and daemons of
// OpenStack Swift 2.38 ask an account server, from databases in Swift's format.
//
// It is stateless but for the open databases, and any number of them, and of Swift's own, may work on the same devices.
// Requests come from inside the cluster only: there is no authentication, as in Swift, so it must not be reachable from
// outside. It does not replicate yet: REPLICATE is answered 501.
//
//	server, err := account.New(account.DefaultConfig(), deps)
//	http.ListenAndServe(":6202", server)
//
// Configuration, in the section of the server:
//
//	[app.account-server]
//	devices = "/srv/node"
//	fallocate_reserve = "1%"
package account

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// Config is the configuration of an account server.
type Config struct {
	dbserver.Config
}

// DefaultConfig returns Swift's defaults.
func DefaultConfig() Config { return Config{Config: dbserver.Default()} }

// Deps is what an account server is given by the owner of the process.
type Deps = dbserver.Deps

// Server is an account server. It is an http.Handler, safe for concurrent use.
type Server struct {
	dbserver.Frame
	deps Deps
}

// New makes an account server.
func New(c Config, d Deps) (*Server, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	s := &Server{deps: d}
	s.Frame = dbserver.Frame{Config: c.Config, Deps: d, Least: apipath.LevelAccount}
	s.Verbs = map[string]dbserver.Verb{
		"PUT":    {Serve: s.put, Most: apipath.LevelContainer, Timed: true, TimeOptional: apipath.LevelContainer, Writing: true},
		"POST":   {Serve: s.post, Most: apipath.LevelAccount, Timed: true, Writing: true},
		"DELETE": {Serve: s.delete, Most: apipath.LevelAccount, Timed: true},
		"GET":    {Serve: s.get, Most: apipath.LevelAccount},
		"HEAD":   {Serve: s.head, Most: apipath.LevelAccount},
	}
	s.AddCommon()
	return s, nil
}

// Close releases what the server holds. It does no work of its own in the background, so there is nothing to wait for;
// requests in progress are the HTTP server's to drain.
func (s *Server) Close() error { return nil }

func (s *Server) broker(c *dbserver.Call) *broker.Account {
	return s.deps.Brokers.Account(s.Place(c, s.deps.Hasher.Sum(c.Path.Account)), c.Path.Account)
}

func (s *Server) finish(b *broker.Account, answer *reply.Error, err error) *reply.Error {
	if err != nil {
		return dbserver.Fail(err, b.Quarantine)
	}
	return answer
}

// about is an answer about an account as a whole. It has no page, and says if the account has been deleted by status:
// that account's name can be used again only once the reaper is done.
func about(b *broker.Account, code int, text string) (*reply.Error, error) {
	answer := &reply.Error{Code: code, Type: "text/html; charset=utf-8", Body: text}
	deleted, err := b.RecentlyDeleted()
	if err != nil && !errors.Is(err, broker.ErrNotExist) {
		return nil, err
	}
	if deleted {
		answer = answer.With("X-Account-Status", "Deleted")
	}
	return answer, nil
}

func (s *Server) put(c *dbserver.Call) *reply.Error {
	b := s.broker(c)
	if c.Path.Container != "" {
		answer, err := s.putRow(c, b)
		return s.finish(b, answer, err)
	}
	answer, err := s.putAccount(c, b)
	return s.finish(b, answer, err)
}

func (s *Server) putAccount(c *dbserver.Call, b *broker.Account) (*reply.Error, error) {
	exists, err := b.Exists()
	if err != nil {
		return nil, err
	}
	created := !exists
	if created {
		err := b.Create(c.Time)
		if created = err == nil; err != nil && !errors.Is(err, broker.ErrExist) {
			return nil, err
		}
	}
	if !created {
		recent, err := b.RecentlyDeleted()
		if err != nil {
			return nil, err
		}
		if recent {
			return about(b, http.StatusForbidden, "Recently deleted")
		}
		if created, err = b.IsDeleted(broker.Fresh); err != nil {
			return nil, err
		}
		if err := b.UpdatePutTimestamp(c.Time); err != nil {
			return nil, err
		}
		deleted, err := b.IsDeleted(broker.Fresh)
		if err != nil || deleted {
			return reply.Status(http.StatusConflict), err
		}
	}
	if err := s.updateMetadata(c, b); err != nil {
		return nil, err
	}
	if created {
		return reply.Status(http.StatusCreated), nil
	}
	return reply.Status(http.StatusAccepted), nil
}

func (s *Server) updateMetadata(c *dbserver.Call, b *broker.Account) error {
	return b.UpdateMetadata(c.Metadata(meta.Account), s.CheckMetadata)
}

// putRow accepts what a container server or the container updater says about a container.
func (s *Server) putRow(c *dbserver.Call, b *broker.Account) (*reply.Error, error) {
	row, answer := containerRow(c)
	if answer != nil {
		return answer, nil
	}
	if strings.HasPrefix(c.Path.Account, s.deps.Limits.AutoCreateAccountPrefix) {
		if err := s.autoCreate(c, b); err != nil {
			return nil, err
		}
	}
	if !strings.EqualFold(c.Header.Get("X-Account-Override-Deleted"), "yes") {
		deleted, err := b.IsDeleted(broker.StaleOK)
		if err != nil || deleted {
			return reply.Status(http.StatusNotFound), err
		}
	}
	if err := b.PutContainer(row); err != nil {
		return nil, err
	}
	// Compared as texts, like Swift: container servers send the internal form or '0'.
	if row.DeleteTimestamp > row.PutTimestamp {
		return reply.Status(http.StatusNoContent), nil
	}
	return reply.Status(http.StatusCreated), nil
}

func (s *Server) autoCreate(c *dbserver.Call, b *broker.Account) error {
	exists, err := b.Exists()
	if err != nil || exists {
		return err
	}
	t := timestamp.FromTime(s.deps.Clock.Now())
	if value := c.Header.Get("X-Timestamp"); value != "" {
		if t, err = timestamp.Parse(value); err != nil {
			return reply.Text(http.StatusBadRequest, "Invalid X-Timestamp header").Because(err)
		}
	}
	if err = b.Create(t.WithOffset(0)); errors.Is(err, broker.ErrExist) {
		return nil // another request was faster
	}
	return err
}

// containerRow reads a row from the headers. Swift takes any text here and stumbles over it later, so what is no time
// or number is refused.
func containerRow(c *dbserver.Call) (broker.ContainerRow, *reply.Error) {
	row := broker.ContainerRow{
		Name: c.Path.Container, PutTimestamp: c.Header.Get("X-Put-Timestamp"), DeleteTimestamp: c.Header.Get("X-Delete-Timestamp"),
	}
	for name, value := range map[string]string{"X-Put-Timestamp": row.PutTimestamp, "X-Delete-Timestamp": row.DeleteTimestamp} {
		if _, err := timestamp.Parse(value); err != nil {
			return row, invalid(name, err)
		}
	}
	for name, dst := range map[string]*int64{"X-Object-Count": &row.ObjectCount, "X-Bytes-Used": &row.BytesUsed} {
		var err error
		if *dst, err = strconv.ParseInt(c.Header.Get(name), 10, 64); err != nil {
			return row, invalid(name, err)
		}
	}
	// The policy need not be known here: the container's node knows it.
	index, ok := policy.ParseIndex(c.Header.Get("X-Backend-Storage-Policy-Index"))
	if !ok {
		return row, invalid("X-Backend-Storage-Policy-Index", nil)
	}
	row.Policy = int(index)
	return row, nil
}

func invalid(header string, err error) *reply.Error {
	return reply.Text(http.StatusBadRequest, "Invalid "+header+" header").Because(err)
}

func (s *Server) post(c *dbserver.Call) *reply.Error {
	b := s.broker(c)
	answer, err := s.postAccount(c, b)
	return s.finish(b, answer, err)
}

func (s *Server) postAccount(c *dbserver.Call, b *broker.Account) (*reply.Error, error) {
	deleted, err := b.IsDeleted(broker.Fresh)
	if err != nil {
		return nil, err
	}
	if deleted {
		return about(b, http.StatusNotFound, "")
	}
	return reply.Status(http.StatusNoContent), s.updateMetadata(c, b)
}

func (s *Server) delete(c *dbserver.Call) *reply.Error {
	b := s.broker(c)
	answer, err := s.deleteAccount(c, b)
	return s.finish(b, answer, err)
}

func (s *Server) deleteAccount(c *dbserver.Call, b *broker.Account) (*reply.Error, error) {
	deleted, err := b.IsDeleted(broker.Fresh)
	if err != nil {
		return nil, err
	}
	if deleted {
		return about(b, http.StatusNotFound, "")
	}
	if err := b.Delete(c.Time); err != nil {
		return nil, err
	}
	return about(b, http.StatusNoContent, "")
}

// describe answers 404, or returns the headers of an existing account.
func (s *Server) describe(b *broker.Account) (http.Header, *reply.Error, error) {
	info, err := b.Info(broker.StaleOK)
	if errors.Is(err, broker.ErrNotExist) || err == nil && info.Deleted() {
		answer, err := about(b, http.StatusNotFound, "")
		return nil, answer, err
	}
	if err != nil {
		return nil, nil, err
	}
	h := http.Header{}
	h.Set("X-Account-Container-Count", strconv.FormatInt(info.ContainerCount, 10))
	h.Set("X-Account-Object-Count", strconv.FormatInt(info.ObjectCount, 10))
	h.Set("X-Account-Bytes-Used", strconv.FormatInt(info.BytesUsed, 10))
	h.Set("X-Timestamp", parse(info.CreatedAt).Normal())
	h.Set("X-Put-Timestamp", parse(info.PutTimestamp).Normal())
	stats, err := b.PolicyStats(broker.StaleOK)
	if err != nil {
		return nil, nil, err
	}
	for index, stat := range stats {
		p, ok := s.deps.Policies.ByIndex(policy.Index(index))
		if !ok {
			continue
		}
		prefix := meta.Title("X-Account-Storage-Policy-" + p.Name + "-")
		h[prefix+"Container-Count"] = []string{strconv.FormatInt(stat.ContainerCount, 10)}
		h[prefix+"Object-Count"] = []string{strconv.FormatInt(stat.ObjectCount, 10)}
		h[prefix+"Bytes-Used"] = []string{strconv.FormatInt(stat.BytesUsed, 10)}
	}
	m, err := info.Metadata()
	if err != nil {
		return nil, nil, err
	}
	dbserver.AddMetadata(h, m, func(string) bool { return true })
	return h, nil, nil
}

// parse reads a time from a database, where a never set one is '0'.
func parse(s string) timestamp.Timestamp {
	t, err := timestamp.Parse(s)
	if err != nil {
		return timestamp.Timestamp{}
	}
	return t
}

func (s *Server) head(c *dbserver.Call) *reply.Error {
	l, answer := c.Listing(listing.Account, s.deps.Limits.AccountListingLimit)
	if answer != nil {
		return answer
	}
	b := s.broker(c)
	header, answer, err := s.describe(b)
	if answer != nil || err != nil {
		return s.finish(b, answer, err)
	}
	return l.Head(header)
}

func (s *Server) get(c *dbserver.Call) *reply.Error {
	l, answer := c.Listing(listing.Account, s.deps.Limits.AccountListingLimit)
	if answer != nil {
		return answer
	}
	b := s.broker(c)
	header, answer, err := s.describe(b)
	if answer != nil || err != nil {
		return s.finish(b, answer, err)
	}
	entries, err := b.List(broker.StaleOK, broker.ListOptions{
		Limit: l.Limit, Marker: l.Marker, EndMarker: l.EndMarker, Prefix: l.Prefix, Delimiter: l.Delimiter, Reverse: l.Reverse,
		AllowReserved: c.Flag("X-Backend-Allow-Reserved-Names"),
	})
	if err != nil {
		return s.finish(b, nil, err)
	}
	return l.Render(listing.Account, c.Path.Account, s.render(entries), header)
}

func (s *Server) render(entries []broker.ContainerEntry) []byte {
	body := append(make([]byte, 0, 2+len(entries)*128), '[')
	for i, e := range entries {
		if i > 0 {
			body = append(body, listing.Separator...)
		}
		if e.Subdir {
			body = listing.AppendSubdir(body, e.Name)
			continue
		}
		row := listing.Row{Name: e.Name, Count: e.ObjectCount, Bytes: e.BytesUsed, LastModified: parse(e.PutTimestamp).ISO()}
		if p, ok := s.deps.Policies.ByIndex(policy.Index(e.Policy)); ok {
			row.StoragePolicy = p.Name
		}
		body = listing.AppendContainer(body, row)
	}
	return append(body, ']')
}
