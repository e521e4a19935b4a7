package slo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkdelete"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxFailed is after how many failures a deletion gives up.
const maxFailed = 1000

// delete removes a manifest and its segments. The error is the client's answer.
func (f *filter) delete(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	cond, set, err := conditional.ParseWrite(r.Header)
	switch {
	case err != nil:
		return reply.Raw(http.StatusBadRequest, "Invalid condition: "+err.Error()).Because(err)
	case set:
		return f.deleteIf(w, r, p, cond)
	}
	if f.wantsAsync(r) {
		if err := f.enqueue(r, p); err != nil {
			return err
		}
		f.next.ServeHTTP(w, r)
		return nil
	}
	f.report(w, r, p, func(ctx context.Context, d *deletion) error {
		if !apipath.ValidUTF8(r.URL.Path, false) {
			return reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
		}
		return d.walk(ctx, []victim{{name: "/" + p.Container + "/" + p.Object, version: param(r, "version-id"), manifest: true}})
	})
	return nil
}

// report has objects deleted, and reports on them.
func (f *filter) report(w http.ResponseWriter, r *http.Request, p apipath.Path, walk func(context.Context, *deletion) error) {
	bulkreport.Serve(w, r, f.config.YieldFrequency.Duration, "delete", func(ctx context.Context, refused *reply.Error) bulkreport.Report {
		d := &deletion{filter: f, r: r, path: p}
		d.pool = bulkdelete.New(bulkdelete.Options{Concurrency: f.config.DeleteConcurrency, MaxFailed: maxFailed, Log: f.log, Send: d.send})
		if refused == nil {
			// An error of the pool is in its report, or nobody is there to read it.
			if err := walk(ctx, d); err != nil && !errors.Is(err, bulkdelete.ErrExhausted) && ctx.Err() == nil {
				refused = reply.As(err)
			}
		}
		return d.pool.Report(refused)
	})
}

// A victim is an object that is to be deleted.
type victim struct {
	name     string // "/container/object"
	version  string
	manifest bool // and what is in it
	depth    int  // of the manifest that names it
	err      error
}

// A deletion is on its way.
type deletion struct {
	*filter
	r    *http.Request
	path apipath.Path
	pool *bulkdelete.Pool
}

// walk deletes what is in the queue: segments before the manifest that they are in.
func (d *deletion) walk(ctx context.Context, queue []victim) error {
	for len(queue) > 0 && ctx.Err() == nil {
		if err := d.bound(queue); err != nil {
			return err
		}
		v := queue[0]
		queue = queue[1:]
		if v.manifest {
			parts, err := d.load(ctx, v)
			for _, p := range parts {
				if !p.isData {
					queue = append(queue, victim{name: p.Name, manifest: p.SubSLO, depth: v.depth + 1})
				}
			}
			v.manifest, v.err = false, err
			queue = append(queue, v)
			continue
		}
		if err := d.one(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// bound refuses a queue that is too long. The error is the client's answer.
func (f *filter) bound(queue []victim) error {
	if len(queue) > 10*f.config.MaxManifestSegments {
		return reply.Raw(http.StatusBadRequest, "Too many buffered slo segments to delete.")
	}
	return nil
}

// one has one object deleted, or tells why it cannot be.
func (d *deletion) one(ctx context.Context, v victim) error {
	if v.err == nil {
		return d.pool.Delete(ctx, bulkdelete.Target{Name: v.name, Version: v.version})
	}
	if e := reply.As(v.err); e.Code == http.StatusNotFound {
		d.pool.Missing()
	} else {
		d.pool.Fail(v.name, e.Body)
	}
	return nil
}

// load reads a manifest. The error has the text for the report.
func (d *deletion) load(ctx context.Context, v victim) ([]part, error) {
	if v.depth >= maxDepth {
		// It could not be read either. One that is in itself, by whatever way, comes to an end here.
		return nil, reply.Raw(http.StatusBadRequest, "Manifests are nested too deep")
	}
	return d.filter.load(d.r.WithContext(ctx), d.path.AccountPath().String()+"/"+trimSlashes(v.name), v.version)
}

// load reads the manifest at path for its deletion. The error is an answer.
func (f *filter) load(r *http.Request, path, version string) ([]part, error) {
	m, err := f.read(r, path, version, false)
	return m.parts, err
}

// A manifest that was read, and the head of it.
type loaded struct {
	parts  []part
	header http.Header
}

// read reads the manifest at path, the newest one if that matters. The error is an answer.
func (f *filter) read(r *http.Request, path, version string, newest bool) (loaded, error) {
	query := url.Values{paramManifest: {"get"}}
	if version != "" {
		query.Set("version-id", version)
	}
	source := segments.Source{Next: f.next, Code: logSource, Agent: "MultipartDELETE"}
	get := source.Request(r, http.MethodGet, path, query)
	// Of an object that is no manifest, the last byte is enough.
	get.Header["Range"] = []string{"bytes=-1"}
	get.Header["X-Backend-Ignore-Range-If-Metadata-Present"] = []string{headerLarge}
	if newest {
		get.Header["X-Newest"] = []string{"True"}
	}
	res, err := f.fetch(get)
	switch {
	case res == nil:
		return loaded{}, errDelete.Because(err)
	case res.Code == http.StatusNotFound:
		return loaded{}, reply.Raw(http.StatusNotFound, "SLO manifest not found")
	case res.Code == http.StatusUnauthorized:
		return loaded{}, reply.Raw(http.StatusUnauthorized, "401 Unauthorized")
	case !res.OK():
		return loaded{}, errDelete
	case !meta.Truthy(res.Header.Get(headerLarge)):
		return loaded{}, reply.Raw(http.StatusBadRequest, "Not an SLO manifest")
	case err != nil:
		return loaded{}, errLoad.Because(err)
	}
	parts, err := parseStored(res.Body)
	if err != nil {
		return loaded{}, errLoad.Because(err)
	}
	return loaded{parts, res.Header}, nil
}

var errDelete = reply.Raw(http.StatusInternalServerError, "Unable to load SLO manifest or segment.")

// fetch is segments.Fetch on a goroutine of the filter's own, in which a panic would end the process.
func (f *filter) fetch(r *http.Request) (res *subreq.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			f.log.ErrorContext(r.Context(), "panic in a subrequest", "path", r.URL.Path, "err", fmt.Sprint(v))
			res, err = nil, errBroken
		}
	}()
	return segments.Fetch(f.next, r, f.maxStored())
}

// send deletes one object.
func (d *deletion) send(ctx context.Context, t bulkdelete.Target) int {
	var query url.Values
	if t.Version != "" {
		query = url.Values{"version-id": {t.Version}}
	}
	source := segments.Source{Next: d.next, Code: logSource, Agent: "MultipartDELETE"}
	path := d.path.AccountPath().String() + "/" + trimSlashes(t.Name)
	res, _ := d.small(d.next, source.Request(d.r.WithContext(ctx), http.MethodDelete, path, query))
	return res.Code
}
