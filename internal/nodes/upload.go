package nodes

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// An upload sends a request's body while the answer is waited for: a node may refuse in the middle of it.
type upload struct {
	tcp    *net.TCPConn
	body   io.ReadCloser
	length int64 // -1: in chunks
	done   chan struct{}
	err    error // after done
}

var errBodyLength = errors.New("request's body has another length than announced")

func startUpload(tcp *net.TCPConn, r *http.Request) *upload {
	u := &upload{tcp: tcp, body: r.Body, length: r.ContentLength, done: make(chan struct{})}
	if u.length == 0 {
		u.length = -1
	}
	go func() {
		u.err = u.send()
		u.body.Close()
		close(u.done)
		if u.err != nil {
			// The node must not take what it has got for the whole, nor its answer be waited for.
			u.tcp.Close()
		}
	}()
	return u
}

// pieces hold what is read of a body at a time, with room for the frame of a chunk.
var pieces = sync.Pool{New: func() any { return new([pieceHead + 64<<10 + pieceTail]byte) }}

const (
	pieceHead = 16 // size and line end
	pieceTail = 2  // line end
)

// send sends the body. Its last piece is kept back until the body has said that it is the last: what a filter finds wrong
// at the very end must reach the node as a body that broke off.
func (u *upload) send() error {
	buf := pieces.Get().(*[pieceHead + 64<<10 + pieceTail]byte)
	defer pieces.Put(buf)
	room := buf[pieceHead : len(buf)-pieceTail]
	for left := u.length; ; {
		n, err := u.body.Read(room)
		if u.length >= 0 {
			if left -= int64(n); left < 0 || err == io.EOF && left > 0 {
				return fmt.Errorf("%w: %d bytes", errBodyLength, u.length)
			}
			if left == 0 && err == nil {
				err = atEnd(u.body)
			}
		}
		if err != nil && err != io.EOF {
			return err
		}
		if n > 0 {
			piece := room[:n]
			if u.length < 0 {
				piece = chunk(buf[:], n)
			}
			if _, err := u.tcp.Write(piece); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if u.length < 0 {
				_, err := io.WriteString(u.tcp, "0\r\n\r\n")
				return err
			}
			return nil
		}
	}
}

// atEnd returns io.EOF if nothing is left of the body.
func atEnd(body io.Reader) error {
	var b [1]byte
	for {
		n, err := body.Read(b[:])
		switch {
		case n > 0:
			return errBodyLength
		case err != nil:
			return err
		}
	}
}

// chunk puts the frame around the n bytes behind the room for its head, and returns it all.
func chunk(buf []byte, n int) []byte {
	var room [pieceHead]byte
	head := append(strconv.AppendInt(room[:0], int64(n), 16), "\r\n"...)
	start := pieceHead - len(head)
	copy(buf[start:], head)
	copy(buf[pieceHead+n:], "\r\n")
	return buf[start : pieceHead+n+pieceTail]
}

// over says whether the upload has ended, and how.
func (u *upload) over() (bool, error) {
	select {
	case <-u.done:
		return true, u.err
	default:
		return false, nil
	}
}

// stop ends the upload and waits for that: a read of the body, or a write to the node, that is under way fails.
func (u *upload) stop() {
	u.tcp.Close()
	u.body.Close()
	<-u.done
}
