package slo

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// enqueue gives the segments of a manifest to the expirer. The error is the client's answer.
func (f *filter) enqueue(r *http.Request, p apipath.Path) error {
	if !apipath.ValidUTF8(r.URL.Path, false) {
		return reply.Raw(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	parts, err := f.load(r, p.String(), param(r, "version-id"))
	if err != nil {
		return err
	}
	q, err := f.plan(r, p, parts)
	if q == nil {
		return err
	}
	return f.send(r, p, q.container, q.objects)
}

// queued is what is to be given to the expirer.
type queued struct {
	container string
	objects   []string
}

// plan says what is to be given to the expirer, nil if nothing is. The error is the client's answer.
func (f *filter) plan(r *http.Request, p apipath.Path, parts []part) (*queued, error) {
	containers := map[string]bool{}
	nested := false
	var objects []string
	for _, part := range parts {
		if part.isData {
			continue
		}
		container, object, _ := strings.Cut(trimSlashes(part.Name), "/")
		containers[container] = true
		objects = append(objects, object)
		nested = nested || part.SubSLO
	}
	switch {
	case len(objects) == 0:
		return nil, nil // the manifest is all there is
	case len(containers) > 1:
		names := slices.Sorted(maps.Keys(containers))
		for i, c := range names {
			names[i] = `"` + apipath.Quote(c) + `"`
		}
		return nil, reply.Raw(http.StatusBadRequest, "All segments must be in one container. Found segments in "+strings.Join(names, ", "))
	case nested:
		return nil, reply.Raw(http.StatusBadRequest, "No segments may be large objects.")
	}
	container := slices.Collect(maps.Keys(containers))[0]
	for _, c := range slices.Compact([]string{p.Container, container}) {
		if err := f.mayWrite(r, p.Account, c); err != nil {
			return nil, err
		}
	}
	return &queued{container, objects}, nil
}

// mayWrite asks whether the client may delete objects of a container.
func (f *filter) mayWrite(r *http.Request, account, container string) error {
	if request.From(r.Context()).Authorize == nil {
		return nil
	}
	c := lookup.GetContainer(r, lookup.Subrequest{Next: f.next, Source: logSource}, account, container)
	return request.Authorize(r, string(c.WriteACL))
}

// send writes the jobs into the queue, as rows of a container of the expirer's.
func (f *filter) send(r *http.Request, p apipath.Path, container string, objects []string) error {
	at := timestamp.FromTime(f.clock.Now())
	if given, err := timestamp.Parse(r.Header.Get("X-Timestamp")); err == nil {
		at = given
	}
	r.Header.Set("X-Timestamp", at.Internal())
	b := []byte{'['}
	for i, o := range objects {
		if i > 0 {
			b = append(b, listing.Separator...)
		}
		b = listing.AppendString(append(b, `{"name": `...), at.Normal()+"-"+p.Account+"/"+container+"/"+o)
		b = listing.AppendString(append(b, `, "deleted": 0, "created_at": `...), at.Internal())
		b = append(b, `, "etag": "d41d8cd98f00b204e9800998ecf8427e", "size": 0, "storage_policy_index": 0, "content_type": "application/async-deleted"}`...)
	}
	b = append(b, ']')
	res, err := f.small(f.next, subreq.New(r, subreq.Options{
		Method: "UPDATE", Path: "/v1/" + f.config.ExpiringAccount + "/" + f.queue(at, p), Body: bytes.NewReader(b), Length: int64(len(b)),
		Header: http.Header{
			"Content-Type": {listing.TypeJSON}, "X-Backend-Storage-Policy-Index": {"0"}, "X-Backend-Allow-Private-Methods": {"True"},
			"Content-Length": {strconv.Itoa(len(b))},
		},
		Source: logSource, PreAuthed: true,
	}))
	if err != nil || !res.OK() {
		f.log.Error("segments were not queued for deletion", "path", r.URL.Path, "txn", request.From(r.Context()).TransID, "status", res.Code, "err", err)
		return reply.Status(http.StatusServiceUnavailable)
	}
	return nil
}

// queue names the container of the queue for jobs of a time: the time by the divisor, less a little that depends on the
// object, so that the objects of one time are spread.
func (f *filter) queue(at timestamp.Timestamp, p apipath.Path) string {
	hash := f.hasher.Sum(p.Account, p.Container, p.Object)
	spread := int64(0)
	for _, c := range hash {
		spread = (spread*256 + int64(c)) % 100
	}
	seconds := int64(at.Seconds())
	return fmt.Sprintf("%010d", max(seconds/f.config.ExpiringDivisor*f.config.ExpiringDivisor-spread, 0))
}
