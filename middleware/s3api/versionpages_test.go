package s3api_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"testing"
)

var (
	entryOrPrefix = regexp.MustCompile(`<(?:Version|DeleteMarker) xmlns="http://s3[^"]*"><Key>([^<]*)</Key><VersionId>([^<]*)<|<CommonPrefixes><Prefix>([^<]*)<`)
	nextKey       = regexp.MustCompile(`<NextKeyMarker>([^<]*)<`)
	nextVersion   = regexp.MustCompile(`<NextVersionIdMarker>([^<]*)<`)
)

// TestVersionsAreListedInPages follows pages of each size by the markers that they give, as SDKs do.
func TestVersionsAreListedInPages(t *testing.T) {
	c := newCluster(t)
	c.want(200, "make", owner, "PUT", "/bucket", nil, "")
	c.want(200, "keep versions", owner, "PUT", "/bucket?versioning=", nil, `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	for _, key := range []string{"a", "a/1", "a/b/2", "a/", "b//", "/c", "z"} {
		for _, text := range []string{"1", "2"} {
			c.want(200, "store", owner, "PUT", "/bucket/"+key, nil, text)
		}
	}
	c.want(204, "delete", owner, "DELETE", "/bucket/a/1", nil, "")
	for _, query := range []string{"", "&delimiter=%2F", "&delimiter=%2F&prefix=a", "&delimiter=%2F&prefix=a%2F", "&delimiter=%2F&prefix=b", "&delimiter=b%2F"} {
		var whole []string
		for _, size := range []int{1000, 1, 2, 3, 5} {
			var all []string
			for marker := ""; ; {
				a := c.want(200, "list", owner, "GET", fmt.Sprintf("/bucket?versions=&max-keys=%d%s%s", size, query, marker), nil, "")
				for _, m := range entryOrPrefix.FindAllStringSubmatch(a.body, -1) {
					all = append(all, m[1]+" "+m[2]+m[3])
				}
				next := nextKey.FindStringSubmatch(a.body)
				if next == nil {
					break
				}
				if marker = "&key-marker=" + url.QueryEscape(next[1]); nextVersion.MatchString(a.body) {
					marker += "&version-id-marker=" + nextVersion.FindStringSubmatch(a.body)[1]
				}
				if len(all) > 100 {
					t.Fatalf("%s in pages of %d does not end: %q", query, size, all)
				}
			}
			slices.Sort(all) // common prefixes stand behind the rest of a page
			if whole == nil {
				whole = all
			}
			if len(all) == 0 || !slices.Equal(all, whole) {
				t.Errorf("%s in pages of %d: got %q, want %q", query, size, all, whole)
			}
		}
	}
}
