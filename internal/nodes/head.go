package nodes

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/apus-storage/apus/internal/ascii"
	"github.com/apus-storage/apus/internal/headname"
)

// appendHead appends the head of a request whose body has the given length; -1 for one in chunks.
func appendHead(b []byte, r *http.Request, length int64) ([]byte, error) {
	if !ascii.IsToken(r.Method) {
		return b, fmt.Errorf("method %q is none", r.Method)
	}
	target := r.URL.RequestURI()
	host := r.Host
	if !ascii.Is(host) || host == "" {
		host = r.URL.Host // the client's is for the node's log only, and net/http's servers refuse it
	}
	if !isLine(target) || !isLine(host) {
		return b, fmt.Errorf("target %q or host %q has a control character", target, host)
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
			continue // said here, and not twice
		}
		if !isName(name) {
			return b, fmt.Errorf("header name %q is none", name)
		}
		for _, v := range values {
			if !isLine(v) {
				return b, fmt.Errorf("header %s has a control character", name)
			}
			b = append(b, "\r\n"...)
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
		}
	}
	switch {
	case length < 0:
		b = append(b, "\r\nTransfer-Encoding: chunked"...)
	case length > 0, r.Method == http.MethodPut, r.Method == http.MethodPost:
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, length, 10)
	}
	if r.Close {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...), nil
}

// isName says whether s can be a header's name among Swift's servers: a token, or one that package headname carries.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !ascii.IsTokenByte(s[i]) && !headname.IsDelimiter(s[i]) {
			return false
		}
	}
	return s != ""
}

// isLine says whether s can stand in a head without ending its line.
func isLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
