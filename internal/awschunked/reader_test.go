package awschunked_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

// chains returns two chains of one request, for an encoder and a decoder.
func chains(t interface{ Fatal(...any) }) (*sigv4.Chain, *sigv4.Chain) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r := httptest.NewRequest("PUT", "/b/k", nil)
	client, err := sigv4.NewSigner("AKID", "s3cret", "", "us-east-1").Sign(r, sigv4.StreamingSigned, at)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sigv4.Parse(r, sigv4.Rules{Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return client, sig.Chain(sigv4.Derive("s3cret", sig.Scope))
}

// A form of an encoded body.
type form struct {
	signed   bool
	checksum checksum.Algorithm
}

func forms() []form {
	return []form{{true, ""}, {true, checksum.SHA1}, {true, checksum.CRC32}, {false, checksum.CRC32C}, {false, checksum.SHA256}, {false, checksum.CRC64NVME}}
}

func (f form) encode(t interface{ Fatal(...any) }, body string) (string, *sigv4.Chain) {
	client, server := chains(t)
	if !f.signed {
		client, server = nil, nil
	}
	e := awschunked.Encoding{Chain: client, Length: int64(len(body)), Checksum: f.checksum}
	text, err := io.ReadAll(awschunked.NewWriter(strings.NewReader(body), e))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.EncodedLength(f.signed), int64(len(text)); got != want {
		t.Fatal("EncodedLength", got, want)
	}
	return string(text), server
}

func (f form) options(chain *sigv4.Chain, length int) awschunked.Options {
	o := awschunked.Options{Chain: chain, Length: int64(length), HasTrailer: f.checksum != ""}
	if o.HasTrailer {
		o.Trailers = []string{f.checksum.Header()}
	}
	return o
}

func TestThereAndBack(t *testing.T) {
	for _, f := range forms() {
		for _, n := range []int{0, 1, 8191, 8192, 65535, 65536, 65537, 200000} {
			body := strings.Repeat("0123456789abcde\n", n/16+1)[:n]
			text, chain := f.encode(t, body)
			r := awschunked.NewReader(iotest.HalfReader(strings.NewReader(text)), f.options(chain, n))
			if err := iotest.TestReader(r, []byte(body)); err != nil {
				t.Errorf("%+v %d: %v", f, n, err)
			}
			if f.checksum != "" && r.Trailer(f.checksum.Header()) == "" {
				t.Errorf("%+v %d: the trailer is lost", f, n)
			}
		}
	}
}

// TestAnyDamage flips one bit, or cuts the body short, or appends to it: it is refused, and its last byte is given to nobody.
func TestAnyDamage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := rapid.SampledFrom(forms()).Draw(rt, "form")
		n := rapid.SampledFrom([]int{0, 1, 100, 65536, 70000}).Draw(rt, "length")
		body := strings.Repeat("x", n)
		text, chain := f.encode(rt, body)
		b := []byte(text)
		i := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
		switch rapid.IntRange(0, 2).Draw(rt, "damage") {
		case 0:
			b[i] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		case 1:
			b = b[:i]
		case 2:
			b = append(b, text[i:]...)
		}
		got, err := io.ReadAll(awschunked.NewReader(bytes.NewReader(b), f.options(chain, n)))
		if err == nil {
			// Names of trailers and sizes of chunks may be in any case, and white space around a trailer's value is of any kind.
			if string(got) != body {
				rt.Fatalf("another body was taken")
			}
			if !strings.EqualFold(spaceless.Replace(string(b)), spaceless.Replace(text)) {
				rt.Fatalf("taken:\n%.300q\nas\n%.300q", b, text)
			}
		} else if len(got) >= n && n > 0 {
			rt.Fatalf("all bytes were given away before %v", err)
		}
	})
}

var spaceless = strings.NewReplacer("\r", "", "\t", "", " ", "")

// parts of a body without signatures.
const (
	crcOfHello = "x-amz-checksum-crc32:NhCmhg==\r\n"
	hello      = "5\r\nhello\r\n0\r\n"
)

func TestUnsigned(t *testing.T) {
	big := strings.Repeat("a", 8192)
	for _, c := range []struct {
		name, text string
		length     int64
		trailers   string
		want       awserr.Code
	}{
		{"good", hello + crcOfHello + "\r\n", 5, "x-amz-checksum-crc32", ""},
		{"no trailer", hello + "\r\n", 5, "", ""},
		{"another trailer", hello + "X-Foo: bar \r\n\r\n", 5, "x-foo", ""},
		{"a trailer's line ends by LF", hello + "x-foo:bar\n\r\n", 5, "x-foo", ""},
		{"a trailer's line ends by LF, and two empty lines follow", hello + "x-foo:bar\n\r\n\r\n", 5, "x-foo", ""},
		{"a trailer's line ends by LF, and three empty lines follow", hello + "x-foo:bar\n\r\n\r\n\r\n", 5, "x-foo", awserr.IncompleteBody},
		{"a trailer's line ends by CRLF, and two empty lines follow", hello + "x-foo:bar\r\n\r\n\r\n", 5, "x-foo", awserr.IncompleteBody},
		{"names in upper case", hello + strings.ToUpper(crcOfHello[:20]) + crcOfHello[20:] + "\r\n", 5, "X-Amz-Checksum-CRC32", ""},
		{"zeros before the size", "005\r\nhello\r\n000\r\n\r\n", 5, "", ""},
		{"extensions", "5;a=b;c\r\nhello\r\n0;x\r\n\r\n", 5, "", ""},
		{"an extension with a signature", "5;chunk-signature=1\r\nhello\r\n0\r\n\r\n", 5, "", ""},
		{"an empty body", "0\r\n\r\n", 0, "", ""},
		{"two chunks", "2000\r\n" + big + "\r\n1\r\nb\r\n0\r\n\r\n", 8193, "", ""},

		{"wrong checksum", hello + "x-amz-checksum-crc32:NhCmhw==\r\n\r\n", 5, "x-amz-checksum-crc32", awserr.BadDigest},
		{"checksum is none", hello + "x-amz-checksum-crc32:N\r\n\r\n", 5, "x-amz-checksum-crc32", awserr.InvalidRequest},
		{"checksum is missing", hello + "\r\n", 5, "x-amz-checksum-crc32", awserr.MalformedTrailer},
		{"trailer was not declared", hello + crcOfHello + "\r\n", 5, "", awserr.MalformedTrailer},
		{"trailer is given twice", hello + crcOfHello + crcOfHello + "\r\n", 5, "x-amz-checksum-crc32", awserr.MalformedTrailer},
		{"trailer has no colon", hello + "x-foo\r\n\r\n", 5, "x-foo", awserr.MalformedTrailer},
		{"trailer has a space in its name", hello + "x-foo :a\r\n\r\n", 5, "x-foo", awserr.MalformedTrailer},
		{"trailer's signature without signatures", hello + "x-amz-trailer-signature:a\r\n\r\n", 5, "", awserr.MalformedTrailer},
		{"trailer without end", hello + crcOfHello, 5, "x-amz-checksum-crc32", awserr.IncompleteBody},
		{"trailer is too long", hello + "x-foo:" + big + "\r\n\r\n", 5, "x-foo", awserr.MalformedTrailer},
		{"trailer never ends", hello + strings.Repeat("x", 1<<20), 5, "x-foo", awserr.MalformedTrailer},
		{"no last chunk", "5\r\nhello\r\n", 5, "", awserr.IncompleteBody},
		{"ends in the end of a chunk", "5\r\nhello\r", 5, "", awserr.IncompleteBody},
		{"ends after the line of the last chunk", "5\r\nhello\r\n0\r\n", 5, "", awserr.IncompleteBody},
		{"ends in a chunk", "5\r\nhel", 5, "", awserr.IncompleteBody},
		{"nothing at all", "", 5, "", awserr.IncompleteBody},
		{"nothing at all, of an empty body", "", 0, "", awserr.IncompleteBody},
		{"data after the end", hello + "\r\nx", 5, "", awserr.IncompleteBody},
		{"shorter than said", hello + "\r\n", 6, "", awserr.IncompleteBody},
		{"longer than said", hello + "\r\n", 4, "", awserr.IncompleteBody},
		{"one more chunk", "5\r\nhello\r\n1\r\na\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"an empty chunk in between", "2000\r\n" + big + "\r\n0\r\n1\r\nb\r\n0\r\n\r\n", 8193, "", awserr.IncompleteBody},
		{"a chunk that goes on", "5\r\nhello!\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"a small chunk before another", "5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", 10, "", awserr.InvalidChunkSize},
		{"a chunk of 8191", "1fff\r\n" + big[1:] + "\r\n1\r\nb\r\n0\r\n\r\n", 8192, "", awserr.InvalidChunkSize},
		{"no size", "\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"size is no number", "g\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"size has a sign", "+5\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"negative size", "-5\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"size with underscore", "0_5\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"huge size", "7fffffffffffffff\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"size over 63 bits", "8000000000000000\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"size over 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"line ends by LF", "5\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"line is too long", "5;" + strings.Repeat("a", 2000) + "\r\nhello\r\n0\r\n\r\n", 5, "", awserr.IncompleteBody},
		{"line never ends", strings.Repeat("5", 1<<20), 5, "", awserr.IncompleteBody},
		{"no length", hello + "\r\n", -1, "", awserr.MissingContentLength},
	} {
		names, err := awschunked.ParseTrailers([]string{c.trailers})
		if err != nil {
			t.Fatal(err)
		}
		r := awschunked.NewReader(strings.NewReader(c.text), awschunked.Options{Length: c.length, Trailers: names, HasTrailer: true})
		got, err := io.ReadAll(r)
		if c.want == "" != (err == nil) || err != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err == nil && int64(len(got)) != c.length || err != nil && int64(len(got)) >= c.length && c.length > 0 {
			t.Errorf("%s: %d bytes were given away of %d, with %v", c.name, len(got), c.length, err)
		}
		if n, again := r.Read(make([]byte, 10)); n != 0 || err != nil && again != err {
			t.Errorf("%s: afterwards %d, %v, want the same error again", c.name, n, again)
		}
	}
}

// TestSignedEdits takes signed bodies to pieces.
func TestSignedEdits(t *testing.T) {
	body := strings.Repeat("a", 65536) + strings.Repeat("b", 65536) + "c"
	chunks := func(text string) []string { // three, and the last with the trailer
		parts := strings.SplitAfter(text, ";chunk-signature=")
		if len(parts) != 5 {
			t.Fatalf("%d parts", len(parts))
		}
		var chunks []string
		for i := range 4 {
			line := parts[i][strings.LastIndex(parts[i], "\r\n")+1:]
			chunks = append(chunks, strings.TrimPrefix(line, "\n")+parts[i+1][:max(strings.LastIndex(parts[i+1], "\r\n"), 0)]+"\r\n")
		}
		return chunks
	}
	for _, c := range []struct {
		name string
		edit func([]string) string
		want awserr.Code
	}{
		{"as signed", func(c []string) string { return strings.Join(c, "") }, ""},
		{"two chunks change places", func(c []string) string { return c[1] + c[0] + c[2] + c[3] }, awserr.SignatureDoesNotMatch},
		{"one is left out", func(c []string) string { return c[0] + c[2] + c[3] }, awserr.SignatureDoesNotMatch},
		{"one is there twice", func(c []string) string { return c[0] + c[0] + c[1] + c[2] + c[3] }, awserr.SignatureDoesNotMatch},
		{"the last one is left out", func(c []string) string { return c[0] + c[1] + c[2] }, awserr.IncompleteBody},
		{"no signature", func(c []string) string { return "10000\r\n" + strings.SplitN(strings.Join(c, ""), "\r\n", 2)[1] }, awserr.IncompleteBody},
		{"an empty signature", func(c []string) string {
			return "10000;chunk-signature=\r\n" + strings.SplitN(strings.Join(c, ""), "\r\n", 2)[1]
		}, awserr.IncompleteBody},
		{"two signatures", func(c []string) string { return "10000;chunk-signature=1" + strings.Join(c, "")[5:] }, awserr.IncompleteBody},
		{"one more extension", func(c []string) string { return "10000;a=b" + strings.Join(c, "")[5:] }, ""},
	} {
		f := form{signed: true}
		text, chain := f.encode(t, body)
		r := awschunked.NewReader(strings.NewReader(c.edit(chunks(text))), f.options(chain, len(body)))
		got, err := io.ReadAll(r)
		if c.want == "" != (err == nil) || err != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err != nil && len(got) == len(body) {
			t.Errorf("%s: all bytes were given away", c.name)
		}
	}
}

// TestSignedTrailer edits the trailer of a signed body.
func TestSignedTrailer(t *testing.T) {
	const signature = "x-amz-trailer-signature:"
	for _, c := range []struct {
		name     string
		old, new string
		want     awserr.Code
	}{
		{"as signed", "", "", ""},
		{"lines end by LF, with an empty one before the signature", "==\r\n" + signature, "==\n\r\n" + signature, ""},
		{"an empty line before the signature", signature, "\r\n" + signature, ""},
		{"spaces around the value", "crc32:", "crc32: ", ""},
		{"no signature", signature, "x-amz-other:", awserr.MalformedTrailer},
		{"an empty signature", signature, signature + "\r\nx:", awserr.MalformedTrailer},
		{"another signature", signature, signature + "0", awserr.SignatureDoesNotMatch},
		{"lines after the signature", signature, signature + "0\r\nx-amz-checksum-crc32:", awserr.MalformedTrailer},
		{"another checksum", "NhCmhg==", "NhCmhw==", awserr.SignatureDoesNotMatch},
		{"no checksum", "x-amz-checksum-crc32:NhCmhg==\r\n", "", awserr.MalformedTrailer},
		{"an empty line only", signature, "\r\n", awserr.MalformedTrailer},
		{"two empty lines", signature, "\r\n\r\n" + signature, awserr.MalformedTrailer},
	} {
		f := form{true, checksum.CRC32}
		text, chain := f.encode(t, "hello")
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: %q", c.name, text)
		}
		_, err := io.ReadAll(awschunked.NewReader(strings.NewReader(strings.Replace(text, c.old, c.new, 1)), f.options(chain, 5)))
		if c.want == "" != (err == nil) || err != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// TestHeldBack counts what a consumer has before a chunk's end came.
func TestHeldBack(t *testing.T) {
	for _, n := range []int{1, 8192, 65536, 65537, 1 << 20} {
		text := fmt.Sprintf("%x\r\n%s", n, strings.Repeat("a", n))
		got, err := io.ReadAll(awschunked.NewReader(strings.NewReader(text), awschunked.Options{Length: int64(n), HasTrailer: true}))
		if !errors.Is(err, awserr.IncompleteBody) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d: %v", n, err)
		}
		if want := (n - 1) / 65536 * 65536; len(got) != want {
			t.Errorf("%d: %d bytes were given away, want %d", n, len(got), want)
		}
	}
}

// TestBrokenConnection keeps the error from below, which is no fault of the client's encoding.
func TestBrokenConnection(t *testing.T) {
	broken := errors.New("connection reset")
	for i := range len(hello) {
		body := io.MultiReader(strings.NewReader(hello[:i]), iotest.ErrReader(broken))
		_, err := io.ReadAll(awschunked.NewReader(body, awschunked.Options{Length: 5, HasTrailer: true}))
		var refused *awserr.Error
		if !errors.Is(err, broken) || errors.As(err, &refused) {
			t.Errorf("after %d bytes: %v", i, err)
		}
	}
}

func TestDeclaredWithoutTrailer(t *testing.T) {
	_, err := io.ReadAll(awschunked.NewReader(strings.NewReader(hello), awschunked.Options{Length: 5, Trailers: []string{"x-amz-checksum-crc32"}}))
	if !errors.Is(err, awserr.InvalidRequest) {
		t.Errorf("got %v, want InvalidRequest", err)
	}
}

func TestParseTrailers(t *testing.T) {
	for text, want := range map[string]string{"": "", " X-Amz-Checksum-CRC32 ": "x-amz-checksum-crc32", "a,,b , c": "a b c"} {
		got, err := awschunked.ParseTrailers([]string{text})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	many := ""
	for i := range 17 {
		many += "," + strconv.Itoa(i)
	}
	for text, want := range map[string]awserr.Code{
		"a,A": awserr.InvalidRequest, "a b": awserr.InvalidRequest, "x-amz-trailer-signature": awserr.InvalidRequest, many: awserr.InvalidRequest,
		"x-amz-checksum-crc32,x-amz-checksum-sha1": awserr.InvalidRequest, "x-amz-checksum-md4": awserr.NotImplemented,
	} {
		if got, err := awschunked.ParseTrailers([]string{text}); !errors.Is(err, want) {
			t.Errorf("%q: %q, %v, want %s", text, got, err, want)
		}
	}
}

func TestFromHeader(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		h             http.Header
		want          awserr.Code
	}{
		{"signed", sigv4.StreamingSigned, http.Header{"X-Amz-Decoded-Content-Length": {"5"}}, ""},
		{"signed, with a checksum in the head", sigv4.StreamingSigned,
			http.Header{"X-Amz-Decoded-Content-Length": {"5"}, "X-Amz-Checksum-Crc32": {"AAAAAA=="}}, ""},
		{"trailer", sigv4.StreamingUnsignedTrailer, http.Header{"X-Amz-Decoded-Content-Length": {"0"}, "X-Amz-Trailer": {"x-amz-checksum-crc32"}}, ""},
		{"no length", sigv4.StreamingSigned, http.Header{}, awserr.MissingContentLength},
		{"a negative length", sigv4.StreamingSigned, http.Header{"X-Amz-Decoded-Content-Length": {"-1"}}, awserr.InvalidArgument},
		{"a length with a sign", sigv4.StreamingSigned, http.Header{"X-Amz-Decoded-Content-Length": {"+1"}}, awserr.InvalidArgument},
		{"an empty length", sigv4.StreamingSigned, http.Header{"X-Amz-Decoded-Content-Length": {""}}, awserr.InvalidArgument},
		{"two lengths", sigv4.StreamingSigned, http.Header{"X-Amz-Decoded-Content-Length": {"5", "6"}}, awserr.InvalidArgument},
		{"a huge length", sigv4.StreamingSigned, http.Header{"X-Amz-Decoded-Content-Length": {"9223372036854775808"}}, awserr.InvalidArgument},
		{"a trailer in a mode without", sigv4.StreamingSigned,
			http.Header{"X-Amz-Decoded-Content-Length": {"5"}, "X-Amz-Trailer": {"x-amz-checksum-crc32"}}, awserr.InvalidRequest},
		{"checksums in head and trailer", sigv4.StreamingUnsignedTrailer, http.Header{"X-Amz-Decoded-Content-Length": {"5"},
			"X-Amz-Checksum-Crc32": {"AAAAAA=="}, "X-Amz-Trailer": {"x-amz-checksum-crc32"}}, awserr.InvalidRequest},
		{"an unknown checksum in the head", sigv4.StreamingSigned,
			http.Header{"X-Amz-Decoded-Content-Length": {"5"}, "X-Amz-Checksum-Md4": {"AAAAAA=="}}, awserr.NotImplemented},
		{"an unknown trailer", sigv4.StreamingUnsignedTrailer, http.Header{"X-Amz-Decoded-Content-Length": {"5"}, "X-Amz-Trailer": {"a b"}}, awserr.InvalidRequest},
	} {
		payload, err := sigv4.ParsePayload(c.payload)
		if err != nil {
			t.Fatal(err)
		}
		chain := new(sigv4.Chain)
		o, err := awschunked.FromHeader(c.h, payload, chain)
		if c.want == "" != (err == nil) || err != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v, want %q", c.name, o, err, c.want)
		}
		if err == nil && (o.Chain == chain) != payload.ChunksSigned() {
			t.Errorf("%s: chain is %v", c.name, o.Chain)
		}
	}
}

func TestStripEncoding(t *testing.T) {
	for value, want := range map[string]string{"aws-chunked": "", "aws-chunked,gzip": "gzip", " gzip , AWS-Chunked": "gzip", "gzip, br": "gzip,br", "": ""} {
		if got := awschunked.StripEncoding(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}
