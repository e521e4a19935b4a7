package object

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/timestamp"
)

// What a change of an object means for container servers: the row in its container, and rows of the expiry queue.

const (
	// queueAccount holds the expiry queue.
	queueAccount = ".expiring_objects"
	// emptyETag is the MD5 of nothing: queue rows have no content.
	emptyETag = "d41d8cd98f00b204e9800998ecf8427e"
)

// headers are those of an update, in the order in which they are kept.
type headers []updates.Header

func (h headers) set(name, value string) headers {
	for i := range h {
		if h[i].Name == name {
			h[i].Value = value
			return h
		}
	}
	return append(h, updates.Header{Name: name, Value: value})
}

// tellOfPut sends the row of a new object and keeps the expiry queue in step.
func (s *Server) tellOfPut(ctx context.Context, c *call, before *store.Info, md store.Metadata, footer http.Header) {
	var batch updateBatch
	deleteAt, _ := meta.DeleteAt(meta.Value(c.r.Header, "X-Delete-At"))
	if deleteAt != 0 {
		s.enqueue(c, &batch, deleteAt, c.at, md.Get("Content-Length"))
	}
	if before != nil && before.DeleteAt != 0 && before.DeleteAt != deleteAt {
		s.unqueue(c, &batch, before.DeleteAt)
	}
	row := headers{{Name: "X-Size", Value: md.Get("Content-Length")}, {Name: "X-Content-Type", Value: md.Get("Content-Type")},
		{Name: "X-Timestamp", Value: c.at.Internal()}, {Name: "X-Etag", Value: md.Get("ETag")}}
	// The newer kind of override beats the older, and of each kind the footer beats the headers.
	for _, prefix := range [...]string{meta.OldOverridePrefix, meta.OverridePrefix} {
		row = override(row, prefix, c.r.Header)
		row = override(row, prefix, footer)
	}
	s.addContainerUpdates(c, &batch, http.MethodPut, row)
	s.deliver(ctx, &batch)
}

// override replaces values of a row by those in headers that begin with prefix.
func override(row headers, prefix string, h http.Header) headers {
	var names []string
	for name := range h {
		if _, ok := cutPrefixFold(name, prefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		rest, _ := cutPrefixFold(name, prefix)
		row = row.set(meta.Title("X-"+rest), meta.Value(h, name))
	}
	return row
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return "", false
}

// postResult is what a POST has made of an object.
type postResult struct {
	before        *store.Info
	at            timestamp.Timestamp // of the metadata
	contentType   string
	contentTypeAt timestamp.Timestamp
	deleteAt      int64
	newMetadata   bool
}

// tellOfPost sends the row of a changed object and keeps the expiry queue in step.
func (s *Server) tellOfPost(ctx context.Context, c *call, p postResult) {
	var batch updateBatch
	if p.newMetadata {
		if p.deleteAt != 0 {
			s.enqueue(c, &batch, p.deleteAt, p.before.Data, p.before.Metadata.Get("Content-Length"))
		}
		if p.before.DeleteAt != 0 && p.before.DeleteAt != p.deleteAt {
			s.unqueue(c, &batch, p.before.DeleteAt)
		}
	}
	row := headers{{Name: "X-Size", Value: p.before.Metadata.Get("Content-Length")}, {Name: "X-Content-Type", Value: p.contentType},
		{Name: "X-Timestamp", Value: p.before.Data.Internal()},
		{Name: "X-Content-Type-Timestamp", Value: p.contentTypeAt.Internal()},
		{Name: "X-Meta-Timestamp", Value: p.at.Internal()}, {Name: "X-Etag", Value: p.before.ETag}}
	for _, prefix := range [...]string{meta.OldOverridePrefix, meta.OverridePrefix} {
		for _, item := range p.before.Metadata {
			if rest, ok := cutPrefixFold(item.Key, prefix); ok {
				row = row.set(meta.Title("X-"+rest), item.Value)
			}
		}
	}
	s.addContainerUpdates(c, &batch, http.MethodPut, row)
	s.deliver(ctx, &batch)
}

// addContainerUpdates adds the row for the object's container, to the servers that the proxy has named. Without a
// partition somebody else does it: replicators and ssync name none.
func (s *Server) addContainerUpdates(c *call, batch *updateBatch, op string, row headers) {
	h := c.r.Header
	partition := h.Get("X-Container-Partition")
	hosts, devices := splitTrim(h.Get("X-Container-Host")), splitTrim(h.Get("X-Container-Device"))
	if len(hosts) != len(devices) {
		s.deps.Logger.LogAttrs(c.r.Context(), slog.LevelError, "container update lost: different numbers of hosts and devices",
			slog.String("hosts", h.Get("X-Container-Host")), slog.String("devices", h.Get("X-Container-Device")),
			slog.String("path", c.r.URL.Path))
		return
	}
	if partition == "" {
		return
	}
	u := updates.Update{
		Op: op, Account: c.object.Account, Container: c.object.Container, Object: c.object.Name,
		Headers:       s.signed(c, row, c.object.Policy.String()),
		DBState:       h.Get("X-Container-Root-Db-State"),
		ContainerPath: s.shardPath(c),
	}
	for i := range hosts {
		batch.add(c, u, target{hosts[i], devices[i], partition})
	}
}

// shardPath is the shard to tell in place of the container; empty for none.
func (s *Server) shardPath(c *call) string {
	path := apipath.Unquote(c.r.Header.Get("X-Backend-Quoted-Container-Path"))
	if path == "" {
		path = c.r.Header.Get("X-Backend-Container-Path")
	}
	if path == "" {
		return ""
	}
	if _, err := apipath.Split(nil, "/"+path, 2, 2); err != nil {
		// The root knows where the row belongs.
		s.deps.Logger.LogAttrs(c.r.Context(), slog.LevelError, "invalid container path, updating the root",
			slog.String("container_path", path), slog.String("path", c.r.URL.Path))
		return ""
	}
	return path
}

// signed adds to a row what all updates carry.
func (s *Server) signed(c *call, row headers, policyIndex string) headers {
	txn := c.r.Header.Get("X-Trans-Id")
	if txn == "" {
		txn = "-"
	}
	return row.set("X-Trans-Id", txn).
		set("Referer", c.r.Method+" http://"+c.r.Host+apipath.Quote(c.r.URL.Path)).
		set("X-Backend-Storage-Policy-Index", policyIndex).
		set("User-Agent", s.agent)
}

// splitTrim splits a comma list. Nothing is one empty element, as the proxy's lists are made.
func splitTrim(list string) []string {
	parts := strings.Split(list, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// enqueue adds the row by which the expirer will find the object.
func (s *Server) enqueue(c *call, batch *updateBatch, deleteAt int64, data timestamp.Timestamp, size string) {
	h := c.r.Header
	hosts, named := h["X-Delete-At-Host"]
	if meta.Truthy(h.Get("X-Backend-Replication")) || !named {
		return // other replicas' servers have been told to do it
	}
	container := h.Get("X-Delete-At-Container")
	if at, ok := meta.DeleteAt(container); ok {
		container = tenDigits(at)
	} else {
		container = s.queueContainer(c, deleteAt)
	}
	u := s.queueUpdate(c, http.MethodPut, container, deleteAt, headers{
		{Name: "X-Size", Value: "0"},
		{Name: "X-Content-Type", Value: "text/plain;swift_expirer_bytes=" + size},
		{Name: "X-Etag", Value: emptyETag},
		{Name: "X-Content-Type-Timestamp", Value: data.Internal()},
	})
	partition := h.Get("X-Delete-At-Partition")
	devices := splitTrim(h.Get("X-Delete-At-Device"))
	usable := 0
	for i, host := range splitTrim(hosts[0]) {
		if i < len(devices) && host != "" && devices[i] != "" && partition != "" {
			batch.add(c, u, target{host, devices[i], partition})
			usable++
		}
	}
	if usable == 0 {
		batch.save(c, u)
	}
}

// unqueue adds the removal of a row of the queue. It is never sent directly: nobody waits for it, and a row that stays
// does no harm, since the expirer compares the times.
func (s *Server) unqueue(c *call, batch *updateBatch, deleteAt int64) {
	h := c.r.Header
	if meta.Truthy(h.Get("X-Backend-Replication")) {
		return
	}
	if v, ok := h["X-Backend-Clean-Expiring-Object-Queue"]; ok && !meta.Truthy(v[0]) {
		return
	}
	batch.save(c, s.queueUpdate(c, http.MethodDelete, s.queueContainer(c, deleteAt), deleteAt, nil))
}

func (s *Server) queueUpdate(c *call, op, container string, deleteAt int64, row headers) updates.Update {
	row = append(headers{{Name: "X-Timestamp", Value: c.at.Internal()}}, row...)
	return updates.Update{
		Op: op, Account: queueAccount, Container: container, Object: tenDigits(deleteAt) + "-" + c.object.Path()[1:],
		Headers: s.signed(c, row, "0"), // the cluster's own accounts are in policy 0
	}
}

// queueContainer spreads the objects that expire in one interval over up to a hundred containers.
func (s *Server) queueContainer(c *call, deleteAt int64) string {
	sum := s.deps.Cluster.Hasher.Sum(c.object.Account, c.object.Container, c.object.Name)
	shard := 0 // the hash, taken as one number, modulo 100
	for _, b := range sum {
		shard = (shard*256 + int(b)) % 100
	}
	return tenDigits(deleteAt/s.cfg.ExpiringDivisor*s.cfg.ExpiringDivisor - int64(shard))
}

func tenDigits(n int64) string {
	text := strconv.FormatInt(min(max(n, 0), 9999999999), 10)
	return strings.Repeat("0", 10-len(text)) + text
}
