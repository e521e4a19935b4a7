package middlewaretest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// An Answer is what the fake app says to one request. The zero value is an empty 200.
type Answer struct {
	// Code is the status; 0 means 200.
	Code int
	// Header are the response's headers. A Content-Length is added for Body unless one is given; "-" leaves it out.
	Header map[string]string
	// Body is the response's body. It is left out of answers to HEAD, as a real app does.
	Body string
	// Do, if set, answers instead of Code, Header and Body. The request's body has not been read then.
	Do http.HandlerFunc
}

// A Call is a request as the app saw it.
type Call struct {
	Method string
	Path   string // decoded
	URI    string // path and raw query: what On compares
	Header http.Header
	Body   string
	// BodyErr is why the body could not be read to its end.
	BodyErr error
	State   request.State // as it was when the request arrived
}

// An App is the fake app at the end of a pipeline. It answers what it was told to and keeps what it was asked. It is
// safe for concurrent use.
type App struct {
	mu      sync.Mutex
	answers map[string][]Answer
	other   *Answer
	calls   []Call
}

// NewApp returns an app that answers everything with 404 until it is told otherwise.
func NewApp() *App { return &App{answers: map[string][]Answer{}} }

// On sets the answers to a request, given as "GET /v1/a/c/o" or "GET /v1/a/c?format=json&limit=2"; the path is decoded,
// the query's parameters may come in any order. Without a query it stands for all queries that have no answer of their
// own. Several answers are given one after the other, the last of them from then on. A later On replaces an earlier one.
func (a *App) On(what string, answers ...Answer) *App {
	if len(answers) == 0 {
		answers = []Answer{{}}
	}
	method, uri, ok := strings.Cut(what, " ")
	if !ok {
		panic(fmt.Sprintf("middlewaretest: On(%q): want METHOD /path", what))
	}
	path, query, _ := strings.Cut(uri, "?")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[key(method, path, query)] = answers
	return a
}

// Otherwise sets the answer to requests that no On fits.
func (a *App) Otherwise(answer Answer) *App {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.other = &answer
	return a
}

func key(method, path, query string) string {
	k := method + " " + path
	if query == "" {
		return k
	}
	params := strings.Split(query, "&")
	slices.Sort(params)
	return k + "?" + strings.Join(params, "&")
}

// Calls returns the requests so far, in the order in which they arrived.
func (a *App) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// Last returns the latest request; the zero Call if there was none.
func (a *App) Last() Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.calls) == 0 {
		return Call{}
	}
	return a.calls[len(a.calls)-1]
}

// URIs lists the requests as "GET /v1/a/c?x=y", for tests of which subrequests are made.
func (a *App) URIs() []string {
	var out []string
	for _, c := range a.Calls() {
		out = append(out, c.Method+" "+c.URI)
	}
	return out
}

// Forget empties Calls.
func (a *App) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = nil
}

// Definition makes the app usable in a pipeline, as the kind "app".
func (a *App) Definition() *middleware.Definition {
	return middleware.DefineApp("app", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{App: a}, nil
	})
}

// ServeHTTP answers.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := Call{
		Method: r.Method, Path: r.URL.Path, URI: r.URL.Path, Header: r.Header.Clone(),
		State: *request.From(r.Context()),
	}
	if r.URL.RawQuery != "" {
		c.URI += "?" + r.URL.RawQuery
	}
	answer := a.pick(r)
	if answer.Do == nil {
		body, err := io.ReadAll(r.Body)
		c.Body, c.BodyErr = string(body), err
	}
	a.mu.Lock()
	a.calls = append(a.calls, c)
	a.mu.Unlock()
	switch {
	case answer.Do != nil:
		answer.Do(w, r)
	case c.BodyErr != nil:
		http.Error(w, "the body broke off", http.StatusBadRequest)
	default:
		answer.write(w, r)
	}
}

func (a *App) pick(r *http.Request) Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range []string{key(r.Method, r.URL.Path, r.URL.RawQuery), key(r.Method, r.URL.Path, "")} {
		list, ok := a.answers[k]
		if !ok {
			continue
		}
		if len(list) > 1 {
			a.answers[k] = list[1:]
		}
		return list[0]
	}
	if a.other != nil {
		return *a.other
	}
	return Answer{Code: http.StatusNotFound, Header: map[string]string{"Content-Type": "text/plain"}, Body: "not known to the fake app"}
}

func (a Answer) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, k := range slices.Sorted(maps.Keys(a.Header)) {
		h.Set(k, a.Header[k])
	}
	code := a.Code
	if code == 0 {
		code = http.StatusOK
	}
	switch {
	case a.Header["Content-Length"] == "-":
		h.Del("Content-Length")
	case h.Get("Content-Length") == "" && code != http.StatusNoContent && code != http.StatusNotModified:
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		io.WriteString(w, a.Body)
	}
}
