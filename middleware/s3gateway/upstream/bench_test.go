package upstream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkGet fetches 4 KiB, by the gateway's way and by net/http's alone.
func BenchmarkGet(b *testing.B) {
	body := strings.Repeat("x", 4096)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
	defer s.Close()
	u := open(b, base(s.URL), Deps{})
	read := func(resp *http.Response, err error) {
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 4096 || err != nil {
			b.Fatal(n, err)
		}
		resp.Body.Close()
	}
	header := http.Header{"Range": {"bytes=0-4095"}, "User-Agent": {"client/1"}, "Accept-Encoding": {"identity"}, "X-Amz-Date": {"x"}}
	b.Run("send", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := get("some/key/of/an/object")
			c.Header = header
			read(u.Send(b.Context(), c))
		}
	})
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _ := http.NewRequestWithContext(b.Context(), "GET", s.URL+"/bucket/some/key/of/an/object", nil)
			for name, v := range header {
				r.Header[name] = v
			}
			read(u.transport.RoundTrip(r))
		}
	})
}

// TestMemory sends and fetches 256 MiB, in every framing: memory does not grow with bodies.
func TestMemory(t *testing.T) {
	const size = 256 << 20
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			io.Copy(io.Discard, r.Body)
			return
		}
		io.CopyN(w, repeat('x'), size)
	}))
	defer s.Close()
	for _, policy := range []string{payloadUnsigned, payloadChunked} {
		c := base(s.URL)
		c.Payload, c.SignedChunks = policy, true
		u := open(t, c, Deps{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, _ := send(t, u, Call{Method: "PUT", Bucket: "b", Key: "k", Body: io.LimitReader(repeat('x'), size), Length: size})
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", policy, resp.StatusCode)
		}
		resp, err := u.Send(t.Context(), get("k"))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
			t.Errorf("%s: %d bytes, %v", policy, n, err)
		}
		resp.Body.Close()
		runtime.ReadMemStats(&after)
		// The server is in this, too.
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d bytes were allocated for %d", policy, used, size)
		}
	}
}
