// Package bulkreport is the answer to one request that stands for many: what became of them, in the forms of Swift's bulk
// operations (plain text, JSON, XML), sent on a connection that is kept alive while the work goes on.
//
// Such an answer has the status 200 whatever happens, because the status is sent before the work is done; the real one is
// in the body. The client chooses the form by Accept.
//
// Invariants:
//   - The work runs on a goroutine of its own, is told when the client has gone, and is waited for. Only the caller's
//     goroutine writes.
//   - While the work takes long, white space is sent, at most once an interval; nothing is sent before the first of it is
//     due, so that a client that waits for 100-continue gets that first.
//   - A panic of the work goes on in the caller.
//
// Non-goals: how the work is done. Package bulkdelete is one way.
//
//	bulkreport.Serve(w, r, 10*time.Second, "extract", func(ctx context.Context, refused *reply.Error) (report bulkreport.Report) {
//		report.Add("Response Status", bulkreport.StatusLine(http.StatusCreated))
//		report.Count("Number Files Created", 1)
//		report.Fail("c/o", "403 Forbidden")
//		return report
//	})
package bulkreport

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
)

// A Report is what became of several requests. The zero value says nothing.
type Report struct {
	facts    []fact
	problems []problem
}

type fact struct {
	key   string
	value string
	bare  bool // a number
}

type problem struct{ name, status string }

// Add says one thing.
func (r *Report) Add(key, value string) { r.facts = append(r.facts, fact{key: key, value: value}) }

// Count says how many there were of something.
func (r *Report) Count(key string, n int) {
	r.facts = append(r.facts, fact{key: key, value: strconv.Itoa(n), bare: true})
}

// Fail lists something, by its quoted name, that could not be done, and why.
func (r *Report) Fail(name, status string) { r.problems = append(r.problems, problem{name, status}) }

// Failures is how many were listed by Fail.
func (r *Report) Failures() int { return len(r.problems) }

// Negotiate chooses the form of a report.
func Negotiate(r *http.Request) (kind string, err error) {
	return listing.Negotiate(strings.Join(r.Header["Accept"], ","), listing.TypeText, listing.TypeJSON, listing.TypeXML, listing.TypeOldXML)
}

// Format writes the report in a form that Negotiate returned; any other means text. Root is the element of XML, which has
// no declaration. JSON has things in the order in which they were said, the others sorted.
func (r *Report) Format(kind, root string) string {
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

func (r *Report) sorted() []fact {
	return slices.SortedFunc(slices.Values(r.facts), func(a, b fact) int { return strings.Compare(a.key, b.key) })
}

func (r *Report) json() string {
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

func (r *Report) xml(root string) string {
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

// StatusLine is a status as reports show it: "404 Not Found".
func StatusLine(code int) string { return strconv.Itoa(code) + " " + reply.Title(code) }
