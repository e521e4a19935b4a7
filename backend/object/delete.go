package object

import (
	"context"
	"errors"
	"net/http"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// delete answers DELETE. A tombstone is written even for what is not here: the other replicas' copies must not come back.
func (s *Server) delete(c *call) error {
	if err := c.time(true); err != nil {
		return err
	}
	cond, err := s.reserve(c)
	if err != nil {
		return err
	}
	defer cond.release()
	info, stored, status, err := s.stateBeforeDelete(c)
	if err != nil {
		return err
	}
	if cond != nil {
		here := info
		if status == http.StatusNotFound {
			here = nil // expired
		}
		if err := s.awaitCommit(c, cond, here, stored); err != nil {
			return err
		}
		if status == http.StatusNotFound && !cond.behind.IsZero() {
			status = http.StatusNoContent // what it deletes is newer than what was here
		}
	}
	var deleteAt int64
	contentType := ""
	if info != nil {
		deleteAt, contentType = info.DeleteAt, info.ContentType
	}
	if v, ok := c.r.Header["X-If-Delete-At"]; ok {
		if err := checkIfDeleteAt(v[0], c.at, stored, deleteAt); err != nil {
			return err
		}
		status = http.StatusNoContent
	}
	ctx := context.WithoutCancel(c.r.Context())
	older := stored.Before(c.at)
	var batch updateBatch
	if deleteAt != 0 && cond == nil {
		s.unqueue(c, &batch, deleteAt)
	}
	if older {
		if err := s.store.DeleteIf(ctx, c.object, c.at, cond.guard(c)); err != nil {
			return c.failure(err)
		}
		if deleteAt != 0 && cond != nil {
			s.unqueue(c, &batch, deleteAt) // not before the guard has let the object go
		}
		s.addContainerUpdates(c, &batch, http.MethodDelete, headers{{Name: "X-Timestamp", Value: c.at.Internal()}})
	}
	s.deliver(ctx, &batch)
	newest := c.at
	if !older {
		newest = stored
	}
	h := c.w.Header()
	h["X-Backend-Timestamp"] = []string{newest.Internal()}
	h["X-Backend-Content-Type"] = []string{contentType}
	if status == http.StatusNoContent {
		return s.done(c, status)
	}
	return reply.Status(status)
}

// stateBeforeDelete reads what is here, nil for nothing, its time, and the status that follows.
func (s *Server) stateBeforeDelete(c *call) (*store.Info, timestamp.Timestamp, int, error) {
	f, err := s.store.Open(c.r.Context(), c.object, store.OpenOptions{Now: c.at})
	if err == nil {
		info := f.Info()
		_ = f.Close() // opened for reading
		if info.Data.Before(c.at) {
			return info, info.Data, http.StatusNoContent, nil
		}
		return info, info.Data, http.StatusConflict, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, timestamp.Timestamp{}, 0, c.failure(err)
	}
	stored, _ := store.TombstoneTime(err)
	if e, ok := errors.AsType[*store.ExpiredError](err); ok {
		return e.Info, stored, http.StatusNotFound, nil
	}
	return nil, stored, http.StatusNotFound, nil
}

// checkIfDeleteAt is the expirer's condition: only the object that it knows of may go.
func checkIfDeleteAt(value string, at, stored timestamp.Timestamp, deleteAt int64) error {
	want, err := timestamp.Parse(value)
	switch {
	case err != nil:
		return reply.Raw(http.StatusBadRequest, "Bad X-If-Delete-At header value")
	case stored.IsZero():
		return reply.Status(http.StatusNotFound)
	case !stored.Before(at):
		return reply.Status(http.StatusConflict)
	case want != timestamp.FromRaw(deleteAt*timestamp.UnitsPerSecond, 0):
		return reply.Raw(http.StatusPreconditionFailed, "X-If-Delete-At and X-Delete-At do not match")
	}
	return nil
}
