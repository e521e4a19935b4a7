package bulk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkdelete"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/subreq"
)

// serveDelete deletes what the body names.
func (f *filter) serveDelete(w http.ResponseWriter, r *http.Request) {
	b := f.body(w, r)
	bulkreport.Serve(w, r, f.config.YieldFrequency.Duration, "delete", func(ctx context.Context, refused *reply.Error) bulkreport.Report {
		d := &deletion{filter: f, r: r.WithContext(ctx)}
		d.pool = bulkdelete.New(bulkdelete.Options{
			Concurrency: f.config.DeleteConcurrency, MaxFailed: f.config.MaxFailedDeletes, Retries: f.config.DeleteRetries,
			Log: f.log, Send: d.send,
		})
		if refused == nil {
			refused = d.run(ctx, b)
		}
		return d.pool.Report(refused)
	})
}

// A deletion is on its way.
type deletion struct {
	*filter
	r       *http.Request
	account string // "/v1/AUTH_test"
	pool    *bulkdelete.Pool
}

// run deletes what the body names. What it returns is why it could not begin; why it ended early is known to the pool.
func (d *deletion) run(ctx context.Context, b *body) *reply.Error {
	var segments [3]string
	s, err := apipath.SplitRest(segments[:0], d.r.URL.Path, 2, 3)
	if err != nil {
		return refuse(http.StatusNotFound)
	}
	d.account = "/" + s[0] + "/" + s[1]
	switch {
	case !strings.HasPrefix(d.r.Header.Get("Content-Type"), "text/plain") && d.r.Header.Get("Content-Type") != "":
		return refuse(http.StatusNotAcceptable)
	case noLength(d.r):
		return refuse(http.StatusLengthRequired)
	}
	names, err := readNames(b, d.config.MaxDeletes, 2*d.longestPath())
	if err != nil {
		if broken := b.refusal(); broken != nil {
			return broken
		}
		return reply.As(err)
	}
	for _, containers := range []bool{false, true} {
		for _, name := range names {
			if isContainer(name) == containers && d.one(ctx, name) != nil {
				return nil
			}
		}
		// A container is empty only when its objects have gone.
		d.pool.Wait()
	}
	return nil
}

// isContainer says that a name has no part for an object.
func isContainer(name string) bool { return !strings.Contains(strings.Trim(name, "/"), "/") }

// one has one name deleted. An error means that no more can be.
func (d *deletion) one(ctx context.Context, name string) error {
	switch {
	case strings.Trim(name, "/") == "":
		// It would be the account itself. Nobody means that by an empty name in a list of objects.
		d.pool.Fail(name, bulkreport.StatusLine(http.StatusForbidden))
	case !apipath.ValidUTF8(d.path(name), false):
		d.pool.Fail(name, bulkreport.StatusLine(http.StatusPreconditionFailed))
	default:
		return d.pool.Delete(ctx, bulkdelete.Target{Name: name})
	}
	return nil
}

func (d *deletion) path(name string) string { return d.account + "/" + strings.TrimLeft(name, "/") }

func (d *deletion) send(ctx context.Context, t bulkdelete.Target) int {
	return d.filter.send(d.subrequest(d.r.WithContext(ctx), "BulkDelete", subreq.Options{
		Method: http.MethodDelete, Path: d.path(t.Name), Source: "BD",
	}))
}

// readNames reads names, quoted, one a line: at most limit lines of at most longest bytes. The error is an answer unless
// reading has failed. Empty lines count, but name nothing.
func readNames(r io.Reader, limit, longest int) (names []string, err error) {
	lines := bufio.NewReaderSize(r, longest+1)
	for n := 0; ; n++ {
		line, err := lines.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			return nil, reply.Raw(http.StatusBadRequest, "Invalid File Name")
		}
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read names: %w", err)
		}
		name := apipath.Unquote(string(bytes.Trim(line, " \t\n\r\v\f")))
		if n >= limit && (err == nil || name != "") {
			return nil, reply.Raw(http.StatusRequestEntityTooLarge, fmt.Sprintf("Maximum Bulk Deletes: %d per request", limit))
		}
		if name != "" {
			names = append(names, name)
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
	}
}
