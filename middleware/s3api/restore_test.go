package s3api

import (
	"net/http"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// TestRestoresWhileOthersWrite deletes the current version while somebody else writes the key: what is left is looked at again, since the
// other may leave no link.
func TestRestoresWhileOthersWrite(t *testing.T) {
	for _, c := range []struct {
		name string
		puts []int // answers to the links
		want int   // how many are put
	}{
		{"nobody does", []int{201}, 1},
		{"who is done soon", []int{409, 409, 201}, 3},
		{"and leaves an object", []int{409, 412}, 2},
		{"again and again", []int{409}, undoTries},
	} {
		b := store(t, "")
		b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204, Header: map[string]string{
			"X-Container-Sysmeta-Versions-Container": "hidden", "X-Container-Sysmeta-Versions-Enabled": "True"}})
		b.On("DELETE /v1/AUTH_test/bucket/key?symlink=get&version-id=null", middlewaretest.Answer{Code: 204, Header: map[string]string{
			"X-Object-Current-Version-Id": "null"}})
		b.On("GET /v1/AUTH_test/bucket?format=json&prefix=key&versions=true", middlewaretest.Answer{
			Body: `[{"name": "key", "version_id": "1700000001.00000", "hash": "x", "bytes": 1, "last_modified": "2026-01-02T03:04:05.5", "content_type": "a/b"}]`})
		n := 0
		b.On("PUT /v1/AUTH_test/bucket/key?version-id=1700000001.00000", middlewaretest.Answer{Do: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.puts[min(n, len(c.puts)-1)])
			n++
		}})
		b.want(b.do("DELETE", "/bucket/key?versionId=null"), 204, "")
		if n != c.want {
			t.Errorf("%s: %d links were put, want %d", c.name, n, c.want)
		}
	}
}
