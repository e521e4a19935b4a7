package servercopy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxAnswer bounds what is kept of the PUT's answer, in bytes: it is a short text.
const maxAnswer = 64 << 10

// beat answers at once, sends white space while the PUT goes on, and ends with what became of it.
func (f *filter) beat(w http.ResponseWriter, r, put *http.Request, answer http.Header) {
	kind, err := listing.Negotiate(r.Header.Get("Accept"), listing.TypeText, listing.TypeJSON)
	if err != nil {
		kind = listing.TypeText
	}
	ctx, cancel := context.WithCancel(put.Context())
	defer cancel()
	done := make(chan *subreq.Response, 1)
	go func() { done <- f.small(put.WithContext(ctx)) }()
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusAccepted)
	ticker := time.NewTicker(f.config.YieldFrequency.Duration)
	defer ticker.Stop()
	flush := http.NewResponseController(w).Flush
	var failed error
	pulse := func() {
		if failed != nil {
			return
		}
		if _, failed = io.WriteString(w, " "); failed == nil {
			failed = flush()
		}
		if failed != nil {
			cancel() // nobody listens any more; the PUT still has to be waited for
		}
	}
	pulse()
	for {
		select {
		case <-ticker.C:
			pulse()
		case res := <-done:
			if failed == nil {
				if success(res.Code) {
					maps.Copy(res.Header, answer)
				}
				// Gatekeeper looks at headers, and these become a body.
				meta.StripInternal(res.Header)
				io.WriteString(w, "\r\n\r\n"+summary(kind, res))
			}
			return
		}
	}
}

// small runs the PUT. It has a goroutine of its own, in which a panic would end the process.
func (f *filter) small(put *http.Request) (res *subreq.Response) {
	defer func() {
		if v := recover(); v != nil {
			f.log.ErrorContext(put.Context(), "panic while copying", slog.String("txn", request.From(put.Context()).TransID),
				slog.String("path", put.URL.Path), slog.Any("err", v), slog.String("stack", string(debug.Stack())))
			e := reply.Status(http.StatusInternalServerError)
			res = &subreq.Response{Code: e.Code, Header: http.Header{}, Body: []byte(e.Body)}
		}
	}()
	res, _ = subreq.Small(f.next, put, maxAnswer) // a body that is too long is shown cut
	return res
}

// summary is the end of an answer with a heartbeat.
func summary(kind string, res *subreq.Response) string {
	facts := map[string]string{
		"Response Status": strconv.Itoa(res.Code) + " " + reply.Title(res.Code),
		"Response Body":   string(res.Body),
	}
	for name, values := range res.Header {
		facts[name] = strings.Join(values, ",")
	}
	keys := slices.Sorted(maps.Keys(facts))
	if kind == listing.TypeText {
		var b strings.Builder
		for _, k := range keys {
			fmt.Fprintf(&b, "%s: %s\n", k, facts[k])
		}
		return b.String() + "Errors:\n"
	}
	document := map[string]any{"Errors": []string{}}
	for k, v := range facts {
		document[k] = v
	}
	b, err := cache.EncodeJSON(document)
	if err != nil {
		return "" // strings and lists of strings cannot fail
	}
	return string(b)
}
