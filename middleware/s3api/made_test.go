package s3api

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// testWhole is the tag of what uploadBench.complete makes.
func testWhole() string {
	binary, _ := hex.DecodeString(testTag)
	sum := md5.Sum(binary)
	return hex.EncodeToString(sum[:]) + "-1"
}

// deletions are the DELETEs so far.
func (b *uploadBench) deletions() (all []string) {
	for _, uri := range b.URIs() {
		if strings.HasPrefix(uri, "DELETE ") {
			all = append(all, uri)
		}
	}
	return all
}

// TestAnOldCopyOfAMarkerAbortsNothing has a node that does not know yet that the upload has ended.
func TestAnOldCopyOfAMarkerAbortsNothing(t *testing.T) {
	b := newUploadBench(t, "", nil)
	b.On("HEAD "+testMarker, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Newest") == "true" {
			w.WriteHeader(http.StatusNotFound)
		}
	}})
	b.want(b.do("DELETE", "/bucket/key?uploadId="+testUpload), 404, "NoSuchUpload")
	if all := b.deletions(); len(all) > 0 {
		t.Errorf("deleted: %q", all)
	}
}

// TestACompletionIsRepeatedWhenItsVersionWasReplaced repeats a completion that could not delete the marker, after another version has
// been stored. What is older than the upload is not looked at.
func TestACompletionIsRepeatedWhenItsVersionWasReplaced(t *testing.T) {
	whole := testWhole()
	b := newUploadBench(t, "", map[string]string{"X-Timestamp": "1700000000.00000"})
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204, Header: map[string]string{
		"X-Container-Sysmeta-Versions-Container": "hidden", "X-Container-Sysmeta-Versions-Enabled": "True"}})
	b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{"X-Object-Version-Id": "1700000003.00000"}})
	entry := func(name, version, hash string) string {
		return fmt.Sprintf(`{"name": %q, "version_id": %q, "hash": %q, "bytes": 1, "last_modified": "2026-01-02T03:04:05.5", "content_type": "a/b"}`, name, version, hash)
	}
	b.On("GET /v1/AUTH_test/bucket?format=json&prefix=key&versions=true", middlewaretest.Answer{Body: "[" + strings.Join([]string{
		entry("key", "1700000003.00000", "plain"), entry("key", "1700000002.00000", "x; s3_etag="+whole),
		entry("key", "1600000000.00000", "x; s3_etag="+whole), entry("key-1", "1700000002.50000", "x; s3_etag="+whole),
	}, ", ") + "]"})
	b.On("HEAD /v1/AUTH_test/bucket/key?version-id=1700000002.00000", middlewaretest.Answer{Header: map[string]string{
		"X-Object-Version-Id": "1700000002.00000", sysmetaUpload: testUpload, sysmetaETag: whole}})
	b.slo(func(w http.ResponseWriter, _ *http.Request, _ *request.Manifest) {
		t.Error("it is stored again")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r := b.complete()
	if b.want(r, 200, ""); amz(r, "x-amz-version-id") != "1700000002.00000" || !strings.Contains(r.Body, whole) {
		t.Errorf("got %v %s", r.Header, r.Body)
	}
	if all := b.deletions(); len(all) != 1 || all[0] != "DELETE "+testMarker {
		t.Errorf("deleted: %q, want the marker", all)
	}
	for _, uri := range b.URIs() {
		if strings.Contains(uri, "1600000000") || strings.Contains(uri, "key-1") {
			t.Errorf("asked for: %s", uri)
		}
	}
}

// TestWhatIsUndoneIsNobodyElses has a completion deleted again while somebody else replaces it.
func TestWhatIsUndoneIsNobodyElses(t *testing.T) {
	const at = "1700000001.00000"
	its := middlewaretest.Answer{Header: map[string]string{sysmetaUpload: testUpload, "X-Backend-Data-Timestamp": at}}
	for _, c := range []struct {
		name   string
		answer int // to the deletion
		then   middlewaretest.Answer
		want   []string // times on which deletions depend
		status int
		code   string
	}{
		{"nobody does", 204, middlewaretest.Answer{Code: 404}, []string{at}, 404, "NoSuchUpload"},
		{"by another object", 412, middlewaretest.Answer{Header: map[string]string{"X-Backend-Data-Timestamp": "1700000002.00000"}}, []string{at}, 404, "NoSuchUpload"},
		{"who is not done", 409, middlewaretest.Answer{Header: map[string]string{"X-Backend-Data-Timestamp": "1700000002.00000"}}, []string{at}, 404, "NoSuchUpload"},
		{"again and again", 409, its, []string{at, at, at, at, at}, 503, "ServiceUnavailable"},
		{"and nodes promise nothing", 501, its, []string{at, ""}, 404, "NoSuchUpload"},
		{"in doubt", 503, its, []string{at}, 503, "ServiceUnavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newUploadBench(t, "", nil)
			b.On("HEAD "+testMarker, middlewaretest.Answer{}, middlewaretest.Answer{Header: map[string]string{sysmetaAborting: "yes"}})
			b.On("HEAD "+testMarker+"/1", middlewaretest.Answer{Code: 404})
			var depends []string
			b.slo(func(w http.ResponseWriter, r *http.Request, m *request.Manifest) {
				b.On("HEAD /v1/AUTH_test/bucket/key", its)
				b.On("DELETE /v1/AUTH_test/bucket/key", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
					depends = append(depends, r.Header.Get(ifDataTimestamp))
					b.On("HEAD /v1/AUTH_test/bucket/key", c.then)
					if r.Header.Get(ifDataTimestamp) == "" {
						w.WriteHeader(http.StatusNoContent)
						return
					}
					w.WriteHeader(c.answer)
				}})
				good(w, r, m)
				m.Stored = http.Header{}
			})
			b.want(b.complete(), c.status, c.code)
			if strings.Join(depends, ",") != strings.Join(c.want, ",") {
				t.Errorf("deletions depend on the times %q, want %q", depends, c.want)
			}
		})
	}
}
