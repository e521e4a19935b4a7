// Package s3xml reads and writes the XML of the S3 API.
//
// What clients send is not trusted: [Decode] takes documents of a bounded size, depth and number of elements, without a DTD,
// and with no entities but XML's own five. An element that the structure does not have, or has once and comes twice, is an
// error: what is not understood is not dropped. The namespace does not matter, since clients send S3's, none, or an old one.
//
//	var config struct {
//		XMLName xml.Name `xml:"CreateBucketConfiguration"`
//		Region  string   `xml:"LocationConstraint"`
//	}
//	err := s3xml.Decode(body, &config)
//
// What is sent has AWS's order of elements, which is that of the structure's fields, and S3's namespace, which is in the
// structure's XMLName: see [Namespace].
package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
)

// Namespace is that of all documents but errors. A structure has it in its tag:
//
//	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Header stands before every document.
const Header = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// The bounds of documents from clients, beside the length, which is the caller's. A request to delete 1,000 objects has
// 8,000 elements at most.
const (
	maxDepth    = 12
	maxElements = 60000
)

// ErrMalformed is a document that is no XML, or not what it should be.
var ErrMalformed = errors.New("malformed document")

// Encode returns the document of a structure.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(Header)
	e := xml.NewEncoder(&b)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// AppendElement appends an element with text. A structure takes what is made of these in a field that is ",innerxml": a page of
// a listing costs half of it so.
func AppendElement(dst []byte, name, text string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	return append(append(append(appendText(dst, text), '<', '/'), name...), '>')
}

// appendText appends a text as xml.EscapeText writes it. Entity tags have quotes, so these are worth to be done here.
func appendText(dst []byte, text string) []byte {
	start := 0
	for i := range len(text) {
		escaped := ""
		switch c := text[i]; {
		case c < ' ' || c > '~':
			var b bytes.Buffer
			xml.EscapeText(&b, []byte(text[start:])) // to memory: cannot fail
			return append(dst, b.Bytes()...)
		case c == '"':
			escaped = "&#34;"
		case c == '\'':
			escaped = "&#39;"
		case c == '&':
			escaped = "&amp;"
		case c == '<':
			escaped = "&lt;"
		case c == '>':
			escaped = "&gt;"
		default:
			continue
		}
		dst = append(append(dst, text[start:i]...), escaped...)
		start = i + 1
	}
	return append(dst, text[start:]...)
}

// Decode reads a document into a structure whose XMLName names the root. The error is ErrMalformed.
func Decode(doc []byte, v any) error {
	if err := check(doc, shapeOf(reflect.TypeOf(v).Elem())); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := xml.Unmarshal(doc, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// A shape is what may stand in an element.
type shape struct {
	root     string
	children map[string]*child
	text     bool
}

type child struct {
	*shape
	many bool
}

// shapeOf reads the tags of a structure. Structures do not contain themselves.
func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	s := &shape{children: map[string]*child{}}
	if t.Kind() != reflect.Struct {
		s.text = true
		return s
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("xml"), ",")
		name = name[strings.LastIndexByte(name, ' ')+1:]
		switch {
		case f.Name == "XMLName":
			s.root = name
		case options == "chardata":
			s.text = true
		case strings.HasPrefix(options, "attr") || name == "-":
		case f.Anonymous:
			maps.Copy(s.children, shapeOf(f.Type).children)
		default:
			if name == "" {
				name = f.Name
			}
			s.children[name] = &child{shapeOf(f.Type), f.Type.Kind() == reflect.Slice}
		}
	}
	return s
}

// check walks through the document once, before anything is made of it.
func check(doc []byte, root *shape) error {
	d := xml.NewDecoder(bytes.NewReader(doc))
	open := []*shape{{children: map[string]*child{root.root: {root, false}}}}
	seen := []map[string]bool{{}}
	elements := 0
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			if len(open) != 1 || elements == 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		top := len(open) - 1
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("has a DTD")
		case xml.StartElement:
			if elements++; elements > maxElements || len(open) > maxDepth {
				return errors.New("has too many elements")
			}
			name := t.Name.Local
			c := open[top].children[name]
			if c == nil {
				return fmt.Errorf("unknown element %q", name)
			}
			if !c.many && seen[top][name] {
				return fmt.Errorf("second element %q", name)
			}
			seen[top][name] = true
			open, seen = append(open, c.shape), append(seen, map[string]bool{})
		case xml.EndElement:
			if top == 0 {
				return errors.New("ends what was not begun")
			}
			open, seen = open[:top], seen[:top]
		case xml.CharData:
			if !open[top].text && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("has text where elements belong")
			}
		}
	}
}
