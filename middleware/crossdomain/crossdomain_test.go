package crossdomain

import (
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func TestAPolicyOfSeveralLines(t *testing.T) {
	const config = "cross_domain_policy = '''\n<allow-access-from domain=\"*.example.com\" />\n<allow-access-from domain=\"b\" />\n'''"
	const want = "<?xml version=\"1.0\"?>\n" +
		"<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\" >\n" +
		"<cross-domain-policy>\n<allow-access-from domain=\"*.example.com\" />\n<allow-access-from domain=\"b\" />\n</cross-domain-policy>"
	if got := mt.Get(t, mt.Build(t, Filter, config, mt.NewApp()), "/crossdomain.xml"); got.Body != want {
		t.Errorf("got %q, want %q", got.Body, want)
	}
}
