package headname

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/ascii"
)

// mark is what net/http sees in a Host instead of a byte that is not ASCII: a host may have it, and it is as long.
const mark = '!'

const hostName = "host"

func isHost(name []byte) bool {
	return len(name) == len(hostName) && strings.EqualFold(string(name), hostName)
}

// hasOddHost says whether lines begin with that of a Host in which there is something to change.
func hasOddHost(lines []byte) bool {
	if len(lines) <= len(hostName) || lines[len(hostName)] != ':' || !isHost(lines[:len(hostName)]) {
		return false
	}
	for _, c := range lines {
		if c == '\n' {
			return false
		}
		if c >= 0x80 {
			return true
		}
	}
	return true // as far as one sees
}

// value passes over a header's value, and changes a Host's.
func (s *Swapper) value(p []byte) int {
	n := s.line(p)
	if !s.inHost {
		return n
	}
	s.partial = append(s.partial, p[:n]...)
	maskHost(p[:n])
	if s.at == value {
		return n // there is more of it
	}
	if !ascii.Is(s.partial) {
		s.host, s.swapped = strings.Trim(string(s.partial), " \t\r\n"), true
	}
	s.inHost, s.partial = false, s.partial[:0]
	return n
}

func maskHost(b []byte) {
	for i, c := range b {
		if c >= 0x80 {
			b[i] = mark
		}
	}
}

// restoreHost gives a request the host back that net/http has seen changed. That of an absolute URL counts instead of the
// header's, which nobody reads then.
func restoreHost(r *http.Request, host string) {
	changed := []byte(host)
	maskHost(changed)
	if r.URL.Host == "" && r.Host == string(changed) {
		r.Host = host
	}
}
