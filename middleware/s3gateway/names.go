package s3gateway

import (
	"encoding/hex"
	"hash/fnv"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// names changes the names that a store gives to things into those that the client knows, and back. Identifiers that are good
// at one store alone (of uploads, of the place in a listing) name the store too, where a route has several, so that what the client sends
// next goes where they came from.
type names struct {
	mine, theirs string // the bucket, as the client and as the store call it
	region       string // that clients sign for
	base         string // the URL that the client knows the bucket by, without a slash at its end
	tag          string // of the store, if there are several
	endpoint     string // host and port of the store
}

// tagLength is how long the tag of a store is, with the dash after it.
const tagLength = 9

// tagOf names a store in an identifier, without giving its name away.
func tagOf(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name)) // never fails
	return hex.EncodeToString(h.Sum(nil)) + "-"
}

// wrapped are the parameters of a query that hold identifiers of a store.
var wrapped = []string{"uploadId", "upload-id-marker", "version-id-marker", "continuation-token"}

// wrappedElements are the elements of an answer that do.
var wrappedElements = []string{"UploadId", "UploadIdMarker", "NextUploadIdMarker", "VersionIdMarker", "NextVersionIdMarker", "ContinuationToken", "NextContinuationToken"}

// named returns the tag of the store that a query's identifiers are of, and the query without it.
func named(query string, known func(tag string) bool) (tag, plain string) {
	if query == "" {
		return "", query
	}
	pieces := strings.Split(query, "&")
	for i, piece := range pieces {
		name, value, _ := strings.Cut(piece, "=")
		if !slices.Contains(wrapped, name) || len(value) < tagLength || !known(value[:tagLength]) {
			continue
		}
		tag = value[:tagLength]
		pieces[i] = name + "=" + value[tagLength:]
	}
	if tag == "" {
		return "", query
	}
	return tag, strings.Join(pieces, "&")
}

// edit gives the new texts of a document's elements.
func (n names) edit(at []string, text string) (string, bool) {
	if len(at) == 0 {
		return "", false
	}
	last := at[len(at)-1]
	if text == "" {
		// A page of uploads that ends with a common prefix has no id, and the next one must come from the same store all the same.
		return n.tag, n.tag != "" && last == "NextUploadIdMarker"
	}
	if n.tag != "" && slices.Contains(wrappedElements, last) {
		return n.tag + text, true
	}
	if len(at) != 2 {
		return "", false
	}
	switch last {
	case "Name", "Bucket", "BucketName":
		return n.mine, text == n.theirs && n.mine != n.theirs
	case "Location":
		return n.location(text)
	case "Resource":
		return n.resource(text)
	case "Endpoint":
		return n.host(), at[0] == "Error"
	case "Region":
		return n.region, at[0] == "Error"
	}
	return "", at[0] == "Error" && slices.Contains(ownElements, last)
}

// ownElements are the elements of an error in which stores repeat how the request was signed: with the gateway's key and token,
// which are none of the client's business.
var ownElements = []string{
	"Token-0", "AWSAccessKeyId", "SignatureProvided", "StringToSign", "StringToSignBytes", "CanonicalRequest", "CanonicalRequestBytes",
}

// location changes a URL, or a path, that the store gives to something in the bucket.
func (n names) location(text string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || text == "" {
		return "", false
	}
	if u.Host == "" {
		return n.resource(text)
	}
	key, ok := n.keyOf(u)
	if !ok {
		return "", false
	}
	to := n.base + key
	if u.RawQuery != "" {
		to += "?" + u.RawQuery
	}
	return to, true
}

// keyOf returns what follows the bucket in a URL of the store's, escaped, with a slash before it.
func (n names) keyOf(u *url.URL) (string, bool) {
	escaped := u.EscapedPath()
	if u.Host == n.theirs+"."+n.endpoint {
		return escaped, true
	}
	if u.Host != n.endpoint {
		return "", false
	}
	rest, ok := strings.CutPrefix(escaped, "/"+n.theirs)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return rest, true
}

// resource changes the path /bucket/key.
func (n names) resource(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, "/"+n.theirs)
	if n.theirs == "" || n.theirs == n.mine || !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return "/" + n.mine + rest, true
}

// host is the host of the client's URL.
func (n names) host() string {
	u, err := url.Parse(n.base)
	if err != nil {
		return ""
	}
	return u.Host
}

// needed says whether anything of a document that is no error might have to be changed.
func (n names) needed(r *http.Request, query url.Values) bool {
	return n.mine != n.theirs || n.tag != "" || r.Method == http.MethodPost && query.Has("uploadId")
}

// base is the URL that a client knows a bucket by.
func baseOf(r *http.Request, bucket string, virtualHost bool) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	u := url.URL{Scheme: scheme, Host: r.Host}
	if bucket != "" && !virtualHost {
		u.Path = path.Join("/", bucket)
	}
	return u.String()
}
