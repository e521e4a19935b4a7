package s3xml_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

type order struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []object `xml:"Object"`
}

type object struct {
	Key     string `xml:"Key"`
	Version string `xml:"VersionId"`
}

func TestDecode(t *testing.T) {
	for _, doc := range []string{
		`<Delete><Object><Key>a&amp;&#x62;</Key><VersionId>1</VersionId></Object><Object><Key>c</Key></Object></Delete>`,
		s3xml.Header + `<Delete xmlns="` + s3xml.Namespace + `"> <Object><Key>a&amp;b</Key>
			<VersionId>1</VersionId></Object><Object><Key><![CDATA[c]]></Key></Object><!-- -->
		</Delete>`,
		`<x:Delete xmlns:x="elsewhere"><x:Object><x:Key>a&amp;b</x:Key><x:VersionId>1</x:VersionId></x:Object><x:Object><x:Key>c</x:Key></x:Object></x:Delete>`,
	} {
		var o order
		if err := s3xml.Decode([]byte(doc), &o); err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		if len(o.Objects) != 2 || o.Objects[0] != (object{"a&b", "1"}) || o.Objects[1] != (object{"c", ""}) {
			t.Errorf("%s: got %+v", doc, o.Objects)
		}
	}
}

func TestRefused(t *testing.T) {
	laughs := `<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`
	for name, doc := range map[string]string{
		"nothing":                    "",
		"white space":                "  ",
		"not XML":                    "Delete",
		"cut off":                    "<Delete><Object>",
		"badly nested":               "<Delete><Object></Delete></Object>",
		"another root":               "<Other/>",
		"a second root":              "<Delete/><Delete/>",
		"an unknown element":         "<Delete><Object><Key>a</Key><Size>3</Size></Object></Delete>",
		"an element twice":           "<Delete><Quiet>true</Quiet><Quiet>false</Quiet></Delete>",
		"text between":               "<Delete>x<Quiet>true</Quiet></Delete>",
		"no boolean":                 "<Delete><Quiet>perhaps</Quiet></Delete>",
		"an unknown entity":          "<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
		"a DTD":                      `<!DOCTYPE x><Delete/>`,
		"a billion laughs":           laughs,
		"an external entity":         `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
		"another encoding":           `<?xml version="1.0" encoding="UTF-16"?><Delete/>`,
		"not UTF-8":                  "<Delete><Object><Key>\xff</Key></Object></Delete>",
		"too many elements":          "<Delete>" + strings.Repeat("<Object/>", 70000) + "</Delete>",
		"too deep":                   strings.Repeat("<Delete>", 50),
		"a key with a NUL character": "<Delete><Object><Key>a&#0;</Key></Object></Delete>",
	} {
		if err := s3xml.Decode([]byte(doc), new(order)); !errors.Is(err, s3xml.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

func TestEncode(t *testing.T) {
	v := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		Name    string
		Prefix  string
	}{Name: "a<b", Prefix: "\x01"}
	got, err := s3xml.Encode(v)
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>a&lt;b</Name><Prefix>` + "\uFFFD" + `</Prefix></ListBucketResult>`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestElements(t *testing.T) {
	for text, want := range map[string]string{
		"":         "<K></K>",
		"a b":      "<K>a b</K>",
		"a<b>&c":   "<K>a&lt;b&gt;&amp;c</K>",
		"été":      "<K>été</K>",
		"\x01\xff": "<K>\uFFFD\uFFFD</K>",
		"\"'\n":    "<K>&#34;&#39;&#xA;</K>",
	} {
		if got := string(s3xml.AppendElement(nil, "K", text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// FuzzDecode gives the decoder anything: it may not panic, and what it takes it can write again.
func FuzzDecode(f *testing.F) {
	f.Add(`<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>`)
	f.Add(`<!DOCTYPE x [<!ENTITY a "b">]><Delete>&a;</Delete>`)
	f.Fuzz(func(t *testing.T, doc string) {
		var o order
		if err := s3xml.Decode([]byte(doc), &o); err != nil {
			if !errors.Is(err, s3xml.ErrMalformed) {
				t.Errorf("%q: %v", doc, err)
			}
			return
		}
		if _, err := s3xml.Encode(o); err != nil {
			t.Errorf("%q: %v", doc, err)
		}
	})
}
