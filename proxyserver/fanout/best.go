package fanout

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// Body is an answer's body. Copying it with io.Copy lets a file reach the client without being read.
type Body interface {
	io.ReadCloser
	io.WriterTo
}

type textBody struct{ *strings.Reader }

func (textBody) Close() error { return nil }

func text(s string) Body { return textBody{strings.NewReader(s)} }

// verdict is one node's answer to a write, or the lack of one.
type verdict struct {
	status int
	header http.Header
	body   string
}

// unavailable stands for a node that did not answer.
var unavailable = verdict{status: http.StatusServiceUnavailable}

// classes of statuses, in the order in which they are looked for.
var classes = []int{100, 200, 300, 400}

func inClass(vs []verdict, class int) (n int) {
	for _, v := range vs {
		if v.status >= class && v.status < class+100 {
			n++
		}
	}
	return n
}

// settled says whether one class has a quorum already.
func settled(vs []verdict, quorum int) bool {
	for _, c := range classes {
		if inClass(vs, c) >= quorum {
			return true
		}
	}
	return false
}

// best makes one answer of several: of the first class that has a quorum, the highest status. Overrides replace
// statuses where there is no quorum otherwise. Without any there is a 503.
func (d *Dispatcher) best(ctx context.Context, t Target, method string, vs []verdict, quorum int, overrides map[int]int) *Answer {
	if a := pick(vs, nil, quorum); a != nil {
		return a
	}
	if len(overrides) > 0 {
		changed := make([]verdict, len(vs))
		avoid := make([]bool, len(vs))
		for i, v := range vs {
			if to, ok := overrides[v.status]; ok {
				v, avoid[i] = verdict{status: to}, true
			}
			changed[i] = v
		}
		if a := pick(changed, avoid, quorum); a != nil {
			return a
		}
	}
	statuses := make([]int, len(vs))
	for i, v := range vs {
		statuses[i] = v.status
	}
	d.log.ErrorContext(ctx, "no quorum of storage nodes", "kind", t.Kind, "method", method, "path", t.Path, "statuses", statuses)
	return &Answer{Status: http.StatusServiceUnavailable, Header: http.Header{}, Body: text("")}
}

func pick(vs []verdict, avoid []bool, quorum int) *Answer {
	if len(vs) < quorum {
		return nil
	}
	for _, c := range classes {
		if inClass(vs, c) < quorum {
			continue
		}
		var top *verdict
		for i := range vs {
			v := &vs[i]
			if v.status >= c && v.status < c+100 && (avoid == nil || !avoid[i]) && (top == nil || v.status > top.status) {
				top = v
			}
		}
		if top != nil {
			h := top.header
			if h == nil {
				h = http.Header{}
			}
			return &Answer{Status: top.status, Header: h, Body: text(top.body)}
		}
	}
	return nil
}
