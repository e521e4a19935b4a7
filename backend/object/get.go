package object

import (
	"crypto/md5"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/respw"
)

// get answers GET and HEAD.
func (s *Server) get(c *call) error {
	if err := c.time(false); err != nil {
		return err
	}
	check := s.validates()
	f, err := s.store.Open(c.r.Context(), c.object,
		store.OpenOptions{Now: c.at, Expired: opensExpired(c.r.Header), Trust: !check})
	if err != nil {
		e := c.failure(err)
		if errors.Is(err, store.ErrNotFound) &&
			conditional.Evaluate(c.r.Header, conditional.Entity{Missing: true}) == conditional.PreconditionFailed {
			return s.missingButRequired(c, err)
		}
		return e
	}
	defer f.Close()
	info := f.Info()
	s.describe(c, info)
	entity := conditional.Entity{ETag: info.ETag, LastModified: info.Timestamp.LastModified()}
	if isAt := c.r.Header.Get(conditional.HeaderEtagIsAt); isAt != "" {
		if etag, ok := conditional.AlternativeETag(isAt, lookup(info.Metadata)); ok {
			entity.ETag = etag
		}
	}
	if outcome := conditional.Evaluate(c.r.Header, entity); outcome != conditional.Pass {
		c.w.Header()["Content-Length"] = []string{"0"}
		c.status = outcome.Status()
		c.w.WriteHeader(c.status)
		return nil
	}
	parts, err := s.requestedRanges(c, info)
	if err != nil {
		return s.unsatisfied(c, info)
	}
	return s.send(c, f, parts, check)
}

// missingButRequired is the answer to If-Match: * for an object that is not there: the 404's headers, no body.
func (s *Server) missingButRequired(c *call, err error) error {
	h := c.w.Header()
	if at, ok := store.TombstoneTime(err); ok {
		h.Set("X-Backend-Timestamp", at.Internal())
	}
	return s.done(c, http.StatusPreconditionFailed)
}

// opensExpired tells whether the request may see objects whose time is over.
func opensExpired(h http.Header) bool {
	return meta.Truthy(h.Get("X-Backend-Replication")) || meta.Truthy(h.Get("X-Backend-Open-Expired"))
}

// lookup finds an item whatever the case of its name.
func lookup(md store.Metadata) func(string) (string, bool) {
	return func(name string) (string, bool) { return md.Lookup(meta.ObjectKey(name)) }
}

// describe sets the headers that tell of an object.
func (s *Server) describe(c *call, info *store.Info) {
	h := c.w.Header()
	// One array for all values: a header map wants a slice for each.
	values := make([]string, 0, len(info.Metadata)+8)
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	contentType := info.ContentType
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	set("Content-Type", contentType)
	unusual := false
	for _, item := range info.Metadata {
		if s.isShown(item.Key) {
			set(http.CanonicalHeaderKey(item.Key), item.Value)
			unusual = unusual || headname.Odd(item.Key)
		}
	}
	if unusual {
		headname.Send(c.r, h)
	}
	set("Etag", `"`+info.ETag+`"`)
	set("Last-Modified", info.Timestamp.LastModified().Format(http.TimeFormat))
	newest := info.Timestamp.Internal()
	data, normal := newest, newest // of nearly every object all three are the same
	if info.Data != info.Timestamp {
		data = info.Data.Internal()
	}
	if info.Timestamp.Offset() != 0 {
		normal = info.Timestamp.Normal()
	}
	set("X-Timestamp", normal)
	set("X-Backend-Timestamp", newest)
	set(conditional.HeaderData, data)
	set("X-Backend-Durable-Timestamp", data)
	set("Content-Length", strconv.FormatInt(info.Size, 10))
}

// isShown tells whether an item of metadata is a header of the answer.
func (s *Server) isShown(key string) bool {
	return s.isAllowed[key] || isObjectMeta(key)
}

// isObjectMeta tells whether a header is metadata of any kind.
func isObjectMeta(name string) bool {
	return meta.IsUserMeta(meta.Object, name) || meta.IsSysmeta(meta.Object, name) || meta.IsTransientSysmeta(name)
}

// requestedRanges returns what parts of the body are wanted, nil for all of it.
func (s *Server) requestedRanges(c *call, info *store.Info) ([]ranges.Range, error) {
	header := c.r.Header.Get("Range")
	if header == "" || c.r.Method == http.MethodHead {
		return nil, nil
	}
	set, ok := ranges.Parse(header)
	if !ok {
		return nil, nil
	}
	for name := range strings.SplitSeq(c.r.Header.Get("X-Backend-Ignore-Range-If-Metadata-Present"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if _, ok := lookup(info.Metadata)(name); ok {
			return nil, nil
		}
	}
	return set.Resolve(info.Size)
}

// unsatisfied is the 416, which tells of the object like a success.
func (s *Server) unsatisfied(c *call, info *store.Info) error {
	e := reply.Status(http.StatusRequestedRangeNotSatisfiable)
	e.Type = "" // keeps the object's
	return e.With("Content-Range", ranges.Unsatisfied(info.Size))
}

// send sends the head and, for a GET, the body, hashed on the way if it is to be checked and whole.
func (s *Server) send(c *call, f store.File, parts []ranges.Range, check bool) error {
	info, h := f.Info(), c.w.Header()
	c.status = http.StatusOK
	if len(parts) > 0 {
		c.status = http.StatusPartialContent
	}
	switch {
	case len(parts) > 1:
		return s.sendMultipart(c, f, parts)
	case len(parts) == 1:
		h["Content-Range"] = []string{parts[0].ContentRange(info.Size)}
		h["Content-Length"] = []string{strconv.FormatInt(parts[0].Len(), 10)}
	default:
		parts = []ranges.Range{{Start: 0, End: info.Size}}
	}
	c.w.WriteHeader(c.status)
	if c.r.Method == http.MethodHead {
		return nil
	}
	var err error
	if c.status == http.StatusOK && check {
		err = s.copyChecked(c, f)
	} else if parts[0].Len() > 0 {
		err = s.copyRange(c, f, parts[0])
	}
	s.finish(c, f, err)
	return nil
}

// validates draws whether an object is to be checked.
func (s *Server) validates() bool {
	return s.cfg.ETagValidatePct > 0 && rand.Float64()*100 < s.cfg.ETagValidatePct
}

// onePiece is up to what size a part is read and sent at once; larger ones the kernel sends, if it can.
const onePiece = 64 << 10

// copyRange sends a part of the body.
func (s *Server) copyRange(c *call, f store.File, part ranges.Range) error {
	src, err := f.Range(part.Start, part.Len())
	if err != nil {
		return err
	}
	if part.Len() < onePiece && part.Len() <= int64(s.cfg.NetworkChunkSize) {
		buf := s.buffers.Get().(*[]byte)
		defer s.buffers.Put(buf)
		data := (*buf)[:part.Len()]
		if _, err := io.ReadFull(src, data); err != nil {
			return fmt.Errorf("read %d bytes: %w", part.Len(), err)
		}
		n, err := c.w.Write(data)
		c.sent += int64(n)
		return err
	}
	n, err := respw.Copy(c.w, src)
	c.sent += n
	if err == nil && n != part.Len() {
		err = fmt.Errorf("sent %d bytes of %d: %w", n, part.Len(), io.ErrUnexpectedEOF)
	}
	return err
}

// copyChecked sends the whole body and hashes it. The client has it before the hash is known.
func (s *Server) copyChecked(c *call, f store.File) error {
	info := f.Info()
	src, err := f.Range(0, info.Size)
	if err != nil {
		return err
	}
	h := md5.New()
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	// Through io.MultiWriter and not a TeeReader, so that nothing finds a file to send by itself.
	n, err := io.CopyBuffer(io.MultiWriter(c.w, h), src, *buf)
	c.sent += n
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); n != info.Size || sum != info.ETag {
		reason := fmt.Sprintf("%d bytes with MD5 %s, metadata says %d with %s", n, sum, info.Size, info.ETag)
		return errors.Join(errors.New(reason), f.Quarantine(c.r.Context(), reason))
	}
	return nil
}

// sendMultipart sends several parts.
func (s *Server) sendMultipart(c *call, f store.File, parts []ranges.Range) error {
	info, h := f.Info(), c.w.Header()
	var random [16]byte
	crand.Read(random[:])
	m := ranges.Multipart{Boundary: ranges.Boundary(random), ContentType: h.Get("Content-Type"), Size: info.Size}
	h["Content-Type"] = []string{m.Header()}
	h["Content-Length"] = []string{strconv.FormatInt(m.Length(parts), 10)}
	c.w.WriteHeader(c.status)
	var err error
	frame := func(b []byte) {
		if err == nil {
			var n int
			n, err = c.w.Write(b)
			c.sent += int64(n)
		}
	}
	var buf []byte
	for _, part := range parts {
		buf = m.AppendHead(buf[:0], part)
		frame(buf)
		if err == nil {
			err = s.copyRange(c, f, part)
		}
		frame([]byte(ranges.PartEnd))
	}
	frame(m.AppendTail(buf[:0]))
	s.finish(c, f, err)
	return nil
}

// finish ends a body.
func (s *Server) finish(c *call, f store.File, err error) {
	if err != nil {
		c.status = statusBroken
		level := slog.LevelError
		if c.r.Context().Err() != nil {
			c.status, level = reply.StatusClientDisconnect, slog.LevelDebug
		}
		s.deps.Logger.LogAttrs(c.r.Context(), level, "send object", slog.String("path", c.r.URL.Path),
			slog.String("txn", c.r.Header.Get("X-Trans-Id")), slog.Any("err", err))
	}
	if !s.keepsCache(c, f.Info()) {
		f.Forget()
	}
}

// keepsCache tells whether a body may stay in the page cache: small ones that everybody may read.
func (s *Server) keepsCache(c *call, info *store.Info) bool {
	if info.Size >= s.cfg.KeepCacheSize {
		return false
	}
	if s.cfg.KeepCachePrivate || c.r.Header.Get("X-Auth-Token") == "" && c.r.Header.Get("X-Storage-Token") == "" {
		return true
	}
	_, manifest := info.Metadata.Lookup("X-Static-Large-Object")
	return manifest && s.cfg.KeepCacheSLOManifest
}
