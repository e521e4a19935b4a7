package servercopy

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// store is a small object store that asks for authorization as the proxy does.
type store struct {
	mu         sync.Mutex
	containers map[string][2]string // by path: read and write list
	objects    map[string]object
	answer     func(w http.ResponseWriter, r *http.Request) bool // may answer in place of the store
}

type object struct {
	header   http.Header
	body     string
	modified time.Time
}

// storedHeader says whether a PUT's header is kept.
func storedHeader(name string) bool {
	return meta.IsUserMeta(meta.Object, name) || meta.IsSysmeta(meta.Object, name) || meta.IsTransientSysmeta(name) ||
		slices.Contains([]string{"Content-Type", "Content-Encoding", "Content-Disposition", "X-Delete-At", "X-Object-Manifest"}, name)
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.answer != nil && s.answer(w, r) {
		return
	}
	if err := s.serve(w, r); err != nil {
		reply.Write(w, r, err)
	}
}

func (s *store) serve(w http.ResponseWriter, r *http.Request) error {
	path, err := apipath.Parse(r.URL.Path)
	if err != nil {
		return reply.Status(http.StatusPreconditionFailed)
	}
	const allow = "PUT, DELETE, HEAD, POST, GET, OPTIONS"
	if r.Method == "COPY" {
		return reply.Status(http.StatusMethodNotAllowed).With("Allow", allow)
	}
	state := request.From(r.Context())
	s.mu.Lock()
	lists, known := s.containers[path.ContainerPath().String()]
	o, found := s.objects[path.String()]
	s.mu.Unlock()
	if state.ACL = lists[1]; r.Method == http.MethodGet {
		state.ACL = lists[0]
	}
	if err := state.Authorize(r); err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodOptions:
		return reply.Raw(http.StatusOK, "").With("Allow", allow)
	case !known:
		return reply.Status(http.StatusNotFound)
	case r.Method == http.MethodPut:
		return s.put(w, r, path.String())
	case !found:
		return reply.Status(http.StatusNotFound)
	}
	return o.get(w, r)
}

func (o object) get(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	maps.Copy(h, o.header)
	h.Set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	switch conditional.Evaluate(r.Header, conditional.Entity{ETag: h.Get("Etag"), LastModified: o.modified}) {
	case conditional.NotModified:
		w.WriteHeader(http.StatusNotModified)
		return nil
	case conditional.PreconditionFailed:
		return reply.Raw(http.StatusPreconditionFailed, "")
	}
	body, code := o.body, http.StatusOK
	if set, ok := ranges.Parse(r.Header.Get("Range")); ok {
		parts, err := set.Resolve(int64(len(body)))
		if err != nil {
			e := reply.Status(http.StatusRequestedRangeNotSatisfiable)
			e.Type = h.Get("Content-Type")
			return e
		}
		if len(parts) == 1 {
			h.Set("Content-Range", parts[0].ContentRange(int64(len(body))))
			body, code = body[parts[0].Start:parts[0].End], http.StatusPartialContent
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	io.WriteString(w, body)
	return nil
}

func (s *store) put(w http.ResponseWriter, r *http.Request, path string) error {
	if v := r.Header.Get("If-None-Match"); v != "" && v != "*" {
		return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: "If-None-Match only supports *"}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(body)) || r.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		return reply.Status(reply.StatusClientDisconnect).Because(err)
	}
	sum := md5.Sum(body)
	etag := hex.EncodeToString(sum[:])
	if want := r.Header.Get("Etag"); want != "" && want != etag {
		return reply.Status(http.StatusUnprocessableEntity)
	}
	o := object{header: http.Header{"Etag": {etag}}, body: string(body), modified: time.Now().Truncate(time.Second)}
	for name, values := range r.Header {
		if storedHeader(name) {
			o.header[name] = values
		}
	}
	s.mu.Lock()
	s.objects[path] = o
	s.mu.Unlock()
	return reply.Raw(http.StatusCreated, "").With("Etag", etag).With("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
}

// as gives requests the state of a user, who may do anything in the account and elsewhere what the container's list says.
func as(user, account string, next http.Handler) http.Handler {
	authorize := func(r *http.Request) error {
		path, _ := apipath.Parse(r.URL.Path)
		for name := range strings.SplitSeq(request.From(r.Context()).ACL, ",") {
			if user != "" && (name == user || name == strings.Split(user, ":")[0]) {
				return nil
			}
		}
		switch {
		case r.Method == http.MethodOptions || account != "" && path.Account == account:
			return nil
		case user == "":
			return reply.Status(http.StatusUnauthorized)
		}
		return reply.Status(http.StatusForbidden)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, request.With(r, &request.State{User: user, Authorize: authorize, Infos: &request.Infos{}}))
	})
}

type goldenRow struct {
	Name, User, Method, Path, Body, Text, Dest string
	Header, Answer                             map[string]string
	Status                                     int
	Stored                                     *struct {
		Status int
		Header map[string]string
		Body   string
	}
}

// TestCopiesAreThoseOfSwift replays what testdata/record.py recorded of OpenStack Swift: its answers, and what it stored.
func TestCopiesAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/copies.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Body string
		Meta map[string]string
		Rows []goldenRow
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 50 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	for _, row := range golden.Rows {
		t.Run(row.Name, func(t *testing.T) { replay(t, row, golden.Body, golden.Meta) })
	}
}

func replay(t *testing.T, row goldenRow, body string, header map[string]string) {
	s := &store{objects: map[string]object{}, containers: map[string][2]string{
		"/v1/AUTH_test/copysrc": {"test:tester3,test2", ""}, "/v1/AUTH_test/copydst": {"", "test:tester3,test2"},
		"/v1/AUTH_test/copyprivate": {}, "/v1/AUTH_test2/copyother": {"test:tester", "test:tester"},
	}}
	put := func(path, body string, header map[string]string) {
		sum := md5.Sum([]byte(body))
		o := object{body: body, header: http.Header{"Etag": {hex.EncodeToString(sum[:])}}, modified: time.Now().Truncate(time.Second)}
		for k, v := range header {
			o.header.Set(k, v)
		}
		s.objects[path] = o
	}
	for _, path := range []string{"/v1/AUTH_test/copysrc/o", "/v1/AUTH_test/copysrc/dir/a %b?c", "/v1/AUTH_test/copyprivate/o", "/v1/AUTH_test2/copyother/o"} {
		put(path, body, header)
	}
	put("/v1/AUTH_test/copysrc/empty", "", map[string]string{"Content-Type": "text/x-empty"})
	accounts := map[string]string{"test:tester": "AUTH_test", "test2:tester2": "AUTH_test2"}
	h := as(row.User, accounts[row.User], middlewaretest.Build(t, Filter, "", s))
	options := []middlewaretest.Option{middlewaretest.Body(row.Body)}
	for k, v := range row.Header {
		options = append(options, middlewaretest.Header(k, v))
	}
	res := middlewaretest.Do(t, h, row.Method, row.Path, options...)
	if res.Code != row.Status || res.Body != row.Text {
		t.Errorf("answer: got %d %q, want %d %q", res.Code, res.Body, row.Status, row.Text)
	}
	if diff := cmp.Diff(row.Answer, kept(res.Header)); diff != "" {
		t.Errorf("headers of the answer: -want +got\n%s", diff)
	}
	if row.Stored == nil {
		return
	}
	dest := httptest.NewRequest("GET", row.Dest, nil).URL.Path
	o, found := s.objects[dest]
	if found != (row.Stored.Status == http.StatusOK) {
		t.Fatalf("stored: got %v, want status %d", found, row.Stored.Status)
	}
	if !found {
		return
	}
	if diff := cmp.Diff(row.Stored.Header, kept(o.header)); diff != "" || o.body != row.Stored.Body {
		t.Errorf("stored: got %q, want %q; headers: -want +got\n%s", o.body, row.Stored.Body, diff)
	}
}

// kept are the headers that were recorded.
func kept(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		switch {
		case name == "X-Copied-From-Last-Modified":
			out[name] = "a date"
		case strings.HasPrefix(name, "X-Object-Meta-"), strings.HasPrefix(name, "X-Copied-"), slices.Contains([]string{
			"Content-Type", "Etag", "X-Delete-At", "Content-Encoding", "Content-Disposition", "X-Static-Large-Object",
			"X-Object-Manifest", "Allow", "Www-Authenticate",
		}, name):
			out[name] = values[0]
		}
	}
	return out
}
