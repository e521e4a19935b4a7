package s3api

import (
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// TestSomebodyMustKnowWhoHasSigned builds the filter in pipelines of a proxy, with and without an auth filter.
func TestSomebodyMustKnowWhoHasSigned(t *testing.T) {
	for _, test := range []struct {
		pipeline []string
		check    bool
		want     string
	}{
		{[]string{"catch_errors", "s3api", "tempauth", "proxy"}, true, ""},
		{[]string{"catch_errors", "s3api", "proxy"}, true, "no filter to the right of s3api knows who has signed a request"},
		{[]string{"catch_errors", "tempauth", "s3api", "proxy"}, true, "no filter to the right"},
		{[]string{"catch_errors", "s3api", "proxy"}, false, ""},
	} {
		host := middlewaretest.Host(t)
		host.Section, host.Pipeline = "s3api", test.pipeline
		c := Filter.Defaults().(Config)
		c.AuthPipelineCheck = test.check
		_, err := Filter.Build(host, c)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %q", test.pipeline, err, test.want)
		}
	}
}
