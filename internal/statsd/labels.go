package statsd

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// A Label is a fact about what a metric counts.
type Label struct{ Name, Value string }

// A labelMode is how a family of servers wants labels to be written, see [Config].
type labelMode struct {
	first, between, is string
	// last says that labels stand at the packet's end, not with the name.
	last bool
}

var labelModes = map[string]labelMode{
	"dogstatsd": {first: "|#", between: ",", is: ":", last: true},
	"graphite":  {first: ";", between: ";", is: "="},
	"influxdb":  {first: ",", between: ",", is: "="},
	"librato":   {first: "#", between: ",", is: "="},
}

const labelsDisabled = "disabled"

// CheckLabels names the option on labels that cannot be used.
func CheckLabels(mode string, user map[string]string) error {
	if _, ok := labelModes[mode]; !ok && mode != labelsDisabled {
		return config.Invalid("statsd_label_mode", "want one of %s, %s", labelsDisabled, strings.Join(slices.Sorted(maps.Keys(labelModes)), ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(user)) {
		key := "statsd_user_label_" + name
		switch {
		case strings.ContainsFunc(name, notInName):
			return config.Invalid(key, "a label's name may have letters of ASCII, digits and underscores")
		case user[name] == "" || strings.ContainsFunc(user[name], func(r rune) bool { return r != '.' && notInName(r) }):
			return config.Invalid(key, "a label's value must have letters of ASCII, digits, underscores and dots")
		}
	}
	return nil
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_')
}

// setLabels takes over the configuration of labels, which has been checked.
func (c *Client) setLabels(cfg Config) {
	if mode, ok := labelModes[cfg.LabelMode]; ok {
		c.labelMode = &mode
	}
	for name, value := range cfg.UserLabels {
		c.userLabels = append(c.userLabels, Label{"user_" + name, value})
	}
}

// HasLabels says whether metrics with labels are sent at all.
func (c *Client) HasLabels() bool { return c != nil && c.labelMode != nil }

// Labelled returns what sends metrics with these labels and the configured ones, in the order of their names. Labels
// without a value are left out. Names of metrics are sent without any prefix: labels tell apart what prefixes do.
func (c *Client) Labelled(labels ...Label) *Labelled {
	if !c.HasLabels() {
		return nil
	}
	all := make([]Label, 0, len(labels)+len(c.userLabels))
	all = append(append(all, labels...), c.userLabels...)
	slices.SortFunc(all, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	var b []byte
	for _, l := range all {
		if l.Value == "" {
			continue
		}
		before := c.labelMode.between
		if len(b) == 0 {
			before = c.labelMode.first
		}
		b = append(append(append(b, before...), l.Name...), c.labelMode.is...)
		b = appendLabelValue(b, l.Value)
	}
	return &Labelled{client: c, labels: b}
}

// appendLabelValue percent-encodes all that some server gives a meaning to, and what is not ASCII.
func appendLabelValue(b []byte, value string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(value) {
		if c := value[i]; c == '-' || c == '.' || !notInName(rune(c)) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// A Labelled sends metrics with labels. It is safe for concurrent use. A nil Labelled discards.
type Labelled struct {
	client *Client
	labels []byte // as they are sent
}

// Count adds delta to a counter.
func (l *Labelled) Count(name string, delta int64) {
	if b := l.begin(name); b != nil {
		*b = strconv.AppendInt(*b, delta, 10)
		l.end(b, "|c")
	}
}

// Timing reports how long something took, in milliseconds with their fractions.
func (l *Labelled) Timing(name string, took time.Duration) {
	if b := l.begin(name); b != nil {
		*b = appendFloat(*b, float64(took)/float64(time.Millisecond))
		l.end(b, "|ms")
	}
}

func (l *Labelled) begin(name string) *[]byte {
	if l == nil || !l.client.sampled() {
		return nil
	}
	b := l.client.send.buffer()
	*b = append((*b)[:0], name...)
	if !l.client.labelMode.last {
		*b = append(*b, l.labels...)
	}
	*b = append(*b, ':')
	return b
}

func (l *Labelled) end(b *[]byte, kind string) {
	*b = append(append(*b, kind...), l.client.suffix...)
	if l.client.labelMode.last {
		*b = append(*b, l.labels...)
	}
	l.client.send.send(b)
}
