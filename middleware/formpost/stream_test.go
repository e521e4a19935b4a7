package formpost

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/digest"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// broken is a body that ends with an error.
type broken struct{ io.Reader }

var errBroken = errors.New("the client has gone")

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

func TestABodyThatBreaksOffStoresNothing(t *testing.T) {
	form := fields("") + file("a", "0123456789") + "--X--"
	for n := range len(form) - len("\r\n--X--") {
		app := cluster()
		got := mt.Do(t, mt.Build(t, Filter, "", app), "POST", target, mt.Header("Content-Type", "multipart/form-data; boundary=X"), func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(broken{strings.NewReader(form[:n])}), int64(len(form))
		})
		for _, c := range puts(app) {
			if !errors.Is(c.BodyErr, errBroken) {
				t.Errorf("after %d bytes (...%q): %q is stored", n, form[max(0, n-20):n], c.Body)
			}
		}
		if got.Code < 400 && len(puts(app)) == 0 {
			t.Errorf("after %d bytes: got %d", n, got.Code)
		}
	}
}

// TestAClientThatGoesAwayStopsTheUpload does so over a connection.
func TestAClientThatGoesAwayStopsTheUpload(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error)
	app := cluster().On("PUT /v1/a/c/p-a", mt.Answer{Do: func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}})
	server := httptest.NewServer(mt.Build(t, Filter, "", app))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\nContent-Type: multipart/form-data; boundary=X\r\n\r\n%s", target, fields("")+file("a", "hello")); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the upload ended as if the file were complete")
	}
}

// zeros are n bytes.
type zeros int

func (z *zeros) Read(b []byte) (int, error) {
	if *z <= 0 {
		return 0, io.EOF
	}
	n := min(len(b), int(*z))
	clear(b[:n])
	*z -= zeros(n)
	return n, nil
}

// TestMemoryIsBounded sends fields and a file of 64 MiB each.
func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	sum := digest.HMAC(digest.SHA256, key, fmt.Sprintf("%s\n\n%d\n1\n%d", target, size, expires))
	app := cluster().On("PUT /v1/a/c/p-a", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 32<<10)); n != size || err != nil {
			t.Errorf("read %d bytes of the file, %v", n, err)
		}
		w.WriteHeader(201)
	}})
	h := mt.Build(t, Filter, "", app)
	field1, field2, content := zeros(size), zeros(size), zeros(size)
	text := func(s string) io.Reader { return strings.NewReader(s) }
	cut := func(s string) string { return strings.TrimSuffix(s, "\r\n") }
	body := io.MultiReader(text(cut(field("comment", ""))), &field1, text("\r\n"+cut(field("redirect", ""))), &field2, text("\r\n"+field("redirect", "")),
		text(field("max_file_size", fmt.Sprint(size))+field("max_file_count", "1")+field("expires", fmt.Sprint(expires))+field("signature", hex.EncodeToString(sum))),
		text(cut(file("a", ""))), &content, text("\r\n--X--"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := mt.Do(t, h, "POST", target, mt.Header("Content-Type", "multipart/form-data; boundary=X"), func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(body), -1
	})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; got.Code != 201 || used > 1<<20 {
		t.Errorf("got %d %q with %d bytes of memory", got.Code, got.Body, used)
	}
}

// FuzzForm changes a good form: whatever is stored has the signed path and none but the headers that a form may set, and
// only the signature's own fields let it be stored.
func FuzzForm(f *testing.F) {
	f.Add(fields("") + file("a", "x", "Content-Type: a/b\r\n") + "--X--")
	f.Add(fields("http://r/") + field("x_delete_at", "5") + field("content-encoding", "gzip") + file("a", "x") + file("b", "y") + "--X--")
	f.Add(field("signature", "sha1:AAAA") + file("a", "x") + "--X--")
	allowed := map[string]bool{"User-Agent": true, "Content-Type": true, "Content-Encoding": true, "X-Delete-At": true, "X-Delete-After": true}
	stored, problems := 0, []string{}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			w.Header().Set("X-Container-Meta-Temp-Url-Key", key)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		stored++
		if !strings.HasPrefix(r.URL.Path, target) || r.URL.RawQuery != "" {
			problems = append(problems, "stored at "+r.URL.String())
		}
		for name, values := range r.Header {
			if !allowed[name] || len(values) != 1 || strings.ContainsAny(values[0], "\r\n\x00") {
				problems = append(problems, fmt.Sprintf("stored with %s: %q", name, values))
			}
		}
		if n, _ := io.Copy(io.Discard, r.Body); n > 1000 {
			problems = append(problems, fmt.Sprintf("stored %d bytes", n))
		}
		w.WriteHeader(http.StatusCreated)
	})
	h := mt.Build(f, Filter, `allowed_digests = "sha256"`, app)
	f.Fuzz(func(t *testing.T, form string) {
		stored, problems = 0, nil
		got := post(t, h, form)
		if stored > 2 || len(problems) > 0 {
			t.Errorf("%q: %d files are stored: %q", form, stored, problems)
		}
		if got.Code != 201 && got.Code != 303 && got.Code != 400 && got.Code != 401 {
			t.Errorf("%q: %d %q", form, got.Code, got.Body)
		}
	})
}
