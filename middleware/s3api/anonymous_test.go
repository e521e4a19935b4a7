package s3api_test

import (
	"strings"
	"testing"
)

// anonymous sends a request that nobody has signed, to the bucket of the host if one is given.
func (c *cluster) anonymous(method, path, host, body string) answer {
	c.t.Helper()
	r := c.request(method, path, nil, body)
	if host != "" {
		r.Host = host
	}
	return c.send(r)
}

// TestNobodyReadsWhatIsPublic is about a store as operators set it up: what is public is read without a signature, by either
// way to name a bucket, and nothing else is.
func TestNobodyReadsWhatIsPublic(t *testing.T) {
	c := newCluster(t)
	public := headers("X-Amz-Acl", "public-read")
	c.want(200, "make", owner, "PUT", "/private", nil, "")
	c.want(200, "make", owner, "PUT", "/public", public, "")
	for _, bucket := range []string{"/private", "/public"} {
		c.want(200, "store", owner, "PUT", bucket+"/open", public, "content")
		c.want(200, "store", owner, "PUT", bucket+"/closed", nil, "content")
		c.want(200, "store", owner, "PUT", bucket+"/a%20b/%C3%A9", public, "content")
	}
	for _, tc := range []struct {
		method, path string
		status       int
		code, body   string
	}{
		{"GET", "/public/open", 200, "", "content"},
		{"HEAD", "/public/open", 200, "", ""},
		{"GET", "/public/a%20b/%C3%A9", 200, "", "content"},
		{"GET", "/private/open", 200, "", "content"},
		{"GET", "/public/closed", 403, "AccessDenied", ""},
		{"HEAD", "/private/closed", 403, "", ""},
		{"GET", "/public/none", 404, "NoSuchKey", ""},
		{"GET", "/private/none", 403, "AccessDenied", ""},
		{"GET", "/nowhere/open", 404, "NoSuchBucket", ""},
		{"GET", "/public/", 200, "", ""},
		{"GET", "/private/", 403, "AccessDenied", ""},
		{"PUT", "/public/open", 403, "AccessDenied", ""},
		{"DELETE", "/public/open", 403, "AccessDenied", ""},
		{"DELETE", "/public/", 403, "AccessDenied", ""},
		{"GET", "/public/open?acl", 403, "AccessDenied", ""},
	} {
		bucket, key, _ := strings.Cut(tc.path[1:], "/")
		for _, a := range []answer{
			c.anonymous(tc.method, tc.path, "", ""),
			c.anonymous(tc.method, "/"+key, bucket+".s3.example.net", ""),
		} {
			if a.status != tc.status || a.code != tc.code || tc.body != "" && a.body != tc.body {
				t.Errorf("%s %s: got %d %s, want %d %s%s", tc.method, tc.path, a.status, a.body, tc.status, tc.code, tc.body)
			}
		}
	}
	// Once it is taken back, it is private again.
	c.want(200, "take back", owner, "PUT", "/public/open?acl", headers("X-Amz-Acl", "private"), "")
	if a := c.anonymous("GET", "/public/open", "", ""); a.code != "AccessDenied" {
		t.Errorf("after it was taken back: got %d %s", a.status, a.body)
	}
}

// TestSwiftKeepsWhatIsItsOwn is about requests without a signature beside an anonymous_account.
func TestSwiftKeepsWhatIsItsOwn(t *testing.T) {
	c := newCluster(t)
	if a := c.swift(owner, "PUT", "/c", headers("X-Container-Read", ".r:*"), ""); a.status != 201 {
		t.Fatalf("make: got %d %s", a.status, a.body)
	}
	if a := c.swift(owner, "PUT", "/c/o", nil, "content"); a.status != 201 {
		t.Fatalf("store: got %d %s", a.status, a.body)
	}
	for path, want := range map[string]int{
		"/v1/AUTH_test/c/o": 200, "/v1/AUTH_test/c": 401, "/v1/AUTH_test": 401, "/info": 200, "/healthcheck": 200, "/auth/v1.0": 401,
		"/crossdomain.xml": 200,
	} {
		if a := c.anonymous("GET", path, "", ""); a.status != want || strings.Contains(a.body, "<Error>") {
			t.Errorf("GET %s: got %d %s, want %d and no error of S3", path, a.status, a.body, want)
		}
	}
}
