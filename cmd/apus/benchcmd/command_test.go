package benchcmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/bench"
	"github.com/apus-storage/apus/internal/bench/benchtest"
)

// bare removes what the environment could say.
func bare(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ST_AUTH", "ST_USER", "ST_KEY", "OS_STORAGE_URL", "OS_AUTH_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
}

// execute runs the command with arguments and returns its standard output.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := Command()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// serve starts a fake account and returns its authentication URL.
func serve(t *testing.T, fake *benchtest.Swift) string {
	t.Helper()
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	return srv.URL + "/auth/v1.0"
}

func TestOneEndpointLeavesNothingBehind(t *testing.T) {
	bare(t)
	fake := benchtest.New()
	file := filepath.Join(t.TempDir(), "r.json")
	out, err := execute(t, "-A", serve(t, fake), "-U", benchtest.User, "-K", benchtest.Key, "--count", "30", "--containers", "3",
		"--concurrency", "2", "--ops", "put,get,post", "--verify", "--clean", "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if fake.Objects() != 0 || fake.Containers() != 0 {
		t.Errorf("%d objects in %d containers are left", fake.Objects(), fake.Containers())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rep bench.Report
	if err := json.Unmarshal(data, &rep); err != nil {
		t.Fatal(err)
	}
	if rows := rep.Sides[0].Rows; len(rows) != 3 || rows[1].Operation != "get" || rows[1].Count != 30 {
		t.Errorf("rows %+v, want put, get, post of 30", rows)
	}
	if bytes.Contains(data, []byte(benchtest.Token)) || bytes.Contains(data, []byte(benchtest.Key)) {
		t.Error("the report holds the token or the key")
	}
	if !strings.Contains(out, "ops/CPU-s") || !strings.Contains(out, "post ") {
		t.Errorf("output lacks the table:\n%s", out)
	}
}

func TestTwoEndpointsAreCompared(t *testing.T) {
	bare(t)
	a, b := benchtest.New(), benchtest.New()
	t.Setenv("ST_KEY", benchtest.Key)
	pid := strconv.Itoa(os.Getpid())
	out, err := execute(t, "-A", serve(t, a), "-U", benchtest.User, "--compare", serve(t, b), "--rounds", "2",
		"--count", "20", "--ops", "put,get", "--json", "-", "--pids", pid, "--pids2", pid)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var rep bench.Report
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		t.Fatalf("standard output is not the report alone: %v\n%s", err, out)
	}
	if len(rep.Sides) != 2 || len(rep.Sides[1].Rounds) != 2 || len(rep.Ratios) < 6 {
		t.Errorf("%d sides, %d ratios", len(rep.Sides), len(rep.Ratios))
	}
	if r := b.Requests(); !strings.HasPrefix(r[0], "GET /v1/AUTH_test/apus-bench-b/") {
		t.Errorf("B got %s first, want its own container apus-bench-b", r[0])
	}
}

func TestS3AndSwiftOfOneServerAreCompared(t *testing.T) {
	bare(t)
	t.Setenv("AWS_ACCESS_KEY_ID", benchtest.User)
	t.Setenv("AWS_SECRET_ACCESS_KEY", benchtest.Key)
	fake := benchtest.New()
	auth := serve(t, fake)
	out, err := execute(t, "--s3", strings.TrimSuffix(auth, "/auth/v1.0"), "--payload", "chunks-crc32c", "--compare", auth, "--rounds", "1",
		"--count", "20", "--ops", "put,get,list,delete", "--verify", "--clean")
	if err != nil || fake.Containers() != 0 {
		t.Fatalf("%v, %d containers left\n%s", err, fake.Containers(), out)
	}
	if !strings.Contains(out, "S3, payloads chunks-crc32c\n") || !strings.Contains(out, "A to B") {
		t.Errorf("output lacks the payload or the comparison:\n%s", out)
	}
}

func TestErrorsFailTheCommand(t *testing.T) {
	bare(t)
	fake := benchtest.New()
	fake.Spoil = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.Method != http.MethodHead {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	url := serve(t, fake)
	args := []string{"-A", url, "-U", benchtest.User, "-K", benchtest.Key, "--count", "10", "--ops", "put,head"}
	out, err := execute(t, args...)
	if !errors.Is(err, ErrOperations) || !strings.Contains(out, "error: head: 503: 10 times") {
		t.Errorf("error %v, want ErrOperations and the 503s below the table:\n%s", err, out)
	}
	if _, err := execute(t, append(args, "--tolerate-errors")...); err != nil {
		t.Errorf("with --tolerate-errors: %v", err)
	}
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, tc := range []struct{ name, args, want string }{
		{"no endpoint", "--user u", "give --endpoint"},
		{"no key", "-A http://h/auth -U u", "needs a user and a key"},
		{"two ways in", "-A http://h/auth -U u -K k --storage-url http://h/v1/a", "give one of"},
		{"S3 and Swift", "-A http://h/auth -U u -K k --s3 http://h", "give one of"},
		{"no secret", "--s3 http://h -U u", "--s3 needs a user and a key"},
		{"payload of Swift", "-A http://h/auth -U u -K k --payload chunks", "a payload goes with --s3"},
		{"unknown payload", "--s3 http://h -U u -K k --payload signed", "unsigned hashed chunks"},
		{"post of S3", "--s3 http://h -U u -K k --ops post", "no operation post"},
		{"token with authentication", "-A http://h/auth -U u -K k --token t", "a token goes with"},
		{"user with a storage URL", "--storage-url http://h/v1/a --user u", "do not go with --storage-url"},
		{"size", "--storage-url http://h/v1/a --size 4XB", "--size"},
		{"operation", "--storage-url http://h/v1/a --ops put,stat", "--ops"},
		{"second side's flags alone", "--storage-url http://h/v1/a --pids2 1", "need --compare"},
		{"children of nobody", "--storage-url http://h/v1/a --pids-of-children", "needs --pids"},
		{"negative rounds", "--storage-url http://h/v1/a --rounds=-1", "--rounds"},
		{"few objects", "--storage-url http://h/v1/a --objects 2", "2 objects"},
		{"arguments", "--storage-url http://h/v1/a extra", "unknown command"},
		{"no such process", "--storage-url http://h/v1/a --pids 2147483647", "process is gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bare(t)
			_, err := execute(t, strings.Fields(tc.args)...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("apus bench %s: %v, want an error with %q", tc.args, err, tc.want)
			}
		})
	}
}

func TestHelpTeaches(t *testing.T) {
	bare(t)
	out, err := execute(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out, "\n  apus bench -"); n != 4 {
		t.Errorf("help has %d examples, want 4:\n%s", n, out)
	}
}

func TestProgressLine(t *testing.T) {
	p := bench.Progress{Phase: "put", Elapsed: 2 * time.Second, Count: 100, Errors: 1, Bytes: 4 << 20}
	const want = "B put: 2.0 s, 100 done, 50/s, 2.0 MiB/s, 1 errors"
	if got := progressLine("B", true, p); got != want {
		t.Errorf("progressLine(%+v) = %q, want %q", p, got, want)
	}
}
