package container

import (
	"net/http"
	"strconv"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// putRow accepts an object's row: the hot path of every object PUT in the cluster.
func (s *Server) putRow(c *dbserver.Call, b *broker.Container, index policy.Index) (*reply.Error, error) {
	row, answer := objectRow(c, index)
	if answer != nil {
		return answer, nil
	}
	if answer, err := s.prepareRow(c, b, index); answer != nil || err != nil {
		return answer, err
	}
	if err := b.PutObject(row); err != nil {
		return nil, err
	}
	return reply.Status(http.StatusCreated), nil
}

// objectRow reads a row from the headers. Swift takes times that do not parse and stumbles over them at every merge
// from then on, so they are refused here.
func objectRow(c *dbserver.Call, index policy.Index) (broker.ObjectRow, *reply.Error) {
	row := broker.ObjectRow{
		Name: c.Path.Object, CreatedAt: c.Time.Internal(), Policy: int(index),
		ContentType: c.Header.Get("X-Content-Type"), ETag: c.Header.Get("X-Etag"),
	}
	var err error
	if row.Size, err = strconv.ParseInt(c.Header.Get("X-Size"), 10, 64); err != nil {
		return row, reply.Text(http.StatusBadRequest, "Invalid X-Size header").Because(err)
	}
	for _, must := range [...]string{"X-Content-Type", "X-Etag"} {
		if len(c.Header[must]) == 0 {
			return row, reply.Text(http.StatusBadRequest, "Missing "+must+" header")
		}
	}
	for _, part := range [...]struct {
		header string
		dst    *string
	}{{"X-Content-Type-Timestamp", &row.ContentTypeTimestamp}, {"X-Meta-Timestamp", &row.MetaTimestamp}} {
		value := c.Header.Get(part.header)
		if value == "" {
			continue
		}
		t, err := timestamp.Parse(value)
		if err != nil {
			return row, reply.Text(http.StatusBadRequest, "Invalid "+part.header+" header").Because(err)
		}
		*part.dst = t.Internal()
	}
	return row, nil
}

func (s *Server) deleteRow(c *dbserver.Call, b *broker.Container) (*reply.Error, error) {
	index, _, answer := s.PolicyIndex(c)
	if answer != nil {
		return answer, nil
	}
	if answer, err := s.prepareRow(c, b, index); answer != nil || err != nil {
		return answer, err
	}
	if err := b.PutObject(broker.Deletion(c.Path.Object, c.Time, int(index))); err != nil {
		return nil, err
	}
	return reply.Status(http.StatusNoContent), nil
}

// prepareRow makes the container if need be and sends those who can follow to the shard that a name belongs to.
// A sender that cannot is served here; the sharder moves its row later.
func (s *Server) prepareRow(c *dbserver.Call, b *broker.Container, index policy.Index) (*reply.Error, error) {
	// A missing container is noticed when the row is appended; it is looked for here only where it would be made.
	if s.autoCreates(c) {
		if err := s.ensure(c, b, index); err != nil {
			return nil, err
		}
	}
	if !c.Flag("X-Backend-Accept-Redirect") {
		return nil, nil
	}
	ranges, err := b.ShardRanges(broker.ShardQuery{Includes: c.Path.Object, States: statesUpdating()})
	if err != nil || len(ranges) == 0 {
		return nil, err
	}
	location := "/" + ranges[0].Name + "/" + c.Path.Object
	quoted := apipath.Quote(location)
	if quoted != location && !c.Flag("X-Backend-Accept-Quoted-Location") {
		return nil, nil
	}
	created, err := timestamp.Parse(ranges[0].Timestamp)
	if err != nil {
		return nil, err
	}
	return reply.Status(http.StatusMovedPermanently).With("Location", quoted).With("X-Backend-Location-Is-Quoted", "true").
		With("X-Backend-Redirect-Timestamp", created.Internal()), nil
}
