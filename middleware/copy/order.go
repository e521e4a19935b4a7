package servercopy

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
)

const methodCopy = "COPY"

// Query parameters that have a meaning here.
const (
	paramManifest  = "multipart-manifest"
	paramVersion   = "version-id"
	paramHeartbeat = "heartbeat"
)

// An order is what a client wants copied.
type order struct {
	source, destination apipath.Path
	query               url.Values
	header              http.Header // the client's, without those that say what to copy
}

// consumed are the headers that neither the GET nor the PUT repeats.
var consumed = []string{
	"Destination", "Destination-Account", "X-Copy-From", "X-Copy-From-Account",
	"Content-Length", "Transfer-Encoding", "Expect", "Trailer",
}

// parse reads the order in a COPY, or a PUT with X-Copy-From, of path. The error is the client's answer.
func parse(r *http.Request, path apipath.Path) (order, error) {
	o := order{source: path, destination: path, header: r.Header.Clone()}
	o.query, _ = url.ParseQuery(r.URL.RawQuery) // what cannot be read of it is dropped, as Swift does
	for _, k := range consumed {
		o.header.Del(k)
	}
	from := meta.Value(r.Header, "X-Copy-From-Account")
	var err error
	switch {
	case r.Method == methodCopy:
		destination := meta.Value(r.Header, "Destination")
		if destination == "" {
			return o, reply.Raw(http.StatusPreconditionFailed, "Destination header required")
		}
		if _, ok := r.Header["Destination-Account"]; ok {
			// The account in the path is then the source's for certain.
			from = ""
			if o.destination.Account, err = parseAccount(meta.Value(r.Header, "Destination-Account")); err != nil {
				return o, err
			}
		}
		if o.destination.Container, o.destination.Object, err = parseObject("Destination", destination); err != nil {
			return o, err
		}
	case r.ContentLength > 0:
		// The body of a COPY is ignored, and so is one of unknown length: Swift does the same.
		return o, &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: "Copy requests require a zero byte body"}
	}
	if from != "" {
		if o.source.Account, err = parseAccount(from); err != nil {
			return o, err
		}
	}
	if r.Method != methodCopy {
		o.source.Container, o.source.Object, err = parseObject("X-Copy-From", meta.Value(r.Header, "X-Copy-From"))
	}
	return o, err
}

// parseObject reads a header that names a container and an object.
func parseObject(header, value string) (container, object string, err error) {
	value = apipath.Unquote(value)
	if !strings.HasPrefix(value, "/") {
		value = "/" + value
	}
	var names [2]string
	segments, err := apipath.SplitRest(names[:0], value, 2, 2)
	if err != nil {
		return "", "", reply.Raw(http.StatusPreconditionFailed, header+" header must be of the form <container name>/<object name>").Because(err)
	}
	return segments[0], segments[1], nil
}

// parseAccount reads a header that names an account.
func parseAccount(value string) (string, error) {
	account := apipath.Unquote(value)
	switch {
	case account == "":
		return "", reply.Raw(http.StatusPreconditionFailed, "Account name cannot be empty")
	case strings.Contains(account, "/"):
		return "", reply.Raw(http.StatusPreconditionFailed, "Account name cannot contain slashes")
	}
	return account, nil
}

// param returns the last value of a parameter, which is the one that counts.
func (o order) param(name string) string {
	if v := o.query[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (o order) manifest() bool  { return o.param(paramManifest) == "get" }
func (o order) heartbeat() bool { return config.Truthy(o.param(paramHeartbeat)) }
func (o order) fresh() bool     { return config.Truthy(o.header.Get("X-Fresh-Metadata")) }
