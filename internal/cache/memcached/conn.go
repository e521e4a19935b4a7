package memcached

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/apus-storage/apus/internal/cache"
)

// largestItem is more than any memcached keeps.
const largestItem = 1 << 30

// An answer is what a server said in place of what was hoped for.
type answer string

func (a answer) Error() string { return string(a) }

const (
	errNotFound  = answer("NOT_FOUND")
	errNotStored = answer("NOT_STORED")
	// errBadAnswer stands for what may be part of an item, which no log or error may show.
	errBadAnswer = answer("unexpected answer")
)

// A stored is an item as the protocol has it.
type stored struct {
	key    string
	flags  uint32
	expiry int32
	data   []byte
}

// A found is what a server keeps under a key, if it does.
type found struct {
	cache.Value
	ok bool
}

// A conn is a connection to one memcached, and speaks the text protocol with it. One goroutine uses it at a time.
type conn struct {
	net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	limit time.Duration // for each command, and each item of an answer
	armed time.Time     // when the deadline was last moved
}

func newConn(c net.Conn, limit time.Duration) *conn {
	return &conn{Conn: c, r: bufio.NewReader(c), w: bufio.NewWriter(c), limit: limit}
}

// arm lets what follows take the limit, or an eighth more: moving the deadline costs more than looking at the clock.
func (c *conn) arm() error {
	now := time.Now()
	if now.Sub(c.armed) < c.limit/8 {
		return nil
	}
	c.armed = now
	return c.SetDeadline(now.Add(c.limit + c.limit/8))
}

// reusable says whether the connection can be asked again after a command that ended with err.
func (c *conn) reusable(err error) bool {
	return c.r.Buffered() == 0 && (err == nil || errors.Is(err, errNotFound) || errors.Is(err, errNotStored))
}

// ask sends what has been written to c.w and reads the first line of the answer, which is valid until the next read.
func (c *conn) ask() ([]byte, error) {
	if err := c.arm(); err != nil {
		return nil, err
	}
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	return c.line()
}

// line reads a line, without its end.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errBadAnswer
	}
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, errBadAnswer
	}
	return line, nil
}

// refused is the error that a line means which is not the one that was hoped for.
func refused(line []byte) error {
	for _, why := range []string{"ERROR", "CLIENT_ERROR ", "SERVER_ERROR ", string(errNotFound), string(errNotStored)} {
		if bytes.HasPrefix(line, []byte(why)) {
			return answer(line)
		}
	}
	return errBadAnswer
}

// get asks for keys, of which there is one at least, and returns what is there of each.
func (c *conn) get(keys ...string) ([]found, error) {
	c.w.WriteString("get")
	for _, key := range keys {
		c.w.WriteByte(' ')
		c.w.WriteString(key)
	}
	c.w.WriteString("\r\n")
	items := make([]found, len(keys))
	line, err := c.ask()
	for {
		if err != nil {
			return nil, err
		}
		if string(line) == "END" {
			return items, nil
		}
		if err := c.item(line, keys, items); err != nil {
			return nil, err
		}
		if err := c.arm(); err != nil {
			return nil, err
		}
		line, err = c.line()
	}
}

// item reads the item that a line announces.
func (c *conn) item(line []byte, keys []string, items []found) error {
	rest, ok := bytes.CutPrefix(line, []byte("VALUE "))
	key, rest, ok2 := bytes.Cut(rest, []byte(" "))
	flags, rest, ok3 := bytes.Cut(rest, []byte(" "))
	size, _, _ := bytes.Cut(rest, []byte(" ")) // a number of the item may follow
	if !ok || !ok2 || !ok3 {
		return refused(line)
	}
	bits, err := strconv.ParseUint(string(flags), 10, 32)
	length, err2 := strconv.ParseUint(string(size), 10, 32)
	name := string(key) // what follows reads over it
	if err != nil || err2 != nil || length > largestItem {
		return errBadAnswer
	}
	data := make([]byte, length+2)
	if _, err := io.ReadFull(c.r, data); err != nil {
		return err
	}
	data, ok = bytes.CutSuffix(data, []byte("\r\n"))
	if !ok {
		return errBadAnswer
	}
	if bits&flagPickle != 0 {
		return nil // in a form that is not read, which is as good as none
	}
	for i := range keys {
		if keys[i] == name {
			items[i] = found{cache.Value{Data: data, JSON: bits&flagJSON != 0}, true}
		}
	}
	return nil
}

// set stores an item.
func (c *conn) set(it stored) error { return c.store("set", it) }

// add stores an item if there is none. The error is errNotStored if there is one.
func (c *conn) add(it stored) error { return c.store("add", it) }

func (c *conn) store(verb string, it stored) error {
	c.w.WriteString(verb)
	c.w.WriteByte(' ')
	c.w.WriteString(it.key)
	for _, n := range []int64{int64(it.flags), int64(it.expiry), int64(len(it.data))} {
		c.w.WriteByte(' ')
		c.w.Write(strconv.AppendInt(c.w.AvailableBuffer(), n, 10))
	}
	c.w.WriteString("\r\n")
	if err := c.arm(); err != nil { // a large item is sent by this Write
		return err
	}
	c.w.Write(it.data)
	c.w.WriteString("\r\n")
	return c.expect("STORED")
}

// remove deletes an item. The error is errNotFound if there is none.
func (c *conn) remove(key string) error {
	c.w.WriteString("delete ")
	c.w.WriteString(key)
	c.w.WriteString("\r\n")
	return c.expect("DELETED")
}

func (c *conn) expect(what string) error {
	line, err := c.ask()
	if err != nil || string(line) == what {
		return err
	}
	return refused(line)
}

// count changes a counter that is there.
func (c *conn) count(key string, delta int64) (uint64, error) {
	verb, by := "incr ", uint64(delta)
	if delta < 0 {
		// Negated in unsigned arithmetic, where the lowest number has an opposite too.
		verb, by = "decr ", -by
	}
	c.w.WriteString(verb)
	c.w.WriteString(key)
	c.w.WriteByte(' ')
	c.w.Write(strconv.AppendUint(c.w.AvailableBuffer(), by, 10))
	c.w.WriteString("\r\n")
	line, err := c.ask()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(line), 10, 64)
	if err != nil {
		return 0, refused(line)
	}
	return n, nil
}
