package direct

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/ring"
)

func node(id int, ip string) ring.Node {
	return ring.Node{Device: &ring.Device{ID: id, IP: "192.0.2.1", Port: 1, ReplicationIP: ip, ReplicationPort: 6200, Name: "sda"}}
}

func TestEachNodeAnswersForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		d := nodes.NewDirect(nil)
		var mu sync.Mutex
		seen := ""
		d.Handle("10.0.0.1:6200", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen = r.Method + " " + r.URL.Path + " " + r.Header.Get("X-Size") + " " + r.UserAgent()
			mu.Unlock()
			w.Header().Set("X-Answer", "yes")
			w.WriteHeader(201)
		}))
		d.Handle("10.0.0.2:6200", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
		c := Client{Transport: d, Timeout: 3 * time.Second, UserAgent: "tester 1"}
		header := http.Header{"X-Size": {"7"}}
		begin := time.Now()
		got := c.All(t.Context(), []ring.Node{node(0, "10.0.0.1"), node(1, "10.0.0.2"), node(2, "10.0.0.3")},
			Request{Method: "PUT", Partition: 7, Path: "/a/c/o ?é", Header: header})
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want the 3s of the node that hangs", took)
		}
		mu.Lock()
		if want := "PUT /sda/7/a/c/o ?é 7 tester 1"; seen != want {
			t.Errorf("the node saw %q, want %q", seen, want)
		}
		mu.Unlock()
		if a := got[0]; !a.OK() || a.Header.Get("X-Answer") != "yes" || a.Node.ID != 0 || a.Err != nil {
			t.Errorf("answer of the good node: %+v", a)
		}
		if a := got[1]; a.OK() || !errors.Is(a.Err, ErrTimeout) || a.Node.ID != 1 {
			t.Errorf("answer of the node that hangs: %+v", a)
		}
		if a := got[2]; a.OK() || a.Err == nil || errors.Is(a.Err, ErrTimeout) {
			t.Errorf("answer of the missing node: %+v", a)
		}
		if len(header) != 1 {
			t.Errorf("the caller's header became %v", header)
		}
		close(hang)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if a := c.Send(ctx, node(2, "10.0.0.3"), Request{Method: "PUT"}); !errors.Is(a.Err, context.Canceled) {
			t.Errorf("with a cancelled context: %+v", a)
		}
	})
}
