package testcluster

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/request"
)

// doubts are what a conditional write may meet that is in doubt afterwards: which primaries carry it out, of the ones that
// reserve the object for it.
var doubts = []struct {
	name  string
	fails []int // primaries whose disks fail when the change is to become durable
	lost  bool  // whether all carry it out, and the answers are lost
}{
	{"the last one alone has it", []int{0, 1}, false},
	{"the second one alone has it", []int{0, 2}, false},
	{"the first one alone has it", []int{1, 2}, false},
	{"none has it", []int{0, 1, 2}, false},
	{"all have it, and nobody says so", nil, true},
}

// TestAWriterAfterOneInDoubt has a writer come alone after one whose write is in doubt, before anything is replicated. It
// looks, and its write on the condition of what it has seen succeeds; only another condition is refused, with 412 if a majority
// has what has been seen, else with 409. So it is with one node
// less, as long as that is not what it has seen.
func TestAWriterAfterOneInDoubt(t *testing.T) {
	for _, doubt := range doubts {
		for _, first := range []string{"creates", "replaces", "deletes"} {
			for out := -1; out < 3; out++ {
				for _, second := range []string{"PUT", "DELETE"} {
					t.Run(fmt.Sprintf("%s, one %s, %d is out, %s", doubt.name, first, out, second), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							c := New(t, Options{Memory: true})
							defer c.Close()
							a := &aftermath{T: t, c: c, app: bareProxy(t, c), primaries: c.Primaries("AUTH_t", "c", "o")}
							a.check(first, second, doubt.fails, doubt.lost, out)
						})
					})
				}
			}
		}
	}
}

type aftermath struct {
	*testing.T
	c         *Cluster
	app       http.Handler
	primaries []*Node
}

func (a *aftermath) check(first, second string, fails []int, lost bool, out int) {
	a.c.Must(a.Context(), Request{Method: "PUT", Path: "/v1/AUTH_t/c"})
	if first != "creates" {
		a.c.Must(a.Context(), Request{Method: "PUT", Path: objectPath, Body: []byte("before")})
	}
	method, condition := "PUT", a.seen()
	if first == "deletes" {
		method = "DELETE"
	}
	for _, i := range fails {
		a.primaries[i].Disk.SetHook(func(op disk.Op) error {
			if op.Kind == "sync" {
				return syscall.EIO
			}
			return nil
		})
	}
	if lost {
		a.c.SetFaults(func(_ *Node, r *http.Request) Fault {
			if (r.Method == "PUT" || r.Method == "DELETE") && strings.HasSuffix(r.URL.Path, "/c/o") {
				return Fault{What: Lose}
			}
			return Fault{}
		})
	}
	if got := a.send(method, condition, "in doubt").Code; got < 500 {
		a.Fatalf("the first writer was told %d", got)
	}
	if err := a.c.Heal(); err != nil {
		a.Fatal(err)
	}
	before, err := a.c.Replicas(a.Context(), "AUTH_t", "c", "o")
	if err != nil {
		a.Fatal(err)
	}
	if out >= 0 {
		if err := a.primaries[out].Stop(); err != nil {
			a.Fatal(err)
		}
	}
	condition = a.seen()
	// What has been seen is there, so that who thinks otherwise is refused.
	other, sees := map[string]string{"X-Backend-If-None-Match": "*"}, 200
	if condition["X-Backend-If-None-Match"] != "" {
		other, sees = map[string]string{"X-Backend-If-Match": "*"}, 404
	}
	has := slices.DeleteFunc(before, func(r Replica) bool {
		return r.Status != sees || out >= 0 && r.Node == a.primaries[out]
	})
	time.Sleep(2 * time.Minute) // until nothing is reserved any more
	want := 412
	if len(has) < 2 {
		want = 409 // what a minority has may not be there tomorrow
	}
	if got := a.send("PUT", other, "refused").Code; got != want {
		a.Errorf("a writer that thinks otherwise was told %d, want %d", got, want)
	}
	if condition["X-Backend-If-None-Match"] != "" {
		second = "PUT" // there is nothing to delete
	}
	body, status, left := "after it", 201, 200
	if second == "DELETE" {
		body, status, left = "", 204, 404
	}
	if got := a.settled(second, condition, body).Code; got != status {
		a.Errorf("a later writer alone was told %d, with %v", got, condition)
	}
	if got := a.send("GET", map[string]string{"X-Newest": "true"}, ""); got.Code != left || left == 200 && got.Body.String() != body {
		a.Errorf("in the end there is %d %q", got.Code, got.Body)
	}
	if err := a.c.Heal(); err != nil {
		a.Fatal(err)
	}
	if err := a.c.ReplicateObject(a.Context(), "AUTH_t", "c", "o"); err != nil {
		a.Fatal(err)
	}
	replicas, err := a.c.Replicas(a.Context(), "AUTH_t", "c", "o")
	differs := func(r Replica) bool { return r.Status != left || left == 200 && string(r.Body) != body }
	if err != nil || slices.ContainsFunc(replicas, differs) {
		a.Errorf("replicated there is %v, %v", replicas, err)
	}
}

// seen looks, and returns the condition of replacing what is there.
func (a *aftermath) seen() map[string]string {
	head := a.send("HEAD", map[string]string{"X-Newest": "true"}, "")
	if head.Code == 404 {
		return map[string]string{"X-Backend-If-None-Match": "*"}
	}
	at := head.Header().Get("X-Backend-Data-Timestamp")
	if head.Code != 200 || at == "" {
		a.Fatalf("HEAD: %d %v", head.Code, head.Header())
	}
	return map[string]string{"X-Backend-If-Data-Timestamp": at}
}

// settled sends a write again while nodes have not noticed that the last one has ended.
func (a *aftermath) settled(method string, h map[string]string, body string) *httptest.ResponseRecorder {
	for range 100 {
		if w := a.send(method, h, body); w.Code != 409 {
			return w
		}
		time.Sleep(time.Second)
	}
	a.Fatal("the object stays reserved")
	return nil
}

// send sends a request to a proxy without filters, which would not let conditions of filters pass.
func (a *aftermath) send(method string, h map[string]string, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, objectPath, io.NopCloser(strings.NewReader(body)))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	for k, v := range h {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	a.app.ServeHTTP(w, request.With(r.WithContext(a.Context()), &request.State{Infos: &request.Infos{}, Owner: true}))
	return w
}
