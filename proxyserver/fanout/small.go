package fanout

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// smallBody is up to what size an upload is read before nodes are asked, if it may be.
const smallBody = 64 << 10

// errLength says that a body did not have the length announced.
var errLength = errors.New("body has another length than announced")

// small says whether the upload can be a [Write] with a body. Nodes then get head and body in one piece, without the round
// trip of 100-continue, and a node that refuses can be replaced even after it has got the body.
func (p *Put) small() bool {
	return p.Whole && p.Length >= 0 && p.Length <= smallBody && p.Footers == nil && !p.IfNoneMatch
}

// putSmall reads the body and writes it to a node for each replica.
func (d *Dispatcher) putSmall(ctx context.Context, t Target, p Put) (*Answer, error) {
	body, err := readWhole(p.Body, int(p.Length))
	if err != nil {
		return nil, err
	}
	for _, h := range p.Headers {
		delete(h, "Expect")
	}
	w := Write{Method: http.MethodPut, Headers: p.Headers, Body: body}
	if d.inProcess && len(p.Headers) > 1 {
		sum := md5.Sum(body)
		w.sum = sum[:]
	}
	vs := d.spread(ctx, t, w)
	for _, v := range vs {
		if v.status == http.StatusConflict {
			return nil, ErrConflict
		}
	}
	return d.agreed(ctx, t, vs, Quorum(len(p.Headers)))
}

// readWhole reads a body of n bytes to its very end: a filter that checks the body as it passes says only there what it
// thinks of it.
func readWhole(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, n+1) // room to see that there is more
	for got := 0; ; {
		m, err := r.Read(buf[got:])
		got += m
		switch {
		case got > n, err == io.EOF && got < n:
			return nil, fmt.Errorf("%w: %d bytes", errLength, n)
		case err == io.EOF:
			return buf[:n], nil
		case err != nil:
			return nil, err
		}
	}
}

// agreed makes one answer of those of nodes that have got a body.
func (d *Dispatcher) agreed(ctx context.Context, t Target, vs []verdict, quorum int) (*Answer, error) {
	etag := ""
	for _, v := range vs {
		if v.status >= 300 || v.header == nil {
			continue
		}
		if e := strings.Trim(v.header.Get("Etag"), `"`); etag == "" {
			etag = e
		} else if e != etag {
			return nil, fmt.Errorf("%w: %s and %s", ErrEtags, etag, e)
		}
	}
	a := d.best(ctx, t, http.MethodPut, vs, quorum, nil)
	if a.NoQuorum {
		return nil, fmt.Errorf("%w: they answered %v in the end", ErrNoQuorum, a.Statuses)
	}
	if etag != "" && a.Status < 300 {
		a.Header.Set("Etag", etag)
	}
	return a, nil
}
