package container

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
)

const policyHeader = "X-Backend-Storage-Policy-Index"

// put serves three requests that differ by path and header: an object row, shard ranges, and the container itself.
func (s *Server) put(c *dbserver.Call) *reply.Error {
	if answer := s.checkSyncTo(c); answer != nil {
		return answer
	}
	index, given, answer := s.PolicyIndex(c)
	if answer != nil {
		return answer
	}
	b := s.broker(c)
	var err error
	switch {
	case c.Path.Object != "":
		answer, err = s.putRow(c, b, index)
	case c.Header.Get("X-Backend-Record-Type") == recordShard:
		answer, err = s.putRanges(c, b, index, given)
	default:
		answer, err = s.putContainer(c, b, index, given)
	}
	return s.finish(b, answer, err)
}

// finish is the end of every verb: the answer, or what an error means.
func (s *Server) finish(b *broker.Container, answer *reply.Error, err error) *reply.Error {
	if err != nil {
		return dbserver.Fail(err, b.Quarantine)
	}
	return answer
}

// ensure makes a missing container where a row may do so, else the answer is 404.
func (s *Server) ensure(c *dbserver.Call, b *broker.Container, index policy.Index) error {
	exists, err := b.Exists()
	if err != nil || exists {
		return err
	}
	if !s.autoCreates(c) {
		return reply.Status(http.StatusNotFound)
	}
	err = b.Create(c.Time.WithOffset(0), int(index))
	if errors.Is(err, broker.ErrExist) {
		return nil // another request was faster
	}
	return err
}

// ensureInPolicy is ensure for requests that must say which policy a container made by the way has. Rows need not, for
// the sake of senders from before storage policies.
func (s *Server) ensureInPolicy(c *dbserver.Call, b *broker.Container, index policy.Index, given bool) error {
	if !given && s.autoCreates(c) {
		if exists, err := b.Exists(); err != nil || exists {
			return err
		}
		return reply.Raw(http.StatusBadRequest, policyHeader+" header is required")
	}
	return s.ensure(c, b, index)
}

// putContainer creates a container, or touches one.
func (s *Server) putContainer(c *dbserver.Call, b *broker.Container, index policy.Index, given bool) (*reply.Error, error) {
	wanted := index
	if !given {
		var answer *reply.Error
		if wanted, answer = s.defaultPolicy(c); answer != nil {
			return answer, nil
		}
	}
	created, err := s.updateOrCreate(c, b, wanted, given)
	if err != nil {
		return nil, err
	}
	if err := s.updateMetadata(c, b); err != nil {
		return nil, err
	}
	info, err := b.Info(broker.Fresh)
	if err != nil {
		return nil, err
	}
	if answer := s.updateAccount(c, info); answer != nil {
		return answer, nil
	}
	code := http.StatusAccepted
	if created {
		code = http.StatusCreated
	}
	return reply.Status(code).With(policyHeader, strconv.Itoa(info.Policy)), nil
}

// defaultPolicy is the policy of a new container for which the client asked for none: the proxy's default, since nodes
// may learn of a new one later.
func (s *Server) defaultPolicy(c *dbserver.Call) (policy.Index, *reply.Error) {
	const header = "X-Backend-Storage-Policy-Default"
	value := c.Header.Get(header)
	if value == "" {
		return s.deps.Policies.Default().Index, nil
	}
	index, ok := policy.ParseIndex(value)
	if ok {
		_, ok = s.deps.Policies.ByIndex(index)
	}
	if !ok {
		return 0, reply.Text(http.StatusBadRequest, "Invalid "+header+" "+value)
	}
	return index, nil
}

// updateOrCreate does what a PUT does to the container itself, and reports whether it is new: made now, or brought back
// after a deletion.
func (s *Server) updateOrCreate(c *dbserver.Call, b *broker.Container, wanted policy.Index, given bool) (bool, error) {
	exists, err := b.Exists()
	if err != nil {
		return false, err
	}
	if !exists {
		err := b.Create(c.Time, int(wanted))
		if !errors.Is(err, broker.ErrExist) {
			return err == nil, err
		}
	}
	info, err := b.Info(broker.Fresh)
	if err != nil {
		return false, err
	}
	recreated := info.Deleted()
	if !recreated && given && int(wanted) != info.Policy {
		return false, reply.Status(http.StatusConflict).With(policyHeader, strconv.Itoa(info.Policy))
	}
	if err := b.UpdatePutTimestamp(c.Time); err != nil {
		return false, err
	}
	if !recreated {
		// A DELETE may have come between; the container's times decide.
		deleted, err := b.IsDeleted(broker.Fresh)
		if err == nil && deleted {
			err = reply.Status(http.StatusConflict)
		}
		return false, err
	}
	if info, err = b.Info(broker.Fresh); err != nil {
		return false, err
	}
	if info.Deleted() {
		return false, reply.Status(http.StatusConflict)
	}
	return true, b.SetPolicy(int(wanted), c.Time)
}

// savedHeaders are stored besides user and system metadata.
func (s *Server) savedHeaders() []string {
	saved := []string{"X-Container-Read", "X-Container-Write", "X-Container-Sync-Key", "X-Container-Sync-To"}
	if s.config.AllowVersions {
		saved = append(saved, "X-Versions-Location")
	}
	return saved
}

func (s *Server) updateMetadata(c *dbserver.Call, b *broker.Container) error {
	m := c.Metadata(meta.Container, s.savedHeaders()...)
	if len(m) == 0 {
		return nil
	}
	if to, ok := m["X-Container-Sync-To"]; ok {
		old, err := b.Metadata()
		if err != nil {
			return err
		}
		if old["X-Container-Sync-To"].Value != to.Value {
			// A new destination has none of the rows.
			if err := b.SetSyncPoints(-1, -1); err != nil {
				return err
			}
		}
	}
	if err := b.UpdateMetadata(m, s.CheckMetadata); err != nil {
		return err
	}
	return s.updateSyncStore(c, b)
}

func (s *Server) post(c *dbserver.Call) *reply.Error {
	if answer := s.checkSyncTo(c); answer != nil {
		return answer
	}
	b := s.broker(c)
	return s.finish(b, reply.Status(http.StatusNoContent), s.postContainer(c, b))
}

func (s *Server) postContainer(c *dbserver.Call, b *broker.Container) error {
	deleted, err := b.IsDeleted(broker.Fresh)
	if err != nil {
		return err
	}
	if deleted {
		return reply.Status(http.StatusNotFound)
	}
	if !c.Flag("X-Backend-No-Timestamp-Update") {
		if err := b.UpdatePutTimestamp(c.Time); err != nil {
			return err
		}
	}
	return s.updateMetadata(c, b)
}

func (s *Server) delete(c *dbserver.Call) *reply.Error {
	b := s.broker(c)
	if c.Path.Object != "" {
		answer, err := s.deleteRow(c, b)
		return s.finish(b, answer, err)
	}
	answer, err := s.deleteContainer(c, b)
	return s.finish(b, answer, err)
}

func (s *Server) deleteContainer(c *dbserver.Call, b *broker.Container) (*reply.Error, error) {
	empty, err := b.Empty() // ErrNotExist is 404
	if err != nil {
		return nil, err
	}
	if !empty {
		return reply.Status(http.StatusConflict), nil
	}
	before, err := b.Info(broker.Fresh)
	if err != nil {
		return nil, err
	}
	if err := b.Delete(c.Time); err != nil {
		return nil, err
	}
	info, err := b.Info(broker.Fresh)
	if err != nil {
		return nil, err
	}
	if !info.Deleted() {
		return reply.Status(http.StatusConflict), nil
	}
	if err := s.updateSyncStore(c, b); err != nil {
		return nil, err
	}
	if answer := s.updateAccount(c, info); answer != nil {
		return answer, nil
	}
	if before.Deleted() {
		return reply.Status(http.StatusNotFound), nil
	}
	return reply.Status(http.StatusNoContent), nil
}

// putRanges stores shard ranges, as a sharder sends them.
func (s *Server) putRanges(c *dbserver.Call, b *broker.Container, index policy.Index, given bool) (*reply.Error, error) {
	body, answer := c.Body()
	if answer != nil {
		return answer, nil
	}
	ranges, err := parseRanges(body)
	if err != nil {
		return reply.Raw(http.StatusBadRequest, "Invalid body: "+err.Error()).Because(err), nil
	}
	exists, err := b.Exists()
	if err != nil {
		return nil, err
	}
	if err := s.ensureInPolicy(c, b, index, given); err != nil {
		return nil, err
	}
	if err := s.updateMetadata(c, b); err != nil {
		return nil, err
	}
	if len(ranges) > 0 {
		if err := b.MergeShardRanges(ranges); err != nil {
			return nil, err
		}
	}
	stored, err := b.Policy()
	if err != nil {
		return nil, err
	}
	code := http.StatusCreated
	if exists {
		code = http.StatusAccepted
	}
	return reply.Status(code).With(policyHeader, strconv.Itoa(stored)), nil
}

func parseRanges(body []byte) ([]broker.ShardRange, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, err
	}
	ranges := make([]broker.ShardRange, 0, len(raw))
	for _, item := range raw {
		// What older senders leave out.
		r := broker.ShardRange{Tombstones: -1, State: broker.RangeFound}
		if err := json.Unmarshal(item, &r); err != nil {
			return nil, err
		}
		if r.MetaTimestamp == "" {
			r.MetaTimestamp = r.Timestamp
		}
		if r.StateTimestamp == "" {
			r.StateTimestamp = r.Timestamp
		}
		if err := r.Normalize(); err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// update merges the object rows in the body.
func (s *Server) update(c *dbserver.Call) *reply.Error {
	b := s.broker(c)
	index, given, answer := s.PolicyIndex(c)
	if answer != nil {
		return answer
	}
	body, answer := c.Body()
	if answer != nil {
		return answer
	}
	var rows []broker.ObjectRow
	if err := json.Unmarshal(body, &rows); err != nil {
		return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: err.Error(), Err: err}
	}
	// Row ids are the sender's and only mean something together with its name.
	for i := range rows {
		rows[i].ROWID = 0
	}
	err := s.ensureInPolicy(c, b, index, given)
	if err == nil && !slices.ContainsFunc(rows, func(r broker.ObjectRow) bool { return r.Name == "" }) {
		err = b.MergeItems(rows, "")
	} else if err == nil {
		err = broker.ErrInvalidRow
	}
	return s.finish(b, reply.Status(http.StatusAccepted), err)
}
