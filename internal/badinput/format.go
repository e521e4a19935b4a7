package badinput

import (
	"fmt"
	"strings"
)

// check reports what parse cannot see in one line.
func (c *Case) check() error {
	switch {
	case c.Name == "" || slug(c.Name) == "":
		return fmt.Errorf("no name")
	case c.Why == "":
		return fmt.Errorf("no reason: every case says why it exists")
	case len(c.Exchanges) == 0:
		return fmt.Errorf("no request")
	}
	for i := range c.Exchanges {
		e := &c.Exchanges[i]
		if _, err := e.request(nil); err != nil {
			return err
		}
		if e.Kind == "" {
			continue
		}
		if e.Reason == "" {
			return fmt.Errorf("%s: without a reason", e.Kind)
		}
		if len(e.Wanted) == 0 {
			return fmt.Errorf("%s: without an answer", e.Kind)
		}
	}
	return nil
}

// format writes f in the form that parse reads.
func (f *file) format() string {
	var b strings.Builder
	for _, line := range f.head {
		b.WriteString(line + "\n")
	}
	for _, c := range f.cases {
		fmt.Fprintf(&b, "\ncase: %s\nwhy: %s\n", c.Name, c.Why)
		if len(c.Ignore) > 0 {
			fmt.Fprintf(&b, "ignore: %s\n", strings.Join(c.Ignore, " "))
		}
		for i, e := range c.Exchanges {
			if i > 0 {
				b.WriteString("\n")
			}
			e.format(&b)
		}
	}
	return b.String()
}

func (e *Exchange) format(b *strings.Builder) {
	if e.HalfClose {
		b.WriteString("half-close:\n")
	}
	for _, line := range e.Send {
		prefixed(b, ">", line)
	}
	formatAnswers(b, "<", e.Recorded)
	if e.Kind != "" {
		fmt.Fprintf(b, "%s: %s\n", e.Kind, e.Reason)
		formatAnswers(b, "=", e.Wanted)
	}
}

func formatAnswers(b *strings.Builder, mark string, answers []Answer) {
	for i, a := range answers {
		if a.Closed {
			prefixed(b, mark, closedMark)
			continue
		}
		if i > 0 {
			b.WriteString("\n")
		}
		prefixed(b, mark, a.Status)
		for _, h := range a.Headers {
			prefixed(b, mark, h)
		}
		if a.Body == "" && !a.HasBody {
			continue
		}
		prefixed(b, mark, "")
		if a.Body == "" {
			continue
		}
		for line := range strings.SplitSeq(a.Body, "\n") {
			prefixed(b, mark, line)
		}
	}
}

func prefixed(b *strings.Builder, mark, line string) {
	b.WriteString(mark)
	if line != "" {
		b.WriteString(" " + line)
	}
	b.WriteString("\n")
}
