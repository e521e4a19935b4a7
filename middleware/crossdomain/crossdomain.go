// Package crossdomain is the filter that serves Adobe's cross-domain policy, which lets Flash and Silverlight programs of
// other sites use the API:
//
//	[filter.crossdomain]
//	cross_domain_policy = '''
//	<allow-access-from domain="*.example.com" />
//	<allow-access-from domain="www.example.com" secure="false" />'''
//
// GET /crossdomain.xml gets an XML document with the policy in it, which is not looked at. All else goes on. It stands to
// the left of whatever would ask for credentials.
package crossdomain

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("crossdomain", Config{CrossDomainPolicy: `<allow-access-from domain="*" secure="false" />`}, build).
	Before("tempauth", "keystoneauth")

// Config is the section of the filter.
type Config struct {
	// The lines of XML inside the document's cross-domain-policy element.
	CrossDomainPolicy string `toml:"cross_domain_policy"`
}

func build(_ middleware.Host, c Config) (middleware.Instance, error) {
	document := document(c.CrossDomainPolicy)
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{document, next} },
		Info: map[string]any{"crossdomain": map[string]any{}},
	}, nil
}

// document puts a policy, without line ends around it, into its frame.
func document(policy string) string {
	return "<?xml version=\"1.0\"?>\n" +
		"<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\" >\n" +
		"<cross-domain-policy>\n" + strings.Trim(policy, "\r\n") + "\n</cross-domain-policy>"
}

type filter struct {
	document string
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != "/crossdomain.xml" {
		f.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(f.document)))
	w.WriteHeader(http.StatusOK)
	io.WriteString(w, f.document)
}
