package slo

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

// An upload is a manifest on its way to be stored.
type upload struct {
	*filter
	r      *http.Request
	path   apipath.Path
	inputs []input
	kind   string // of the report, should there be one

	problems bulkreport.Report
	etag     string
}

// put stores a manifest. The error is the client's answer.
func (f *filter) put(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	if r.Header.Get("X-Copy-From") != "" {
		return reply.Raw(http.StatusMethodNotAllowed, "Multipart Manifest PUTs cannot be COPY requests")
	}
	u := &upload{filter: f, r: r, path: p}
	var err error
	if u.kind, err = bulkreport.Negotiate(r); err != nil {
		u.kind = listing.TypeText
	}
	if err := u.authorize(); err != nil {
		return err
	}
	if err := u.read(); err != nil {
		return err
	}
	if meta.Truthy(param(r, "heartbeat")) {
		u.beat(w)
		return nil
	}
	put, err := u.prepare(r.Context())
	if err != nil {
		return err
	}
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		if code >= 200 && code < 300 {
			h["Etag"] = []string{`"` + u.etag + `"`}
		}
		return code
	})
	f.next.ServeHTTP(out, put)
	out.Finish()
	return nil
}

// authorize asks whether the manifest may be stored at all, before any of it is read and anything is done for it.
func (u *upload) authorize() error {
	state := request.From(u.r.Context())
	if state.Authorize == nil {
		return nil
	}
	c := lookup.GetContainer(u.r, lookup.Subrequest{Next: u.next, Source: logSource}, u.path.Account, u.path.Container)
	return request.Authorize(u.r, string(c.WriteACL))
}

// read reads and checks what the client has sent.
func (u *upload) read() error {
	limit := int64(u.config.MaxManifestSize)
	tooLong := reply.Raw(http.StatusRequestEntityTooLarge, fmt.Sprintf("Manifest File > %d bytes", limit))
	if u.r.ContentLength > limit {
		return tooLong
	}
	if _, said := u.r.Header["Content-Length"]; u.r.ContentLength == 0 && !said && u.r.ProtoMajor == 1 {
		return reply.Status(http.StatusLengthRequired)
	}
	body, err := io.ReadAll(io.LimitReader(u.r.Body, limit+1))
	switch {
	case err != nil:
		return reply.Status(reply.StatusClientDisconnect).Because(err)
	case int64(len(body)) > limit:
		return tooLong
	}
	if u.inputs, err = parseInput(body, u.path); err != nil {
		return err
	}
	objects := 0
	for _, in := range u.inputs {
		if in.data == nil {
			objects++
		}
	}
	if objects > u.config.MaxManifestSegments {
		return reply.Raw(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("Number of object-backed segments must be <= %d", u.config.MaxManifestSegments))
	}
	return nil
}

// prepare looks at the segments and makes the request that stores the manifest. The error is the client's answer.
func (u *upload) prepare(ctx context.Context) (*http.Request, error) {
	found, err := u.heads(ctx)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(u.inputs))
	for i, in := range u.inputs {
		if in.data != nil {
			parts[i] = part{Data: in.data, isData: true}
			parts[i].span.End = int64(len(in.data))
			continue
		}
		parts[i] = u.judge(in, found[in.path], i == len(u.inputs)-1)
	}
	if u.problems.Failures() > 0 {
		return nil, &reply.Error{Code: http.StatusBadRequest, Type: u.kind, Body: u.problems.Format(u.kind, "upload")}
	}
	size, err := total(parts)
	if err != nil {
		return nil, reply.Status(http.StatusRequestEntityTooLarge).Because(err)
	}
	u.etag = sum(parts)
	if want := conditional.Unquote(meta.Value(u.r.Header, "Etag")); want != "" && want != u.etag {
		return nil, reply.Status(http.StatusUnprocessableEntity)
	}
	return u.request(ctx, encode(parts), size)
}

// heads asks for each object once, some at the same time.
func (u *upload) heads(ctx context.Context) (map[string]*subreq.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := map[string]*subreq.Response{}
	paths := make(chan string)
	var mu sync.Mutex // guards found and failed
	var failed error
	var all sync.WaitGroup
	source := segments.Source{Next: u.next, Code: logSource, Agent: "SLO MultipartPUT"}
	base := u.r.WithContext(ctx)
	for range min(u.config.Concurrency, len(u.inputs)) {
		all.Go(func() {
			for path := range paths {
				// The filter itself is asked, so that a segment that is a large object has the size of that.
				head := source.Request(base, http.MethodHead, u.path.AccountPath().String()+"/"+trimSlashes(path), nil)
				res, err := u.small(u.filter, head)
				mu.Lock()
				if found[path] = res; err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	asked := map[string]bool{}
	for _, in := range u.inputs {
		if in.data == nil && !asked[in.path] && ctx.Err() == nil {
			asked[in.path] = true
			paths <- in.path
		}
	}
	close(paths)
	all.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return found, failed
}

// maxAnswer bounds what is kept of an answer to a request that has none but a short text, in bytes.
const maxAnswer = 64 << 10

// errBroken is a request of the filter's own that did not end.
var errBroken = errors.New("request broke off")

// small makes a request on a goroutine of the filter's own, in which a panic would end the process.
func (f *filter) small(next http.Handler, r *http.Request) (res *subreq.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				f.log.ErrorContext(r.Context(), "panic in a subrequest", slog.String("txn", request.From(r.Context()).TransID),
					slog.String("path", r.URL.Path), slog.Any("err", v), slog.String("stack", string(debug.Stack())))
			}
			e := reply.Status(http.StatusInternalServerError)
			res, err = &subreq.Response{Code: e.Code, Header: http.Header{}, Body: []byte(e.Body)}, errBroken
		}
	}()
	res, _ = subreq.Small(next, r, maxAnswer) // a body that is too long is shown cut
	return res, nil
}

// judge compares what the client says of an object with what was found.
func (u *upload) judge(in input, res *subreq.Response, last bool) part {
	complain := func(what string) { u.problems.Fail(apipath.Quote(in.path), what) }
	if !res.OK() {
		complain(bulkreport.StatusLine(res.Code))
		return part{}
	}
	size, err := strconv.ParseInt(res.Header.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		complain("Size Mismatch") // a large object of which nobody knows the size
		return part{}
	}
	contentType, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	p := part{
		Name: "/" + trimSlashes(in.path), Bytes: size, Hash: conditional.Unquote(res.Header.Get("Etag")), ContentType: contentType,
		LastModified: isoDate(res.Header.Get("Last-Modified")), SubSLO: meta.Truthy(res.Header.Get(headerLarge)),
	}
	p.span.End = size
	if len(in.rng) > 0 {
		switch got, err := in.rng.Resolve(size); {
		case err != nil:
			complain("Unsatisfiable Range")
		case len(got) > 0 && got[0] != p.span:
			p.span = got[0]
			p.Range = fmt.Sprintf("%d-%d", got[0].Start, got[0].End-1)
		}
	}
	if p.span.Len() < 1 && !last {
		complain("Too small; each segment must be at least 1 byte.")
	}
	if in.size != nil && *in.size != size {
		complain("Size Mismatch")
	}
	if in.etag != nil && *in.etag != p.Hash {
		complain("Etag Mismatch")
	}
	return p
}

// isoDate turns an HTTP date into the form of listings.
func isoDate(date string) string {
	t, err := http.ParseTime(date)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}

// request makes the request that stores the manifest.
func (u *upload) request(ctx context.Context, body []byte, size int64) (*http.Request, error) {
	put := u.r.WithContext(ctx)
	h := u.r.Header.Clone()
	put.Header = h
	put.Body, put.ContentLength, put.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	md5sum := md5.Sum(body)
	stored := hex.EncodeToString(md5sum[:])
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Etag", stored)
	h.Set(headerLarge, "True")
	h.Set(headerETag, u.etag)
	h.Set(headerSize, strconv.FormatInt(size, 10))
	// Listings have both ETags. What a filter further left has put there stays.
	override := meta.OverrideName("etag")
	value, params, cut := strings.Cut(h.Get(override), ";")
	if value == "" {
		value = stored
	}
	if cut {
		value += ";" + params
	}
	h.Set(override, value+"; slo_etag="+u.etag)
	contentType := meta.Value(h, "Content-Type")
	if contentType == "" {
		contentType = u.types.Of(u.r.URL.Path)
	}
	for param := range strings.SplitSeq(contentType, ";") {
		if strings.HasPrefix(strings.TrimSpace(param), "swift_") {
			return nil, reply.Raw(http.StatusBadRequest, "Invalid Content-Type, swift_* is not a valid parameter name.")
		}
	}
	h.Set("Content-Type", contentType+";swift_bytes="+strconv.FormatInt(size, 10))
	h.Set("X-Backend-Content-Type-Overridden", "true")
	return put, nil
}
