// Package servercopy is the filter "copy": it copies objects inside the cluster, in an account and across accounts.
//
//	[filter.copy]
//	yield_frequency = 10
//
// A client asks with
//
//	COPY /v1/AUTH_test/photos/a.jpg          Destination: archive/2024/a.jpg
//	PUT  /v1/AUTH_test/archive/2024/a.jpg    X-Copy-From: photos/a.jpg
//
// and, for another account, Destination-Account or X-Copy-From-Account. The filter opens the source, sends a PUT whose
// body is the source's to the rest of the pipeline, and answers with what became of that. Range and conditions are the
// source's. Metadata is copied, what the client sends wins; X-Fresh-Metadata: true leaves the source's user metadata out.
// With ?multipart-manifest=get the manifest of a large object is copied, with ?heartbeat=on white space keeps the
// connection alive while a long copy goes on.
//
// Invariants:
//   - Source and destination are asked for as the client, so both are subject to the access lists of their containers.
//   - The body is streamed. A source that breaks off is a PUT that breaks off, of which nothing is stored, and a whole
//     source is sent with its ETag, to be verified by what stores it.
//   - When the client goes away, so does the copy.
//
// It must stand to the right of the auth filter, and to the left of what looks at PUTs: quotas, slo, dlo,
// versioned_writes, symlink, encryption. A proxy adds it where it is missing.
//
// Non-goals: copying more than an object, moving, doing it without reading the data.
package servercopy

import (
	"log/slog"
	"net/http"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("copy", Config{YieldFrequency: config.Seconds(10)}, build).
	After("gatekeeper", "tempauth", "keystoneauth").
	Before("container_quotas", "account_quotas", "slo", "dlo", "versioned_writes", "symlink", "keymaster", "encryption")

// Config is the section of the filter.
type Config struct {
	// How often a client that asked for a heartbeat hears of a copy that goes on.
	YieldFrequency config.Duration `toml:"yield_frequency"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if c.YieldFrequency.Duration <= 0 {
		return config.Invalid("yield_frequency", "must be above 0")
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	maxSize := host.Cluster.Limits.MaxFileSize
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return &filter{c, maxSize, host.Log, next} }}, nil
}

// logSource is the filter's code in the log.
const logSource = "SSC"

type filter struct {
	config  Config
	maxSize int64 // of one object, in bytes
	log     *slog.Logger
	next    http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var names [4]string
	if !concerns(r) {
		f.next.ServeHTTP(w, r)
		return
	}
	segments, err := apipath.SplitRest(names[:0], r.URL.Path, 4, 4)
	if err != nil {
		f.next.ServeHTTP(w, r) // not an object
		return
	}
	if r.Method == http.MethodOptions {
		f.options(w, r)
		return
	}
	o, err := parse(r, apipath.Path{Version: segments[0], Account: segments[1], Container: segments[2], Object: segments[3]})
	if err == nil {
		err = f.copy(w, r, o)
	}
	if err != nil {
		reply.Write(w, r, err)
	}
}

// concerns says whether the filter has something to do, should the path be an object's.
func concerns(r *http.Request) bool {
	switch r.Method {
	case methodCopy, http.MethodOptions:
		return true
	case http.MethodPut:
		return r.Header.Get("X-Copy-From") != ""
	}
	return false
}
