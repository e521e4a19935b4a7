package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
)

// storesVariable names S3 stores that nobody here wrote, or did: endpoints with blanks between them, each with the user of
// Swift's functional tests, test:tester with the secret testing. Such as "http://127.0.0.1:8080".
const storesVariable = "APUS_TEST_S3_STORES"

// awkward are names of objects that others tidy up.
var awkward = []string{
	"plain", "a//b", "/leading", "trailing/", "a/../b", "../up", ".", "..", "./x", "a/./b", "a b", "a+b", "a%2Fb", "a%20b", "100%", "a&b=c?d#e;f:g@h",
	"grüße/日本語", "~tilde*'()!$,", "a\\b", "[x]{y}|z^`\"<>", "\x01\x02", strings.Repeat("long/", 100) + "end",
}

// TestStores stores under awkward names in real stores, fetches, lists and deletes, by path and, where the name resolves,
// by virtual host.
func TestStores(t *testing.T) {
	stores := strings.Fields(os.Getenv(storesVariable))
	if len(stores) == 0 {
		t.Skipf("%s is not set", storesVariable)
	}
	for _, endpoint := range stores {
		t.Run(strings.NewReplacer("http://", "", "/", "_").Replace(endpoint), func(t *testing.T) {
			c := base(endpoint)
			c.AccessKey, c.Secret = "test:tester", "testing"
			c.ExpectAbove = 1000
			u := open(t, c, Deps{})
			bucket := "upstream-test"
			call := func(method, key, query, body string) Call {
				sum := sha256.Sum256([]byte(body))
				return Call{Method: method, Bucket: bucket, Key: key, Query: query, Body: strings.NewReader(body), Length: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
			}
			want := func(c Call, status int) string {
				t.Helper()
				resp, body := send(t, u, c)
				if resp.StatusCode != status {
					t.Errorf("%s %q ?%s: %d, want %d: %s", c.Method, c.Key, c.Query, resp.StatusCode, status, body)
				}
				return body
			}
			want(call("PUT", "", "", ""), 200)
			defer want(call("DELETE", "", "", ""), 204)
			for _, key := range awkward {
				defer want(call("DELETE", key, "", ""), 204)
				want(call("PUT", key, "", "body of "+key), 200)
			}
			for _, key := range awkward {
				if got := want(call("GET", key, "", ""), 200); got != "body of "+key {
					t.Errorf("%q holds %q", key, got)
				}
			}
			names := listed(t, want(call("GET", "", "encoding-type=url&max-keys=1000&prefix", ""), 200))
			for _, key := range awkward {
				if !names[key] {
					t.Errorf("%q is not in the list", key)
				}
			}
			want(call("GET", "", "acl", ""), 200)
			want(call("GET", "", "acl=", ""), 200)
			want(call("GET", "", "location", ""), 200)
			large := strings.Repeat("0123456789abcdef", 1<<17) // announced
			want(call("PUT", "large", "", large), 200)
			defer want(call("DELETE", "large", "", ""), 204)
			if got := want(call("GET", "large", "", ""), 200); got != large {
				t.Errorf("the large object has %d bytes, want %d", len(got), len(large))
			}
			refusals(t, u, call, want)
		})
	}
}

// refusals sends what the store must not take, or what must not be stored.
func refusals(t *testing.T, u *Upstream, call func(method, key, query, body string) Call, want func(Call, int) string) {
	large := strings.Repeat("x", 2<<20)
	c := call("PUT", "k", "", large)
	body := &countingReader{Reader: c.Body}
	c.Bucket, c.Body = "upstream-test-none", body
	if resp, _ := send(t, u, c); resp.StatusCode != 404 || body.n > 0 {
		t.Errorf("a body for a bucket that is not: %d, and %d bytes of it read", resp.StatusCode, body.n)
	}
	for _, size := range []int{1, 10, 70 << 10, 2 << 20} {
		c := call("PUT", "broken", "", large[:size])
		c.Body = io.MultiReader(strings.NewReader(large[:size]), failing{errTest})
		if resp, err := u.Send(t.Context(), c); err == nil {
			t.Errorf("a body of %d bytes that is wrong at its end: %d", size, resp.StatusCode)
			resp.Body.Close()
		}
		want(call("GET", "broken", "", ""), 404)
	}
}

type countingReader struct {
	io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func listed(t *testing.T, document string) map[string]bool {
	t.Helper()
	var list struct {
		Contents []struct{ Key string }
	}
	if err := xml.NewDecoder(bytes.NewReader([]byte(document))).Decode(&list); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	names := map[string]bool{}
	for _, c := range list.Contents {
		name, err := url.QueryUnescape(c.Key)
		if err != nil {
			t.Error(err)
		}
		names[name] = true
	}
	return names
}
