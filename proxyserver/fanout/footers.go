package fanout

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"sync"

	"github.com/apus-storage/apus/internal/meta"
)

// Headers of an upload whose metadata is complete only when its body has been sent.
const (
	headerBoundary  = "X-Backend-Obj-Multipart-Mime-Boundary"
	headerFooter    = "X-Backend-Obj-Metadata-Footer"
	headerObjLength = "X-Backend-Obj-Content-Length"
	headerHasFooter = "X-Obj-Metadata-Footer"
)

// withFooters changes an upload into one whose body is a MIME document of two parts: the object, and the metadata that
// was not known before. Its length is not known in advance either.
func withFooters(p Put) Put {
	boundary := fmt.Sprintf("%016x%016x%016x%016x", rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64())
	headers := make([]http.Header, len(p.Headers))
	for i, h := range p.Headers {
		h = h.Clone()
		h[headerBoundary] = []string{boundary}
		h[headerFooter] = []string{"yes"}
		if p.Length >= 0 && len(h[headerObjLength]) == 0 {
			h[headerObjLength] = []string{strconv.FormatInt(p.Length, 10)}
		}
		headers[i] = h
	}
	head := "--" + boundary + "\r\nX-Document: object body\r\n\r\n"
	p.Body = io.MultiReader(bytes.NewReader([]byte(head)), p.Body, &tail{boundary: boundary, footers: p.Footers})
	p.Headers, p.Length = headers, -1
	return p
}

var errNoFooters = errors.New("node does not take footers")

// requireFooters keeps the body from a node in another process until the node has promised to take it apart. One that
// does not would store the document as it is.
func (f *feed) requireFooters(ctx context.Context) context.Context {
	var once sync.Once
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// A node in this process has no connection. The body is asked for after this.
		GotConn: func(httptrace.GotConnInfo) { f.promise = make(chan struct{}) },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			switch {
			case code != http.StatusContinue:
				return nil
			case h.Get(headerHasFooter) == "":
				f.leave(errNoFooters)
				return errNoFooters
			}
			if f.promise != nil {
				once.Do(func() { close(f.promise) })
			}
			return nil
		},
	})
}

// tail is the document's second part. It is made when the first has been read to its end.
type tail struct {
	boundary string
	footers  func() http.Header
	text     *bytes.Reader
}

// Read reads the part.
func (t *tail) Read(p []byte) (int, error) {
	if t.text == nil {
		text, err := footerText(t.boundary, t.footers())
		if err != nil {
			return 0, err
		}
		t.text = bytes.NewReader(text)
	}
	return t.text.Read(p)
}

// footerText writes the metadata as JSON, in which each byte of a header's value is one character.
func footerText(boundary string, h http.Header) ([]byte, error) {
	m := make(map[string]string, len(h))
	for k := range h {
		m[meta.Title(k)] = meta.ToStored(meta.Value(h, k))
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write footers: %w", err)
	}
	sum := md5.Sum(data)
	text := "\r\n--" + boundary + "\r\nX-Document: object metadata\r\nContent-MD5: " + hex.EncodeToString(sum[:]) + "\r\n\r\n" +
		string(data) + "\r\n--" + boundary + "--\r\n"
	return []byte(text), nil
}
