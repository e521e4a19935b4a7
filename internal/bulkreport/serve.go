package bulkreport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/reply"
)

// Serve does the work and answers with its report. Root is the element of XML. Refused, if not nil, says that the client
// takes none of the forms: then nothing is to be done but to report that, which is sent as text. A client that goes away
// ends ctx.
func Serve(w http.ResponseWriter, r *http.Request, every time.Duration, root string, work func(ctx context.Context, refused *reply.Error) Report) {
	var refused *reply.Error
	kind, err := Negotiate(r)
	if err == nil {
		w.Header().Set("Content-Type", kind)
	} else {
		w.Header().Set("Content-Type", reply.TypeHTML)
		refused = reply.Raw(http.StatusNotAcceptable, "").Because(err)
	}
	beat, separator := begin(kind), ""
	var report Report
	err = Pulse(r.Context(), every, func() error {
		if separator == "" {
			// Without full duplex, the first write would make the server throw away what it has not yet read of the
			// request's body. With it, the server no longer sees to it that what is left of the body in the end is not
			// taken for another request: so there must not be one. Neither is needed where there is no connection.
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Connection", "close")
		}
		text := beat
		beat, separator = " ", "\r\n\r\n"
		return Send(w, text)
	}, func(ctx context.Context) { report = work(ctx, refused) })
	if err != nil {
		return
	}
	text := separator + report.Format(kind, root)
	if separator == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	} else {
		drain(w, r)
	}
	_, _ = io.WriteString(w, text)
}

// drain reads what is left of a request's body, such as the padding of an archive, if it is not much and comes soon: a
// connection that is closed before all is read may take the answer with it.
func drain(w http.ResponseWriter, r *http.Request) {
	const most, soon = 256 << 10, time.Second
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(soon))
	_, _ = io.CopyN(io.Discard, r.Body, most)
}

// begin is the first sign of life of an answer.
func begin(kind string) string {
	if strings.HasSuffix(kind, "/xml") {
		return `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	}
	return " "
}

// Pulse calls beat once an interval while work goes on on another goroutine, and returns when work has. The first error of
// beat says that the client has gone: work is told to end by its context, and Pulse returns the error.
func Pulse(ctx context.Context, every time.Duration, beat func() error, work func(ctx context.Context)) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan any, 1)
	go func() {
		defer func() {
			v := recover()
			if v != nil && v != http.ErrAbortHandler {
				v = fmt.Sprintf("%v, in a goroutine of a request:\n%s", v, debug.Stack())
			}
			done <- v
		}()
		work(ctx)
	}()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err == nil {
				if err = beat(); err != nil {
					cancel()
				}
			}
		case v := <-done:
			if v != nil {
				panic(v)
			}
			return err
		}
	}
}

// Send writes text at once.
func Send(w http.ResponseWriter, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
