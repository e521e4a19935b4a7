package bulk

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/subreq"
)

// formats are the archives that can be unpacked, and how they are compressed.
var formats = map[string]string{"tar": "", "tar.gz": "gz", "tar.bz2": "bz2"}

// serveExtract stores what is in the archive that is the body.
func (f *filter) serveExtract(w http.ResponseWriter, r *http.Request, format string) {
	compression, ok := formats[strings.Trim(strings.ToLower(format), ".")]
	if !ok {
		reply.Write(w, r, reply.Raw(http.StatusBadRequest, "Unsupported archive format"))
		return
	}
	b := f.body(w, r)
	bulkreport.Serve(w, r, f.config.YieldFrequency.Duration, "extract", func(ctx context.Context, refused *reply.Error) bulkreport.Report {
		x := &extraction{filter: f, r: r.WithContext(ctx), client: b, containers: map[string]struct{}{}}
		if refused == nil {
			refused = x.run(ctx, compression)
		}
		return x.finish(refused)
	})
}

// An extraction is on its way.
type extraction struct {
	*filter
	r       *http.Request
	client  *body
	archive *archive
	account string      // "/v1/AUTH_test"
	base    string      // what the client's path has after it
	header  http.Header // of every object

	containers map[string]struct{} // that have been looked at
	made       int                 // of them
	report     bulkreport.Report   // what has failed
	broken     bool                // a server has
}

// run stores the files of the archive. What it returns is why that ended early.
func (x *extraction) run(ctx context.Context, compression string) *reply.Error {
	if noLength(x.r) {
		return refuse(http.StatusLengthRequired)
	}
	var segments [3]string
	s, err := apipath.SplitRest(segments[:0], x.r.URL.Path, 2, 3)
	if err != nil {
		return refuse(http.StatusNotFound)
	}
	x.account = "/" + s[0] + "/" + s[1]
	if len(s) > 2 {
		x.base = strings.TrimRight(s[2], "/")
	}
	x.header = http.Header{}
	for k, v := range x.r.Header {
		if k == "X-Delete-At" || k == "X-Delete-After" || meta.IsUserMeta(meta.Object, k) {
			x.header[k] = v
		}
	}
	if x.archive, err = openArchive(x.client, compression); err == nil {
		err = x.walk(ctx)
	}
	if broken := x.client.refusal(); broken != nil {
		return broken
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if f, ok := errors.AsType[*fault](err); ok {
		return reply.Raw(http.StatusBadRequest, "Invalid Tar File: "+f.text).Because(err)
	}
	return reply.As(err)
}

// walk stores file after file.
func (x *extraction) walk(ctx context.Context) error {
	for x.report.Failures() < x.config.MaxFailedExtractions {
		h, own, err := x.archive.next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := x.file(h, own); err != nil {
			return err
		}
	}
	return nil
}

// file stores one file. An error ends the extraction.
func (x *extraction) file(h *tar.Header, own attributes) error {
	name := strings.TrimLeft(strings.TrimPrefix(h.Name, "./"), "/")
	if x.base != "" {
		name = x.base + "/" + name
	}
	container, object, ok := strings.Cut(name, "/")
	if !ok {
		return nil // it would be a container
	}
	path := x.account + "/" + name
	header := x.header.Clone()
	switch err := own.set(header, x.limits.MaxHeaderSize); {
	case !apipath.ValidUTF8(path, false):
		x.fail(name, http.StatusPreconditionFailed)
		return nil
	case h.Size > x.limits.MaxFileSize:
		x.fail(name, http.StatusRequestEntityTooLarge)
		return nil
	case err != nil, container == "", object == "":
		// Without an object it would be a request for the container or account itself.
		x.fail(name, http.StatusBadRequest)
		return nil
	}
	containerCode, err := x.container(container)
	if err != nil {
		return err
	}
	body := &content{archive: x.archive}
	code := x.send(x.subrequest(x.r, "BulkExpand", subreq.Options{
		Method: http.MethodPut, Path: path, Header: header, Body: body, Length: h.Size, Source: "EA",
	}))
	x.containers[container] = struct{}{}
	if body.err != nil {
		// Whatever the answer is, it is to a body that was not there.
		x.fail(name, http.StatusInternalServerError)
		return x.archive.fault(body.err)
	}
	if code >= 200 && code < 300 {
		x.archive.stored++
		return nil
	}
	if containerCode != 0 {
		x.fail(x.account+"/"+container, containerCode)
	}
	x.fail(name, code)
	if code == http.StatusUnauthorized {
		return refuse(code)
	}
	x.broken = x.broken || code >= 500
	return nil
}

// container sees to it that a container is there. The object may still be stored if it could not: its client's rights may
// be to that only. So that is only told, with the status, if the object cannot be either. An error ends the extraction.
func (x *extraction) container(name string) (code int, err error) {
	if _, known := x.containers[name]; known {
		return 0, nil
	}
	ask := func(method string) int {
		return x.send(x.subrequest(x.r, "BulkExpand", subreq.Options{Method: method, Path: x.account + "/" + name, Source: "EA"}))
	}
	code = ask(http.MethodHead)
	if code == http.StatusNotFound {
		if x.made >= x.config.MaxContainers {
			return 0, reply.Raw(http.StatusBadRequest, fmt.Sprintf("More than %d containers to create from tar.", x.config.MaxContainers))
		}
		if code = ask(http.MethodPut); code >= 200 && code < 300 {
			x.made++
		}
	}
	switch {
	case code == http.StatusUnauthorized:
		return 0, refuse(code)
	case code >= 200 && code < 300:
		return 0, nil
	}
	return code, nil
}

// fail notes that a file, or a container, could not be stored.
func (x *extraction) fail(name string, code int) {
	x.report.Fail(apipath.Quote(name[:min(len(name), x.longestPath())]), bulkreport.StatusLine(code))
}

// finish tells what came of it.
func (x *extraction) finish(refused *reply.Error) bulkreport.Report {
	stored := 0
	if x.archive != nil {
		stored = int(x.archive.stored)
	}
	code, text := http.StatusCreated, ""
	switch {
	case refused != nil:
		code, text = refused.Code, refused.Body
	case x.broken:
		code = http.StatusBadGateway
	case x.report.Failures() > 0:
		code = http.StatusBadRequest
	case stored == 0:
		code, text = http.StatusBadRequest, "Invalid Tar File: No Valid Files"
	}
	r := x.report
	r.Add("Response Status", bulkreport.StatusLine(code))
	r.Add("Response Body", text)
	r.Count("Number Files Created", stored)
	return r
}

// content is one file's, as the body of its upload.
type content struct {
	archive *archive
	err     error // that is not the end
}

// Read reads from the file.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.archive.tar.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
