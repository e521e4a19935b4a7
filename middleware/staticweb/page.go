package staticweb

import (
	"html"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
)

// A page is a listing as people see it, or that there is none. The ids and classes are Swift's: style sheets are written
// for them.
type page struct {
	path    apipath.Path
	look    look
	label   string
	query   string // of links, with its question mark; empty if they need none
	within  string // what names must begin with for links with the query to be good
	entries []listing.Entry
}

// chunkSize is about how much of a page is written at once, in bytes.
const chunkSize = 32 << 10

// listing yields the page in pieces, each valid until the next.
func (p *page) listing(yield func([]byte) bool) {
	b := append(p.head(nil, listingStyle), `<h1 id="title">Listing of `+html.EscapeString(p.label)+"</h1>\n<table id=\"listing\">\n"+
		`<tr id="heading"><th class="colname">Name</th><th class="colsize">Size</th><th class="coldate">Date</th></tr>`+"\n"...)
	if up, ok := p.parent(); ok {
		b = appendRow(b, `id="parent" class="item"`, up, "../", "", "")
	}
	for _, rows := range []func([]byte, listing.Entry) []byte{p.directory, p.object} {
		for _, e := range p.entries {
			if b = rows(b, e); len(b) >= chunkSize {
				if !yield(b) {
					return
				}
				b = b[:0]
			}
		}
	}
	yield(append(b, "</table>\n</body>\n</html>\n"...))
}

// disabled yields the page that says that there is no listing.
func (p *page) disabled(yield func([]byte) bool) {
	b := append(p.head(nil, disabledStyle), "<h1>Web Listing Disabled</h1>\n"+
		"<p>The owner of this site does not show what is in its directories. If that is you: X-Container-Meta-Web-Listings\n"+
		"turns listings on.</p>\n"...)
	if p.look.index != "" {
		b = append(b, "<h1>Index File Not Found</h1>\n<p>Nor is there the index that the owner has chosen: <b>X-Container-Meta-Web-Index: "...)
		b = append(b, html.EscapeString(p.look.index)...)
		b = append(b, "</b></p>\n"...)
	}
	yield(append(b, "</body>\n</html>\n"...))
}

const (
	listingStyle = `
h1 { font-size: 1em; }
th { text-align: left; }
th, td { padding: 0 1em; unicode-bidi: isolate; }
a { text-decoration: none; white-space: pre-wrap; overflow-wrap: anywhere; }
.colsize { text-align: right; }
`
	disabledStyle = `
h1 { font-size: 1em; }
`
)

// head appends the page up to its body's contents.
func (p *page) head(b []byte, style string) []byte {
	b = append(b, "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"UTF-8\">\n"+
		`<meta name="viewport" content="width=device-width">`+"\n<title>Listing of "+html.EscapeString(p.label)+"</title>\n"...)
	if p.look.css == "" {
		b = append(b, "<style>"+style+"</style>\n"...)
	} else {
		b = append(b, `<link rel="stylesheet" type="text/css" href="`+html.EscapeString(p.css())+"\" />\n"...)
	}
	return append(b, "</head>\n<body>\n"...)
}

// css is the link to the style sheet: an object of the container, whose name goes on from the top, or anything of the web.
func (p *page) css() string {
	for _, absolute := range []string{"/", "http://", "https://"} {
		if rest, ok := strings.CutPrefix(p.look.css, absolute); ok {
			return absolute + strings.ReplaceAll(apipath.Quote(rest), "%3A", ":")
		}
	}
	link := strings.Repeat("../", strings.Count(p.path.Object, "/")) + apipath.Quote(p.look.css)
	if strings.HasPrefix(p.look.css, p.within) {
		link += p.query
	}
	return link
}

// parent is the link to the directory above, where there is one that the client may see.
func (p *page) parent() (link string, ok bool) {
	name := strings.TrimSuffix(p.path.Object, "/")
	above := name[:strings.LastIndexByte(name, '/')+1]
	if p.path.Object == "" || !strings.HasPrefix(above, p.within) {
		return "", false
	}
	return "../" + p.query, true
}

// directory appends the row of an entry that is one.
func (p *page) directory(b []byte, e listing.Entry) []byte {
	name, ok := e.Text(listing.KeySubdir)
	if !ok {
		return b
	}
	name = strings.TrimPrefix(name, p.path.Object)
	return appendRow(b, `class="item subdir"`, p.link(name), name, "", "")
}

// object appends the row of an entry that is an object, unless it is the one that stands for the directory itself: it has
// no name here.
func (p *page) object(b []byte, e listing.Entry) []byte {
	name, ok := e.Text(listing.KeyName)
	if name = strings.TrimPrefix(name, p.path.Object); !ok || name == "" {
		return b
	}
	kind, _ := e.Text(listing.KeyContentType)
	size, _ := e.Int(listing.KeyBytes)
	date, _ := e.Text(listing.KeyLastModified)
	date, _, _ = strings.Cut(date, ".")
	class := `class="item type-` + html.EscapeString(strings.ReplaceAll(strings.ToLower(kind), "/", " type-")) + `"`
	return appendRow(b, class, p.link(name), name, humanSize(size), strings.Replace(date, "T", " ", 1))
}

// link is the link to a name in this directory. No colon is left in it, so that it cannot be a scheme.
func (p *page) link(name string) string {
	quoted := apipath.Quote(name)
	if strings.HasPrefix(quoted, "/") {
		quoted = "./" + quoted // a name that begins with a slash, not the top of the server
	}
	return quoted + p.query
}

// appendRow appends a row of the table. The attributes are HTML, the rest is text.
func appendRow(b []byte, attributes, link, name, size, date string) []byte {
	b = append(b, "<tr "+attributes+`><td class="colname"><a href="`...)
	b = append(b, html.EscapeString(link)...)
	b = append(b, `">`...)
	b = append(b, html.EscapeString(name)...)
	b = append(b, `</a></td><td class="colsize">`...)
	b = append(b, html.EscapeString(size)...)
	b = append(b, `</td><td class="coldate">`...)
	b = append(b, html.EscapeString(date)...)
	return append(b, "</td></tr>\n"...)
}

// humanSize is a size with a unit, each step to the next rounded as Swift does it.
func humanSize(n int64) string {
	unit := ""
	for _, next := range []string{"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"} {
		if n < 1024 {
			break
		}
		rest := n % 1024
		n /= 1024
		if rest > 512 || rest == 512 && n%2 == 1 { // half goes to the even one
			n++
		}
		unit = next
	}
	return strconv.FormatInt(n, 10) + unit
}
