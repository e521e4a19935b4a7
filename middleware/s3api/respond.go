package s3api

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

const typeXML = "application/xml"

// identify puts the request's ids into the answer. Names of AWS's headers are sent in lower case, as AWS does: some SDKs
// show the name of metadata as it came.
func (x *exchange) identify() {
	h := x.w.Header()
	h["x-amz-request-id"] = []string{x.state.TransID}
	h["x-amz-id-2"] = []string{x.state.TransID}
}

// document answers with a document.
func (x *exchange) document(v any) error {
	body, err := s3xml.Encode(v)
	if err != nil {
		return err
	}
	x.write(http.StatusOK, typeXML, body)
	return nil
}

// finish answers with a status alone.
func (x *exchange) finish(status int) error {
	h := x.w.Header()
	if status == http.StatusNoContent {
		noLength(h)
	} else {
		h.Set("Content-Length", "0")
	}
	x.w.WriteHeader(status)
	return nil
}

// noLength says that an answer which has no body has none: 204, and 304, where it is not the object's. Swift says so here
// too, and tests of clients look for it; clients know by the status, and go by that. Under its usual name net/http would drop it.
func noLength(h http.Header) {
	h.Del("Content-Length")
	h["content-length"] = []string{"0"}
}

func (x *exchange) write(status int, contentType string, body []byte) {
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(body) // the client may have gone
	}
}

// fail answers with an error.
func (x *exchange) fail(err error) {
	e := s3err.From(err)
	for name, values := range e.Header {
		x.w.Header()[name] = values
	}
	x.report(e, err)
	if e.Status == http.StatusNotModified {
		noLength(x.w.Header())
		x.w.WriteHeader(e.Status)
		return
	}
	if x.r.Method == http.MethodHead {
		x.write(e.Status, typeXML, nil) // there is no document, so it has no length
		return
	}
	x.write(e.Status, typeXML, e.Document(x.r.URL.Path, x.state.TransID))
}

// report writes an error into the logs.
func (x *exchange) report(e *s3err.Error, err error) {
	x.state.Log.AddInfo("s3:err:" + string(e.Code))
	if errors.Is(e, s3err.InternalError) && !x.gone() {
		x.log.LogAttrs(x.r.Context(), slog.LevelError, "S3 request failed",
			slog.String("txn", x.state.TransID), slog.String("method", x.r.Method), slog.String("path", x.r.URL.Path), slog.Any("err", err))
	}
}
