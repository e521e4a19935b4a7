package bench

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/bench/benchtest"
	"github.com/apus-storage/apus/internal/sigv4"
)

// newS3Runner makes a runner that signs.
func newS3Runner(t *testing.T, fake *benchtest.Swift, cfg Config, payload Payload) *Runner {
	t.Helper()
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	tr := NewTransport(cfg.Concurrency)
	t.Cleanup(tr.CloseIdleConnections)
	r, err := New(cfg, Target{StorageURL: srv.URL, S3: &S3{benchtest.User, benchtest.Key, benchtest.Region, payload}}, Options{Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	r.retry = 0
	return r
}

func TestS3TakesEveryPayload(t *testing.T) {
	for _, p := range payloads {
		t.Run(string(p), func(t *testing.T) {
			fake := benchtest.New()
			cfg := testConfig(t, "put,get,head,list,delete")
			cfg.Sizes, _ = ParseSizes("0=1,100KiB=1")
			r := newS3Runner(t, fake, cfg, p)
			s := runAll(t, t.Context(), r)
			const want = "put 21/0 get 21/0 head 21/0 list 21/0 delete 21/0"
			if got := counts(s.Rows); got != want || s.Payload != string(p) {
				t.Errorf("rows %s of payload %s, want %s of %s: %v", got, s.Payload, want, p, s.Rows[0].Faults)
			}
			if err := r.Clean(t.Context()); err != nil || fake.Containers() != 0 {
				t.Errorf("Clean: %v, %d buckets left", err, fake.Containers())
			}
		})
	}
}

// TestBothPagesAreTheSame compares what lists ask for in both APIs.
func TestBothPagesAreTheSame(t *testing.T) {
	p := Page{Limit: 10, Prefix: "a b", Marker: "a b/c&d", Delimiter: "/"}
	if got, want := p.swift(), "format=json&limit=10&prefix=a+b&marker=a+b%2Fc%26d&delimiter=%2F"; got != want {
		t.Errorf("Swift's query is %s, want %s", got, want)
	}
	if got, want := p.s3(), "list-type=2&max-keys=10&prefix=a+b&start-after=a+b%2Fc%26d&delimiter=%2F"; got != want {
		t.Errorf("S3's query is %s, want %s", got, want)
	}
}

func TestWrongSignaturesAreErrors(t *testing.T) {
	cfg := testConfig(t, "get")
	fake := benchtest.New()
	r := newS3Runner(t, fake, cfg, Unsigned)
	r.api.(*s3).signer = sigv4.NewSigner(benchtest.User, "another", "", benchtest.Region)
	s := runAll(t, t.Context(), r)
	if row := s.Rows[0]; row.Count != 0 || len(row.Faults) != 1 || row.Faults[0].Kind != "403" {
		t.Errorf("with another key: %+v, want 403 alone", row)
	}
}

func TestS3TargetsThatMakeNoSense(t *testing.T) {
	good := S3{"test:tester", "testing", "us-east-1", Unsigned}
	for _, tc := range []struct {
		name, url, ops string
		s3             S3
		want           string
	}{
		{"a path", "http://h/v1/AUTH_a", "get", good, "not like http://host"},
		{"no host", "h:8080", "get", good, "not like http://host"},
		{"no secret", "http://h", "get", S3{"a", "", "r", Unsigned}, "secret"},
		{"payload", "http://h", "get", S3{"a", "b", "r", "signed"}, "unsigned hashed chunks"},
		{"post", "http://h", "put,post", good, "post"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(testConfig(t, tc.ops), Target{StorageURL: tc.url, S3: &tc.s3}, Options{Transport: http.DefaultTransport})
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want ErrInvalid with %q", err, tc.want)
			}
		})
	}
}
