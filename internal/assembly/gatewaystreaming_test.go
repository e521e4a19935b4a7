package assembly

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/sigv4"
)

// Bodies stream through the S3 gateway too: `apus gateway`, as a process of its own, in front of a store that checks every
// signature and keeps nothing, and in front of an Apus. With APUS_TEST_STREAMING=1 (make streaming) sizes are those of
// docs/performance.md.

// maxGateway is how much memory the gateway may have resident, whatever goes through it; maxClient is what it may be for each of
// many clients.
const (
	maxGateway = 100 * mib
	maxClient  = mib
)

// gatewayScale is how much goes through.
type gatewayScale struct {
	object, kept int64 // one object: at a store that keeps nothing, and at one that does
	slow         int64 // the upload of each of many clients
	whole        bool  // all of it is sent
}

func newGatewayScale() gatewayScale {
	if os.Getenv("APUS_TEST_STREAMING") != "" {
		return gatewayScale{object: 5 << 30, kept: 1 << 30, slow: 64 * mib, whole: true}
	}
	return gatewayScale{object: 192 * mib, kept: 128 * mib, slow: 64 * mib}
}

func TestStreamingGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program, and moves some hundred megabytes")
	}
	binary, scale := buildApus(t), newGatewayScale()
	t.Run("a store that keeps nothing", func(t *testing.T) {
		sink := &sink{t: t, sums: make(map[string]string), size: scale.object}
		server := httptest.NewServer(sink)
		t.Cleanup(server.Close) // after the gateway
		g := startGateway(t, binary, server.URL)
		g.objects("photos", scale.object, sink.sum)
	})
	t.Run("an Apus", func(t *testing.T) {
		p := startProcess(t, binary, `  "bulk", "tempurl", "ratelimit", "tempauth", "copy", "container-quotas", "account-quotas", "slo", "dlo", "versioned_writes", "symlink",`,
			`  "bulk", "tempurl", "ratelimit", "s3api", "tempauth", "copy", "container-quotas", "account-quotas", "slo", "dlo", "versioned_writes", "symlink",`)
		g := startGateway(t, binary, p.url)
		g.send("PUT", "photos", nil, 0, sigv4.EmptyPayload)
		g.objects("photos", scale.kept, nil)
	})
	t.Run("many slow clients", func(t *testing.T) {
		sink := &sink{t: t, sums: make(map[string]string), size: scale.slow}
		server := httptest.NewServer(sink)
		t.Cleanup(server.Close)
		startGateway(t, binary, server.URL).slowUploads(200, scale)
		startGateway(t, binary, server.URL).slowReaders(200)
	})
}

// A sink is a store that checks signatures and all that is signed, and keeps the sums of what it was sent.
type sink struct {
	t    *testing.T
	size int64 // of what a GET is answered with

	mu   sync.Mutex // guards sums
	sums map[string]string
}

func (s *sink) sum(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sums[path]
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" { // a health check
		return
	}
	sig, err := sigv4.Parse(r, sigv4.Rules{Now: time.Now()})
	if err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	key := sigv4.Derive("testing", sig.Scope)
	if err := sig.Verify(key); err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	switch {
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Length", strconv.FormatInt(s.size, 10))
		io.Copy(w, flow(s.size)) // the client may go
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		w.Header().Set("Content-Type", "application/xml")
		io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPost:
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		io.WriteString(w, "<CompleteMultipartUploadResult/>")
	default:
		s.keep(w, r, sig, key)
	}
}

// keep takes an upload, if it is whole.
func (s *sink) keep(w http.ResponseWriter, r *http.Request, sig *sigv4.Signature, key sigv4.Key) {
	body := sig.Payload.Body(r.Body)
	if sig.Payload.Streaming() {
		var chain *sigv4.Chain
		if sig.Payload.ChunksSigned() {
			chain = sig.Chain(key)
		}
		o, err := awschunked.FromHeader(r.Header, sig.Payload, chain)
		if err != nil {
			s.t.Errorf("%s: %v", r.URL, err)
		}
		body = awschunked.NewReader(r.Body, o)
	}
	sum := md5.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{body}, make([]byte, 32<<10)); err != nil {
		return // a client has gone
	}
	text := hex.EncodeToString(sum.Sum(nil))
	s.mu.Lock()
	s.sums[r.URL.RequestURI()] = text
	s.mu.Unlock()
	w.Header().Set("Etag", `"`+text+`"`)
}

// A gatewayUnderTest is a gateway's process, and its client.
type gatewayUnderTest struct {
	t       *testing.T
	address string
	pid     int
	signer  *sigv4.Signer
}

func startGateway(t *testing.T, binary, store string) *gatewayUnderTest {
	t.Helper()
	g := &gatewayUnderTest{t: t, signer: sigv4.NewSigner("AKALICE", "alice's", "", "us-east-1")}
	g.address, g.pid = gatewayProcess(t, binary, store, `"auto"`)
	return g
}

// check does something and looks at the memory.
func (g *gatewayUnderTest) check(what string, most int64, f func()) {
	g.t.Helper()
	start := time.Now()
	f()
	resident := mostMemory(g.t, g.pid)
	g.t.Logf("%s: %d MiB resident at most; %v", what, resident/mib, time.Since(start).Round(time.Millisecond))
	if resident > most {
		g.t.Errorf("%s: %d MiB resident, want %d at most", what, resident/mib, most/mib)
	}
}

// request makes a signed request. The body is framed as the mode says.
func (g *gatewayUnderTest) request(ctx context.Context, method, path string, body io.Reader, size int64, mode string) *http.Request {
	g.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+g.address+"/"+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	r.ContentLength = size
	encoding := awschunked.Encoding{Length: size}
	if mode == sigv4.StreamingSigned {
		r.ContentLength = encoding.EncodedLength(true)
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(size, 10))
		r.Header.Set("Content-Encoding", "aws-chunked")
	}
	chain, err := g.signer.Sign(r, mode, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	if mode == sigv4.StreamingSigned {
		encoding.Chain = chain
		r.Body = io.NopCloser(awschunked.NewWriter(body, encoding))
	}
	return r
}

// send makes a request that must succeed, and returns the ETag, the sum of the answer's body, and its beginning.
func (g *gatewayUnderTest) send(method, path string, body io.Reader, size int64, mode string) (etag, sum, text string) {
	g.t.Helper()
	resp, err := http.DefaultClient.Do(g.request(g.t.Context(), method, path, body, size, mode))
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	var h hash.Hash = md5.New()
	if _, err := io.Copy(io.MultiWriter(h, &first{&b, 4 << 10}), resp.Body); err != nil || resp.StatusCode > 299 {
		g.t.Fatalf("%s %s: %d %s, %v", method, path, resp.StatusCode, b.String(), err)
	}
	return strings.Trim(resp.Header.Get("Etag"), `"`), hex.EncodeToString(h.Sum(nil)), b.String()
}

// objects moves an object each way. Where the store keeps sums, seen has them by path.
func (g *gatewayUnderTest) objects(bucket string, size int64, seen func(path string) string) {
	g.t.Helper()
	whole := sumOf(flow(size))
	for _, mode := range []string{sigv4.UnsignedPayload, sigv4.StreamingSigned} {
		path := bucket + "/" + strings.ToLower(mode)
		g.check("upload, "+mode, maxGateway, func() {
			if etag, _, _ := g.send("PUT", path, flow(size), size, mode); etag != whole {
				g.t.Errorf("PUT %s: the store has %s, want %s", path, etag, whole)
			}
		})
		g.check("download", maxGateway, func() {
			if _, sum, _ := g.send("GET", path, nil, 0, sigv4.EmptyPayload); sum != whole {
				g.t.Errorf("GET %s: got %s, want %s", path, sum, whole)
			}
		})
	}
	g.check("upload in parts", maxGateway, func() { g.parts(bucket+"/parts", size/4, seen) })
}

// parts uploads four parts.
func (g *gatewayUnderTest) parts(path string, size int64, seen func(path string) string) {
	g.t.Helper()
	_, _, text := g.send("POST", path+"?uploads", nil, 0, sigv4.EmptyPayload)
	var initiated struct {
		UploadId string
	}
	if err := xml.Unmarshal([]byte(text), &initiated); err != nil || initiated.UploadId == "" {
		g.t.Fatalf("initiate: %v, %s", err, text)
	}
	want := sumOf(flow(size))
	complete := "<CompleteMultipartUpload>"
	for n := 1; n <= 4; n++ {
		query := fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path, n, initiated.UploadId)
		etag, _, _ := g.send("PUT", query, flow(size), size, sigv4.StreamingSigned)
		if etag != want || seen != nil && seen("/"+query) != want {
			g.t.Errorf("part %d: got %s, want %s", n, etag, want)
		}
		complete += fmt.Sprintf(`<Part><PartNumber>%d</PartNumber><ETag>"%s"</ETag></Part>`, n, etag)
	}
	complete += "</CompleteMultipartUpload>"
	g.send("POST", path+"?uploadId="+initiated.UploadId, strings.NewReader(complete), int64(len(complete)), sigv4.UnsignedPayload)
}

// slowUploads has clients upload at once; each sends a piece, and waits until all the others have.
func (g *gatewayUnderTest) slowUploads(clients int, s gatewayScale) {
	g.t.Helper()
	ctx, leave := context.WithCancel(g.t.Context())
	defer leave()
	var begun, over sync.WaitGroup
	begun.Add(clients)
	goOn := make(chan struct{})
	var failed sync.Map
	g.check(fmt.Sprintf("%d uploads of %d MiB that have begun", clients, s.slow/mib), int64(clients)*maxClient, func() {
		for i := range clients {
			body := &halting{r: flow(s.slow), left: 512 << 10, begun: begun.Done, goOn: goOn, ctx: ctx}
			r := g.request(ctx, "PUT", fmt.Sprintf("photos/%03d", i), body, s.slow, sigv4.StreamingSigned)
			over.Go(func() {
				resp, err := http.DefaultClient.Do(r)
				if err == nil {
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						err = fmt.Errorf("answered %d", resp.StatusCode)
					}
				}
				if err != nil {
					failed.Store(i, err)
				}
			})
		}
		begun.Wait()
	})
	if !s.whole {
		leave()
		over.Wait()
		return
	}
	close(goOn)
	g.check("until their end", int64(clients)*maxClient, over.Wait)
	failed.Range(func(i, err any) bool {
		g.t.Errorf("upload %d: %v", i, err)
		return true
	})
}

// halting halts when so much has been read, once.
type halting struct {
	r     io.Reader
	left  int
	begun func()
	goOn  <-chan struct{}
	ctx   context.Context // of the request that it is the body of
}

func (h *halting) Read(p []byte) (int, error) {
	if h.left > 0 {
		n, err := h.r.Read(p[:min(len(p), h.left)])
		h.left -= n
		return n, err
	}
	if h.begun != nil {
		h.begun()
		h.begun = nil
		select {
		case <-h.goOn:
		case <-h.ctx.Done():
		}
	}
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.r.Read(p)
}

// slowReaders has clients ask for an object and read nothing more once it has begun.
func (g *gatewayUnderTest) slowReaders(clients int) {
	g.t.Helper()
	g.check(fmt.Sprintf("%d downloads that nobody reads on", clients), int64(clients)*maxClient, func() {
		for i := range clients {
			conn, err := net.Dial("tcp", g.address)
			if err != nil {
				g.t.Fatal(err)
			}
			defer conn.Close()
			if err := g.request(g.t.Context(), "GET", fmt.Sprintf("photos/%03d", i), nil, 0, sigv4.EmptyPayload).Write(conn); err != nil {
				g.t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 64<<10)); err != nil {
				g.t.Fatal(err)
			}
		}
	})
}
