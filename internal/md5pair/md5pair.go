// Package md5pair makes the MD5 of several streams in less processor time than one after the other. A step of MD5 waits for the
// one before, so that a processor is idle for half of the time; with the steps of two streams in turn it is not.
//
// A stream is an ordinary hash of crypto/md5. Whoever has something to add to one gives it to a [Group], which adds it at once,
// or together with what another goroutine gives it at the same moment. Nobody waits for a partner: a goroutine lets those go
// first that are ready to run, and if one of them is a partner, the two are a pair. So pairs come about where there are more
// streams than processors, which is where it matters.
//
//	var g md5pair.Group // of all uploads
//	h := md5.New()
//	g.Write(h, piece)
//	sum := h.Sum(nil)
//
// Only on amd64 there are pairs; elsewhere Write is that of the hash.
package md5pair

import (
	"encoding"
	"encoding/binary"
	"hash"
	"runtime"
	"sync"
)

const (
	blockSize = 64
	// worthIt is from how many bytes on a pair saves more than it costs to meet.
	worthIt = 8 << 10
)

// Group is the streams that may become pairs. The zero value is ready, and safe for concurrent use; a stream is used by one
// goroutine at a time.
type Group struct {
	mu      sync.Mutex // guards what follows
	waiting *piece     // nil for nobody
}

// piece is what one goroutine adds to its stream.
type piece struct {
	h    hash.Hash
	data []byte
	done chan struct{}
}

var pieces = sync.Pool{New: func() any { return &piece{done: make(chan struct{}, 1)} }}

// Write adds data to a stream of crypto/md5.
func (g *Group) Write(h hash.Hash, data []byte) {
	if !paired || len(data) < worthIt {
		h.Write(data)
		return
	}
	if p := g.partner(); p != nil {
		both(h, p.h, data, p.data)
		p.done <- struct{}{}
		return
	}
	p := pieces.Get().(*piece)
	p.h, p.data = h, data
	if g.offer(p) {
		runtime.Gosched()
		if !g.withdraw(p) {
			<-p.done
			p.release()
			return
		}
	}
	p.release()
	h.Write(data)
}

func (p *piece) release() {
	p.h, p.data = nil, nil
	pieces.Put(p)
}

// partner takes who waits.
func (g *Group) partner() *piece {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.waiting
	g.waiting = nil
	return p
}

// offer has a piece wait; false if another one does already.
func (g *Group) offer(p *piece) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting != nil {
		return false
	}
	g.waiting = p
	return true
}

// withdraw takes a piece back; false if somebody has taken it, who will say when it is done.
func (g *Group) withdraw(p *piece) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting != p {
		return false
	}
	g.waiting = nil
	return true
}

// both adds data to two streams.
func both(h1, h2 hash.Hash, d1, d2 []byte) {
	var s1, s2 state
	d1, ok1 := s1.open(h1, d1)
	d2, ok2 := s2.open(h2, d2)
	if n := min(len(d1), len(d2)) / blockSize; ok1 && ok2 && n > 0 {
		blocks(&s1.words, &s2.words, &d1[0], &d2[0], n)
		d1 = s1.close(h1, d1, n)
		d2 = s2.close(h2, d2, n)
	}
	h1.Write(d1)
	h2.Write(d2)
}

// state is what a stream of crypto/md5 has come to, in the form in which the package gives it out: a magic, four words, what
// is left of a block, and how many bytes there were in all.
type state struct {
	words [4]uint32
	form  [stateSize]byte
}

const (
	stateMagic = "md5\x01"
	wordsAt    = len(stateMagic)
	lengthAt   = wordsAt + 16 + blockSize
	stateSize  = lengthAt + 8
)

// open takes the state out of a stream, after it has brought it to the end of a block, and returns what is left of the data.
func (s *state) open(h hash.Hash, data []byte) ([]byte, bool) {
	a, ok := h.(encoding.BinaryAppender)
	if !ok {
		return data, false
	}
	form, err := a.AppendBinary(s.form[:0])
	if err != nil || len(form) != stateSize || string(form[:wordsAt]) != stateMagic {
		return data, false
	}
	if begun := binary.BigEndian.Uint64(form[lengthAt:]) % blockSize; begun > 0 {
		n := min(blockSize-int(begun), len(data))
		h.Write(data[:n])
		data = data[n:]
		if form, err = a.AppendBinary(s.form[:0]); err != nil {
			return data, false
		}
	}
	for i := range s.words {
		s.words[i] = binary.BigEndian.Uint32(form[wordsAt+4*i:])
	}
	return data, len(data) >= blockSize
}

// close puts the state back after n blocks, and returns the data behind them.
func (s *state) close(h hash.Hash, data []byte, n int) []byte {
	for i, w := range s.words {
		binary.BigEndian.PutUint32(s.form[wordsAt+4*i:], w)
	}
	length := s.form[lengthAt:]
	binary.BigEndian.PutUint64(length, binary.BigEndian.Uint64(length)+uint64(n)*blockSize)
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.form[:]); err != nil {
		panic("md5pair: crypto/md5 does not take its own state back: " + err.Error())
	}
	return data[n*blockSize:]
}
