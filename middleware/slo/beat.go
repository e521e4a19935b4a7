package slo

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
)

// pulse keeps a connection alive while work goes on elsewhere. A client that has gone ends the work, which is then waited
// for.
func (f *filter) pulse(ctx context.Context, beat func() error, work func(ctx context.Context)) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	ticker := time.NewTicker(f.config.YieldFrequency.Duration)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err == nil {
				if err = beat(); err != nil {
					cancel()
				}
			}
		case <-done:
			return err
		}
	}
}

// send writes text at once.
func send(w http.ResponseWriter, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// beat answers at once, sends white space while the manifest is checked and stored, and ends with what became of it.
func (u *upload) beat(w http.ResponseWriter) {
	w.Header().Set("Content-Type", u.kind)
	w.WriteHeader(http.StatusAccepted)
	if send(w, " ") != nil {
		return // nothing has been done yet
	}
	var result report
	err := u.pulse(u.r.Context(), func() error { return send(w, " ") }, func(ctx context.Context) { result = u.outcome(ctx) })
	if err == nil {
		_, _ = io.WriteString(w, "\r\n\r\n"+result.format(u.kind, "upload"))
	}
}

// outcome checks and stores the manifest, and tells what came of it.
func (u *upload) outcome(ctx context.Context) (r report) {
	put, err := u.prepare(ctx)
	if err != nil {
		e := reply.As(err)
		r.add("Response Status", statusLine(e.Code))
		r.add("Response Body", explain(e.Code))
		r.problems = u.problems
		return r
	}
	res, _ := u.small(u.next, put)
	r.add("Response Status", statusLine(res.Code))
	if res.OK() {
		r.add("Etag", `"`+u.etag+`"`)
		r.add("Last Modified", res.Header.Get("Last-Modified"))
	}
	r.add("Response Body", string(res.Body))
	return r
}

// begin starts the body of a report that may be long in coming: the first sign of life.
func begin(kind string) string {
	if strings.HasSuffix(kind, "/xml") {
		return `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	}
	return " "
}

// wantsAsync says that the client leaves the deletion of segments to the expirer.
func (f *filter) wantsAsync(r *http.Request) bool {
	return f.config.AllowAsyncDelete && meta.Truthy(param(r, "async"))
}
