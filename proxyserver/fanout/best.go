package fanout

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// Body is an answer's body. Copying it with io.Copy lets a file reach the client without being read.
type Body interface {
	io.ReadCloser
	io.WriterTo
}

type textBody struct {
	*strings.Reader
	text string
}

// Close does nothing.
func (textBody) Close() error { return nil }

// TextBody makes a body of a text.
func TextBody(s string) Body { return textBody{strings.NewReader(s), s} }

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
	statuses := make([]int, len(vs))
	for i, v := range vs {
		statuses[i] = v.status
	}
	a := pick(vs, nil, quorum)
	if a == nil && len(overrides) > 0 {
		changed := make([]verdict, len(vs))
		avoid := make([]bool, len(vs))
		for i, v := range vs {
			if to, ok := overrides[v.status]; ok {
				v, avoid[i] = verdict{status: to}, true
			}
			changed[i] = v
		}
		a = pick(changed, avoid, quorum)
	}
	if a == nil {
		if ctx.Err() == nil {
			d.log.ErrorContext(ctx, "no quorum of storage nodes", "kind", t.Kind, "method", method, "path", t.Path, "statuses", statuses)
		}
		a = &Answer{Status: http.StatusServiceUnavailable, Header: http.Header{}, Body: TextBody(""), NoQuorum: true}
	}
	a.Statuses = statuses
	return a
}

// pick returns the answer of the first class with a quorum; those to be avoided count but are not chosen.
func pick(vs []verdict, avoid []bool, quorum int) *Answer {
	for _, c := range classes[1:] {
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
			return &Answer{Status: top.status, Header: h, Body: TextBody(top.body)}
		}
	}
	return nil
}

// collect waits until the answers, together with those that are there already, have a quorum, then for the rest for no
// longer than grace. n is how many will come.
func collect(out <-chan verdict, n int, vs []verdict, quorum int, grace time.Duration) []verdict {
	n += len(vs)
	for len(vs) < n && !settled(vs, quorum) {
		vs = append(vs, <-out)
	}
	if len(vs) == n {
		return vs
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for len(vs) < n {
		select {
		case v := <-out:
			vs = append(vs, v)
		case <-timer.C:
			return vs
		}
	}
	return vs
}
