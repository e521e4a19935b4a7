package bulk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/ascii"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// header makes the header of an entry that need not be what it says.
func header(name string, flag byte, size int64) []byte {
	b := make([]byte, blockSize)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	b[124] = 0x80 // the size in base 256
	binary.BigEndian.PutUint64(b[128:], uint64(size))
	copy(b[136:], "00000000000\x00        ")
	b[156] = flag
	copy(b[257:], "ustar\x0000")
	return sign(b)
}

// sparse makes the header of a file of nothing but a hole; more headers follow if there are to be.
func sparse(name string, size int64, more bool) []byte {
	b := header(name, tar.TypeGNUSparse, 0)
	copy(b[257:], "ustar  \x00")
	copy(b[386:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	if more {
		b[482] = 1
	}
	copy(b[483:], fmt.Sprintf("%011o\x00", size))
	return sign(b)
}

// sign sets the checksum.
func sign(b []byte) []byte {
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// gzipped is a part of a stream of gzip.
func gzipped(t testing.TB, parts ...[]byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, p := range parts {
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forever repeats bytes, and counts how many were taken.
type forever struct {
	first, again []byte
	left         []byte
	n            int64
}

// Read never ends.
func (f *forever) Read(p []byte) (int, error) {
	if f.n == 0 {
		f.left = f.first
	}
	if len(f.left) == 0 {
		f.left = f.again
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	f.n += int64(n)
	return n, nil
}

// upload sends a body of unknown length.
func upload(h http.Handler, format string, body io.Reader) string {
	r := httptest.NewRequest("PUT", "http://h/v1/AUTH_t?extract-archive="+format, body)
	r.ContentLength = -1
	r = request.With(r, &request.State{Infos: &request.Infos{}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

// growth is by how much the heap grows at most while f runs.
func growth(f func()) int64 {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	runtime.GC()
	base := heap()
	most := base
	done, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				most = max(most, heap())
			case <-done:
				return
			}
		}
	}()
	f()
	close(done)
	<-sampled
	return max(most, heap()) - base
}

// TestBombs sends archives that never end, each of which is cheap to send and would be dear to unpack.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 4<<20)
	records := func(flag byte, text string) []byte {
		b := append(header("x", flag, int64(len(text))), text...)
		return append(b, zeros[:(blockSize-len(text)%blockSize)%blockSize]...)
	}
	pax := func(text string) []byte { return records(tar.TypeXHeader, text) }
	global := func(text string) []byte { return records(tar.TypeXGlobalHeader, text) }
	directories := bytes.Repeat(header("d/", tar.TypeDir, 0), 4096)
	extended := make([]byte, blockSize)
	extended[504] = 1
	const refused = "PUT is refused"
	for _, test := range []struct {
		name, format string
		first, again []byte
		app          string
		want         string
		most         int64 // MiB that are taken of it
	}{
		{"zeros that belong to no object", "tar.gz", gzipped(t, header("readme", tar.TypeReg, 1<<40)), gzipped(t, zeros), "", textBomb, 1},
		{"zeros of a file too large", "tar.gz", gzipped(t, header("c/o", tar.TypeReg, 1<<40)), gzipped(t, zeros), "", textBomb, 1},
		{"zeros of a directory that has a size", "tar.gz", gzipped(t, header("c", 'D', 1<<40)), gzipped(t, zeros), "", textBomb, 1},
		{"zeros of objects that are refused", "tar.gz", nil, gzipped(t, header("c/o", tar.TypeReg, 4<<20), zeros), refused, textBomb, 1},
		{"directories", "tar.gz", nil, gzipped(t, directories), "", textBomb, 1},
		{"a name that does not end", "tar.gz", gzipped(t, header("x", tar.TypeGNULongName, 1<<40)), gzipped(t, zeros), "", textLong, 1},
		{"records that do not end", "tar", header("x", tar.TypeXHeader, 1<<40), zeros, "", textLong, 5},
		{"records for all files that do not end", "tar", header("x", tar.TypeXGlobalHeader, 1<<40), zeros, "", textLong, 5},
		{"records that nothing follows", "tar", nil, pax("9 a=bcde\n"), "", textLong, 5},
		{"many records", "tar.gz", nil, gzipped(t, pax(strings.Repeat("6 a=x\n", 150000)), header("d", tar.TypeDir, 0)), "", textBomb, 1},
		{"attributes for all files", "tar.gz", nil, gzipped(t, global("65572 SCHILY.xattr.user.meta.x="+strings.Repeat("v", 65540)+"\n")), "", textLong, 1},
		{"a map of holes that does not end", "tar.gz", gzipped(t, sparse("c/o", 1<<20, true)), gzipped(t, bytes.Repeat(extended, 1000)), "", textHeader, 1},
		{"holes of objects that are refused", "tar", nil, sparse("c/o", 5<<30, false), refused, textBomb, 1},
		{"holes of objects too large", "tar", nil, sparse("c/o", 7<<30, false), "", textBomb, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				code := http.StatusCreated
				if r.Method == http.MethodPut && test.app == refused {
					code = http.StatusForbidden
				}
				w.WriteHeader(code)
			})
			body := &forever{first: test.first, again: test.again}
			h := mt.Build(t, Filter, "", app)
			var got string
			grown := growth(func() { got = upload(h, test.format, body) })
			if !strings.Contains(got, "Response Body: Invalid Tar File: "+test.want+"\n") || !strings.Contains(got, "Response Status: 400 Bad Request\n") {
				t.Errorf("%.300s", got)
			}
			if body.n > test.most<<20 {
				t.Errorf("%d bytes were read", body.n)
			}
			if grown > 64<<20 {
				t.Errorf("memory has grown by %d MiB", grown>>20)
			}
		})
	}
}

func TestBrokenArchives(t *testing.T) {
	two := pack(t, entry{name: "c/a", body: strings.Repeat("x", 1000)}, entry{name: "c/b", body: strings.Repeat("y", 1000)})
	with := func(at int, text string) string { return two[:at] + text + two[at+len(text):] }
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	random := pack(t, entry{name: "c/a", body: string(noise)})
	z := compress(t, random)
	const ended = "Invalid Tar File: unexpected end of data"
	for _, test := range []struct{ name, format, archive, want string }{
		{"nothing", "tar", "", text(0, "400 Bad Request", "Invalid Tar File: empty file")},
		{"noise", "tar", string(noise), text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"a wrong checksum", "tar", with(0, "x"), text(0, "400 Bad Request", "Invalid Tar File: bad checksum")},
		{"no checksum", "tar", with(148, "zzzzzzzz"), text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"an empty one", "tar", strings.Repeat("\x00", 10240), text(0, "400 Bad Request", "Invalid Tar File: No Valid Files")},
		{"zeros and no end", "tar", strings.Repeat("\x00", 512), text(0, "400 Bad Request", "Invalid Tar File: No Valid Files")},
		{"half a header", "tar", two[:300], text(0, "400 Bad Request", "Invalid Tar File: truncated header")},
		{"a size that is none", "tar", string(sign([]byte(with(124, "xxxxxxxxxxx")[:512]))) + two[512:], text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"a size below zero", "tar", string(header("c/o", tar.TypeReg, -1)), text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"a size with nothing behind it", "tar", string(header("c/o", tar.TypeReg, 5<<30)), text(0, "400 Bad Request", ended, "c/o, 500 Internal Error")},
		{"a size beyond the limit with nothing behind it", "tar", string(header("c/o", tar.TypeReg, 1<<62)), text(0, "400 Bad Request", ended, "c/o, 413 Request Entity Too Large")},
		{"half a file", "tar", two[:700], text(0, "400 Bad Request", ended, "c/a, 500 Internal Error")},
		{"half a second file", "tar", two[:2300], text(1, "400 Bad Request", ended, "c/b, 500 Internal Error")},
		{"half a second header", "tar", two[:1600], text(1, "400 Bad Request", "Invalid Tar File: truncated header")},
		{"a broken second header", "tar", with(1540, "x"), text(1, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"no end", "tar", two[:1536], text(1, "201 Created", "")},
		{"no gzip", "tar.gz", two, text(0, "400 Bad Request", "Invalid Tar File: not a gzip file")},
		{"no bzip2", "tar.bz2", two, text(0, "400 Bad Request", "Invalid Tar File: invalid compressed data")},
		{"no tar", "tar", z, text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"half a gzip", "tar.gz", z[:len(z)/2], text(0, "400 Bad Request", ended, "c/a, 500 Internal Error")},
		{"a gzip with noise in it", "tar.gz", z[:200] + string(noise), text(0, "400 Bad Request", "Invalid Tar File: invalid compressed data", "c/a, 500 Internal Error")},
		{"a gzip of nothing", "tar.gz", compress(t, ""), text(0, "400 Bad Request", "Invalid Tar File: empty file")},
		{"records that are none", "tar", string(header("x", tar.TypeXHeader, 9)) + "nonsense\n" + strings.Repeat("\x00", 503), text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"a name with NUL in records", "tar", string(header("x", tar.TypeXHeader, 14)) + "14 path=c/a\x00b\n" + strings.Repeat("\x00", 498) + two, text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := upload(mt.Build(t, Filter, "", reads{}), test.format, strings.NewReader(test.archive)); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// reads is an app that takes what it can read.
type reads struct{}

func (reads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code := http.StatusCreated
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n != r.ContentLength {
		code = 499
	}
	w.WriteHeader(code)
}

// TestManyFiles unpacks more files, and bytes, than would fit if anything were kept.
func TestManyFiles(t *testing.T) {
	const files, size = 10000, 20 << 10 // 200 MB
	in, out := io.Pipe()
	go func() {
		w := tar.NewWriter(out)
		content := make([]byte, size)
		for i := range files {
			err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("c%d/a/long/name/of/a/file/%d", i%50, i), Size: size, Typeflag: tar.TypeReg,
				PAXRecords: map[string]string{"SCHILY.xattr.user.meta.number": fmt.Sprint(i)}})
			if err == nil {
				_, err = w.Write(content)
			}
			if err != nil {
				break
			}
		}
		out.CloseWithError(w.Close())
	}()
	h := mt.Build(t, Filter, "", reads{})
	var got string
	grown := growth(func() { got = upload(h, "tar", in) })
	if got != text(files, "201 Created", "") {
		t.Errorf("%.300s", got)
	}
	if grown > 64<<20 {
		t.Errorf("memory has grown by %d MiB", grown>>20)
	}
}

// FuzzArchive looks at what the requests are that an archive makes the filter send.
func FuzzArchive(f *testing.F) {
	a := pack(f, entry{name: "c/a", body: "a", pax: map[string]string{"SCHILY.xattr.user.meta.x": "y"}}, entry{name: "d/" + strings.Repeat("b", 200), body: "b"},
		entry{flag: tar.TypeXGlobalHeader, pax: map[string]string{"SCHILY.xattr.user.mime_type": "a/b"}}, entry{name: "../x/\xff"}, entry{name: "c", flag: tar.TypeSymlink})
	f.Add(a, 0)
	f.Add(compress(f, a), 1)
	f.Add(string(sparse("c/o", 100, false)), 0)
	f.Add(string(header("c/o", tar.TypeReg, 1<<40)), 0)
	f.Add("BZh91AY&SY", 2)
	names := []string{"tar", "tar.gz", "tar.bz2"}
	h := mt.Build(f, Filter, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/AUTH_t/") || r.URL.RawQuery != "" {
			panic("a request for " + r.URL.Path)
		}
		for k, v := range r.Header {
			if k != "Content-Type" && k != "User-Agent" && !strings.HasPrefix(k, "X-Object-Meta-") {
				panic("a header " + k)
			}
			if len(v) != 1 || strings.ContainsAny(v[0], "\r\n\x00") || !ascii.IsToken(k) {
				panic("a value of " + k)
			}
		}
		reads{}.ServeHTTP(w, r)
	}))
	f.Fuzz(func(t *testing.T, archive string, format int) {
		got := upload(h, names[uint(format)%3], strings.NewReader(archive))
		if !strings.HasPrefix(got, "Number Files Created: ") {
			t.Fatalf("%q", got)
		}
	})
}
