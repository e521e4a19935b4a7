package object

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// put answers PUT. Whatever refuses it comes before the first read of the body, so that "Expect: 100-continue" gets the
// refusal as its only answer.
func (s *Server) put(c *call) error {
	if err := c.time(true); err != nil {
		return err
	}
	size, err := s.checkCreation(c)
	if err != nil {
		return err
	}
	footer, err := footerOf(c.r)
	if err != nil {
		return err
	}
	cond, err := s.reserve(c)
	if err != nil {
		return err
	}
	defer cond.release()
	before, err := s.stateBeforePut(c, cond)
	if err != nil {
		return err
	}
	up, err := s.store.Create(c.r.Context(), c.object, size)
	if err != nil {
		return c.failure(err)
	}
	defer up.Close()
	s.beginRead(c)
	c.consent(footer, cond)
	body, err := footer.begin(c)
	if err != nil {
		return err
	}
	n, sum, err := s.receive(c, body, up)
	if err != nil {
		return footer.failure(err)
	}
	if size >= 0 && n != size {
		return reply.Status(reply.StatusClientDisconnect).Because(fmt.Errorf("got %d bytes of %d", n, size))
	}
	s.beginRead(c)
	more, err := footer.read(c)
	if err != nil {
		return err
	}
	// Only now: after a failure the deadline must stay, because net/http reads on to see whether the connection is worth
	// keeping.
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	etag := hex.EncodeToString(sum)
	if want := wantedETag(c.r.Header, more); want != "" && want != etag {
		return reply.Status(http.StatusUnprocessableEntity).Because(fmt.Errorf("MD5 is %s, want %s", etag, want))
	}
	md := s.metadataOfPut(c, n, etag, more)
	// From here on the client's going away must not stop us half-way: the object may be visible already.
	ctx := context.WithoutCancel(c.r.Context())
	if err := up.CommitIf(ctx, c.at, md, cond.guard(c)); err != nil {
		return c.failure(err)
	}
	s.tellOfPut(ctx, c, before, md, more)
	c.w.Header()["Etag"] = []string{`"` + etag + `"`}
	return s.done(c, http.StatusCreated)
}

// checkCreation applies the rules for new objects and returns the announced size, -1 if it is not known.
func (s *Server) checkCreation(c *call) (int64, error) {
	r, limits := c.r, &s.deps.Cluster.Limits
	size := r.ContentLength
	if size > limits.MaxFileSize {
		return 0, text(http.StatusRequestEntityTooLarge, "Your request is too large.")
	}
	if size == 0 && r.Body == http.NoBody && r.Header["Content-Length"] == nil {
		// A request of this process has no header for what it has a field for; only over a network is it missing.
		if _, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && len(r.TransferEncoding) == 0 {
			return 0, text(http.StatusLengthRequired, "Missing Content-Length header.")
		}
	}
	if n := utf8.RuneCountInString(c.object.Name); n > limits.MaxObjectNameLength {
		return 0, text(http.StatusBadRequest, fmt.Sprintf("Object name length of %d longer than %d", n, limits.MaxObjectNameLength))
	}
	if _, ok := r.Header["X-Delete-After"]; ok {
		r.Header = r.Header.Clone() // resolved below; the map may be the caller's
	}
	if err := meta.ResolveDelete(r.Header, c.at.Time()); err != nil {
		return 0, refusal(err)
	}
	// A missing type is an empty one to Swift, and as wrong.
	if !apipath.ValidUTF8(r.Header.Get("Content-Type"), false) {
		return 0, text(http.StatusBadRequest, "Invalid Content-Type")
	}
	if err := meta.Check(meta.Object, r.Header, *limits); err != nil {
		return 0, refusal(err)
	}
	if size >= 0 {
		return size, nil
	}
	hint := r.Header.Get("X-Backend-Obj-Content-Length")
	if hint == "" {
		return -1, nil
	}
	size, err := strconv.ParseInt(strings.TrimSpace(hint), 10, 64)
	if err != nil || size < 0 {
		return 0, text(http.StatusBadRequest, "Invalid X-Backend-Obj-Content-Length header value")
	}
	return size, nil
}

// refusal is the answer to headers that break a rule.
func refusal(err error) error {
	if e, ok := errors.AsType[*meta.Error](err); ok {
		return text(http.StatusBadRequest, e.Text())
	}
	return err
}

// consent asks for the body, and says what this server promises of it: a proxy that needs a promise waits for that. Without
// one the first read asks.
func (c *call) consent(f *footer, cond *condition) {
	if !strings.EqualFold(c.r.Header.Get("Expect"), "100-continue") || f.boundary == "" && cond == nil {
		return
	}
	h := c.w.Header()
	if f.boundary != "" {
		h["X-Obj-Metadata-Footer"] = []string{"yes"}
	}
	if cond != nil {
		h[conditional.HeaderReserved] = []string{cond.stored.Internal()}
	}
	c.w.WriteHeader(http.StatusContinue)
	delete(h, "X-Obj-Metadata-Footer")
	delete(h, conditional.HeaderReserved)
}

// stateBeforePut reads what the new object replaces, nil for nothing, and refuses the request if that is newer.
func (s *Server) stateBeforePut(c *call, cond *condition) (*store.Info, error) {
	var info *store.Info
	var stored timestamp.Timestamp
	f, err := s.store.Open(c.r.Context(), c.object, store.OpenOptions{Now: c.at})
	switch {
	case err == nil:
		info = f.Info()
		stored = info.Data
		_ = f.Close() // opened for reading
	case errors.Is(err, store.ErrNotFound):
		stored, _ = store.TombstoneTime(err)
	default:
		return nil, c.failure(err)
	}
	if tags := meta.Value(c.r.Header, "If-None-Match"); tags != "" && info != nil && conditional.Match(tags, info.ETag) {
		return nil, reply.Status(http.StatusPreconditionFailed)
	}
	if err := cond.check(c, info, stored); err != nil {
		return nil, err
	}
	if !stored.Before(c.at) {
		return nil, conflict(stored)
	}
	return info, nil
}

// hasher is what makes the MD5 of a body: this server, or, in the same process, who sends it.
type hasher struct {
	hash.Hash                        // nil if the sender does it
	sent      func() ([]byte, int64) // of the sender
}

func hasherOf(body io.Reader) hasher {
	if b, ok := body.(nodes.Hashed); ok {
		if sent := b.ObjectMD5(); sent != nil {
			return hasher{sent: sent}
		}
	}
	return hasher{Hash: md5.New()}
}

func (h hasher) add(p []byte) {
	if h.Hash != nil {
		h.Write(p)
	}
}

// md5 returns the MD5 of all that was read.
func (h hasher) md5(total int64) ([]byte, error) {
	if h.Hash != nil {
		return h.Sum(nil), nil
	}
	sum, n := h.sent()
	if len(sum) != md5.Size || n != total {
		return nil, fmt.Errorf("got %d bytes where %d were hashed", total, n)
	}
	return sum, nil
}

// receive copies the body to the disk and returns its length and MD5.
func (s *Server) receive(c *call, body io.Reader, up store.Upload) (int64, []byte, error) {
	deadline := time.Now().Add(s.cfg.MaxUploadTime.Duration)
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	sum := hasherOf(c.r.Body)
	var total int64
	for {
		n, err := s.fill(c, body, *buf, deadline)
		if err != nil && err != io.EOF {
			return 0, nil, err
		}
		if n > 0 {
			sum.add((*buf)[:n])
			total += int64(n)
			if _, err := up.Write((*buf)[:n]); err != nil {
				return 0, nil, c.failure(err)
			}
		}
		if err == io.EOF {
			sum, err := sum.md5(total)
			return total, sum, err
		}
	}
}

// fill reads until the buffer is full or the body ends. A body comes in pieces of whatever sizes, a small one mostly in two: one
// with the head, and the rest. Whoever writes them to a disk makes a call for each.
func (s *Server) fill(c *call, body io.Reader, buf []byte, deadline time.Time) (n int, err error) {
	for n < len(buf) && err == nil {
		if time.Now().After(deadline) {
			return n, reply.Status(http.StatusRequestTimeout).Because(errors.New("upload took too long"))
		}
		s.beginRead(c)
		var m int
		m, err = body.Read(buf[n:])
		n += m
	}
	return n, err
}

// beginRead allows the client client_timeout from now for what is read next, and up to an eighth more: moving the deadline costs
// more than looking at the clock.
func (s *Server) beginRead(c *call) {
	now, limit := time.Now(), s.cfg.ClientTimeout.Duration
	if now.Before(c.deadlineHolds) {
		return
	}
	c.deadlineHolds = now.Add(limit / 8)
	// A caller in this process has no deadlines, and no network that could hang.
	_ = http.NewResponseController(c.w).SetReadDeadline(c.deadlineHolds.Add(limit))
}

// readFailure is the answer to a body that cannot be read.
func readFailure(err error) error {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return reply.Status(http.StatusRequestTimeout).Because(err)
	}
	return reply.Status(reply.StatusClientDisconnect).Because(err)
}

// wantedETag is the MD5 that the sender says the body has. The footer knows better. As in Swift, only the footer may
// have it in capitals.
func wantedETag(h http.Header, footer http.Header) string {
	if want := footer.Get("Etag"); want != "" {
		return strings.ToLower(conditional.Unquote(want))
	}
	return conditional.Unquote(h.Get("Etag"))
}

// metadataOfPut collects what is stored with a new object.
func (s *Server) metadataOfPut(c *call, size int64, etag string, footer http.Header) store.Metadata {
	md := store.Metadata{
		{Key: "Content-Type", Value: c.r.Header.Get("Content-Type")},
		{Key: "Content-Length", Value: strconv.FormatInt(size, 10)},
		{Key: "ETag", Value: etag},
	}
	md = addHeaders(md, c.r.Header, isObjectMeta)
	md = s.addStored(md, c.r.Header)
	return addHeaders(md, footer, isObjectMeta)
}

// addHeaders adds the headers that are wanted, in the order of their names.
func addHeaders(md store.Metadata, h http.Header, wanted func(string) bool) store.Metadata {
	var names []string
	for name := range h {
		if wanted(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		md = md.Set(meta.ObjectKey(meta.FromClient(name)), meta.Value(h, name))
	}
	return md
}

// addStored adds the headers that are stored by configuration, or because a replicator says so.
func (s *Server) addStored(md store.Metadata, h http.Header) store.Metadata {
	add := func(name string) {
		canonical := http.CanonicalHeaderKey(name)
		switch canonical {
		case "Content-Length", "Etag", "X-Timestamp":
			return // a replicator names them with the rest, but what has been received counts
		}
		if _, ok := h[canonical]; ok {
			md = md.Set(meta.ObjectKey(name), meta.Value(h, canonical))
		}
	}
	for name := range strings.FieldsSeq(h.Get("X-Backend-Replication-Headers")) {
		add(name)
	}
	for _, name := range s.allowed {
		add(name)
	}
	return md
}
