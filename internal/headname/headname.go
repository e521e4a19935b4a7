// Package headname carries header names with an equals sign over connections whose HTTP is net/http's.
//
// OpenStack Swift's s3api stores the metadata a_b of S3 as X-Object-Meta-A=5Fb, and sends it like that between its servers.
// An equals sign is none of the characters that a name may have (RFC 9110 5.1), and net/http refuses a head with such a
// name, or leaves the name out. So the bytes of a head are changed between the connection and net/http: in names, '=' is '|'
// there, which a name may have. [Swapper] does that, [Restore] undoes it in what net/http has read, and [Conn] is both
// for a server's connection, whose handlers call [Send] for what they answer.
//
// A head is as long before as after, so nothing is kept back or moved. Bodies are not touched: a Swapper finds the end of a
// head where net/http finds it.
//
// In a head that has names with an equals sign, names with a bar would become some too; others keep their bars.
package headname

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/meta"
)

const (
	sign = '=' // what names have on the wire
	bar  = '|' // what net/http sees instead
)

// A Swapper replaces a byte in the names of one message's head, as the head passes in pieces of any size. The zero value
// lets everything pass until the first Begin.
type Swapper struct {
	at       place
	response bool
	interim  bool // the head is one of those that come before an answer's
	swapped  bool
	from, to byte
	code     [3]byte  // an answer's status
	digits   int      // how many of the code have been read
	tail     [11]byte // the end of a request line
}

// place is where in a head a Swapper is.
type place uint8

const (
	outside   place = iota // behind the head
	leading                // before the first line, where net/http passes over line ends
	firstLine              // the request line, or an answer's protocol
	status                 // an answer's status
	lineStart
	name
	value    // behind the colon, and in what continues a line
	lastLine // behind the CR of what may be the empty line
)

func (s *Swapper) begin(response bool, from, to byte) {
	*s = Swapper{at: leading, response: response, from: from, to: to}
}

// BeginRead says that the next byte is the first of a head that net/http is going to read: of a request, or of an answer,
// with the interim ones before it.
func (s *Swapper) BeginRead(response bool) { s.begin(response, sign, bar) }

// BeginWrite says that the next byte is the first of an answer's head that net/http writes, or of an interim one before it.
func (s *Swapper) BeginWrite() { s.begin(true, bar, sign) }

// Swapped says whether there was a name in which something has been replaced since the last Begin.
func (s *Swapper) Swapped() bool { return s.swapped }

// Swap changes the next bytes of the message in their place.
func (s *Swapper) Swap(p []byte) {
	if s.at == leading && s.nothing(p) {
		s.at = outside
		return
	}
	for len(p) > 0 && s.at != outside {
		switch s.at {
		case name: // most of it is these two
			p = p[s.name(p):]
		case value:
			p = p[s.line(p):]
		default:
			p = p[s.step(p):]
		}
	}
}

var emptyLine = []byte("\r\n\r\n")

// nothing says that p begins with a whole head in which there is nothing to change, which is how nearly all of them come. If
// the head ends before the empty line that is found, the better.
func (s *Swapper) nothing(p []byte) bool {
	const version = len("HTTP/1.1")
	if len(p) <= version+1 || p[0] <= ' ' || s.response && (p[version] != ' ' || p[version+1] < '2') {
		return false
	}
	end := bytes.Index(p, emptyLine)
	return end >= 0 && bytes.IndexByte(p[:end], s.from) < 0
}

// step passes over some bytes; none only if it has got to another place.
func (s *Swapper) step(p []byte) int {
	switch s.at {
	case leading:
		if p[0] != '\r' && p[0] != '\n' {
			s.at = firstLine
		}
		return 1
	case firstLine:
		return s.firstLine(p)
	case status:
		return s.status(p[0])
	case lineStart:
		return s.lineStart(p[0])
	case lastLine:
		if p[0] == '\n' {
			s.end()
			return 1
		}
		s.at = name // net/http is going to refuse it
		return 0
	}
	panic("headname: no such place")
}

// line passes to the next line.
func (s *Swapper) line(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		return len(p)
	}
	s.at = lineStart
	return end + 1
}

// firstLine passes over a request line, or up to an answer's status.
func (s *Swapper) firstLine(p []byte) int {
	if s.response {
		switch p[0] {
		case ' ':
			s.at, s.digits = status, 0
		case '\n':
			s.at = lineStart
		}
		return 1
	}
	n := s.line(p)
	s.remember(p[:n])
	if s.at == lineStart && !isRequestLine(s.tail[:]) {
		s.at = outside
	}
	return n
}

// remember keeps the end of what has been passed over.
func (s *Swapper) remember(p []byte) {
	if len(p) < len(s.tail) {
		copy(s.tail[:], s.tail[len(p):])
		copy(s.tail[len(s.tail)-len(p):], p)
		return
	}
	copy(s.tail[:], p[len(p)-len(s.tail):])
}

// isRequestLine says whether a line that ends like this may be the first of a request. A server that has been sent the
// next request before it asked for it does not know where that began: what it takes for the first line may be of a body.
func isRequestLine(tail []byte) bool {
	const protocol = " HTTP/1."
	line := bytes.TrimSuffix(bytes.TrimSuffix(tail, []byte("\n")), []byte("\r"))
	return len(line) > len(protocol) && string(line[len(line)-len(protocol)-1:len(line)-1]) == protocol
}

// status finds out whether an answer is an interim one: 1xx, but 101, which is the last in HTTP.
func (s *Swapper) status(c byte) int {
	switch {
	case c == '\n':
		s.at = lineStart
	case s.digits > 0 || c != ' ':
		if s.digits < len(s.code) {
			s.code[s.digits] = c
			s.digits++
		}
		if s.digits == len(s.code) {
			s.interim = s.code[0] == '1' && s.code != [3]byte{'1', '0', '1'}
			s.at = value
		}
	}
	return 1
}

func (s *Swapper) lineStart(c byte) int {
	switch c {
	case '\n':
		s.end()
		return 1
	case '\r':
		s.at = lastLine
		return 1
	case ' ', '\t':
		s.at = value
		return 1
	}
	s.at = name
	return 0
}

// name changes a name, or what there is of it.
func (s *Swapper) name(p []byte) int {
	n := bytes.IndexByte(p, ':') + 1
	if n == 0 {
		n = len(p)
	} else {
		s.at = value
	}
	if end := bytes.IndexByte(p[:n], '\n') + 1; end > 0 {
		n, s.at = end, lineStart // a line without a colon, which net/http refuses
	}
	for rest := p[:n]; ; s.swapped = true {
		i := bytes.IndexByte(rest, s.from)
		if i < 0 {
			return n
		}
		rest[i] = s.to
		rest = rest[i+1:]
	}
}

// end is behind a head; behind an interim one there is the next.
func (s *Swapper) end() {
	if !s.interim {
		s.at = outside
		return
	}
	s.at, s.interim, s.digits = leading, false, 0
}

// Restore gives names with bars back their equals signs, in Swift's spelling. It is for heads in which a Swapper has found
// some.
func Restore(h http.Header) {
	for key, values := range h {
		if strings.IndexByte(key, bar) >= 0 {
			delete(h, key)
			key = meta.Title(strings.ReplaceAll(key, string(bar), string(sign)))
			h[key] = append(h[key], values...)
		}
	}
}
