package fanout

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/apus-storage/apus/internal/nodes"
)

// TestNodesInThisProcessGetTheMD5 checks what nodes are told of bodies by those who send them.
func TestNodesInThisProcessGetTheMD5(t *testing.T) {
	big := strings.Repeat("0123456789", 20_000)
	for _, tc := range []struct {
		name     string
		kind     string
		replicas int
		put      Put
		told     int // how many nodes
	}{
		{"large", "direct", 3, Put{Body: strings.NewReader(big), Length: int64(len(big))}, 3},
		{"of unknown length", "direct", 3, Put{Body: iotest.HalfReader(strings.NewReader(big)), Length: -1}, 3},
		{"small", "direct", 3, Put{Body: strings.NewReader(big[:10]), Length: 10, Whole: true}, 3},
		{"with a footer", "direct", 3, Put{Body: strings.NewReader(big), Length: int64(len(big)), Footers: func() http.Header { return http.Header{} }}, 3},
		{"one replica", "direct", 1, Put{Body: strings.NewReader(big), Length: int64(len(big))}, 0},
		{"over connections", "tcp", 3, Put{Body: strings.NewReader(big), Length: int64(len(big))}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t, tc.kind, tc.replicas, tc.replicas)
			f.d.inProcess = tc.kind == "direct"
			var told atomic.Int32
			f.all(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Obj-Metadata-Footer", "yes")
				w.WriteHeader(http.StatusContinue)
				got, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if at := bytes.Index(got, []byte("\r\n\r\n")); tc.put.Footers != nil {
					got = got[at+4 : at+4+len(big)] // the object in the document
				}
				if b, ok := r.Body.(nodes.Hashed); ok && b.ObjectMD5() != nil {
					told.Add(1)
					want := md5.Sum(got)
					if sum, n := b.ObjectMD5()(); !bytes.Equal(sum, want[:]) || n != int64(len(got)) {
						t.Errorf("told %s of %d bytes, got %s of %d", hex.EncodeToString(sum), n, hex.EncodeToString(want[:]), len(got))
					}
				}
				w.WriteHeader(http.StatusCreated)
			}, 0, tc.replicas)
			tc.put.Headers = f.headers(tc.replicas)
			if a, err := f.d.Put(t.Context(), f.target(), tc.put); err != nil || a.Status != 201 {
				t.Fatal(a, err)
			}
			f.d.Wait()
			if told.Load() != int32(tc.told) {
				t.Errorf("%d nodes were told, want %d", told.Load(), tc.told)
			}
		})
	}
}

// TestABodyThatBreaksOffHasNoMD5 checks that nothing is told of a part of a body.
func TestABodyThatBreaksOffHasNoMD5(t *testing.T) {
	broken := errors.New("broken")
	s := &summed{Reader: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), hash: md5.New()}
	if _, err := io.Copy(io.Discard, s); err != broken {
		t.Fatal(err)
	}
	if sum, _ := s.result(); sum != nil {
		t.Errorf("the sum of a part is %x", sum)
	}
}
