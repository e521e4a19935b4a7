package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

// A Form makes a call one that posts a browser's form. The store gets the fields with a policy and a signature of its own in the
// place of the client's, and then the call's Body as it is: the file without the head of its part, the boundary that ends it, and what follows.
// So the length is known before the file is read, whatever follows it, and the store sees no field of which not every byte was checked
// and signed here.
type Form struct {
	// Fields are by their names in lower case, without the bucket and what is of a signature.
	Fields map[string]string
	// Boundary is what ends the file. No field may have it.
	Boundary string
	// Least and Most are what the store is told of the file's size. It may believe it or not: the body has to end well only if it is so.
	Least, Most int64
	// Expires is when the client's policy ends; zero if it has none.
	Expires time.Time
}

// formLife is how long a policy is good if the client has none.
const formLife = time.Hour

// formRequest makes the request of a call that is a form.
func (u *Upstream) formRequest(c Call, k keys) (*http.Request, *sending, error) {
	if k.bearer != "" {
		return nil, nil, awserr.New(awserr.NotImplemented, "Behind this bucket, forms cannot be posted: its store takes no signatures.")
	}
	at, err := u.address(Call{Bucket: c.Bucket, Place: c.Place})
	if err != nil {
		return nil, nil, err
	}
	head := u.formHead(c, k)
	h := clean(c.Header)
	h.Set("Content-Type", mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": c.Form.Boundary}))
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // none, in place of Go's
	}
	r := &http.Request{
		Method: http.MethodPost, URL: at, Host: at.Host, Header: h, ContentLength: int64(len(head)) + c.Length,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	whole := &whole{body: &headed{head: strings.NewReader(head), body: c.Body}, left: r.ContentLength}
	body := newSending(whole, r.ContentLength)
	if c.Length >= int64(u.config.ExpectAbove) {
		h.Set("Expect", "100-continue")
		body.announced, body.patience = true, u.config.ExpectTimeout.Duration
	}
	r.Body, r.GetBody = body, body.again
	return r, body, nil
}

// formHead is everything before the file's first byte.
func (u *Upstream) formHead(c Call, k keys) string {
	now, signer := u.clock.Now(), u.signers.get(k, u.regionOf(c))
	fields := maps.Clone(c.Form.Fields)
	if !k.unsigned {
		maps.Copy(fields, signer.FormFields(now))
		policy := c.Form.policy(c.Bucket, fields, now)
		fields["policy"], fields["x-amz-signature"] = policy, signer.SignPolicy(policy, now)
	}
	names := slices.Sorted(maps.Keys(fields))
	if i := slices.Index(names, "key"); i > 0 { // which some stores want first
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "key")
	}
	var b strings.Builder
	for _, name := range names {
		b.WriteString("--" + c.Form.Boundary + "\r\nContent-Disposition: form-data; name=\"" + fieldName(name) + "\"\r\n\r\n" + fields[name] + "\r\n")
	}
	// What the client calls the file has been filled in already.
	b.WriteString("--" + c.Form.Boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\nContent-Type: binary/octet-stream\r\n\r\n")
	return b.String()
}

// fieldName is how AWS' documents write a field: stores that are not as liberal know it so.
func fieldName(name string) string {
	if strings.HasPrefix(name, "content-") || name == "cache-control" || name == "expires" {
		return http.CanonicalHeaderKey(name)
	}
	return name
}

// policy allows what the form says and nothing else, and no longer than the client's.
func (f *Form) policy(bucket string, fields map[string]string, now time.Time) string {
	conditions := []any{map[string]string{"bucket": bucket}}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		// Not ["eq", ...]: Ceph takes a value that begins with $ for another field there.
		conditions = append(conditions, map[string]string{fieldName(name): fields[name]})
	}
	if f.Least > 0 || f.Most < math.MaxInt64 {
		conditions = append(conditions, []any{"content-length-range", f.Least, f.Most})
	}
	end := f.Expires
	if end.IsZero() {
		end = now.Add(formLife)
	}
	var document bytes.Buffer
	e := json.NewEncoder(&document)
	e.SetEscapeHTML(false)
	_ = e.Encode(map[string]any{ // strings and numbers always can be written
		"expiration": end.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": conditions,
	})
	return base64.StdEncoding.EncodeToString(document.Bytes())
}

// headed is a form: its head, and then what the client sends. When the head goes out, the body below counts as begun: the store may act
// on what it has, and the body is not to go to another one.
type headed struct {
	head  *strings.Reader
	body  io.Reader
	begun bool
}

func (h *headed) Read(p []byte) (int, error) {
	if !h.begun {
		h.begun = true
		if _, err := h.body.Read(nil); err != nil {
			return 0, err
		}
	}
	if h.head.Len() > 0 {
		return h.head.Read(p)
	}
	return h.body.Read(p)
}
