package object

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

func FuzzFooter(f *testing.F) {
	f.Add([]byte(`{"Etag": "x", "X-Object-Sysmeta-A": "caf\u00c3\u00a9", "n": null, "b": true, "i": 5}`))
	f.Add([]byte(`{"\u2603": []}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := md5.Sum(data)
		h, err := parseFooter(hex.EncodeToString(sum[:]), data)
		if (h == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", data, h, err)
		}
	})
}

func FuzzRedirect(f *testing.F) {
	f.Add("/.shards_a/c%20x/o", "1700000000.00000", true)
	f.Add("http://h:1/a/c", "1", false)
	f.Fuzz(func(t *testing.T, location, at string, quoted bool) {
		h := http.Header{"Location": {location}, "X-Backend-Redirect-Timestamp": {at}}
		if quoted {
			h.Set("X-Backend-Location-Is-Quoted", "true")
		}
		path, err := redirectPath(h)
		account, container, ok := strings.Cut(path, "/")
		if err == nil && (!ok || account == "" || container == "" || strings.Contains(container, "/")) {
			t.Errorf("redirect to %q gives %q", location, path)
		}
	})
}
