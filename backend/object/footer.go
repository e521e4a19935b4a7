package object

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
)

// maxFooter bounds the metadata that comes after a body, in bytes. Headers could not be bigger either.
const maxFooter = 1 << 20

// footer reads a PUT whose metadata comes after its body, both wrapped in MIME documents. The zero value is that of a
// PUT without.
type footer struct {
	boundary string
	parts    *multipart.Reader
	src      *rememberer
}

// rememberer keeps the error of a reader, which the parser of MIME headers replaces by its own.
type rememberer struct {
	r   io.Reader
	err error
}

func (m *rememberer) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.err = err
	return n, err
}

// failure is the answer to an error that came up in reading the body; answers stay as they are.
func (f *footer) failure(err error) error {
	if e, ok := errors.AsType[*reply.Error](err); ok {
		return e
	}
	if f.src != nil && f.src.err != nil && f.src.err != io.EOF {
		err = f.src.err
	}
	return readFailure(err)
}

// footerOf finds out whether there will be a footer.
func footerOf(r *http.Request) (*footer, error) {
	if meta.Truthy(r.Header.Get("X-Backend-Obj-Multiphase-Commit")) {
		return nil, text(http.StatusNotImplemented, "two-phase commit is not implemented by this server")
	}
	if !meta.Truthy(r.Header.Get("X-Backend-Obj-Metadata-Footer")) {
		return &footer{}, nil
	}
	boundary := r.Header.Get("X-Backend-Obj-Multipart-Mime-Boundary")
	if boundary == "" {
		return nil, text(http.StatusBadRequest, "no MIME boundary")
	}
	return &footer{boundary: boundary}, nil
}

// begin returns the reader of the object's bytes.
func (f *footer) begin(c *call) (io.Reader, error) {
	if f.boundary == "" {
		return c.r.Body, nil
	}
	f.src = &rememberer{r: c.r.Body}
	f.parts = multipart.NewReader(f.src, f.boundary)
	part, err := f.parts.NextRawPart()
	if err != nil {
		return nil, f.failure(err)
	}
	return part, nil
}

// read returns the footer's headers, nil if there is none.
func (f *footer) read(c *call) (http.Header, error) {
	if f.boundary == "" {
		return nil, nil
	}
	part, err := f.parts.NextRawPart()
	if err == io.EOF {
		return nil, reply.Raw(http.StatusBadRequest, "couldn't find footer MIME doc")
	}
	if err != nil {
		return nil, f.failure(err)
	}
	data, err := io.ReadAll(io.LimitReader(part, maxFooter+1))
	if err != nil {
		return nil, f.failure(err)
	}
	if len(data) > maxFooter {
		return nil, reply.Raw(http.StatusBadRequest, "footer too long")
	}
	h, err := parseFooter(part.Header.Get("Content-Md5"), data)
	if err != nil {
		return nil, err
	}
	// What follows is of no interest, but the connection is of no use before it has been read.
	if _, err := f.parts.NextRawPart(); err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, reply.Raw(http.StatusBadRequest, "unexpected MIME doc after footer").Because(err)
	}
	return h, nil
}

// parseFooter reads the JSON object of a footer, whose keys are header names.
func parseFooter(sum string, data []byte) (http.Header, error) {
	if sum == "" {
		return nil, reply.Raw(http.StatusBadRequest, "no Content-MD5 in footer")
	}
	if got := md5.Sum(data); hex.EncodeToString(got[:]) != sum {
		return nil, reply.Raw(http.StatusUnprocessableEntity, "footer MD5 mismatch")
	}
	var values map[string]any
	if err := json.Unmarshal(data, &values); err != nil {
		return nil, reply.Raw(http.StatusBadRequest, "invalid JSON for footer doc").Because(err)
	}
	h := make(http.Header, len(values))
	for name, v := range values {
		switch v := v.(type) {
		case string:
			// JSON holds text where Swift has one character per byte.
			raw, err := meta.FromStored(v)
			if err != nil {
				return nil, reply.Raw(http.StatusBadRequest, "invalid JSON for footer doc").Because(err)
			}
			h.Set(name, raw)
		case nil:
		case float64, bool:
			h.Set(name, fmt.Sprint(v))
		default:
			return nil, reply.Raw(http.StatusBadRequest, "invalid JSON for footer doc")
		}
	}
	return h, nil
}
