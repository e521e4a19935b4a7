package xprofile

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/apus-storage/apus/internal/reply"
)

// refuse is an answer in Swift's words.
func refuse(code int, text string) *reply.Error { return reply.Text(code, "Profiling Error: "+text) }

// fault is the answer to an error.
func fault(code int, err error) *reply.Error { return refuse(code, err.Error()).Because(err) }

// show answers requests under the filter's path. rest is what stands behind it, if there is a slash.
func (h *handler) show(w http.ResponseWriter, r *http.Request, rest string, deep bool) {
	guard(w.Header())
	if !h.config.networks.Allow(r) {
		reply.Write(w, r, reply.Status(http.StatusForbidden))
		return
	}
	if err := h.answer(w, r, rest, deep); err != nil {
		h.collector.log.Debug("profiling page", "path", r.URL.Path, "err", err)
		reply.Write(w, r, err)
	}
}

// guard keeps other sites from using what a browser may see.
func guard(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", policy)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, rest string, deep bool) error {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !read && (deep || r.Method != http.MethodPost) {
		allow := "GET, HEAD, POST"
		if deep {
			allow = "GET, HEAD"
		}
		return refuse(http.StatusMethodNotAllowed, "method "+r.Method+" is not allowed.").With("Allow", allow)
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return fault(http.StatusForbidden, err)
	}
	q, err := readQuery(w, r)
	if err != nil {
		return fault(http.StatusBadRequest, err)
	}
	select { // one report at a time
	case h.one <- struct{}{}:
		defer func() { <-h.one }()
	case <-r.Context().Done():
		return fault(http.StatusServiceUnavailable, r.Context().Err())
	}
	if !deep {
		return h.top(w, r, q)
	}
	id, fn, _ := strings.Cut(rest, "/")
	if id == "" {
		return h.ids(w, r)
	}
	q.id = id
	if fn != "" {
		q.part = fn
	}
	return h.download(w, r, q)
}

// top answers for the page itself and for what its form asks.
func (h *handler) top(w http.ResponseWriter, r *http.Request, q query) error {
	switch q.action {
	case "plot":
		return h.plot(w, r, q)
	case "download":
		return h.download(w, r, q)
	case "clear":
		if r.Method != http.MethodPost {
			return refuse(http.StatusMethodNotAllowed, "a profile is cleared by POST.").With("Allow", "POST")
		}
		if err := h.collector.clear(q.id); err != nil {
			return fault(http.StatusInternalServerError, err)
		}
		q.action, q.id = "", idCurrent
	}
	h.collector.touch()
	return h.page(w, r, q)
}

// ids lists what there is.
func (h *handler) ids(w http.ResponseWriter, r *http.Request) error {
	found, err := h.dumps.list()
	if err != nil {
		return fault(http.StatusInternalServerError, err)
	}
	ids := []string{}
	for _, d := range found {
		ids = append(ids, d.id)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) // as Swift does
	body, err := json.Marshal(map[string][]string{"profile_ids": ids})
	if err != nil {
		return err
	}
	send(w, r, "application/json", body)
	return nil
}

// profile gets the one that is asked for.
func (h *handler) profile(q query) (*profile.Profile, error) {
	p, err := h.collector.get(q.id, q.view.file)
	switch {
	case errors.Is(err, errNone):
		return nil, fault(http.StatusNotFound, err)
	case err != nil:
		return nil, fault(http.StatusInternalServerError, err)
	}
	return p, nil
}

// report counts what is asked for.
func (h *handler) report(q query) (*report, error) {
	p, err := h.profile(q)
	if err != nil {
		return nil, err
	}
	rep, err := newReport(p, q.view)
	if err != nil {
		return nil, fault(http.StatusInternalServerError, err)
	}
	rep.sort(q.sort)
	rep.choose(q.part, q.limit)
	return rep, nil
}

// download answers with a profile, or a report, for programs.
func (h *handler) download(w http.ResponseWriter, r *http.Request, q query) error {
	name := path.Base("apus-" + q.view.Name + "-" + q.id)
	if q.format == formatDefault {
		p, err := h.profile(q)
		if err != nil {
			return err
		}
		if q.part != "" {
			keep(p, q.part)
		}
		var buf bytes.Buffer
		if err := p.Write(&buf); err != nil {
			return fault(http.StatusInternalServerError, err)
		}
		attach(w, name+suffix)
		send(w, r, "application/octet-stream", buf.Bytes())
		return nil
	}
	rep, err := h.report(q)
	if err != nil {
		return err
	}
	switch q.format {
	case "json":
		body, err := rep.json(q)
		if err != nil {
			return fault(http.StatusInternalServerError, err)
		}
		send(w, r, "application/json", body)
	case "csv":
		attach(w, name+".csv")
		send(w, r, "text/csv", rep.csv(q))
	default:
		send(w, r, "text/plain; charset=UTF-8", rep.text(q))
	}
	return nil
}

// keep leaves the samples that have a function whose text has the part.
func keep(p *profile.Profile, part string) {
	p.Sample = slices.DeleteFunc(p.Sample, func(s *profile.Sample) bool {
		return !slices.ContainsFunc(functions(s), func(f function) bool { return strings.Contains(f.text(true), part) })
	})
}

var notInFileName = regexp.MustCompile(`[^A-Za-z0-9.-]`)

func attach(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Disposition", `attachment; filename="`+notInFileName.ReplaceAllString(name, "_")+`"`)
}

func send(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}
