package slo

import (
	"context"
	"maps"
	"net/http"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/timestamp"
)

// A deletion on a condition, which a filter further left asks for (docs/conditional-writes.md), decides by the manifest: that goes
// first, and its segments follow once it has gone. They are those of the manifest that was read, so the condition is on its
// data as well. Should the process end in between, the segments stay, and nothing names them. What can be refused is refused
// before; a report on the segments counts the manifest, so that whatever it says of them, it does not say that nothing happened.

// deleteIf removes a manifest, and then its segments. The error is the client's answer.
func (f *filter) deleteIf(w http.ResponseWriter, r *http.Request, p apipath.Path, cond conditional.Write) error {
	if !apipath.ValidUTF8(r.URL.Path, false) {
		return reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	m, err := f.read(r, p.String(), param(r, "version-id"), true)
	if err != nil {
		return err
	}
	at := meta.Value(m.header, conditional.HeaderData)
	t, err := timestamp.Parse(at)
	switch {
	case err != nil:
		return reply.Raw(http.StatusNotImplemented, "Conditions on manifests are not implemented by the storage nodes.").Because(err)
	case !cond.Data.IsZero() && cond.Data != t:
		return reply.Status(http.StatusPreconditionFailed)
	}
	async := f.wantsAsync(r)
	var jobs *queued
	var queue []victim
	if async {
		jobs, err = f.plan(r, p, m.parts)
	} else {
		queue, err = f.victims(r, m.parts)
	}
	if err != nil {
		return err
	}
	rights := segments.Keep(r)
	one := r.WithContext(r.Context())
	one.Header = r.Header.Clone()
	one.Header[conditional.HeaderIfData] = []string{at}
	gone, err := segments.Intercept(f.next, w, one, func(int, http.Header) (int, bool) { return maxShort, true })
	switch {
	case err != nil:
		return reply.Status(http.StatusServiceUnavailable).Because(err) // in doubt
	case !gone.OK():
		return gone.Reply()
	}
	r = rights.Restore(r)
	for _, name := range []string{conditional.HeaderIfMatch, conditional.HeaderIfData} {
		delete(r.Header, name)
	}
	if async {
		if jobs != nil {
			// The object has gone, which is what was asked for; send has logged that its segments stay.
			_ = f.send(r, p, jobs.container, jobs.objects)
		}
		maps.Copy(w.Header(), gone.Header)
		w.WriteHeader(gone.Code)
		_, _ = w.Write(gone.Body) // the client may have gone
		return nil
	}
	f.report(w, r, p, func(ctx context.Context, d *deletion) error {
		d.pool.Deleted()
		return d.walk(ctx, queue)
	})
	return nil
}

// maxShort bounds the answer to a deletion, in bytes.
const maxShort = 64 << 10

// victims are the segments of a manifest that is to go before them. The error is the client's answer, if there is not going to
// be a report on them.
func (f *filter) victims(r *http.Request, parts []part) ([]victim, error) {
	if _, err := bulkreport.Negotiate(r); err != nil {
		return nil, reply.Raw(http.StatusNotAcceptable, "").Because(err)
	}
	var queue []victim
	for _, part := range parts {
		if !part.isData {
			queue = append(queue, victim{name: part.Name, manifest: part.SubSLO, depth: 1})
		}
	}
	return queue, f.bound(queue)
}
