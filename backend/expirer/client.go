package expirer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxListing bounds a page of a listing: 10,000 of the longest names, escaped.
const maxListing = 256 << 20

// errAborted means that the pipeline broke its answer off.
var errAborted = errors.New("the pipeline broke off its answer")

// StatusError is an answer of the pipeline that is none of those that were expected.
type StatusError struct {
	Method, Path string
	Code         int
}

// Error names the request and the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: unexpected status %d", e.Method, e.Path, e.Code)
}

// A client makes requests to the pipeline.
type client struct {
	pipeline http.Handler
	agent    string
	tries    int
}

type request struct {
	method string
	path   string // decoded
	query  url.Values
	header http.Header
	accept []int // statuses besides 2xx that are no errors
}

// do makes a request, again and again if the cluster has trouble, with longer and longer waits. The error is a
// *StatusError if there was an answer, and daemon.ErrStopped if the daemon is to stop.
func (c *client) do(ctx context.Context, p *daemon.Progress, r request) (*subreq.Response, error) {
	for try := 1; ; try++ {
		resp, err := c.once(ctx, r)
		switch {
		case err == nil && (resp.OK() || slices.Contains(r.accept, resp.Code)):
			return resp, nil
		case err == nil:
			err = &StatusError{r.method, r.path, resp.Code}
			if resp.Code < 500 {
				return nil, err // the same would come again
			}
		}
		if try >= c.tries {
			return nil, err
		}
		if !p.Sleep(ctx, time.Duration(1<<min(try, 10))*time.Second) {
			return nil, errors.Join(daemon.ErrStopped, err)
		}
	}
}

func (c *client) once(ctx context.Context, r request) (resp *subreq.Response, err error) {
	h := r.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("User-Agent", c.agent)
	h.Set("X-Backend-Allow-Reserved-Names", "true")
	h.Set("X-Backend-Use-Replication-Network", "true")
	u := &url.URL{Path: r.path, RawPath: apipath.Quote(r.path), RawQuery: r.query.Encode()}
	req := (&http.Request{
		Method: r.method, URL: u, RequestURI: u.RequestURI(), Header: h, Body: http.NoBody, Host: "localhost",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "internal",
	}).WithContext(ctx)
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			resp, err = nil, fmt.Errorf("%s %s: %w", r.method, r.path, errAborted)
		}
	}()
	return subreq.Small(c.pipeline, req, maxListing)
}

// list yields the entries of an account or container; nothing if there is none. An error ends it.
func (c *client) list(ctx context.Context, p *daemon.Progress, path string) iter.Seq2[listing.Entry, error] {
	return func(yield func(listing.Entry, error) bool) {
		marker := ""
		for {
			r := request{method: http.MethodGet, path: path, query: url.Values{"format": {"json"}, "marker": {marker}}, accept: []int{404}}
			resp, err := c.do(ctx, p, r)
			if err == nil && resp.Code != http.StatusOK {
				return
			}
			var entries []listing.Entry
			if err == nil {
				entries, err = listing.Decode(resp.Body)
			}
			if err != nil {
				yield(listing.Entry{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
			if len(entries) == 0 {
				return
			}
			last, _ := entries[len(entries)-1].Name()
			if last <= marker {
				yield(listing.Entry{}, fmt.Errorf("list %s: the page after %q ends with %q", path, marker, last))
				return
			}
			marker = last
		}
	}
}
