package proxylogging

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/request"
)

// append writes the line.
func (e *entry) append(b []byte) []byte {
	for i := range e.template {
		p := &e.template[i]
		switch {
		case p.field == fieldText:
			b = append(b, p.text...)
		case p.anonymized:
			b = appendQuoted(b, e.hash.hash(e.value(p.field)))
		default:
			b = e.appendField(b, p)
		}
	}
	return b
}

// appendField writes a field. Those that every line has are written without a string in between.
func (e *entry) appendField(b []byte, p *part) []byte {
	switch p.field {
	case fieldEndTime:
		return p.time.append(b, e.end)
	case fieldStartTime:
		return p.time.append(b, e.start)
	case fieldRequestTime:
		return strconv.AppendFloat(b, e.end.Sub(e.start).Seconds(), 'f', 4, 64)
	case fieldFirstByte:
		if d := e.firstByte(); d > 0 {
			return strconv.AppendFloat(b, d.Seconds(), 'f', -1, 64)
		}
		return append(b, '-')
	case fieldStatus:
		return strconv.AppendInt(b, int64(e.status), 10)
	case fieldWireStatus:
		return strconv.AppendInt(b, int64(e.wire), 10)
	case fieldBytesReceived:
		return appendCount(b, e.body.n)
	case fieldBytesSent:
		return appendCount(b, e.sent())
	case fieldPID:
		return strconv.AppendInt(b, int64(e.pid), 10)
	case fieldPath:
		if !sensitive(e.r.URL.RawQuery) {
			b = appendQuotedTwice(b, e.r.URL.Path)
			if e.r.URL.RawQuery != "" {
				b = append(b, "%3F"...)
				b = appendEscaped(b, e.r.URL.RawQuery)
			}
			return b
		}
	}
	return appendQuoted(b, e.value(p.field))
}

func appendCount(b []byte, n int64) []byte {
	if n == 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, n, 10)
}

// value returns a field that is text, as it is before quoting.
func (e *entry) value(f field) string {
	h := e.r.Header
	switch f {
	case fieldClientIP:
		return e.clientIP()
	case fieldRemoteAddr:
		return e.remoteAddr()
	case fieldDomain:
		if i := strings.LastIndexByte(e.r.Host, ':'); i >= 0 {
			return e.r.Host[:i]
		}
		return e.r.Host
	case fieldPath:
		return e.path()
	case fieldReferer:
		return get(h, "Referer")
	case fieldUserAgent:
		return get(h, "User-Agent")
	case fieldHeaders:
		return e.headerLines()
	case fieldClientEtag:
		return get(h, "Etag")
	case fieldAccount, fieldContainer, fieldObject:
		return e.name(f)
	case fieldUserID:
		return e.userID()
	case fieldMethod:
		return e.method()
	case fieldProtocol:
		return e.r.Proto
	case fieldAuthToken:
		return e.cut(get(h, "X-Auth-Token"))
	case fieldTransID:
		return e.state.TransID
	case fieldSource:
		return e.state.Log.Source
	case fieldLogInfo:
		return strings.Join(e.state.Log.Info, ",")
	case fieldPolicy:
		return e.policy
	}
	return ""
}

// get returns a header, of several values all, as Swift's server joins them.
func get(h http.Header, name string) string {
	if v := h[name]; len(v) > 1 {
		return strings.Join(v, ",")
	} else if len(v) == 1 {
		return v[0]
	}
	return ""
}

func (e *entry) remoteAddr() string {
	host, _, err := net.SplitHostPort(e.r.RemoteAddr)
	if err != nil {
		return e.r.RemoteAddr
	}
	return host
}

// clientIP is the best guess: what balancers say, else the connection's other end.
func (e *entry) clientIP() string {
	if ip := get(e.r.Header, "X-Cluster-Client-Ip"); ip != "" {
		return ip
	}
	first, _, _ := strings.Cut(get(e.r.Header, "X-Forwarded-For"), ",")
	if ip := strings.TrimSpace(first); ip != "" {
		return ip
	}
	return e.remoteAddr()
}

// userID is the user's own name, the first of the groups, when a user has been found.
func (e *entry) userID() string {
	user, _, _ := strings.Cut(e.state.User, ",")
	if user == request.PreAuthed {
		return ""
	}
	return user
}

// name returns a part of the path, quoted once as in the path.
func (e *entry) name(f field) string {
	p, err := apipath.Parse(e.r.URL.Path)
	if err != nil || !apipath.ValidVersion(p.Version, e.cluster.Limits.ValidAPIVersions) {
		return ""
	}
	switch f {
	case fieldAccount:
		return apipath.Quote(p.Account)
	case fieldContainer:
		return apipath.Quote(p.Container)
	}
	return apipath.Quote(p.Object)
}

// path returns path and query as they were asked for, without secrets.
func (e *entry) path() string {
	path := apipath.Quote(e.r.URL.Path)
	query := e.r.URL.RawQuery
	switch {
	case query == "":
		return path
	case sensitive(query):
		query = e.cutQuery(query)
	}
	return path + "?" + query
}

// cut shortens a secret.
func (e *entry) cut(value string) string {
	if len(value) > e.reveal {
		return value[:e.reveal] + "..."
	}
	return value
}

// secretParams are the parameters that prove who asks.
var secretParams = []string{"temp_url_sig", "Signature", "X-Amz-Signature", "X-Amz-Security-Token"}

// secretParam knows them in any case of letters: the token's differs between versions of signatures.
func secretParam(name string) bool {
	return slices.ContainsFunc(secretParams, func(s string) bool { return strings.EqualFold(s, name) })
}

// sensitive says whether a query may hold one of them; escapes may hide their names.
func sensitive(query string) bool {
	return query != "" && (strings.Contains(query, "sig=") || strings.Contains(query, "Signature=") || strings.Contains(query, "oken=") ||
		strings.Contains(query, "%") && slices.ContainsFunc(params(query), func(p param) bool { return secretParam(p.name) }))
}

type param struct{ name, value string }

// params reads a query as Swift does: the last of several values, in the place of the first.
func params(query string) []param {
	var out []param
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		p := param{unplus(name), unplus(value)}
		if i := slices.IndexFunc(out, func(o param) bool { return o.name == p.name }); i >= 0 {
			out[i].value = p.value
		} else {
			out = append(out, p)
		}
	}
	return out
}

func unplus(s string) string { return apipath.Unquote(strings.ReplaceAll(s, "+", " ")) }

// cutQuery writes the query again with its secrets cut short. If it has none after all, it stays as it was.
func (e *entry) cutQuery(query string) string {
	var b strings.Builder
	found := false
	for i, p := range params(query) {
		if secretParam(p.name) {
			found = true
			p.value = e.cut(p.value)
		}
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(apipath.QuotePlus(p.name) + "=" + apipath.QuotePlus(p.value))
	}
	if !found {
		return query
	}
	return b.String()
}

// secretHeaders are cut short, in meta.Title's spelling. Swift shows all but the first three.
var secretHeaders = map[string]bool{
	"X-Auth-Token": true, "X-Storage-Token": true, "Authorization": true,
	"X-Service-Token": true, "X-Subject-Token": true, "X-Auth-Key": true, "X-Storage-Pass": true, "Cookie": true,
	"X-Amz-Security-Token": true, "X-Container-Sync-Key": true, "X-Container-Sync-Auth": true,
	"X-Account-Meta-Temp-Url-Key": true, "X-Account-Meta-Temp-Url-Key-2": true,
	"X-Container-Meta-Temp-Url-Key": true, "X-Container-Meta-Temp-Url-Key-2": true,
}

// headerLines returns the request's headers, in the order of their names.
func (e *entry) headerLines() string {
	if !e.headers.on {
		return ""
	}
	var lines []string
	add := func(name, value string) {
		name = meta.Title(name)
		if e.headers.only != nil && !e.headers.only[name] {
			return
		}
		if secretHeaders[name] {
			value = e.cut(value)
		}
		lines = append(lines, name+": "+value)
	}
	if e.r.Host != "" {
		add("Host", e.r.Host) // net/http takes it out of the headers
	}
	for name, values := range e.r.Header {
		add(name, strings.Join(values, ","))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// appendQuoted writes a value so that no blank is in it; a dash for nothing.
func appendQuoted(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return appendEscaped(b, s)
}

const upperHex = "0123456789ABCDEF"

func appendEscaped(b []byte, s string) []byte {
	for {
		n := run(s, keeps)
		if b = append(b, s[:n]...); n == len(s) {
			return b
		}
		if c := s[n]; c < 0x80 {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			// Swift takes bytes for Latin-1 and quotes their UTF-8.
			b = append(b, '%', 'C', "23"[c>>6&1], '%', upperHex[8|c>>4&3], upperHex[c&15])
		}
		s = s[n+1:]
	}
}

// appendQuotedTwice writes a path: Swift quotes it before it quotes the field.
func appendQuotedTwice(b []byte, path string) []byte {
	if path == "" {
		return append(b, '-')
	}
	for {
		n := run(path, keepsTwice)
		if b = append(b, path[:n]...); n == len(path) {
			return b
		}
		b = append(b, '%', '2', '5', upperHex[path[n]>>4], upperHex[path[n]&15])
		path = path[n+1:]
	}
}

// run is how many bytes at the beginning of s stay as they are.
func run(s string, stays *[256]bool) int {
	for i := range len(s) {
		if !stays[s[i]] {
			return i
		}
	}
	return len(s)
}

// What stays as it is in a field, and in a path.
var keeps, keepsTwice = staying(":/{}"), staying("/")

func staying(marks string) *[256]bool {
	var t [256]bool
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~" + marks) {
		t[c] = true
	}
	return &t
}

// A timeFormat says how a time is written; the zero value is seconds with nine decimals.
type timeFormat struct {
	layout  string                 // for time.Format
	decimal int                    // so many decimals alone
	seconds bool                   // whole seconds alone
	number  func(time.Time) string // the rest
}

// timeFormats are the forms of start_time and end_time: Swift's own and the letters of strftime in the C locale, in UTC.
var timeFormats = map[string]timeFormat{
	"datetime": {layout: "02/Jan/2006/15/04/05"}, "asctime": {layout: time.ANSIC}, "iso8601": {layout: "2006-01-02T15:04:05"},
	"s": {seconds: true}, "ms": {decimal: 3}, "us": {decimal: 6}, "ns": {decimal: 9},
	"a": {layout: "Mon"}, "A": {layout: "Monday"}, "b": {layout: "Jan"}, "B": {layout: "January"}, "c": {layout: time.ANSIC},
	"d": {layout: "02"}, "H": {layout: "15"}, "I": {layout: "03"}, "j": {layout: "002"}, "m": {layout: "01"}, "M": {layout: "04"},
	"p": {layout: "PM"}, "S": {layout: "05"}, "x": {layout: "01/02/06"}, "X": {layout: "15:04:05"}, "y": {layout: "06"},
	"Y": {layout: "2006"}, "Z": {layout: "MST"},
	"U": {number: func(t time.Time) string { return week(t, int(t.Weekday())) }},
	"W": {number: func(t time.Time) string { return week(t, (int(t.Weekday())+6)%7) }},
	"w": {number: func(t time.Time) string { return strconv.Itoa(int(t.Weekday())) }},
}

// week is the week of the year with two digits; day is that of the week, from 0.
func week(t time.Time, day int) string {
	n := (t.YearDay() + 6 - day) / 7
	return string([]byte{'0' + byte(n/10), '0' + byte(n%10)})
}

func (f timeFormat) append(b []byte, t time.Time) []byte {
	t = t.UTC()
	switch {
	case f.layout == "02/Jan/2006/15/04/05":
		return t.AppendFormat(b, f.layout) // nothing in it needs quoting
	case f.layout != "":
		return appendQuoted(b, t.Format(f.layout))
	case f.number != nil:
		return append(b, f.number(t)...)
	case f.seconds:
		return strconv.AppendInt(b, t.Unix(), 10)
	}
	if f.decimal == 0 {
		b = append(strconv.AppendInt(b, t.Unix(), 10), '.')
	}
	nanos := 1_000_000_000 + t.Nanosecond()
	var digits [10]byte
	d := strconv.AppendInt(digits[:0], int64(nanos), 10)[1:]
	if f.decimal > 0 {
		d = d[:f.decimal]
	}
	return append(b, d...)
}
