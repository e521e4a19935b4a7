package fanout

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/ranges"
)

// resuming is a body that goes on with another node when its node breaks off or stalls. The client sees one body.
//
// Of a body of several ranges, the next node sends all again, and what the client has is dropped.
type resuming struct {
	r        *reading
	ctx      context.Context
	s        *source
	etag     string
	boundary string // of several ranges
	length   string // Content-Length with several ranges
	timeout  time.Duration
	sent     int64 // of what was asked for
	skip     int64 // bytes of s that the client has
	once     sync.Once
}

// Read reads on, from another node if need be.
func (b *resuming) Read(p []byte) (int, error) {
	for {
		timer := time.AfterFunc(b.timeout, b.s.cancel)
		n, err := b.s.resp.Body.Read(p)
		stalled := !timer.Stop()
		if b.skip > 0 {
			had := int(min(b.skip, int64(n)))
			n = copy(p, p[had:n])
			b.skip -= int64(had)
			if n == 0 && err == nil {
				continue
			}
		}
		b.sent += int64(n)
		if n > 0 {
			return n, nil // an error will come again
		}
		if err == nil || err == io.EOF {
			return 0, err
		}
		if stalled {
			err = errNodeTimeout
		}
		if err := b.goOn(err); err != nil {
			return 0, err
		}
	}
}

// WriteTo copies to w what is left. A node in this process writes straight into w; what comes from another process's socket
// may go into w's within the kernel.
func (b *resuming) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if c, ok := b.s.resp.Body.(nodes.Copier); ok {
			n, err := c.CopyTo(w, b.timeout)
			total, b.sent = total+n, b.sent+n
			if err == nil {
				return total, nil
			}
			if broken, ok := errors.AsType[*nodes.DestinationError](err); ok {
				return total, broken.Err
			}
			if errors.Is(err, os.ErrDeadlineExceeded) && b.ctx.Err() == nil {
				err = errNodeTimeout
			}
			switch next := b.goOn(err); next {
			case nil:
				continue
			case io.EOF:
				return total, nil
			default:
				return total, next
			}
		}
		wt, ok := b.s.resp.Body.(io.WriterTo)
		if !ok {
			n, err := b.copy(w)
			return total + n, err
		}
		n, err := wt.WriteTo(w)
		total, b.sent = total+n, b.sent+n
		// Whether the node broke off or the client has gone cannot be told: if it is the client, the next node's
		// first bytes show it.
		if err == nil || b.ctx.Err() != nil || errors.Is(err, http.ErrContentLength) {
			return total, err
		}
		if next := b.goOn(err); next == io.EOF {
			return total, nil
		} else if next != nil {
			return total, next
		}
		if n == 0 {
			m, err := b.copy(w)
			return total + m, err
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func (b *resuming) copy(w io.Writer) (int64, error) {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{b}, buf[:])
}

// goOn replaces the node. It returns the cause when that cannot be done.
func (b *resuming) goOn(cause error) error {
	if b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	b.r.d.fault(b.s.node, b.r.t, b.r.method, "sending a body", cause)
	h := b.r.header
	if b.boundary == "" {
		var err error
		if h, err = b.rest(); errors.Is(err, ranges.ErrComplete) {
			return io.EOF
		} else if err != nil {
			return cause
		}
	}
	next, err := b.r.another(b.ctx, b.etag, h, b.fits)
	if err != nil {
		return errors.Join(cause, err)
	}
	if b.boundary != "" {
		from, _ := ranges.BoundaryOf(next.resp.Header.Get("Content-Type"))
		next.resp.Body = struct {
			io.Reader
			io.Closer
		}{ranges.Reframe(next.resp.Body, from, b.boundary), next.resp.Body}
		b.skip = b.sent
	}
	b.s.close()
	b.s = next
	return nil
}

// fits says whether an answer with the same entity tag is of the same bytes, but for the boundary.
func (b *resuming) fits(h http.Header) bool {
	if b.boundary == "" {
		return true
	}
	boundary, _ := ranges.BoundaryOf(h.Get("Content-Type"))
	return len(boundary) == len(b.boundary) && h.Get("Content-Length") == b.length
}

// rest returns the request's headers for what has not been sent yet.
func (b *resuming) rest() (http.Header, error) {
	set, _ := ranges.Parse(b.r.header.Get("Range"))
	if b.s.resp.StatusCode == http.StatusOK {
		set = nil // a Range that the node did not honour
	}
	h := b.r.header.Clone()
	h.Del("Range")
	if b.sent > 0 || len(set) > 0 {
		rest, err := set.Advance(b.sent)
		if err != nil {
			return nil, err
		}
		h.Set("Range", rest.String())
	}
	return h, nil
}

// Close lets the node go.
func (b *resuming) Close() error {
	b.once.Do(func() {
		b.s.close()
		b.r.nodes.close()
	})
	return nil
}
