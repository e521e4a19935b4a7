package gate

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

const (
	copySource   = "x-amz-copy-source"
	renameSource = "x-amz-rename-source"
)

// A Source is what a request copies from, decoded. It is to be encoded anew for the store, so that the store reads what was
// allowed.
type Source struct {
	Bucket, Key string
	Version     string // "" is the current one
}

// Header is the value of x-amz-copy-source that says so, with the bucket's name at the store.
func (s Source) Header(bucket string) string {
	value := apipath.Quote("/" + bucket + "/" + s.Key)
	if s.Version != "" {
		value += "?versionId=" + url.QueryEscape(s.Version)
	}
	return value
}

// copiedFrom reads a copy's source, from the header or, as presigned URLs may have it, from the query.
func copiedFrom(r *http.Request, ps params) (*Source, error) {
	given := r.Header["X-Amz-Copy-Source"]
	for i := range ps {
		switch {
		case strings.EqualFold(ps[i].name, copySource):
			given = append(given[:len(given):len(given)], ps[i].value)
		case strings.EqualFold(ps[i].name, renameSource):
			return nil, noRename()
		}
	}
	if r.Header["X-Amz-Rename-Source"] != nil {
		return nil, noRename()
	}
	switch len(given) {
	case 0:
		return nil, nil
	case 1:
		return parseSource(given[0])
	}
	return nil, s3err.InvalidArgument.Say("The copy source is given more than once.", "ArgumentName", copySource)
}

func noRename() error {
	return s3err.NotImplemented.Say("Renaming objects is not implemented.", "Header", renameSource)
}

// parseSource reads "bucket/key?versionId=id", which may begin with a slash and is encoded as in a URL.
func parseSource(text string) (*Source, error) {
	bad := func(why string) error {
		return s3err.InvalidArgument.Say(why, "ArgumentName", copySource, "ArgumentValue", text)
	}
	encoded, query, hasQuery := strings.Cut(text, "?")
	whole, err := url.PathUnescape(encoded)
	if err != nil || !utf8.ValidString(whole) {
		return nil, bad("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if strings.HasPrefix(whole, "arn:") || strings.HasPrefix(whole, "/arn:") {
		return nil, s3err.NotImplemented.Say("Copying from an ARN is not implemented.", "Header", copySource)
	}
	s := new(Source)
	s.Bucket, s.Key, _ = strings.Cut(strings.TrimPrefix(whole, "/"), "/")
	if s.Bucket == "" || s.Key == "" {
		return nil, bad("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if err := route.CheckTarget(route.Target{Bucket: s.Bucket, Key: s.Key}); err != nil {
		return nil, bad("Invalid copy source bucket name or object key")
	}
	if hasQuery {
		version, ok := strings.CutPrefix(query, "versionId=")
		if s.Version, err = url.QueryUnescape(version); !ok || err != nil || s.Version == "" || strings.ContainsAny(version, "&;?") {
			return nil, bad("Unsupported copy source parameter.")
		}
	}
	return s, nil
}
