package slo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxFailed is after how many failures a deletion gives up.
const maxFailed = 1000

// delete removes a manifest and its segments. The error is the client's answer.
func (f *filter) delete(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	if f.wantsAsync(r) {
		if err := f.enqueue(r, p); err != nil {
			return err
		}
		f.next.ServeHTTP(w, r)
		return nil
	}
	d := &deletion{filter: f, r: r, path: p, version: param(r, "version-id")}
	kind, err := negotiate(r)
	if err == nil {
		w.Header().Set("Content-Type", kind)
	} else {
		w.Header().Set("Content-Type", reply.TypeHTML)
		d.refused = reply.Status(http.StatusNotAcceptable)
	}
	w.WriteHeader(http.StatusOK)
	first, separator := begin(kind), ""
	err = f.pulse(r.Context(), func() error {
		text := first
		first, separator = " ", "\r\n\r\n"
		return send(w, text)
	}, d.run)
	if err == nil {
		result := d.report()
		_, _ = io.WriteString(w, separator+result.format(kind, "delete"))
	}
	return nil
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
	r       *http.Request
	path    apipath.Path
	version string

	mu       sync.Mutex // guards what follows
	deleted  int
	missing  int
	problems []problem
	failed   bool         // a server failed
	refused  *reply.Error // why it ended early
}

// run deletes until there is no more.
func (d *deletion) run(ctx context.Context) {
	if d.refused != nil {
		return
	}
	victims := make(chan victim)
	var all sync.WaitGroup
	for range d.config.DeleteConcurrency {
		all.Go(func() {
			for v := range victims {
				d.one(ctx, v)
			}
		})
	}
	err := d.walk(ctx, victims)
	close(victims)
	all.Wait()
	if err != nil {
		d.refused = reply.As(err)
	}
}

// walk finds what is to be deleted: segments before the manifest that they are in.
func (d *deletion) walk(ctx context.Context, victims chan<- victim) error {
	if !apipath.ValidUTF8(d.r.URL.Path, false) {
		return reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	queue := []victim{{name: "/" + d.path.Container + "/" + d.path.Object, version: d.version, manifest: true}}
	for len(queue) > 0 && ctx.Err() == nil {
		if len(queue) > 10*d.config.MaxManifestSegments {
			return reply.Raw(http.StatusBadRequest, "Too many buffered slo segments to delete.")
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
		if d.exhausted() {
			return reply.Raw(http.StatusBadRequest, "Max delete failures exceeded")
		}
		victims <- v
	}
	return nil
}

func (d *deletion) exhausted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.problems) >= maxFailed
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
	query := url.Values{paramManifest: {"get"}}
	if version != "" {
		query.Set("version-id", version)
	}
	source := segments.Source{Next: f.next, Code: logSource, Agent: "MultipartDELETE"}
	get := source.Request(r, http.MethodGet, path, query)
	// Of an object that is no manifest, the last byte is enough.
	get.Header["Range"] = []string{"bytes=-1"}
	get.Header["X-Backend-Ignore-Range-If-Metadata-Present"] = []string{headerLarge}
	res, err := f.fetch(get)
	switch {
	case res == nil:
		return nil, errDelete.Because(err)
	case res.Code == http.StatusNotFound:
		return nil, reply.Raw(http.StatusNotFound, "SLO manifest not found")
	case res.Code == http.StatusUnauthorized:
		return nil, reply.Raw(http.StatusUnauthorized, "401 Unauthorized")
	case !res.OK():
		return nil, errDelete
	case !meta.Truthy(res.Header.Get(headerLarge)):
		return nil, reply.Raw(http.StatusBadRequest, "Not an SLO manifest")
	case err != nil:
		return nil, errLoad.Because(err)
	}
	parts, err := parseStored(res.Body)
	if err != nil {
		return nil, errLoad.Because(err)
	}
	return parts, nil
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

// one deletes one object.
func (d *deletion) one(ctx context.Context, v victim) {
	if v.err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		e := reply.As(v.err)
		if e.Code == http.StatusNotFound {
			d.missing++
			return
		}
		d.problems = append(d.problems, problem{apipath.Quote(v.name), e.Body})
		return
	}
	var query url.Values
	if v.version != "" {
		query = url.Values{"version-id": {v.version}}
	}
	source := segments.Source{Next: d.next, Code: logSource, Agent: "MultipartDELETE"}
	path := d.path.AccountPath().String() + "/" + trimSlashes(v.name)
	res, _ := d.small(d.next, source.Request(d.r.WithContext(ctx), http.MethodDelete, path, query))
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case res.OK():
		d.deleted++
	case res.Code == http.StatusNotFound:
		d.missing++
	default:
		d.failed = d.failed || res.Code >= 500
		d.problems = append(d.problems, problem{apipath.Quote(v.name), statusLine(res.Code)})
	}
}

// report tells what came of it.
func (d *deletion) report() (r report) {
	code, text := http.StatusOK, ""
	switch {
	case d.refused != nil:
		code, text = d.refused.Code, d.refused.Body
		if d.refused.Code == http.StatusNotAcceptable {
			text = ""
		}
	case d.failed:
		code = http.StatusBadGateway
	case len(d.problems) > 0:
		code = http.StatusBadRequest
	case d.deleted+d.missing == 0:
		code, text = http.StatusBadRequest, "Invalid bulk delete."
	}
	r.add("Response Status", statusLine(code))
	r.add("Response Body", text)
	r.count("Number Deleted", d.deleted)
	r.count("Number Not Found", d.missing)
	r.problems = d.problems
	return r
}
