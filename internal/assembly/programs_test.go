package assembly

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Programs that people use with Swift, against a cluster on a disk, with files of 200 MB. They take a minute and so run
// only when asked for (make programs). A program that is not installed is left out: Debian's packages are
// python3-swiftclient, rclone and curl.

// site is a cluster with the users of Swift's functional tests, and how to run programs against it.
type site struct {
	url string
	dir string // of the program: its home, and where it runs
	env []string
}

func newSite(t *testing.T, program string) *site {
	t.Helper()
	if os.Getenv("APUS_TEST_PROGRAMS") == "" {
		t.Skip("takes long; set APUS_TEST_PROGRAMS=1, or say make programs")
	}
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	_, url := start(t, EmbeddedOptions{Config: "../../etc/functional-test.toml"})
	dir := t.TempDir()
	return &site{url: url, dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8",
		"ST_AUTH=" + url + "/auth/v1.0", "ST_USER=test:tester", "ST_KEY=testing",
		"RCLONE_CONFIG=" + filepath.Join(dir, "none"), "RCLONE_CONFIG_APUS_TYPE=swift", "RCLONE_CONFIG_APUS_AUTH=" + url + "/auth/v1.0",
		"RCLONE_CONFIG_APUS_USER=test:tester", "RCLONE_CONFIG_APUS_KEY=testing",
	}}
}

// run runs a program, which must succeed, and returns what it says.
func (s *site) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, tail(out.String()), tail(diag.String()))
	}
	return out.String()
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// plant makes a tree of files, among them one of 200 MB and names that need quoting, and returns their sums by name.
func plant(t *testing.T, dir string) map[string]string {
	t.Helper()
	names := map[string]int{
		"big": 200 << 20, "empty": 0, "grüße/größe.txt": 10, "日本語/ファイル": 3000, "a b/c+d&e=f?g#h%20i": 7, "quote\"'<&>": 1, "deep/er/and/deeper": 5,
	}
	for i := range 300 {
		names[fmt.Sprintf("many/%02d/file-%03d", i%17, i)] = i * 37
	}
	random := rand.NewChaCha8([32]byte{1})
	sums := map[string]string{}
	for name, size := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := md5.New()
		_, err = io.CopyN(io.MultiWriter(f, sum), random, int64(size))
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		sums[name] = hex.EncodeToString(sum.Sum(nil))
	}
	return sums
}

// compare reports the files below dir that are not those of sums.
func compare(t *testing.T, dir string, sums map[string]string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := md5.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if got := hex.EncodeToString(sum.Sum(nil)); got != sums[name] {
			t.Errorf("%q has the sum %s, want %s", name, got, sums[name])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != len(sums) {
		t.Errorf("%d files, want %d", found, len(sums))
	}
}

func TestSwiftClient(t *testing.T) {
	s := newSite(t, "swift")
	tree := filepath.Join(s.dir, "tree")
	sums := plant(t, tree)
	s.run(t, "swift", "upload", "c", "tree", "--object-name", "tree")
	listed := map[string]bool{}
	for _, name := range strings.Split(strings.TrimSuffix(s.run(t, "swift", "list", "c"), "\n"), "\n") {
		listed[strings.TrimPrefix(name, "tree/")] = true
	}
	for name := range sums {
		if !listed[name] {
			t.Errorf("%q is not listed", name)
		}
	}
	if stat := s.run(t, "swift", "stat", "c"); !strings.Contains(stat, fmt.Sprintf("Objects: %d", len(sums))) {
		t.Errorf("stat of the container: want %d objects:\n%s", len(sums), stat)
	}
	if stat := s.run(t, "swift", "stat", "c", "tree/big"); !strings.Contains(stat, sums["big"]) || !strings.Contains(stat, fmt.Sprint(200<<20)) {
		t.Errorf("stat of the large object:\n%s", stat)
	}
	s.run(t, "swift", "post", "-m", "Farbe: grün", "-H", "Content-Language: de", "c", "tree/empty")
	if stat := s.run(t, "swift", "stat", "c", "tree/empty"); !strings.Contains(stat, "grün") || !strings.Contains(stat, "Content-Language: de") {
		t.Errorf("metadata:\n%s", stat)
	}
	s.run(t, "swift", "copy", "-d", "/copies/grüße", "c", "tree/grüße/größe.txt")
	if got := s.run(t, "swift", "list", "copies"); got != "grüße\n" {
		t.Errorf("copies: %q", got)
	}
	s.run(t, "swift", "download", "c", "--output-dir", "back")
	compare(t, filepath.Join(s.dir, "back", "tree"), sums)
	stored := func() string {
		_, line, _ := strings.Cut(s.run(t, "swift", "stat", "c", "tree/big"), "X-Timestamp: ")
		stamp, _, _ := strings.Cut(line, "\n")
		return stamp
	}
	before := stored()
	s.run(t, "swift", "upload", "--skip-identical", "c", "tree", "--object-name", "tree")
	if after := stored(); before == "" || after != before {
		t.Errorf("what is there already was stored again: at %q, before at %q", after, before)
	}
	s.run(t, "swift", "delete", "c")
	s.run(t, "swift", "delete", "copies")
	if left := s.run(t, "swift", "list"); left != "" {
		t.Errorf("left: %q", left)
	}
}

func TestRclone(t *testing.T) {
	s := newSite(t, "rclone")
	tree := filepath.Join(s.dir, "tree")
	sums := plant(t, tree)
	s.run(t, "rclone", "copy", "tree", "apus:c/tree")
	s.run(t, "rclone", "check", "tree", "apus:c/tree")
	s.run(t, "rclone", "check", "--download", "tree/many", "apus:c/tree/many")
	if n := strings.Count(s.run(t, "rclone", "ls", "apus:c"), "\n"); n != len(sums) {
		t.Errorf("%d objects listed, want %d", n, len(sums))
	}
	for _, name := range []string{"empty", "日本語/ファイル"} {
		if err := os.Remove(filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
		delete(sums, name)
	}
	if err := os.WriteFile(filepath.Join(tree, "big"), []byte("small now"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("small now"))
	sums["big"] = hex.EncodeToString(sum[:])
	s.run(t, "rclone", "sync", "tree", "apus:c/tree")
	s.run(t, "rclone", "check", "tree", "apus:c/tree")
	s.run(t, "rclone", "copyto", "apus:c/tree/grüße/größe.txt", "apus:c/copy") // by the server
	if got, err := os.ReadFile(filepath.Join(tree, "grüße/größe.txt")); err != nil || s.run(t, "rclone", "cat", "apus:c/copy") != string(got) {
		t.Errorf("the copy differs, %v", err)
	}
	s.run(t, "rclone", "deletefile", "apus:c/copy")
	s.run(t, "rclone", "sync", "apus:c/tree", "back")
	compare(t, filepath.Join(s.dir, "back"), sums)
	s.run(t, "rclone", "purge", "apus:c")
	if left := s.run(t, "rclone", "lsd", "apus:"); left != "" {
		t.Errorf("left: %q", left)
	}
}

func TestCurl(t *testing.T) {
	s := newSite(t, "curl")
	tree := filepath.Join(s.dir, "tree")
	sums := plant(t, tree)
	r, err := http.NewRequest("GET", s.url+"/auth/v1.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-User", "test:tester")
	r.Header.Set("X-Auth-Key", "testing")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	token, url := "X-Auth-Token: "+resp.Header.Get("X-Auth-Token"), resp.Header.Get("X-Storage-Url")
	curl := func(args ...string) string {
		t.Helper()
		return s.run(t, "curl", append([]string{"-sSf", "-H", token}, args...)...)
	}
	curl("-X", "PUT", url+"/c")
	curl("-T", "tree/big", "-H", "Expect: 100-continue", "--expect100-timeout", "60", url+"/c/expected")
	curl("-T", "tree/big", "-H", "Transfer-Encoding: chunked", url+"/c/chunked")
	curl("-T", "tree/big", "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "--expect100-timeout", "60", url+"/c/both")
	for _, name := range []string{"expected", "chunked", "both"} {
		if head := curl("-I", url+"/c/"+name); !strings.Contains(head, "Etag: "+sums["big"]) || !strings.Contains(head, "Content-Length: 209715200") {
			t.Errorf("%s: %s", name, head)
		}
	}
	big, err := os.ReadFile(filepath.Join(tree, "big"))
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string][]byte{
		"0-9": big[:10], "-7": big[len(big)-7:], "209715190-": big[209715190:], "1000000-101000000": big[1000000:101000001], "5-99999999999": big[5:],
	} {
		if got := curl("-r", spec, url+"/c/chunked"); got != string(want) {
			t.Errorf("range %s: %d bytes, want %d", spec, len(got), len(want))
		}
	}
	several := curl("-r", "0-1,100-102,-1", url+"/c/chunked")
	for _, part := range []string{
		"Content-Range: bytes 0-1/209715200\r\n\r\n" + string(big[:2]), "Content-Range: bytes 100-102/209715200\r\n\r\n" + string(big[100:103]),
		"Content-Range: bytes 209715199-209715199/209715200\r\n\r\n" + string(big[len(big)-1:]),
	} {
		if !strings.Contains(several, part) {
			t.Errorf("several ranges: %q lacks %q", several, part)
		}
	}
	code := func(args ...string) string {
		return s.run(t, "curl", append([]string{"-sS", "-o", "none", "-w", "%{http_code} %{size_upload}", "-H", token}, args...)...)
	}
	if got := code("-r", "209715200-", url+"/c/chunked"); got != "416 0" {
		t.Errorf("a range past the end: %s", got)
	}
	// A refusal comes before the body is sent.
	if got := code("-T", "tree/big", "-H", "Expect: 100-continue", "--expect100-timeout", "60", url+"/none/o"); got != "404 0" {
		t.Errorf("an upload into a missing container: %s", got)
	}
	if got := code("-T", "tree/big", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "-H", "X-Auth-Token: wrong", url+"/c/o"); got != "401 0" {
		t.Errorf("an upload with a wrong token: %s", got)
	}
	if got := code("-T", "tree/empty", "-H", "Etag: 00000000000000000000000000000000", url+"/c/o"); got != "422 0" {
		t.Errorf("an upload with a wrong sum: %s", got)
	}
}
