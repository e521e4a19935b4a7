package slo

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
)

// A problem is a segment and what is wrong with it.
type problem struct{ name, status string }

// A report is an answer that tells of several requests, in the form of Swift's bulk operations.
type report struct {
	facts    []fact
	problems []problem
}

type fact struct {
	key   string
	value string
	bare  bool // a number
}

func (r *report) add(key, value string) { r.facts = append(r.facts, fact{key: key, value: value}) }

func (r *report) count(key string, n int) {
	r.facts = append(r.facts, fact{key: key, value: strconv.Itoa(n), bare: true})
}

// negotiate chooses the form of a report.
func negotiate(r *http.Request) (string, error) {
	return listing.Negotiate(strings.Join(r.Header["Accept"], ","), listing.TypeText, listing.TypeJSON, listing.TypeXML, listing.TypeOldXML)
}

// format writes the report; root is the element of XML.
func (r *report) format(kind, root string) string {
	switch {
	case kind == listing.TypeJSON:
		return r.json()
	case strings.HasSuffix(kind, "/xml"):
		return r.xml(root)
	}
	var b strings.Builder
	for _, f := range r.sorted() {
		fmt.Fprintf(&b, "%s: %s\n", f.key, f.value)
	}
	b.WriteString("Errors:\n")
	for _, p := range r.problems {
		fmt.Fprintf(&b, "%s, %s\n", p.name, p.status)
	}
	return b.String()
}

func (r *report) sorted() []fact {
	return slices.SortedFunc(slices.Values(r.facts), func(a, b fact) int { return strings.Compare(a.key, b.key) })
}

func (r *report) json() string {
	b := []byte{'{'}
	for _, f := range r.facts {
		b = append(listing.AppendString(b, f.key), ": "...)
		if f.bare {
			b = append(b, f.value...)
		} else {
			b = listing.AppendString(b, f.value)
		}
		b = append(b, ", "...)
	}
	b = append(b, `"Errors": [`...)
	for i, p := range r.problems {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = listing.AppendString(append(b, '['), p.name)
		b = append(listing.AppendString(append(b, ", "...), p.status), ']')
	}
	return string(append(b, "]}"...))
}

var xmlEscape = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;")

func (r *report) xml(root string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%s>\n", root)
	for _, f := range r.sorted() {
		key := strings.ToLower(strings.ReplaceAll(f.key, " ", "_"))
		fmt.Fprintf(&b, "<%s>%s</%s>\n", key, xmlEscape.Replace(f.value), key)
	}
	b.WriteString("<errors>\n")
	for _, p := range r.problems {
		fmt.Fprintf(&b, "<object><name>%s</name><status>%s</status></object>\n", xmlEscape.Replace(p.name), xmlEscape.Replace(p.status))
	}
	fmt.Fprintf(&b, "</errors>\n</%s>\n", root)
	return b.String()
}

// statusLine is a status as reports show it.
func statusLine(code int) string { return strconv.Itoa(code) + " " + reply.Title(code) }

// explain is the text of Swift's page for a status, without the page.
func explain(code int) string {
	return strings.NewReplacer("<html><h1>", "", "</h1><p>", "\n", "</p></html>", "").Replace(reply.Status(code).Body)
}
