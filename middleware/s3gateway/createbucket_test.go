package s3gateway_test

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/closedport"
)

func TestBucketsAreMadeWhereStoresWantThem(t *testing.T) {
	resolveHere(t)
	far := newStore(t)
	var host, document string
	far.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Md5") != "" {
			t.Errorf("the store gets %v: %v", r.Header, err)
		}
		host, document = r.Host+r.URL.Path, string(b)
		return true
	})
	const (
		head, tail = `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, "</CreateBucketConfiguration>"
		tags       = "<Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags>"
		mine       = "<LocationConstraint>us-east-1</LocationConstraint>"
		first, eu  = "region = 'us-east-1'", "region = 'eu-1'"
	)
	for name, c := range map[string]struct {
		store, sent string
		want        any
		document    string // without its head and tail
	}{
		"no document, for AWS' first region":   {first, "", 200, ""},
		"no document, for another":             {eu, "", 200, "<LocationConstraint>eu-1</LocationConstraint>"},
		"no document, for a name of its own":   {eu + "\nlocation_constraint = 'eu-1-smart'", "", 200, "<LocationConstraint>eu-1-smart</LocationConstraint>"},
		"no document, for a store with none":   {eu + "\nlocation_constraint = 'none'", "", 200, ""},
		"the gateway's region, for AWS' first": {first, head + mine + tail, 200, ""},
		"the gateway's region, for another":    {eu, "<CreateBucketConfiguration>\n" + mine + "\n" + tail, 200, "<LocationConstraint>eu-1</LocationConstraint>"},
		"the gateway's region, and more":       {eu, head + mine + tags + tail, 200, "<LocationConstraint>eu-1</LocationConstraint>TAGS"},
		"more, without a region":               {eu, head + tags + tail, 200, "<LocationConstraint>eu-1</LocationConstraint>TAGS"},
		"more, for AWS' first":                 {first, head + tags + mine + tail, 200, "TAGS"},
		"a document that says nothing":         {eu, head + tail, 200, "<LocationConstraint>eu-1</LocationConstraint>"},
		"an empty region":                      {eu, head + "<LocationConstraint/>" + tail, 200, "<LocationConstraint>eu-1</LocationConstraint>"},
		"an empty region, for AWS' first":      {first, head + "<LocationConstraint/>" + tail, 200, ""},
		"what XML writes otherwise":            {"region = 'a&b'", "", 200, "<LocationConstraint>a&amp;b</LocationConstraint>"},
		"another region":                       {eu, head + "<LocationConstraint>us-2</LocationConstraint>" + tail, "InvalidLocationConstraint", ""},
		"the store's region":                   {eu, head + "<LocationConstraint>eu-1</LocationConstraint>" + tail, "InvalidLocationConstraint", ""},
		"two regions":                          {eu, head + mine + mine + tail, "MalformedXML", ""},
		"another document":                     {eu, "<Delete>" + mine + "</Delete>", "MalformedXML", ""},
		"no XML":                               {eu, "us-east-1", "MalformedXML", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "[filter.s3gateway]\nstorage_domain = '"+domain+"'\n", far.upstream("far", c.store), clients,
				strings.Replace(far.upstream("virtual", c.store, "addressing = 'virtual'"), "127.0.0.1", domain, 1),
				"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['far']\n[[filter.s3gateway.route]]\nbucket = 'films'\nupstreams = ['virtual']\n")
			var headers []string
			if c.sent != "" {
				sum := md5.Sum([]byte(c.sent))
				headers = []string{"Content-MD5", base64.StdEncoding.EncodeToString(sum[:])}
			}
			want := c.document
			if want != "" {
				want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + head + strings.Replace(want, "TAGS",
					`<Tags xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Tag><Key>k</Key><Value>v</Value></Tag></Tags>`, 1) + tail
			}
			port := ":" + portOf(far.server.URL)
			for bucket, theirs := range map[string]string{"photos": "127.0.0.1" + port + "/photos", "films": "films." + domain + port + "/"} {
				byHost := &s3{t, "http://" + bucket + "." + domain + ":" + portOf(g.url), alice, nil}
				for path, client := range map[string]*s3{"/" + bucket: g.s3, "/": byHost} {
					host, document = "", ""
					client.want(c.want, "PUT", path, c.sent, headers...)
					if c.want != 200 {
						theirs = ""
					}
					if host != theirs || document != want {
						t.Errorf("by %s%s, %s gets %q, want %q", client.url, path, host, document, want)
					}
				}
			}
		})
	}
}

// TestEachStoreIsToldItsOwnPlace has the first store fail.
func TestEachStoreIsToldItsOwnPlace(t *testing.T) {
	first, second := newStore(t), newStore(t)
	var document string
	second.meet(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			b, _ := io.ReadAll(r.Body)
			document = string(b)
		}
		return r.Method == http.MethodPut
	})
	g := newGateway(t, first.upstream("first", "region = 'eu-1'"), second.upstream("second", "region = 'eu-2'"), clients,
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['first', 'second']\n")
	first.server.Close()
	closedport.Keep(t, first.server.Listener.Addr().String())
	g.want(200, "PUT", "/photos", "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>")
	if !strings.Contains(document, "<LocationConstraint>eu-2</LocationConstraint>") {
		t.Errorf("the second store gets %q", document)
	}
}
