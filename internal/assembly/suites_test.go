package assembly

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Test suites that authors of client libraries keep for servers, against a cluster on a disk. They are fetched, built and run when asked for
// (make suites). What fails must be listed here with the reason, and what is listed must fail.

// fetch copies a module's source to where it can be built.
func fetch(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of this module
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod download %s: %v\n%s", module, err, out)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "src")
	if err := os.CopyFS(dir, os.DirFS(found.Dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// suite runs a program, which may fail, and returns what it has written.
func suite(t *testing.T, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, ctx.Err(), tail(string(out)))
	}
	if err != nil {
		t.Logf("%s %q: %v", name, args, err)
	}
	return out
}

// judge compares what has failed with what is known to.
func judge(t *testing.T, passed, failed map[string]string, known map[string]string, least int) {
	t.Helper()
	for name, why := range failed {
		if known[name] == "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	for name, why := range known {
		if failed[name] == "" {
			t.Errorf("%s does not fail any more, of which was said: %s", name, why)
		}
	}
	if t.Logf("%d passed, %d failed", len(passed), len(failed)); len(passed) < least {
		t.Errorf("there were %d at least", least)
	}
}

// TestSuiteMinioGo runs the functional tests of the client library for S3 by MinIO.
func TestSuiteMinioGo(t *testing.T) {
	s := newSuite(t)
	dir := fetch(t, "github.com/minio/minio-go/v7@v7.4.1")
	// A program in the directory of the library, which its build tag is to keep apart: named alone, and without the tag, it is built.
	if out, err := s.goTool(dir, "build", "-o", "mint", "functional_tests.go"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := suite(t, dir, []string{"SERVER_ENDPOINT=" + strings.TrimPrefix(s.url, "http://"), "ACCESS_KEY=test:tester", "SECRET_KEY=testing",
		"ENABLE_HTTPS=0", "MINT_MODE=full", "RUN_ON_FAIL=1"}, filepath.Join(dir, "mint"))
	passed, failed := map[string]string{}, map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var l struct{ Name, Status, Message, Error string }
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		name := strings.TrimPrefix(l.Name, "minio-go: ")
		switch l.Status {
		case "PASS":
			passed[name] = "passed"
		case "FAIL":
			failed[name] = l.Message + ": " + l.Error
		}
	}
	judge(t, passed, failed, map[string]string{
		"testCopyObjectWithChecksums":        "wants a checksum that nobody has asked for",
		"testReplaceObjectWithChecksums":     "wants a checksum that nobody has asked for",
		"testGetObjectAttributesErrorCases":  "asks for a version by an id that is none here, which is an invalid argument",
		"testGetObjectACLContext":            "wants a canned ACL to be ignored",
		"testListUnsorted":                   "an extension of MinIO",
		"testMakeBucketError":                "wants buckets in another region",
		"testMakeBucketErrorV2":              "wants buckets in another region",
		"testMakeBucketRegions":              "wants buckets in another region",
		"testMakeBucketRegionsV2":            "wants buckets in another region",
		"testPresignedPostPolicyWrongFile":   "compares the text of an error, whose quotation marks are written otherwise in XML",
		"testListObjects":                    "uses storage classes, of which there is one",
		"testStorageClassMetadataPutObject":  "uses storage classes, of which there is one",
		"testStorageClassMetadataCopyObject": "uses storage classes, of which there is one",
	}, 50)
}

// TestSuiteSwift runs the tests of the client library for Swift that rclone stands on.
func TestSuiteSwift(t *testing.T) {
	s := newSuite(t)
	passed, failed := s.goTests(fetch(t, "github.com/ncw/swift/v2@v2.0.5"), ".", []string{
		"SWIFT_AUTH_URL=" + s.url + "/auth/v1.0", "SWIFT_API_USER=test:tester", "SWIFT_API_KEY=testing"})
	judge(t, passed, failed, nil, 100)
}

// TestSuiteRclone runs rclone's tests of its backends for Swift and for S3.
func TestSuiteRclone(t *testing.T) {
	s := newSuite(t)
	config := filepath.Join(t.TempDir(), "rclone.conf")
	text := "[TestSwift]\ntype = swift\nuser = test:tester\nkey = testing\nauth = " + s.url + "/auth/v1.0\n" +
		"[TestS3]\ntype = s3\nprovider = Other\nlist_url_encode = true\nuse_already_exists = true\naccess_key_id = test:tester\nsecret_access_key = testing\nendpoint = " + s.url + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := fetch(t, "github.com/rclone/rclone@v1.76.0")
	for remote, known := range map[string]map[string]string{
		"TestSwift": {"TestIntegration/FsMkdir/FsPutFiles/Internal/PolicyDiscovery": "wants policies of the names that a test image has"},
		"TestS3":    nil,
	} {
		t.Log(remote)
		passed, failed := s.goTests(dir, "./backend/"+strings.ToLower(strings.TrimPrefix(remote, "Test")), []string{"RCLONE_CONFIG=" + config}, "-remote", remote+":")
		judge(t, passed, failed, known, 150)
	}
}

// suiteSite is a cluster for a suite.
type suiteSite struct {
	t   *testing.T
	url string
}

func newSuite(t *testing.T) *suiteSite {
	t.Helper()
	if os.Getenv("APUS_TEST_SUITES") == "" {
		t.Skip("fetches suites and takes long; set APUS_TEST_SUITES=1, or say make suites")
	}
	_, url := start(t, EmbeddedOptions{Config: "../../etc/functional-test.toml"})
	return &suiteSite{t, url}
}

func (s *suiteSite) goTool(dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(s.t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod")
	return cmd.CombinedOutput()
}

// goTests runs the tests of a package and returns which passed and failed. A test that failed for those below it is not one of them.
func (s *suiteSite) goTests(dir, pkg string, env []string, args ...string) (passed, failed map[string]string) {
	s.t.Helper()
	binary := filepath.Join(s.t.TempDir(), "suite.test")
	if out, err := s.goTool(dir, "test", "-c", "-o", binary, pkg); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	out := string(suite(s.t, filepath.Join(dir, pkg), env, binary, append(slices.Clone(args), "-test.v", "-test.timeout=14m")...))
	passed, failed = map[string]string{}, map[string]string{}
	for line := range strings.Lines(out) {
		report, ok := strings.CutPrefix(strings.TrimSpace(line), "--- ")
		if !ok {
			continue
		}
		verdict, name, _ := strings.Cut(report, ": ")
		name, _, _ = strings.Cut(name, " (")
		switch verdict {
		case "PASS":
			passed[name] = "passed"
		case "FAIL":
			failed[name] = "failed"
		}
	}
	for name := range failed {
		for other := range failed {
			if strings.HasPrefix(other, name+"/") {
				delete(failed, name)
				break
			}
		}
	}
	if len(failed) > 0 || len(passed) == 0 {
		s.t.Log(tail(out))
	}
	return passed, failed
}
