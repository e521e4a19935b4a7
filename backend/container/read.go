package container

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// What X-Backend-Record-Type may ask for. Anything else means objects.
const (
	recordObject = "object"
	recordShard  = "shard"
	recordAuto   = "auto" // shard if the container is being sharded or has been
)

func (s *Server) head(c *dbserver.Call) *reply.Error {
	l, answer := c.Listing(listing.Container, s.deps.Limits.ContainerListingLimit)
	if answer != nil {
		return answer
	}
	b := s.broker(c)
	info, header, err := s.describe(b, func(broker.State) bool { return false })
	if err != nil {
		return s.finish(b, nil, withHeader(err, header))
	}
	if err := s.describeMore(info, header); err != nil {
		return s.finish(b, nil, err)
	}
	return l.Head(header)
}

func withHeader(err error, header http.Header) error {
	e, ok := errors.AsType[*reply.Error](err)
	if !ok {
		return err
	}
	answer := *e
	answer.Header = header
	return &answer
}

// describe reads the info and the headers that every answer about a container has, those that say it is not there too.
// A deleted container is 404 unless
// override says otherwise.
func (s *Server) describe(b *broker.Container, override func(broker.State) bool) (broker.ContainerInfo, http.Header, error) {
	header := http.Header{}
	info, err := b.Info(broker.StaleOK)
	missing := errors.Is(err, broker.ErrNotExist)
	if err != nil && !missing {
		return info, header, err
	}
	for name, value := range map[string]string{
		"X-Backend-Timestamp": info.CreatedAt, "X-Backend-Put-Timestamp": info.PutTimestamp,
		"X-Backend-Delete-Timestamp": info.DeleteTimestamp, "X-Backend-Status-Changed-At": info.StatusChangedAt,
	} {
		header.Set(name, parse(value).Internal())
	}
	header.Set(policyHeader, strconv.Itoa(info.Policy))
	if missing || info.Deleted() && !override(info.DBState) {
		return info, header, reply.Status(http.StatusNotFound)
	}
	return info, header, nil
}

// parse reads a time from a database, where a never set one is '0'.
func parse(s string) timestamp.Timestamp {
	t, err := timestamp.Parse(s)
	if err != nil {
		return timestamp.Timestamp{}
	}
	return t
}

// describeMore adds what only an existing container has.
func (s *Server) describeMore(info broker.ContainerInfo, header http.Header) error {
	put := parse(info.PutTimestamp)
	header.Set("X-Container-Object-Count", strconv.FormatInt(info.ObjectCount, 10))
	header.Set("X-Container-Bytes-Used", strconv.FormatInt(info.BytesUsed, 10))
	header.Set("X-Timestamp", parse(info.CreatedAt).Normal())
	header.Set("X-Put-Timestamp", put.Normal())
	header.Set("X-Backend-Sharding-State", string(info.DBState))
	header.Set("Last-Modified", put.LastModified().UTC().Format(http.TimeFormat))
	m, err := info.Metadata()
	if err != nil {
		return err
	}
	saved := s.savedHeaders()
	dbserver.AddMetadata(header, m, func(name string) bool {
		return slices.Contains(saved, name) || meta.IsUserMeta(meta.Container, name) || meta.IsSysmeta(meta.Container, name)
	})
	return nil
}

func (s *Server) get(c *dbserver.Call) *reply.Error {
	l, answer := c.Listing(listing.Container, s.deps.Limits.ContainerListingLimit)
	if answer != nil {
		return answer
	}
	index, given, answer := s.PolicyIndex(c)
	if answer != nil {
		return answer
	}
	b := s.broker(c)
	record := c.Header.Get("X-Backend-Record-Type")
	info, header, err := s.describe(b, func(state broker.State) bool {
		// A proxy or sharder may ask for the ranges of a deleted container.
		return resolve(record, state) == recordShard && c.Flag("X-Backend-Override-Deleted")
	})
	if err != nil {
		return s.finish(b, nil, withHeader(err, header))
	}
	if err := s.describeMore(info, header); err != nil {
		return s.finish(b, nil, err)
	}
	if !given {
		index = policy.Index(info.Policy)
	}
	var body []byte
	if resolve(record, info.DBState) == recordShard {
		body, err = s.listRanges(c, b, l, header)
	} else {
		header.Set("X-Backend-Record-Type", recordObject)
		header.Set("X-Backend-Record-Storage-Policy-Index", index.String())
		body, err = listObjects(c, b, l, int(index))
	}
	if err != nil {
		return s.finish(b, nil, err)
	}
	return l.Render(listing.Container, c.Path.Container, body, header)
}

// resolve says what "auto" means for a container.
func resolve(record string, state broker.State) string {
	if record == recordAuto && (state == broker.Sharding || state == broker.Sharded) {
		return recordShard
	}
	return record
}

func listObjects(c *dbserver.Call, b *broker.Container, l dbserver.Listing, index int) ([]byte, error) {
	o := broker.ListOptions{
		Limit: l.Limit, Marker: l.Marker, EndMarker: l.EndMarker, Prefix: l.Prefix, Delimiter: l.Delimiter, Reverse: l.Reverse,
		AllowReserved: c.Flag("X-Backend-Allow-Reserved-Names"), Policy: index,
	}
	if l.HasPath {
		o.Path = &l.Path
	}
	entries, err := b.List(broker.StaleOK, o)
	if err != nil {
		return nil, err
	}
	body := append(make([]byte, 0, 2+len(entries)*192), '[')
	iso := make([]byte, 0, 32)
	for i, e := range entries {
		if i > 0 {
			body = append(body, listing.Separator...)
		}
		if e.Subdir {
			body = listing.AppendSubdir(body, e.Name)
			continue
		}
		iso = parse(e.Timestamp).AppendISO(iso[:0])
		body = listing.AppendObject(body, listing.Object{
			Name: e.Name, Hash: e.ETag, ContentType: e.ContentType, LastModified: string(iso), Bytes: e.Size,
		})
	}
	return append(body, ']'), nil
}

func statesUpdating() []int {
	return []int{broker.RangeCreated, broker.RangeCleaved, broker.RangeActive, broker.RangeSharding}
}

func statesListing() []int {
	return []int{broker.RangeCleaved, broker.RangeActive, broker.RangeSharding, broker.RangeShrinking}
}

func statesAuditing() []int {
	return []int{
		broker.RangeCreated, broker.RangeCleaved, broker.RangeActive, broker.RangeSharding, broker.RangeShrinking,
		broker.RangeSharded, broker.RangeShrunk,
	}
}

// rangeQuery reads the parameters of a GET of shard ranges.
func rangeQuery(c *dbserver.Call, l dbserver.Listing) (q broker.ShardQuery, auditing bool, answer *reply.Error) {
	q = broker.ShardQuery{
		Marker: l.Marker, EndMarker: l.EndMarker, Includes: l.Includes, Reverse: l.Reverse, Deleted: c.Flag("X-Backend-Include-Deleted"),
	}
	names := []string{"found", "created", "cleaved", "active", "shrinking", "sharding", "sharded", "shrunk"}
	if _, given := listing.Param(c.URL.RawQuery, "states"); given && l.States == "" {
		q.States = []int{-1} // an empty list of states, unlike none, selects nothing
	}
	for state := range strings.SplitSeq(l.States, ",") {
		number, err := strconv.Atoi(state)
		switch i := slices.Index(names, state); {
		case state == "":
		case i >= 0:
			q.States = append(q.States, 10*(i+1))
		case err == nil && number%10 == 0 && number >= broker.RangeFound && number <= broker.RangeShrunk:
			q.States = append(q.States, number)
		case state == "listing":
			q.States, q.FillGap = append(q.States, statesListing()...), true
		case state == "updating":
			q.States, q.FillGap = append(q.States, statesUpdating()...), true
		case state == "auditing":
			q.States, q.Own, auditing = append(q.States, statesAuditing()...), true, true
		default:
			return q, false, reply.Raw(http.StatusBadRequest, "Bad state")
		}
	}
	return q, auditing, nil
}

// listRanges lists shard ranges and sets the headers that say so.
func (s *Server) listRanges(c *dbserver.Call, b *broker.Container, l dbserver.Listing, header http.Header) ([]byte, error) {
	q, auditing, answer := rangeQuery(c, l)
	if answer != nil {
		return nil, answer
	}
	// A proxy that caches all namespaces of a sharded container asks for them whatever part it needs now.
	if c.Header.Get("X-Backend-Override-Shard-Name-Filter") == string(broker.Sharded) && header.Get("X-Backend-Sharding-State") == string(broker.Sharded) {
		header.Set("X-Backend-Override-Shard-Name-Filter", "true")
		q.Marker, q.EndMarker, q.Includes, q.Reverse = "", "", "", false
	}
	namespaces := false
	switch format := c.Header.Get("X-Backend-Record-Shard-Format"); format {
	case "", "full":
	case "namespace":
		if q.Deleted || auditing {
			return nil, reply.Text(http.StatusBadRequest, "Deleted and audited shard ranges have no namespace format")
		}
		namespaces = true
		header.Set("X-Backend-Record-Shard-Format", format)
	default:
		return nil, reply.Text(http.StatusBadRequest, "Invalid X-Backend-Record-Shard-Format")
	}
	header.Set("X-Backend-Record-Type", recordShard)
	ranges, err := b.ShardRanges(q)
	if err != nil {
		return nil, err
	}
	body := []byte{'['}
	for i := range ranges {
		if i > 0 {
			body = append(body, listing.Separator...)
		}
		body = appendRange(body, &ranges[i], namespaces)
	}
	return append(body, ']'), nil
}

// appendRange writes a range as Swift does, key by key in its order.
func appendRange(dst []byte, r *broker.ShardRange, namespace bool) []byte {
	text := func(key, value string) {
		dst = append(dst, `, "`+key+`": `...)
		dst = listing.AppendString(dst, value)
	}
	number := func(key string, value int64) {
		dst = append(dst, `, "`+key+`": `...)
		dst = strconv.AppendInt(dst, value, 10)
	}
	dst = append(dst, `{"name": `...)
	dst = listing.AppendString(dst, r.Name)
	if namespace {
		text("lower", r.Lower)
		text("upper", r.Upper)
		return append(dst, '}')
	}
	text("timestamp", r.Timestamp)
	text("lower", r.Lower)
	text("upper", r.Upper)
	number("object_count", r.ObjectCount)
	number("bytes_used", r.BytesUsed)
	text("meta_timestamp", r.MetaTimestamp)
	number("deleted", int64(r.Deleted))
	number("state", int64(r.State))
	text("state_timestamp", r.StateTimestamp)
	if r.Epoch == nil {
		dst = append(dst, `, "epoch": null`...)
	} else {
		text("epoch", *r.Epoch)
	}
	number("reported", int64(r.Reported))
	number("tombstones", r.Tombstones)
	text("last_modified", parse(r.Timestamp).ISO())
	return append(dst, '}')
}
