package s3gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestPagesStayAtOneStore goes through lists page by page where requests go to each store in turn, and each has other ids and tokens.
func TestPagesStayAtOneStore(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients,
		"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['near', 'far']\npolicy = 'round_robin'\n")
	for i, at := range []*store{near, far} {
		at.want(200, "PUT", "/photos", "")
		at.want(200, "PUT", "/photos?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
		for n := range 4 {
			at.want(200, "PUT", fmt.Sprintf("/photos/%d/k", n), "")
			at.want(200, "PUT", "/photos/k", "")
			at.want(200, "POST", fmt.Sprintf("/photos/%d-%d?uploads", i, n), "")
			at.want(200, "POST", fmt.Sprintf("/photos/%d-%d/k?uploads", i, n), "")
		}
	}
	for name, c := range map[string]struct {
		query, element string
		markers        map[string]string // parameters, and the elements that have what they are to be
	}{
		"objects":                   {"list-type=2&max-keys=1", "Key", map[string]string{"continuation-token": "NextContinuationToken"}},
		"folders":                   {"list-type=2&max-keys=1&delimiter=/", "Prefix", map[string]string{"continuation-token": "NextContinuationToken"}},
		"objects, of the first way": {"max-keys=1", "Key", map[string]string{"marker": "Key"}},
		"versions":                  {"versions&max-keys=1", "VersionId", map[string]string{"key-marker": "NextKeyMarker", "version-id-marker": "NextVersionIdMarker"}},
		"uploads":                   {"uploads&max-uploads=1", "UploadId", map[string]string{"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}},
		"folders of uploads": {"uploads&max-uploads=1&delimiter=/", "Prefix",
			map[string]string{"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}},
	} {
		list := func(at *s3) []string {
			var all []string
			query := c.query
			for range 30 {
				a := at.want(200, "GET", "/photos?"+query, "")
				for _, item := range names(a.body, c.element) {
					if c.element == "UploadId" && len(item) > 9 && at == g.s3 {
						item = item[9:] // the store's tag is none of its own
					}
					if item != "" {
						all = append(all, item)
					}
				}
				if between(a.body, "<IsTruncated>", "</") != "true" {
					return all
				}
				query = c.query
				for parameter, element := range c.markers {
					if value := between(a.body, "<"+element+">", "</"); value != "" {
						query += "&" + parameter + "=" + url.QueryEscape(value)
					}
				}
			}
			t.Errorf("%s: there is no end", name)
			return nil
		}
		wants := [][]string{list(near.s3), list(far.s3)}
		for range 3 { // wherever it begins
			if got := list(g.s3); len(got) < 4 || !slices.Equal(got, wants[0]) && !slices.Equal(got, wants[1]) {
				t.Errorf("%s: got %q, want one of %q", name, got, wants)
			}
			g.want(200, "HEAD", "/photos", "")
		}
	}
}

// TestPagesOfBucketsStayAtOneStore has stores that list their buckets in two pages.
func TestPagesOfBucketsStayAtOneStore(t *testing.T) {
	near, far := newStore(t), newStore(t)
	for name, at := range map[string]*store{"near": near, "far": far} {
		at.meet(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || r.URL.Path != "/" {
				return false
			}
			w.Header().Set("Content-Type", "application/xml")
			page := "<Buckets><Bucket><Name>first</Name></Bucket></Buckets><ContinuationToken>" + name + "</ContinuationToken>"
			switch r.URL.Query().Get("continuation-token") {
			case "":
			case name:
				page = "<Buckets><Bucket><Name>second</Name></Bucket></Buckets>"
			default:
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, "<Error><Code>InvalidArgument</Code></Error>")
				return true
			}
			io.WriteString(w, "<ListAllMyBucketsResult>"+page+"</ListAllMyBucketsResult>")
			return true
		})
	}
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients,
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['near', 'far']\npolicy = 'round_robin'\n")
	for range 2 {
		if got := names(g.want(200, "GET", "/", "").body, "Name"); !slices.Equal(got, []string{"first", "second"}) {
			t.Errorf("the buckets are %q", got)
		}
		first := g.want(200, "GET", "/?max-buckets=1", "").body
		if got := names(g.want(200, "GET", "/?continuation-token="+between(first, "<ContinuationToken>", "<"), "").body, "Name"); !slices.Equal(got, []string{"second"}) {
			t.Errorf("behind the first, the buckets are %q", got)
		}
	}
}

// TestPagesOfUploadsWithoutIds has stores whose pages of uploads end with a common prefix, and that say of no id where to go on.
func TestPagesOfUploadsWithoutIds(t *testing.T) {
	near, far := newStore(t), newStore(t)
	for name, at := range map[string]*store{"near": near, "far": far} {
		none := map[string]string{"near": "<NextUploadIdMarker/>", "far": "<NextUploadIdMarker a='b'></NextUploadIdMarker>"}[name]
		at.meet(func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("uploads") {
				return false
			}
			w.Header().Set("Content-Type", "application/xml")
			page := "<NextKeyMarker>a/</NextKeyMarker>" + none + "<IsTruncated>true</IsTruncated><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"
			if r.URL.Query().Get("key-marker") != "" {
				page = "<IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>" + name + r.URL.Query().Get("upload-id-marker") + "/</Prefix></CommonPrefixes>"
			}
			io.WriteString(w, "<ListMultipartUploadsResult><KeyMarker/><UploadIdMarker></UploadIdMarker>"+page+"</ListMultipartUploadsResult>")
			return true
		})
	}
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients,
		"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['near', 'far']\npolicy = 'round_robin'\n")
	for range 2 {
		first := g.want(200, "GET", "/photos?uploads&delimiter=/", "").body
		marker := between(first, "<NextUploadIdMarker>", "<")
		want := "near/"
		if strings.Contains(first, "<NextUploadIdMarker a='b'>") {
			marker, want = between(first, "<NextUploadIdMarker a='b'>", "<"), "far/"
		}
		if !strings.Contains(first, "<KeyMarker/><UploadIdMarker></UploadIdMarker>") {
			t.Errorf("the rest has changed: %s", first)
		}
		for range 2 {
			second := g.want(200, "GET", "/photos?uploads&delimiter=/&key-marker=a/&upload-id-marker="+marker, "").body
			if got := names(second, "Prefix"); !slices.Equal(got, []string{want}) {
				t.Errorf("behind %s, the prefixes are %q, want %q", first, got, want)
			}
		}
	}
}
