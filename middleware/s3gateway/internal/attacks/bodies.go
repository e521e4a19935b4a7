package attacks

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

func crc(text string) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc32.ChecksumIEEE([]byte(text)))
	return base64.StdEncoding.EncodeToString(b[:])
}

func md5of(text string) string {
	s := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(s[:])
}

func bodies() []Case {
	const body = "hello, world"
	// said makes a case of a header that says something of the body.
	said := func(name, code, header, value string) Case {
		return Case{Name: "body: " + name, Code: code, Body: true, make: func(w World) *message {
			return request(w, "PUT", key).carry(body).with(header, value).sign(w, Owner, how{})
		}}
	}
	long := strings.Repeat("0123456789abcdef", 5000)
	return []Case{
		{Name: "body: another than was signed", Code: "XAmzContentSHA256Mismatch", Body: true, make: func(w World) *message {
			return request(w, "PUT", key).carry(body).sign(w, Owner, how{payload: sum("hello")})
		}},
		{Name: "body: changed at its end", Code: "XAmzContentSHA256Mismatch", Body: true, make: func(w World) *message {
			m := request(w, "PUT", key).carry(long).sign(w, Owner, how{payload: sum(long)})
			return m.carry(long[:len(long)-1] + "!")
		}},
		{Name: "body: none, where one was signed", Code: "XAmzContentSHA256Mismatch", Body: true, make: func(w World) *message {
			return request(w, "PUT", key).sign(w, Owner, how{payload: sum("hello")})
		}},
		{Name: "body: none, of a GET, where one was signed", Code: "XAmzContentSHA256Mismatch", Body: true, make: func(w World) *message {
			return request(w, "GET", key).sign(w, Owner, how{payload: sum("hello")})
		}},
		{Name: "body: one, where none was signed", Code: "XAmzContentSHA256Mismatch", Body: true, make: func(w World) *message {
			return request(w, "PUT", key).carry(body).sign(w, Owner, how{payload: sum("")})
		}},
		{Name: "body: cut off", Code: "IncompleteBody", Body: true, make: func(w World) *message {
			m := request(w, "PUT", key).carry(long[:70000]).sign(w, Owner, how{})
			m.length = len(long)
			return m
		}},
		{Name: "body: cut off, and signed as it was", Code: "IncompleteBody", Body: true, make: func(w World) *message {
			m := request(w, "PUT", key).carry(long[:70000]).sign(w, Owner, how{payload: sum(long[:70000])})
			m.length = len(long)
			return m
		}},
		said("another MD5", "BadDigest", "Content-MD5", md5of("hello")),
		said("an MD5 that is none", "InvalidDigest", "Content-MD5", "hello"),
		said("an MD5 that is too short", "InvalidDigest", "Content-MD5", "aGVsbG8="),
		said("another CRC", "BadDigest", "x-amz-checksum-crc32", crc("hello")),
		said("a CRC that is none", badReq, "x-amz-checksum-crc32", "hello"),
		said("a CRC of another size", badReq, "x-amz-checksum-crc32", crc(body)+"AAAA"),
		said("another SHA-256", "BadDigest", "x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(make([]byte, 32))),
		said("a checksum of an unknown kind", "NotImplemented", "x-amz-checksum-crc99", "AAAA"),
		said("a checksum that does not come", badReq, "x-amz-sdk-checksum-algorithm", "CRC32"),
		said("a trailer without chunks", badReq, "x-amz-trailer", "x-amz-checksum-crc32"),
		said("chunks that are not signed for", badReq, "Content-Encoding", "aws-chunked"),
		said("chunks that are not signed for, among encodings", badReq, "Content-Encoding", "gzip, AWS-Chunked"),
		{Name: "body: two checksums", Code: badReq, Body: true, make: func(w World) *message {
			return request(w, "PUT", key).carry(body).with("x-amz-checksum-crc32", crc(body)).
				with("x-amz-checksum-sha1", base64.StdEncoding.EncodeToString(make([]byte, 20))).sign(w, Owner, how{})
		}},
		{Name: "body: a checksum of another kind than was announced", Code: badReq, Body: true, make: func(w World) *message {
			return request(w, "PUT", key).carry(body).with("x-amz-checksum-crc32", crc(body)).with("x-amz-sdk-checksum-algorithm", "SHA256").sign(w, Owner, how{})
		}},
	}
}

// modes of streamed bodies.
const (
	plainMode    = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	trailerMode  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedMode = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// A stream is a body in chunks that is being made.
type stream struct {
	mode    string
	data    string
	size    int    // of chunks
	decoded string // what x-amz-decoded-content-length says; "" is right, "-" not there
	declare string // x-amz-trailer; "" is the CRC in modes with trailers
	trailer []string
	// change is done to the chunks after they were signed, the last one and the trailer among them.
	change func(chunks []string) []string
	after  string
	fields []string
}

const (
	chunk     = 16 << 10
	crc32Name = "x-amz-checksum-crc32"
)

var content = strings.Repeat("0123456789abcdefghijklmnopqrstuv", 2500) // 80 000 bytes: four chunks and a rest

// send makes the request: its head signed, and its chunks signed after it.
func (s stream) send(w World, k Key) *message {
	if s.data == "" {
		s.data = content
	}
	if s.size == 0 {
		s.size = chunk
	}
	h := how{payload: s.mode}.or(w)
	m := request(w, "PUT", key).with("Content-Encoding", "aws-chunked")
	switch s.decoded {
	case "":
		m.with("X-Amz-Decoded-Content-Length", fmt.Sprint(len(s.data)))
	case "-":
	default:
		m.with("X-Amz-Decoded-Content-Length", s.decoded)
	}
	trails := s.mode != plainMode
	if s.declare == "" && trails {
		s.declare = crc32Name
	}
	if s.declare != "" {
		m.with("X-Amz-Trailer", s.declare)
	}
	if s.trailer == nil && trails {
		s.trailer = []string{crc32Name + ":" + crc(s.data)}
	}
	for i := 0; i < len(s.fields); i += 2 {
		m.with(s.fields[i], s.fields[i+1])
	}
	m.sign(w, k, h)
	_, seed, _ := strings.Cut(m.get("Authorization"), "Signature=")
	all := s.chunks(h, k, seed)
	if s.change != nil {
		all = s.change(all)
	}
	return m.carry(strings.Join(all, "") + s.after)
}

// chunks are the body's, and what comes after the last, which is one piece with its end.
func (s stream) chunks(h how, k Key, last string) []string {
	signs := s.mode != unsignedMode
	sign := func(what, sums string) string {
		last = hex.EncodeToString([]byte(mac(h.derive(k.Secret), "AWS4-HMAC-SHA256-"+what+"\n"+h.at.Format(stamp)+"\n"+h.scope()+"\n"+last+"\n"+sums)))
		return last
	}
	line := func(data string) string {
		if !signs {
			return fmt.Sprintf("%x\r\n", len(data))
		}
		return fmt.Sprintf("%x;chunk-signature=%s\r\n", len(data), sign("PAYLOAD", sum("")+"\n"+sum(data)))
	}
	var all []string
	for part := range slices.Chunk([]byte(s.data), s.size) {
		all = append(all, line(string(part))+string(part)+"\r\n")
	}
	end := line("")
	for _, t := range s.trailer {
		end += t + "\r\n"
	}
	if s.mode == trailerMode {
		end += "x-amz-trailer-signature:" + sign("TRAILER", sum(strings.Join(s.trailer, "\n")+"\n")) + "\r\n"
	}
	return append(all, end+"\r\n")
}

// streamed makes a case of a stream.
func streamed(name, code string, s stream) Case {
	return Case{Name: "chunks: " + name, Code: code, Body: true, make: func(w World) *message { return s.send(w, Owner) }}
}

// edit changes a piece of one chunk; a negative number counts from the end.
func edit(at int, old, new string) func([]string) []string {
	return func(chunks []string) []string {
		if at < 0 {
			at += len(chunks)
		}
		if !strings.Contains(chunks[at], old) {
			panic("attacks: a chunk without " + old)
		}
		chunks[at] = strings.Replace(chunks[at], old, new, 1)
		return chunks
	}
}

func without(at int) func([]string) []string {
	return func(chunks []string) []string { return slices.Delete(chunks, at, at+1) }
}

func cut(at, to int) func([]string) []string {
	return func(chunks []string) []string { return append(chunks[:at:at], chunks[at][:to]) }
}

func chunks() []Case {
	const incomplete = "IncompleteBody"
	p := func(change func([]string) []string) stream { return stream{mode: plainMode, change: change} }
	return []Case{
		streamed("a byte of the first is changed", mismatch, p(edit(0, "abcdef", "abcdeF"))),
		streamed("a byte of the last is changed", mismatch, p(edit(-2, "tuv\r\n", "tuV\r\n"))),
		streamed("a signature is changed", mismatch, p(edit(1, "signature=", "signature=0"))),
		streamed("a signature is missing", incomplete, p(edit(1, ";chunk-signature=", ";x="))),
		streamed("a signature is there twice", incomplete, p(edit(1, ";chunk-signature=", ";chunk-signature=0;chunk-signature="))),
		streamed("the last signature is changed", mismatch, p(edit(-1, "signature=", "signature=0"))),
		streamed("two change places", mismatch, p(func(c []string) []string { c[0], c[1] = c[1], c[0]; return c })),
		streamed("one is there twice", mismatch, p(func(c []string) []string { c[1] = c[0]; return c })),
		streamed("one is missing", mismatch, p(without(1))),
		streamed("one is missing, as the length says", mismatch, stream{mode: plainMode, decoded: fmt.Sprint(len(content) - chunk), change: without(1)}),
		streamed("the rest is missing, as the length says", incomplete, stream{mode: plainMode, decoded: fmt.Sprint(4 * chunk), change: func(c []string) []string { return c[:4] }}),
		streamed("the last is missing", incomplete, p(without(5))),
		streamed("cut in the middle of one", incomplete, p(cut(2, 9000))),
		streamed("cut in the middle of a line", incomplete, p(cut(2, 20))),
		streamed("cut between two", incomplete, p(func(c []string) []string { return c[:2] })),
		streamed("cut before the end", incomplete, p(cut(5, 30))),
		streamed("nothing at all", incomplete, p(func([]string) []string { return nil })),
		streamed("longer than was said", incomplete, stream{mode: plainMode, decoded: fmt.Sprint(len(content) - 1)}),
		streamed("shorter than was said", incomplete, stream{mode: plainMode, decoded: fmt.Sprint(len(content) + 1)}),
		streamed("without a length", "MissingContentLength", stream{mode: plainMode, decoded: "-"}),
		streamed("with a length that is none", invalid, stream{mode: plainMode, decoded: "many"}),
		streamed("with a negative length", invalid, stream{mode: plainMode, decoded: "-1"}),
		streamed("with two lengths", invalid, stream{mode: plainMode, fields: []string{"X-Amz-Decoded-Content-Length", "1"}}),
		streamed("with a length that is too large for numbers", invalid, stream{mode: plainMode, decoded: "99999999999999999999"}),
		streamed("a size too large for numbers", incomplete, p(edit(1, "4000;", "ffffffffffffffff;"))),
		streamed("a size of all there is", incomplete, p(edit(1, "4000;", "7fffffffffffffff;"))),
		streamed("a negative size", incomplete, p(edit(1, "4000;", "-4000;"))),
		streamed("a size that is none", incomplete, p(edit(1, "4000;", "0x4000;"))),
		streamed("a size without end", incomplete, p(edit(1, "4000;", strings.Repeat("0", 100000)+"4000;"))),
		streamed("a size that is larger than it is", incomplete, p(edit(-2, "3880;", "3881;"))),
		streamed("a size that is smaller than it is", incomplete, p(edit(1, "4000;", "3fff;"))),
		streamed("lines that end in another way", incomplete, p(edit(1, "\r\n", "\n"))),
		streamed("small ones", "InvalidChunkSizeError", stream{mode: plainMode, size: 1 << 10}),
		streamed("more after the last", incomplete, stream{mode: plainMode, after: "PUT / HTTP/1.1\r\n\r\n"}),
		streamed("another's secret", mismatch, p(nil)).by(Key{Owner.Access, Reader.Secret}, plainMode),
		{Name: "chunks: signed by version 4a", Code: "NotImplemented", make: func(w World) *message {
			return stream{mode: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}.send(w, Owner)
		}},
		changed("chunks: said not to be signed, afterwards", mismatch, func(w World) *message { return stream{mode: trailerMode}.send(w, Owner) },
			func(_ World, m *message) { m.set("X-Amz-Content-Sha256", unsignedMode) }),
		changed("chunks: not signed, where signatures were promised", incompleteCode, func(w World) *message {
			m := stream{mode: plainMode}.send(w, Owner)
			h := how{}.or(w)
			return m.carry(strings.Join(stream{mode: unsignedMode, data: content, size: chunk}.chunks(h, Owner, ""), ""))
		}, nothing).inBody(),
		changed("chunks: of an earlier request", mismatch, func(w World) *message {
			earlier := stream{mode: plainMode, data: strings.ToUpper(content), fields: []string{"X-Amz-Meta-A", "1"}}.send(w, Owner)
			return stream{mode: plainMode}.send(w, Owner).carry(earlier.body)
		}, nothing).inBody(),
		{Name: "chunks: signed, by nobody", Code: forbidden, make: func(w World) *message {
			return stream{mode: plainMode}.send(w, Owner).drop("Authorization")
		}},
	}
}

const incompleteCode = "IncompleteBody"

// by signs the head as the owner does, and the chunks with another key.
func (c Case) by(k Key, mode string) Case {
	c.make = func(w World) *message {
		m := stream{mode: mode}.send(w, Owner)
		_, seed, _ := strings.Cut(m.get("Authorization"), "Signature=")
		return m.carry(strings.Join(stream{mode: mode, data: content, size: chunk}.chunks(how{}.or(w), k, seed), ""))
	}
	return c
}

func trailers() []Case {
	t := func(mode string, s stream) stream { s.mode = mode; return s }
	right := crc32Name + ":" + crc(content)
	const bad = "MalformedTrailerError"
	var all []Case
	for _, mode := range []struct{ name, mode string }{{"signed", trailerMode}, {"unsigned", unsignedMode}} {
		add := func(name, code string, s stream) {
			all = append(all, streamed("trailer, "+mode.name+": "+name, code, t(mode.mode, s)))
		}
		add("a checksum of something else", "BadDigest", stream{trailer: []string{crc32Name + ":" + crc("hello")}})
		add("a checksum that is none", badReq, stream{trailer: []string{crc32Name + ":hello"}})
		add("another checksum than was declared", bad, stream{trailer: []string{"x-amz-checksum-crc32c:" + crc(content)}})
		add("nothing of what was declared", bad, stream{trailer: []string{}})
		add("one that was not declared", bad, stream{trailer: []string{right, "x-amz-meta-a:1"}})
		add("one twice", bad, stream{trailer: []string{right, right}})
		add("one without end", bad, stream{trailer: []string{right + strings.Repeat(" ", 100000)}})
		add("a line that is none", bad, stream{trailer: []string{"hello"}})
		add("cut off", incompleteCode, stream{change: func(c []string) []string {
			c[len(c)-1] = strings.TrimSuffix(c[len(c)-1], "\r\n")
			return c
		}})
		add("more after it", incompleteCode, stream{after: "0\r\n\r\n"})
		add("a checksum in the head too", badReq, stream{fields: []string{"x-amz-checksum-crc32", crc(content)}})
		add("two declared", badReq, stream{declare: crc32Name + ",x-amz-checksum-sha1"})
		add("one declared that is not known", "NotImplemented", stream{declare: "x-amz-checksum-crc99"})
		add("another announced", badReq, stream{fields: []string{"x-amz-sdk-checksum-algorithm", "SHA256"}})
	}
	return append(all,
		streamed("trailer, signed: another signature", mismatch, t(trailerMode, stream{change: edit(-1, "trailer-signature:", "trailer-signature:0")})),
		streamed("trailer, signed: no signature", bad, t(trailerMode, stream{change: edit(-1, "x-amz-trailer-signature:", "x-amz-checksum-x:")})),
		streamed("trailer, signed: changed", mismatch, t(trailerMode, stream{change: edit(-1, crc(content), crc("hello"))})),
		streamed("trailer, signed: a byte of the body is changed", mismatch, t(trailerMode, stream{change: edit(1, "abcdef", "abcdeF")})),
		streamed("trailer, unsigned: a byte of the body is changed", "BadDigest", t(unsignedMode, stream{change: edit(-2, "tuv\r\n", "tuV\r\n")})),
		streamed("trailer, of a kind that has none", badReq, t(plainMode, stream{declare: crc32Name})),
	)
}

// Controls are requests that must pass.
func Controls() []Control {
	obj := func(name, method, target string, k Key) Control {
		return Control{Name: name, Method: method, make: func(w World) *message { return request(w, method, target).sign(w, k, how{}) }}
	}
	sent := func(name, body string, make func(w World) *message) Control {
		return Control{Name: name, Method: "PUT", Sent: body, make: make}
	}
	const doc = "<Delete><Object><Key>2026/a</Key></Object><Quiet>true</Quiet></Delete>"
	return []Control{
		obj("read", "GET", key, Owner), obj("look", "HEAD", key, Owner), obj("list", "GET", "/"+Bucket+"?list-type=2", Owner),
		obj("list parts", "GET", key+"?uploadId=u", Lister), obj("read by a reader", "GET", key+"?versionId=1", Reader),
		obj("list within", "GET", "/"+Bucket+"?prefix=2026/", Tenant), obj("read within", "GET", "/"+Bucket+"/2026/a..b", Tenant),
		obj("odd names", "GET", "/"+Bucket+"/2026%2Fa%20b+c//%C3%A4", Owner), obj("dots within the bucket", "GET", "/"+Bucket+"/a/../b", Owner),
		obj("read by a name of a host", "GET", "/2026/a", Owner).at(Bucket), obj("list by a name of a host", "GET", "/?prefix=2026/", Tenant).at(Bucket),
		obj("where a bucket is", "GET", "/"+Bucket+"?location", Writer),
		{Name: "presigned", Method: "GET", make: func(w World) *message { return request(w, "GET", key).presign(w, Owner, how{}) }},
		{Name: "presigned, to its last second", Method: "GET", make: func(w World) *message {
			return request(w, "GET", key).presign(w, Owner, how{at: w.Now.Add(-280e9)})
		}},
		{Name: "copy", Method: "PUT", make: func(w World) *message {
			return request(w, "PUT", key).with("X-Amz-Copy-Source", "/"+Bucket+"/2026/b").sign(w, Tenant, how{})
		}},
		{Name: "delete many", Method: "POST", Sent: doc, make: func(w World) *message {
			return request(w, "POST", "/"+Bucket+"?delete").carry(doc).with("Content-MD5", md5of(doc)).sign(w, Tenant, how{payload: sum(doc)})
		}},
		sent("write", "hello", put),
		sent("write with metadata", "hello", func(w World) *message {
			return request(w, "PUT", key).carry("hello").with("x-amz-meta-under_score", "1").sign(w, Owner, how{})
		}),
		sent("write what is signed", content, func(w World) *message {
			return request(w, "PUT", key).carry(content).with("x-amz-checksum-crc32", crc(content)).sign(w, Owner, how{payload: sum(content)})
		}),
		sent("write by a presigned URL", "hello", func(w World) *message { return request(w, "PUT", key).carry("hello").presign(w, Owner, how{}) }),
		sent("write signed chunks", content, func(w World) *message { return stream{mode: plainMode}.send(w, Owner) }),
		sent("write signed chunks with a trailer", content, func(w World) *message { return stream{mode: trailerMode}.send(w, Owner) }),
		sent("write chunks with a trailer", content, func(w World) *message { return stream{mode: unsignedMode}.send(w, Owner) }),
	}
}

// at moves a control to the host of a bucket.
func (c Control) at(bucket string) Control {
	from := c.make
	c.make = func(w World) *message {
		w.Host = bucket + "." + Domain
		return from(w)
	}
	return c
}
