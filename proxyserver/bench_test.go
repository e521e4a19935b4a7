package proxyserver_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/proxyserver"
	"github.com/apus-storage/apus/ring"
)

// discard is a client that throws everything away.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkApp(b *testing.B) {
	for _, replicas := range []int{1, 3} {
		direct := nodes.NewDirect(nil)
		body := bytes.Repeat([]byte("x"), 4<<10)
		direct.Handle(containerAddr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
		direct.Handle(accountAddr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
		length := []string{strconv.Itoa(len(body))}
		direct.Handle(objectAddr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(201)
				return
			}
			w.Header()["Content-Length"] = length
			w.WriteHeader(200)
			w.Write(body)
		}))
		in, err := proxyserver.New(testHost(b, testCluster(b), quiet()), proxyserver.DefaultConfig(), proxyserver.Deps{
			Transport: direct, Rings: fixedRings{
				makeRing(b, 6202, 3, 3), makeRing(b, 6201, 3, 3), []*ring.Live{makeRing(b, 6200, replicas, replicas), makeRing(b, 6200, replicas, replicas)},
			},
		})
		fatal(b, err)
		infos := &request.Infos{}
		run := func(method string) func(*testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					r := httptest.NewRequest(method, "/v1/a/c/o", nil)
					if method == http.MethodPut {
						r = httptest.NewRequest(method, "/v1/a/c/o", bytes.NewReader(body))
					}
					in.App.ServeHTTP(discard{http.Header{}}, request.With(r, &request.State{Infos: infos, Owner: true, TransID: "tx"}))
				}
			}
		}
		name := strconv.Itoa(replicas) + " replicas/"
		b.Run(name+"GET", run(http.MethodGet))
		b.Run(name+"PUT", run(http.MethodPut))
		in.Close()
	}
}
