// Package headname carries header names that are no tokens over connections whose HTTP is net/http's.
//
// A name may have some punctuation, and none of "(),/;<=>?@[\]{} (RFC 9110 5.1); net/http refuses a head with such a name, or
// leaves the name out. OpenStack Swift takes them all, and its s3api stores the metadata a_b of S3 as X-Object-Meta-A=5Fb. So
// the bytes of a head are changed between the connection and net/http: in names, these characters are '|' there, which a
// name may have. A [Swapper] does that and remembers what the names were; [Swapper.Restore] gives them back to what
// net/http has read. [Conn] is both for a server's connection, whose handlers call [Send] for what they answer.
//
// A request's Host is carried likewise, for Swift lets it be any bytes and domain_remap finds containers of any name by it;
// net/http refuses what is not ASCII. See host.go.
//
// What is no character of a name in Swift either stays what it is, and is refused: white space, above all, and what is not
// ASCII. A name that has been restored is none that net/http, or anybody who looks for a name that means something, could
// take for another: what it has in place of its bars says so, and it is spelled as others are.
//
// A head is as long before as after, so nothing is kept back or moved. Bodies are not touched: a Swapper finds the end of a
// head where net/http finds it, and [Conn] looks at nothing between the end of a request's head and the next request.
package headname

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/ascii"
	"github.com/apus-storage/apus/internal/meta"
)

// delimiters are what is carried besides the characters of a token. A colon ends a name.
const delimiters = "\"(),/;<=>?@[\\]{}"

// bar is what net/http sees instead.
const bar = '|'

// isDelimiter is delimiters by their bytes.
var isDelimiter = func() (t [256]bool) {
	for _, c := range []byte(delimiters) {
		t[c] = true
	}
	return t
}()

// Odd says whether a name has characters which only this package carries.
func Odd(name string) bool {
	for i := range len(name) {
		if isDelimiter[name[i]] {
			return true
		}
	}
	return false
}

// IsDelimiter says whether c is such a character.
func IsDelimiter(c byte) bool { return isDelimiter[c] }

// A Swapper changes bytes in the names of one message's head, as the head passes in pieces of any size. The zero value
// lets everything pass until the first Begin.
type Swapper struct {
	at       place
	response bool
	interim  bool // the head is one of those that come before an answer's
	swapped  bool
	code     [3]byte  // an answer's status
	digits   int      // how many of the code have been read
	tail     [11]byte // the end of a request line

	// Of a message that is read.
	heads    int        // how many heads have ended
	restored int        // how many net/http has read
	partial  []byte     // what there is of the name that is passing
	seen     []original // the names that are not what they were, and all others with bars
	inHost   bool       // what passes is the value of a request's Host
	host     string     // what it was; empty if nothing in it has been replaced

	// Of an answer that is written.
	writes []string // the names with bars that are going to pass, as they are to be sent, in this order; nil if it is read
	next   int      // which of them is next
	offset int      // how much of the name that is passing has
	barred bool     // there has been a bar in it
}

// original is a name as it was.
type original struct {
	name string
	head int // in which head, if there are interim ones
}

// place is where in a head a Swapper is.
type place uint8

const (
	outside   place = iota // behind the head
	leading                // before the first line, where line ends are passed over in an answer
	firstLine              // the request line, or an answer's protocol
	status                 // an answer's status
	lineStart
	name
	value    // behind the colon, and in what continues a line
	lastLine // behind the CR of what may be the empty line
)

// BeginRead says that the next byte is the first of a head that net/http is going to read: of a request, or of an answer,
// with the interim ones before it.
func (s *Swapper) BeginRead(response bool) {
	partial := s.partial[:0]
	if cap(partial) > 1<<10 {
		partial = nil
	}
	*s = Swapper{at: leading, response: response, partial: partial}
}

// BeginWrite says that the next byte is the first of an answer's head that net/http writes, or of an interim one before it.
// The names are those of its names with bars as they are to be sent, in the order in which net/http writes them.
func (s *Swapper) BeginWrite(names []string) {
	*s = Swapper{at: leading, response: true, writes: names}
}

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
			p = p[s.value(p):]
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
	if end < 0 || s.writes != nil {
		return false
	}
	for head := p[:end+2]; ; {
		line := bytes.IndexByte(head, '\n') + 1
		if head = head[line:]; line == 0 || len(head) == 0 {
			return true
		}
		if !s.response && hasOddHost(head) {
			return false
		}
		for _, c := range head {
			if c == ':' || c == '\n' {
				break
			}
			if isDelimiter[c] {
				return false
			}
		}
	}
}

// step passes over some bytes; none only if it has got to another place.
func (s *Swapper) step(p []byte) int {
	switch s.at {
	case leading:
		// What is empty where a request should begin may be the end of a head that has begun before.
		if !s.response || p[0] != '\r' && p[0] != '\n' {
			s.at = firstLine
			return 0
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

// isRequestLine says whether a line that ends like this may be the first of a request. Of one that net/http has read ahead a
// part of, what comes first here may be any line of the head, or its end.
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
	piece := p[:n]
	if s.at == value {
		piece = p[:n-1]
	}
	if s.writes != nil {
		s.unbar(piece)
	} else {
		s.swap(piece)
	}
	return n
}

// swap puts bars into a name that is read, and remembers what it was.
func (s *Swapper) swap(piece []byte) {
	s.partial = append(s.partial, piece...)
	for i, c := range piece {
		if isDelimiter[c] {
			piece[i], s.swapped = bar, true
		}
	}
	switch s.at {
	case name:
		return // there is more of it
	case value:
		s.inHost = !s.response && isHost(s.partial)
		if bytes.IndexByte(s.partial, bar) >= 0 || bytes.ContainsAny(s.partial, delimiters) {
			s.seen = append(s.seen, original{string(s.partial), s.heads})
		}
	}
	s.partial = s.partial[:0]
}

// unbar makes a name that is written what it is to be.
func (s *Swapper) unbar(piece []byte) {
	for i, c := range piece {
		if c != bar || s.next >= len(s.writes) {
			continue
		}
		if at := s.offset + i; at < len(s.writes[s.next]) {
			piece[i], s.swapped = s.writes[s.next][at], true
		}
		s.barred = true
	}
	s.offset += len(piece)
	if s.at == name {
		return
	}
	if s.barred {
		s.next++
	}
	s.offset, s.barred = 0, false
}

// end is behind a head; behind an interim one there is the next.
func (s *Swapper) end() {
	s.heads++
	s.next = 0
	if !s.interim {
		s.at = outside
		return
	}
	s.at, s.interim, s.digits = leading, false, 0
}

// Restore gives names with bars back what they were, in Swift's spelling. It is called once for each head that net/http has
// read of the message, in their order.
func (s *Swapper) Restore(h http.Header) {
	head := s.restored
	s.restored++
	if len(s.seen) > 0 {
		restore(h, s.seen, head)
	}
}

// restore finds the lines of a header in the order in which they came, which net/http keeps for those of one name.
func restore(h http.Header, seen []original, head int) {
	before := map[string][]string{}
	for _, o := range seen {
		if o.head != head {
			continue
		}
		key := http.CanonicalHeaderKey(plain(o.name))
		values, ok := before[key]
		if !ok {
			values = h[key]
			delete(h, key)
		}
		if len(values) == 0 {
			continue // cannot be: each line has been seen
		}
		before[key] = values[1:]
		if Odd(o.name) {
			key = meta.Title(o.name)
		}
		h[key] = append(h[key], values[0])
	}
}

// plain is a name as net/http sees it.
func plain(name string) string {
	if !Odd(name) {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		if isDelimiter[c] {
			b[i] = bar
		}
	}
	return string(b)
}

// bars puts bars into the names of an answer, and returns what [Swapper.BeginWrite] asks for; nil if there is nothing to do.
func bars(h http.Header) []string {
	var odd []string
	for key := range h {
		if Odd(key) {
			odd = append(odd, key)
		}
	}
	if odd == nil {
		return nil
	}
	slices.Sort(odd)
	lines := map[string][]string{} // what each name with bars is to be, line by line
	for key, values := range h {
		if strings.IndexByte(key, bar) >= 0 && !Odd(key) {
			lines[key] = slices.Repeat([]string{key}, len(values))
		}
	}
	for _, key := range odd {
		values, name := h[key], plain(key)
		delete(h, key)
		h[name] = append(h[name][:len(h[name]):len(h[name])], values...)
		lines[name] = append(lines[name], slices.Repeat([]string{key}, len(values))...)
	}
	names := []string{}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		if ascii.IsToken(name) {
			names = append(names, lines[name]...) // net/http leaves others out
		}
	}
	return names
}
