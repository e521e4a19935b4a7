package gate

import (
	"encoding/xml"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// keyText is how a parser of little understanding finds keys.
var keyText = regexp.MustCompile(`(?s)<Key>(.*?)</Key>`)

// FuzzDeletes reads documents in two other ways: who reads them at all reads the same keys.
func FuzzDeletes(f *testing.F) {
	for _, seed := range []string{
		"<Delete><Object><Key>a</Key></Object></Delete>",
		`<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>a&amp;b</Key><VersionId>1</VersionId></Object></Delete>`,
		"<Delete><Object><Key>a<!-- x -->b</Key></Object></Delete>",
		"<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>",
		"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
		`<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>`,
		"<Delete>\n <Object>\n  <Key>\xe4</Key></Object></Delete>",
		"<Delete><Object><Key >a</Key\n></Object></Delete>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		all, err := Deleted([]byte(document))
		if err != nil {
			return
		}
		var other struct {
			Object []struct{ Key, VersionId string }
		}
		if err := xml.Unmarshal([]byte(document), &other); err != nil {
			t.Fatalf("%q: %v", document, err)
		}
		var theirs []Deletion
		for _, o := range other.Object {
			theirs = append(theirs, Deletion{o.Key, o.VersionId})
		}
		if !slices.Equal(all, theirs) {
			t.Errorf("%q: read %q, others read %q", document, all, theirs)
		}
		var simple []string
		for _, m := range keyText.FindAllStringSubmatch(document, -1) {
			simple = append(simple, strings.ReplaceAll(html.UnescapeString(m[1]), "\r\n", "\n"))
		}
		for i, key := range simple {
			if strings.ContainsAny(key, "&\r\u0080\u009f\ufffd") || len(simple) != len(all) {
				return // what HTML escapes in another way, and elements with blanks in their tags
			}
			if key != all[i].Key {
				t.Errorf("%q: read %q, the simplest reads %q", document, all, simple)
			}
		}
	})
}

// FuzzParams finds parameters that are there twice to somebody else.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{"prefix=a&prefix=b", "a=1;b=2", "uploadId", "uploadId=&uploadid=1", "%70refix=a&prefix=b", "a+b=%20", "&&a&", "X-Amz-Date=1", "=a&=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		ps, err := parseParams(raw)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, p := range ps {
			if folded := strings.ToLower(p.name); seen[folded] {
				t.Errorf("%q: %q is there twice", raw, p.name)
			} else {
				seen[folded] = true
			}
		}
		values, err := url.ParseQuery(ps.unsigned())
		if err != nil {
			return // semicolons
		}
		for name, all := range values {
			p := ps.get(name)
			if p == nil || len(all) != 1 || p.value != all[0] || p.kind == signature {
				t.Errorf("%q: %q is %q to others", raw, name, all)
			}
		}
	})
}

// FuzzSource finds copy sources that are others once they are written anew.
func FuzzSource(f *testing.F) {
	for _, seed := range []string{"/b/k", "b/k?versionId=1", "b%2Fk%3Fa", "/b/a/../../c", "arn:aws:s3:::b/k", "b/k+l%2B", "//b/k", "b/%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSource(text)
		if err != nil {
			return
		}
		if s.Bucket == "" || s.Key == "" || strings.Contains(s.Bucket, "/") || route.CheckTarget(route.Target{Bucket: s.Bucket, Key: s.Key}) != nil {
			t.Errorf("%q: %+v", text, s)
		}
		again, err := parseSource(s.Header(s.Bucket))
		if err != nil || *again != *s {
			t.Errorf("%q: %+v is written %q and read %+v, %v", text, s, s.Header(s.Bucket), again, err)
		}
	})
}
