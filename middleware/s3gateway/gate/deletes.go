package gate

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
)

// maxDeletes is how large a body may be that names keys, and mostDeletes how many it may name: AWS's limits.
const (
	maxDeletes  = 2 << 20
	mostDeletes = 1000
)

// checkDeletes reads the whole body of a request that deletes many objects, and refuses it if the caller may not delete one of
// them. The store gets the body as it came, so only documents are let through that nobody can read otherwise.
func (c *Caller) checkDeletes(ctx context.Context, p Payload) (Payload, error) {
	if p.Length > maxDeletes {
		return Payload{}, s3err.MalformedXML.With()
	}
	body, err := io.ReadAll(io.LimitReader(p.Reader, maxDeletes+1))
	switch {
	case err != nil:
		return Payload{}, err
	case len(body) > maxDeletes:
		return Payload{}, s3err.MalformedXML.With()
	}
	all, err := Deleted(body)
	if err != nil {
		return Payload{}, s3err.MalformedXML.With().Because(err)
	}
	bucket := c.Operation.Target.Bucket
	for _, d := range all {
		key := d.Key
		if err := c.Allows(Write, bucket, key); err != nil {
			return Payload{}, err
		}
		if c.CheckKey != nil {
			if err := c.CheckKey(key); err != nil {
				return Payload{}, err
			}
		}
		if err := c.ask(ctx, bucket, http.MethodDelete, key); err != nil {
			return Payload{}, err
		}
	}
	p.Reader, p.Length, p.watch = bytes.NewReader(body), int64(len(body)), nil
	return p, nil
}

// A Deletion is an object, or a version of one, that a document says is to be deleted.
type Deletion struct{ Key, Version string }

// Deleted reads what a document says is to be deleted:
//
//	<Delete><Object><Key>a</Key><VersionId>1</VersionId></Object><Quiet>true</Quiet></Delete>
//
// Anything that parsers might read in different ways is an error: other elements, attributes, comments, processing instructions,
// declarations, CDATA, and elements that are there twice.
func Deleted(body []byte) ([]Deletion, error) {
	if bytes.Contains(body, []byte("<![CDATA[")) {
		return nil, errors.New("has CDATA")
	}
	d := &deletes{xml: xml.NewDecoder(bytes.NewReader(body))}
	if err := d.document(); err != nil {
		return nil, err
	}
	if len(d.all) == 0 {
		return nil, errors.New("names no key")
	}
	return d.all, nil
}

type deletes struct {
	xml  *xml.Decoder
	path []string        // the elements that are open
	seen map[string]bool // elements of the object
	text strings.Builder
	last Deletion // of which the object consists that is open
	all  []Deletion
}

const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// holds are the elements that an element may have.
var holds = map[string]string{"": "Delete", "Delete": "Object Quiet", "Object": "Key VersionId ETag LastModifiedTime Size"}

func (d *deletes) document() error {
	for first := true; ; first = false {
		token, err := d.xml.Token()
		if err == io.EOF {
			return nil // the decoder has complained of what is open
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.ProcInst:
			if !first || token.Target != "xml" {
				return errors.New("has a processing instruction")
			}
		case xml.StartElement:
			err = d.start(token)
		case xml.EndElement:
			err = d.end(token.Name.Local)
		case xml.CharData:
			err = d.characters(token)
		default:
			return errors.New("has a comment or a declaration")
		}
		if err != nil {
			return err
		}
	}
}

func (d *deletes) in() string {
	if len(d.path) == 0 {
		return ""
	}
	return d.path[len(d.path)-1]
}

func (d *deletes) start(e xml.StartElement) error {
	name := e.Name.Local
	allowed := false
	for known := range strings.FieldsSeq(holds[d.in()]) {
		allowed = allowed || known == name
	}
	if !allowed || e.Name.Space != "" && e.Name.Space != s3Namespace {
		return fmt.Errorf("has an element %q in %q", name, d.in())
	}
	for _, a := range e.Attr {
		if a.Name.Local != "xmlns" || a.Name.Space != "" || len(d.path) > 0 {
			return fmt.Errorf("has an attribute %q", a.Name.Local)
		}
	}
	switch {
	case len(d.path) == 0 && d.seen != nil:
		return errors.New("has a second root")
	case len(d.path) == 0 || name == "Object":
		d.seen = make(map[string]bool)
	case d.seen[name]:
		return fmt.Errorf("has two elements %q", name)
	default:
		d.seen[name] = true
	}
	d.path = append(d.path, name)
	d.text.Reset()
	return nil
}

func (d *deletes) end(name string) error {
	d.path = d.path[:len(d.path)-1]
	switch name {
	case "Key":
		if d.text.Len() == 0 {
			return errors.New("has an empty key")
		}
		d.last.Key = d.text.String()
	case "VersionId":
		d.last.Version = d.text.String()
	case "Object":
		switch {
		case !d.seen["Key"]:
			return errors.New("has an object without a key")
		case len(d.all) == mostDeletes:
			return fmt.Errorf("names more than %d keys", mostDeletes)
		}
		d.all = append(d.all, d.last)
		d.last, d.seen = Deletion{}, map[string]bool{}
	}
	return nil
}

// characters are text within the elements that hold some, and white space between others.
func (d *deletes) characters(text []byte) error {
	if _, container := holds[d.in()]; container {
		if len(bytes.Trim(text, " \t\r\n\ufeff")) > 0 {
			return fmt.Errorf("has text in %q", d.in())
		}
		return nil
	}
	d.text.Write(text)
	return nil
}
