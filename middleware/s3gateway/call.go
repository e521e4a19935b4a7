package s3gateway

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// call makes of the client's request what a store is asked.
func (x *exchange) call() (upstream.Call, error) {
	var err error
	if x.payload, err = x.caller.Body(x.r); err != nil {
		return upstream.Call{}, err
	}
	payload := x.payload
	c := upstream.Call{
		Method: x.r.Method, Bucket: x.way.route.Bucket(x.target.Bucket), Key: x.target.Key, Query: x.caller.Query,
		Header: x.r.Header, Length: payload.Length, SHA256: payload.SHA256, Checksum: payload.Checksum,
		Token: x.caller.Token, Identity: x.caller.Identity.Name, ClientBucket: x.target.Bucket, Expires: x.caller.Expires,
	}
	if payload.Length != 0 {
		c.Body = x.watchDeletes(payload.Reader)
	}
	if x.createsBucket() {
		if c, err = x.createBucket(c); err != nil {
			return c, err
		}
	}
	return c, x.hashDocument(&c)
}

// mostHashed is more than a document needs that deletes a thousand objects, or completes an upload of ten thousand parts.
const mostHashed = 4 << 20

// hashDocument finds the hash of a document that the client has sent without one: stores take bodies in chunks for objects and parts
// alone, and without TLS there must be something that proves it.
func (x *exchange) hashDocument(c *upstream.Call) error {
	if c.Length < 0 { // nobody says where it ends
		return s3err.MissingContentLength.With()
	}
	content := x.r.Method == http.MethodPut && x.target.Key != "" && !x.hasSubresource() || x.query.Has("partNumber")
	if c.Body == nil || c.SHA256 != "" || content || c.Length > mostHashed {
		return nil
	}
	document, err := io.ReadAll(c.Body)
	if err != nil {
		return cmp.Or(x.fault(), err)
	}
	sum := sha256.Sum256(document)
	c.Body, c.SHA256 = bytes.NewReader(document), hex.EncodeToString(sum[:])
	return nil
}

// withDocument is a call with another document than the client's, and with that one's checksums.
func withDocument(c upstream.Call, document []byte) upstream.Call {
	c.Header = withoutSums(c.Header)
	sum, hash := md5.Sum(document), sha256.Sum256(document)
	c.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	c.Body, c.Length, c.SHA256, c.Checksum = bytes.NewReader(document), int64(len(document)), hex.EncodeToString(hash[:]), ""
	return c
}

// withoutSums are headers without the checksums of the client's document, which were right, for another.
func withoutSums(h http.Header) http.Header {
	h = h.Clone()
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Sdk-Checksum-Algorithm" || name == "Content-Md5" {
			delete(h, name)
		}
	}
	return h
}

// fault is what was wrong with the body of the client, if anything was.
func (x *exchange) fault() error {
	err := x.payload.Err()
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*awserr.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*s3err.Error](err); ok {
		return err
	}
	return s3err.IncompleteBody.With().Because(err)
}

// abandonBody ends the reading of the client's body, which the connection to the store may still be at: nobody can answer before it
// ends. The connection cannot be used again.
func (x *exchange) abandonBody() {
	x.w.Header().Set("Connection", "close")
	if x.body != nil {
		x.body.abandon()
	}
}
