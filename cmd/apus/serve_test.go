package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/sigv4"
)

// A newcomer is somebody who has started a store and knows of it what it has printed.
type newcomer struct {
	t                          *testing.T
	text                       string
	user, key, auth, s3, token string
}

// serveNew starts a store in a new directory.
func serveNew(t *testing.T) *newcomer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var errs bytes.Buffer
	done := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"serve", "--data", filepath.Join(t.TempDir(), "store"), "--listen", "127.0.0.1:0"}, in, &errs)
		in.Close()
		done <- code
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		go io.Copy(io.Discard, out)
		if code := <-done; code != 0 {
			t.Errorf("exit code %d: %s", code, errs.String())
		}
	})
	n := &newcomer{t: t}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(n.text, " aws ") {
		n.text += lines.Text() + "\n"
	}
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(n.text)
		if m == nil {
			t.Fatalf("no %s in\n%s", pattern, n.text)
		}
		return m[1]
	}
	n.user, n.key, n.auth, n.s3 = find(`user +(\S+)`), find(`key +(\S+)`), find(`auth +(\S+)`), find(`S3 +(http\S+), region us-east-1`)
	return n
}

// ask sends a request and returns the status and the body.
func (n *newcomer) ask(method, url, body string, sign func(*http.Request)) (int, string, http.Header) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	if sign != nil {
		sign(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// aws signs a request for S3, with further headers.
func (n *newcomer) aws(header ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if _, err := sigv4.NewSigner(n.user, n.key, "", "us-east-1").Sign(r, sigv4.UnsignedPayload, time.Now()); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *newcomer) swift(r *http.Request) { r.Header.Set("X-Auth-Token", n.token) }

// TestWhatANewcomerIsTold follows what a new store prints: Swift and S3 serve the same containers, with nothing to set up.
func TestWhatANewcomerIsTold(t *testing.T) {
	n := serveNew(t)
	_, _, h := n.ask("GET", n.auth, "", func(r *http.Request) { r.Header.Set("X-Auth-User", n.user); r.Header.Set("X-Auth-Key", n.key) })
	n.token = h.Get("X-Auth-Token")
	swift := h.Get("X-Storage-Url")
	for _, tc := range []struct {
		what, method, url, body string
		sign                    func(*http.Request)
		status                  int
		text                    string // that the answer has
	}{
		{"make a bucket", "PUT", n.s3 + "/photos", "", n.aws(), 200, ""},
		{"store by S3", "PUT", n.s3 + "/photos/a", "by S3", n.aws(), 200, ""},
		{"read by Swift", "GET", swift + "/photos/a", "", n.swift, 200, "by S3"},
		{"store by Swift", "PUT", swift + "/photos/b", "by Swift", n.swift, 201, ""},
		{"read by S3", "GET", n.s3 + "/photos/b", "", n.aws(), 200, "by Swift"},
		{"make a container", "PUT", swift + "/letters", "", n.swift, 201, ""},
		{"list it by S3", "GET", n.s3 + "/letters?list-type=2", "", n.aws(), 200, "<KeyCount>0"},
		{"list buckets", "GET", n.s3 + "/", "", n.aws(), 200, "<Name>letters</Name>"},
		{"keep versions", "PUT", n.s3 + "/photos?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`, n.aws(), 200, ""},
		{"begin an upload in parts", "POST", n.s3 + "/photos/c?uploads", "", n.aws(), 200, "<UploadId>"},
		{"read without a signature", "GET", n.s3 + "/photos/a", "", nil, 403, "<Code>AccessDenied"},
		{"open the bucket", "PUT", n.s3 + "/photos?acl", "", n.aws("x-amz-acl", "public-read"), 200, ""},
		{"read without a signature then", "GET", n.s3 + "/photos/a", "", nil, 200, "by S3"},
		{"and by Swift", "GET", swift + "/photos/a", "", nil, 200, "by S3"},
		{"but not write", "PUT", n.s3 + "/photos/a", "x", nil, 403, "<Code>AccessDenied"},
	} {
		status, text, _ := n.ask(tc.method, tc.url, tc.body, tc.sign)
		if status != tc.status || !strings.Contains(text, tc.text) {
			t.Errorf("%s: got %d %s, want %d %s", tc.what, status, text, tc.status, tc.text)
		}
	}
	_, info, _ := n.ask("GET", n.s3+"/info", "", nil)
	for _, feature := range []string{"bulk_upload", "tempurl", "formpost", "s3api", "slo", "staticweb", "symlink", "object_versioning",
		"container_quotas", "account_quotas"} {
		if !strings.Contains(info, `"`+feature+`"`) {
			t.Errorf("/info has no %s: %s", feature, info)
		}
	}
}

// TestAStoreWithoutS3SaysNothingOfIt is about a pipeline of the operator's own.
func TestAStoreWithoutS3SaysNothingOfIt(t *testing.T) {
	config := write(t, "proxy.toml", strings.Replace(good, `"proxy-server"]`, `"tempauth", "proxy-server"]`, 1)+"[filter.tempauth]\nuser_a_b = \"secret .admin\"\n")
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--config", config}, in, io.Discard)
		in.Close()
		done <- code
	}()
	var text string
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(text, "rclone") {
		text += lines.Text() + "\n"
	}
	go io.Copy(io.Discard, out)
	stop()
	if code := <-done; code != 0 || !strings.Contains(text, "user  a:b") || strings.Contains(text, "  S3 ") || strings.Contains(text, "aws ") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}
