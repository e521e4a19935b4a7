package slo

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
)

// beat answers at once, sends white space while the manifest is checked and stored, and ends with what became of it.
func (u *upload) beat(w http.ResponseWriter) {
	w.Header().Set("Content-Type", u.kind)
	w.WriteHeader(http.StatusAccepted)
	if bulkreport.Send(w, " ") != nil {
		return // nothing has been done yet
	}
	var result bulkreport.Report
	err := bulkreport.Pulse(u.r.Context(), u.config.YieldFrequency.Duration, func() error { return bulkreport.Send(w, " ") },
		func(ctx context.Context) { result = u.outcome(ctx) })
	if err == nil {
		_, _ = io.WriteString(w, "\r\n\r\n"+result.Format(u.kind, "upload"))
	}
}

// outcome checks and stores the manifest, and tells what came of it.
func (u *upload) outcome(ctx context.Context) (r bulkreport.Report) {
	put, err := u.prepare(ctx)
	if err != nil {
		e := reply.As(err)
		r = u.problems
		r.Add("Response Status", bulkreport.StatusLine(e.Code))
		r.Add("Response Body", explain(e.Code))
		return r
	}
	res, _ := u.small(u.next, put)
	r.Add("Response Status", bulkreport.StatusLine(res.Code))
	if res.OK() {
		r.Add("Etag", `"`+u.etag+`"`)
		r.Add("Last Modified", res.Header.Get("Last-Modified"))
		u.stored(res.Header)
	}
	r.Add("Response Body", string(res.Body))
	return r
}

// explain is the text of Swift's page for a status, without the page.
func explain(code int) string {
	return strings.NewReplacer("<html><h1>", "", "</h1><p>", "\n", "</p></html>", "").Replace(reply.Status(code).Body)
}

// wantsAsync says that the client leaves the deletion of segments to the expirer.
func (f *filter) wantsAsync(r *http.Request) bool {
	return f.config.AllowAsyncDelete && meta.Truthy(param(r, "async"))
}
