package badinput

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	isoTime  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?`)
	txid     = regexp.MustCompile(`tx[0-9a-f]{21}-[0-9a-f]{10}`)
	boundary = regexp.MustCompile(`boundary="?([^";]+)"?`)
	epoch    = regexp.MustCompile(`^\d{10}\.\d{5}$`)
)

// unsteady headers differ from answer to answer, or say how the connection goes on and not what the answer is.
var unsteady = []string{"Date", "X-Trans-Id", "X-Openstack-Request-Id", "Connection", "Keep-Alive"}

// named are the placeholders put back into answers: those whose values are long enough to be found without mistakes.
var named = []string{"other-token", "token", "other-account", "account", "container", "host"}

// normalise makes an answer comparable with one of another server and another day.
func (r *response) normalise(v vars, head bool) Answer {
	if r.header.Get("X-Trans-Id") == "" && r.status[0] != '1' {
		code, _, _ := strings.Cut(r.status, " ")
		return Answer{Status: code + belowMark}
	}
	body := r.body
	mark := ""
	if m := boundary.FindStringSubmatch(r.header.Get("Content-Type")); m != nil {
		mark = m[1]
		body = strings.ReplaceAll(body, mark, "{boundary}")
	}
	var lines []string
	for line := range strings.SplitSeq(body, "\n") {
		lines = append(lines, text(line, v))
	}
	a := Answer{Status: text(r.status, v), Body: strings.Join(lines, "\n"), HasBody: body != ""}
	for name, values := range r.header {
		if slices.Contains(unsteady, name) || strings.HasPrefix(name, "X-Account-Storage-Policy-") {
			continue
		}
		for _, value := range values {
			if mark != "" {
				value = strings.ReplaceAll(value, mark, "{boundary}")
			}
			if name == "Content-Length" && !head && value == strconv.Itoa(len(r.body)) {
				value = "{length}"
			}
			a.Headers = append(a.Headers, strings.TrimSpace(name+": "+headerValue(name, value, v)))
		}
	}
	slices.Sort(a.Headers)
	return a
}

func headerValue(name, value string, v vars) string {
	switch name {
	case "Last-Modified", "X-Copied-From-Last-Modified":
		if _, err := http.ParseTime(value); err == nil {
			return "{date}"
		}
	case "X-Timestamp":
		if epoch.MatchString(value) {
			return "{timestamp}"
		}
	case "Allow", "Vary", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers":
		// Sets: OpenStack Swift's order differs from process to process.
		items := strings.Split(value, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		slices.Sort(items)
		return text(strings.Join(items, ", "), v)
	case "X-Storage-Policy":
		if value == v["policy"] {
			return "{policy}"
		}
	case "X-Auth-Token-Expires", "X-Account-Container-Count", "X-Account-Object-Count", "X-Account-Bytes-Used",
		"X-Container-Object-Count", "X-Container-Bytes-Used":
		if _, err := strconv.Atoi(value); err == nil {
			return "{n}"
		}
	}
	return text(value, v)
}

// text escapes a line and puts placeholders in place of what is this server's own.
func text(s string, v vars) string {
	s = escape(s)
	for _, name := range named {
		if value := v[name]; value != "" {
			s = strings.ReplaceAll(s, value, "{"+name+"}")
		}
	}
	s = txid.ReplaceAllString(s, "{txid}")
	return isoTime.ReplaceAllString(s, "{iso}")
}

// without drops what a case does not compare.
func (a Answer) without(ignore []string) Answer {
	a.Headers = slices.DeleteFunc(a.Headers, func(h string) bool { return slices.Contains(ignore, headerName(h)) })
	if slices.Contains(ignore, "body") {
		a.Body, a.HasBody = "", false
	}
	return a
}

// belowMark stands in the status of an answer that no proxy gave (it has no transaction id), but the HTTP server below it.
const belowMark = " (below the proxy)"

// refusals are the statuses by which an HTTP server says that it will not understand a request.
var refusals = []string{"400", "414", "417", "431", "501", "505"}

// refused tells whether a was given up below the proxy. Which status is chosen there, and whether there is one at all
// before the connection closes, is the HTTP library's business.
func (a *Answer) refused() bool {
	code, below := strings.CutSuffix(a.Status, belowMark)
	return a.Closed || below && slices.Contains(refusals, code)
}

// diff compares an answer with what is wanted. partial: only what want names counts.
func diff(want, got Answer, partial bool, ignore []string) []string {
	if !partial && want.refused() && (got.refused() || slices.Contains(refusals, got.code())) {
		return nil
	}
	if want.Closed || got.Closed {
		if want.Closed != got.Closed {
			return []string{fmt.Sprintf("want %s, got %s", want.title(), got.title())}
		}
		return nil
	}
	var out []string
	code := got.code()
	accepted, _, _ := strings.Cut(want.Status, " ")
	if !slices.Contains(strings.Split(accepted, "|"), code) {
		out = append(out, fmt.Sprintf("status: want %s, got %s", want.Status, got.Status))
	}
	skip := slices.Clone(ignore)
	switch code {
	case "204":
		skip = append(skip, "Content-Length")
	case "304":
		skip = append(skip, "Content-Length", "Content-Type")
	}
	for _, h := range want.Headers {
		if !slices.Contains(skip, headerName(h)) && !slices.Contains(got.Headers, h) {
			out = append(out, "header missing: "+h)
		}
	}
	for _, h := range got.Headers {
		if partial || slices.Contains(skip, headerName(h)) || slices.Contains(want.Headers, h) {
			continue
		}
		out = append(out, "header not expected: "+h)
	}
	if (!partial || want.HasBody) && !slices.Contains(ignore, "body") && want.Body != got.Body {
		out = append(out, fmt.Sprintf("body: want %q, got %q", want.Body, got.Body))
	}
	return out
}

func (a *Answer) code() string {
	code, _, _ := strings.Cut(a.Status, " ")
	return code
}

func headerName(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return name
}

func (a *Answer) title() string {
	if a.Closed {
		return "the connection closed"
	}
	return a.Status
}
