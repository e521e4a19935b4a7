package crossdomain

import (
	"encoding/json"
	"os"
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// TestAnswersAreThoseOfSwift replays what testdata/record.py recorded: what Swift's filter answered, and what it let pass.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, Method, Path, Text string
			Header, Answer           map[string]string
			Status                   int
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 20 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	for _, row := range golden.Rows {
		app := mt.NewApp()
		var options []mt.Option
		for k, v := range row.Header {
			options = append(options, mt.Header(k, v))
		}
		got := mt.Do(t, mt.Build(t, Filter, "", app), row.Method, row.Path, options...)
		if row.Status != 200 {
			if len(app.Calls()) != 1 {
				t.Errorf("%s: got %d %q, want it to pass", row.Name, got.Code, got.Body)
			}
			continue
		}
		if got.Code != 200 || got.Body != row.Text || got.Header.Get("Content-Type") != row.Answer["Content-Type"] ||
			got.Header.Get("Content-Length") != row.Answer["Content-Length"] {
			t.Errorf("%s: got %d %v %q, want %d %v %q", row.Name, got.Code, got.Header, got.Body, row.Status, row.Answer, row.Text)
		}
	}
}

func TestAPolicyOfSeveralLines(t *testing.T) {
	const config = "cross_domain_policy = '''\n<allow-access-from domain=\"*.example.com\" />\n<allow-access-from domain=\"b\" />\n'''"
	const want = "<?xml version=\"1.0\"?>\n" +
		"<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\" >\n" +
		"<cross-domain-policy>\n<allow-access-from domain=\"*.example.com\" />\n<allow-access-from domain=\"b\" />\n</cross-domain-policy>"
	if got := mt.Get(t, mt.Build(t, Filter, config, mt.NewApp()), "/crossdomain.xml"); got.Body != want {
		t.Errorf("got %q, want %q", got.Body, want)
	}
}
