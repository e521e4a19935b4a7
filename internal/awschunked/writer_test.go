package awschunked_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/checksum"
)

// TestWriterNeverEndsABadBody has bodies that a store must not take for whole.
func TestWriterNeverEndsABadBody(t *testing.T) {
	broken := errors.New("connection reset")
	for _, f := range forms() {
		for _, n := range []int{0, 10, 65536, 65537} {
			body := strings.Repeat("a", n)
			for name, src := range map[string]io.Reader{
				"a short body":           strings.NewReader(body[:max(n-1, 0)]),
				"a long body":            strings.NewReader(body + "x"),
				"a body that breaks":     io.MultiReader(strings.NewReader(body[:n/2]), iotest.ErrReader(broken)),
				"one wrong at its end":   io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)),
				"one that ends too late": io.MultiReader(strings.NewReader(body), strings.NewReader("x"), iotest.ErrReader(broken)),
			} {
				if n == 0 && name == "a short body" {
					continue
				}
				chain, _ := chains(t)
				if !f.signed {
					chain = nil
				}
				text, err := io.ReadAll(awschunked.NewWriter(src, awschunked.Encoding{Chain: chain, Length: int64(n), Checksum: f.checksum}))
				if err == nil {
					t.Errorf("%+v %d %s: no error", f, n, name)
				}
				if bytes.Contains(text, []byte("\r\n0\r\n")) || bytes.Contains(text, []byte("\r\n0;")) || bytes.Count(text, []byte("a")) > max(n-1, 0) && !f.signed {
					t.Errorf("%+v %d %s: the last chunk was made all the same", f, n, name)
				}
			}
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, e := range []awschunked.Encoding{{Length: 1}, {Length: -1, Checksum: checksum.CRC32}} {
		if _, err := io.ReadAll(awschunked.NewWriter(strings.NewReader("a"), e)); err == nil {
			t.Errorf("%+v: no error", e)
		}
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		signed   bool
		checksum checksum.Algorithm
		want     string
	}{
		{true, "", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, {true, "CRC32", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"},
		{false, "CRC32", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, {false, "", ""},
	} {
		if got := (awschunked.Encoding{Checksum: c.checksum}).Mode(c.signed); got != c.want {
			t.Errorf("%v %q: %s, want %s", c.signed, c.checksum, got, c.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(hello+crcOfHello+"\r\n"), int64(5), "x-amz-checksum-crc32", false)
	f.Add([]byte(hello+"\r\n"), int64(5), "", false)
	signed := form{true, checksum.SHA256}
	text, _ := signed.encode(f, "hello")
	f.Add([]byte(text), int64(5), "x-amz-checksum-sha256", true)
	f.Fuzz(func(t *testing.T, body []byte, length int64, trailers string, signed bool) {
		names, err := awschunked.ParseTrailers([]string{trailers})
		if err != nil {
			return
		}
		o := awschunked.Options{Length: length, Trailers: names, HasTrailer: true}
		if signed {
			_, o.Chain = chains(t)
		}
		got, err := io.ReadAll(awschunked.NewReader(bytes.NewReader(body), o))
		if err == nil && int64(len(got)) != length {
			t.Fatalf("%d bytes were taken for %d", len(got), length)
		}
		if err != nil && length > 0 && int64(len(got)) >= length {
			t.Fatalf("all %d bytes were given away with %v", length, err)
		}
		if err == nil && length > 0 && !bytes.Contains(body, got[:min(len(got), 8192)]) {
			t.Fatalf("bytes that nobody sent")
		}
	})
}

func benchmark(b *testing.B, f form, size int) {
	body := strings.Repeat("a", size)
	client, _ := chains(b)
	if !f.signed {
		client = nil
	}
	text, err := io.ReadAll(awschunked.NewWriter(strings.NewReader(body), awschunked.Encoding{Chain: client, Length: int64(size), Checksum: f.checksum}))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		_, server := chains(b)
		if !f.signed {
			server = nil
		}
		n, err := io.Copy(io.Discard, awschunked.NewReader(bytes.NewReader(text), f.options(server, size)))
		if err != nil || n != int64(size) {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkReaderSigned(b *testing.B)        { benchmark(b, form{true, ""}, 16<<20) }
func BenchmarkReaderUnsignedCRC32(b *testing.B) { benchmark(b, form{false, checksum.CRC32}, 16<<20) }
func BenchmarkReaderUnsignedCRC64(b *testing.B) {
	benchmark(b, form{false, checksum.CRC64NVME}, 16<<20)
}
func BenchmarkWriterSigned(b *testing.B) {
	body := bytes.Repeat([]byte("a"), 16<<20)
	b.SetBytes(16 << 20)
	for b.Loop() {
		client, _ := chains(b)
		io.Copy(io.Discard, awschunked.NewWriter(bytes.NewReader(body), awschunked.Encoding{Chain: client, Length: 16 << 20}))
	}
}
