package object

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// post answers POST: new metadata for an object.
func (s *Server) post(c *call) error {
	if err := c.time(true); err != nil {
		return err
	}
	deleteAt, err := newDeleteAt(c)
	if err != nil {
		return err
	}
	f, err := s.store.Open(c.r.Context(), c.object, store.OpenOptions{Now: c.at, Expired: opensExpired(c.r.Header)})
	if errors.Is(err, store.ErrNotFound) {
		// Without the tombstone's time: proxies expect it of GET, HEAD and DELETE only.
		return reply.Status(http.StatusNotFound).Because(err)
	}
	if err != nil {
		return c.failure(err)
	}
	info := f.Info()
	_ = f.Close() // opened for reading
	contentType, contentTypeAt, err := newContentType(c)
	if err != nil {
		return err
	}
	newMetadata, newType := c.at.After(info.Timestamp), contentTypeAt.After(info.ContentTypeAt)
	if !newMetadata && (!newType || info.Changed == nil) {
		// A newer content type alone lives in a .meta file of the stored time, and there is none that could hold it.
		return conflict(info.Timestamp)
	}
	change := store.MetadataChange{At: info.Timestamp, Metadata: slices.Clone(info.Changed).Without("Content-Type", "Content-Type-Timestamp")}
	if newMetadata {
		change = store.MetadataChange{At: c.at, Metadata: s.metadataOfPost(c)}
	}
	if !newType {
		contentType, contentTypeAt = info.ContentType, info.ContentTypeAt
	}
	if contentTypeAt != info.Data {
		change.ContentType, change.ContentTypeAt = contentType, contentTypeAt
	}
	ctx := context.WithoutCancel(c.r.Context())
	if err := s.store.SetMetadata(ctx, c.object, change); err != nil {
		return c.failure(err)
	}
	shown := contentType
	if contentTypeAt != info.Data {
		shown = withSwiftBytes(contentType, info.DataContentType)
	}
	s.tellOfPost(ctx, c, postResult{before: info, at: change.At, contentType: shown, contentTypeAt: contentTypeAt,
		deleteAt: deleteAt, newMetadata: newMetadata})
	h := c.w.Header()
	h["X-Backend-Content-Type"] = []string{shown}
	for _, item := range info.Metadata {
		if meta.IsSysmeta(meta.Object, item.Key) {
			h.Set(item.Key, item.Value)
		}
	}
	return reply.Status(http.StatusAccepted)
}

// newContentType reads the content type that the request sets and its time, nothing and long ago if it sets none.
func newContentType(c *call) (string, timestamp.Timestamp, error) {
	contentType := c.r.Header.Get("Content-Type")
	if contentType == "" {
		return "", timestamp.Timestamp{}, nil
	}
	v := c.r.Header.Get("Content-Type-Timestamp")
	if v == "" {
		return contentType, c.at, nil
	}
	at, err := timestamp.Parse(v)
	if err != nil {
		return "", at, text(http.StatusBadRequest, "Invalid Content-Type-Timestamp header")
	}
	return contentType, at, nil
}

// newDeleteAt reads when the object is to expire, 0 for never.
func newDeleteAt(c *call) (int64, error) {
	v := c.r.Header.Get("X-Delete-At")
	if v == "" {
		return 0, nil
	}
	at, ok := meta.DeleteAt(v)
	if !ok {
		return 0, text(http.StatusBadRequest, "Non-integer X-Delete-At")
	}
	if at != 0 && timestamp.FromRaw(at*timestamp.UnitsPerSecond, 0).Before(c.at) {
		return 0, text(http.StatusBadRequest, "X-Delete-At in past")
	}
	return at, nil
}

// metadataOfPost collects what replaces the metadata that may change.
func (s *Server) metadataOfPost(c *call) store.Metadata {
	md := addHeaders(nil, c.r.Header, func(name string) bool {
		return meta.IsUserMeta(meta.Object, name) || meta.IsTransientSysmeta(name)
	})
	// The content type has its own time and is dealt with apart, even where a configuration allows the header.
	return s.addStored(md, c.r.Header).Without("Content-Type", "Content-Type-Timestamp")
}

// withSwiftBytes puts the size parameter of a manifest's original type, which container listings go by, on a new type.
func withSwiftBytes(contentType, original string) string {
	for param := range strings.SplitSeq(original, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(param), "=")
		if ok && strings.TrimSpace(key) == "swift_bytes" {
			return contentType + ";swift_bytes=" + strings.TrimSpace(value)
		}
	}
	return contentType
}
