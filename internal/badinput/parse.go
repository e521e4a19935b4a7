package badinput

import (
	"fmt"
	"net/textproto"
	"strings"
)

const closedMark = "[closed]"

// file is one parsed file: parse and format are each other's inverse, so that a recording changes nothing but answers.
type file struct {
	head  []string // comment lines
	cases []Case
}

// parser holds what is under construction.
type parser struct {
	file
	category string
	prev     byte // '>', '<', '=' or 0: what the line before was
	half     bool // a directive for the exchange to come
	inBody   bool // the answer's body has begun
}

func parse(category, text string) (*file, error) {
	p := parser{category: category}
	for i, line := range strings.Split(text, "\n") {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for _, c := range p.cases {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("case %q: %w", c.Name, err)
		}
	}
	return &p.file, nil
}

func (p *parser) line(line string) error {
	kind, rest := byte(0), ""
	if line != "" {
		kind = line[0]
		rest = strings.TrimPrefix(line[1:], " ")
	}
	prev := p.prev
	p.prev = 0
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case kind == '#':
		if len(p.cases) > 0 {
			return fmt.Errorf("comment inside the table: use why")
		}
		p.head = append(p.head, line)
		return nil
	case kind == '>' || kind == '<' || kind == '=':
		p.prev = kind
		return p.wire(kind, prev, rest)
	}
	return p.directive(line)
}

// wire takes a line of a request or an answer.
func (p *parser) wire(kind, prev byte, rest string) error {
	if len(p.cases) == 0 {
		return fmt.Errorf("%q before the first case", rest)
	}
	c := &p.cases[len(p.cases)-1]
	if kind == '>' {
		if prev != '>' {
			c.Exchanges = append(c.Exchanges, Exchange{HalfClose: p.half})
			p.half = false
		}
		e := &c.Exchanges[len(c.Exchanges)-1]
		e.Send = append(e.Send, rest)
		return nil
	}
	if len(c.Exchanges) == 0 {
		return fmt.Errorf("answer before a request")
	}
	e := &c.Exchanges[len(c.Exchanges)-1]
	list := &e.Recorded
	if kind == '=' {
		if e.Kind == "" {
			return fmt.Errorf("replaced answer without a reason: start with one of spec, apus and later")
		}
		list = &e.Wanted
	}
	if rest == closedMark {
		*list = append(*list, Answer{Closed: true})
		return nil
	}
	if prev != kind || len(*list) == 0 || (*list)[len(*list)-1].Closed {
		*list = append(*list, Answer{Status: rest})
		p.inBody = false
		return nil
	}
	a := &(*list)[len(*list)-1]
	switch {
	case p.inBody:
		a.Body += "\n" + rest
	case a.HasBody:
		a.Body, p.inBody = rest, true
	case rest == "":
		a.HasBody = true
	default:
		a.Headers = append(a.Headers, rest)
	}
	return nil
}

func (p *parser) directive(line string) error {
	key, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok {
		return fmt.Errorf("not understood: %q", line)
	}
	if key == "case" {
		p.cases = append(p.cases, Case{Category: p.category, Name: value})
		p.half = false
		return nil
	}
	if len(p.cases) == 0 {
		return fmt.Errorf("%q before the first case", key)
	}
	c := &p.cases[len(p.cases)-1]
	switch key {
	case "why":
		c.Why = value
	case "ignore":
		for _, name := range strings.Fields(value) {
			if name != "body" {
				name = textproto.CanonicalMIMEHeaderKey(name)
			}
			c.Ignore = append(c.Ignore, name)
		}
	case "half-close":
		p.half = true
	case "spec", "apus", "later":
		if len(c.Exchanges) == 0 {
			return fmt.Errorf("%s: before a request", key)
		}
		e := &c.Exchanges[len(c.Exchanges)-1]
		if e.Kind != "" {
			return fmt.Errorf("%s: answer replaced twice", key)
		}
		e.Kind, e.Reason = key, value
	default:
		return fmt.Errorf("unknown directive %q: case, why, ignore, half-close, spec, apus and later exist", key)
	}
	return nil
}
