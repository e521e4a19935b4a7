package replay

import (
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// near is how far from now a time may be that the server's clock gave: far more than a recording or a replay takes.
const near = 30 * 24 * time.Hour

// A pattern is something that varies from run to run. What it finds is replaced by its name if when gives a time near to
// now, or there is no when.
type pattern struct {
	name string
	find *regexp.Regexp
	when func(string) (time.Time, error)
}

// The patterns are those of record.py, in the same order.
var patterns = []pattern{
	{"txid", regexp.MustCompile(`tx[0-9a-f]{21}-[0-9a-f]{10}`), nil},
	{"date", regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`), func(s string) (time.Time, error) {
		return time.Parse(http.TimeFormat, s)
	}},
	{"iso", regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6}|\.\d{3})?Z?`), func(s string) (time.Time, error) {
		return time.Parse("2006-01-02T15:04:05", s[:19])
	}},
	{"timestamp", regexp.MustCompile(`\b\d{10}\.\d{5}\b`), seconds},
	{"epoch", regexp.MustCompile(`\b\d{10}\b`), seconds},
}

func seconds(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s[:10], 10, 64)
	return time.Unix(n, 0), err
}

// normalise puts names in place of what varies from run to run.
func normalise(text string, now time.Time) string {
	for _, p := range patterns {
		text = p.find.ReplaceAllStringFunc(text, func(s string) string {
			if p.when != nil {
				at, err := p.when(s)
				if err != nil || now.Sub(at).Abs() >= near {
					return s
				}
			}
			return "{" + p.name + "}"
		})
	}
	return text
}
