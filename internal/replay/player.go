package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/sigv4"
)

// patience is how long an answer may take.
const patience = 60 * time.Second

// minCapture is how long a captured value is at least, in bytes.
const minCapture = 6

// keys are the users of etc/functional-test.toml.
var keys = map[string]string{
	"admin:admin": "admin", "admin:auditor": "admin_ro", "test:tester": "testing", "test:tester2": "testing2",
	"test:tester3": "testing3", "test2:tester2": "testing2", "test5:tester5": "testing5", "test6:tester6": "testing6",
}

// unsteady are the headers that are not compared.
var unsteady = []string{"Date", "Server", "Connection", "Keep-Alive", "Transfer-Encoding", "X-Trans-Id", "X-Openstack-Request-Id"}

var (
	placeholder = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)
	boundary    = regexp.MustCompile(`boundary="?([^";]+)`)
)

// A player asks a server, with what it has learned from the answers.
type player struct {
	addr   string
	values map[string]string // captured
	tokens map[string]string // by user
	also   []string          // headers that are compared though they are unsteady
	now    func() time.Time
}

func newPlayer(addr string) *player {
	fresh := fmt.Sprintf("f%016x", rand.Uint64())
	return &player{addr: addr, values: map[string]string{"fresh": fresh}, tokens: map[string]string{}, now: time.Now}
}

// A response is an answer as it came.
type response struct {
	status int
	header http.Header
	body   []byte
	cut    bool
}

// play asks a row's request and returns its answer as it is compared.
func (p *player) play(r row) (answer, error) {
	token := ""
	if !r.S3 {
		var err error
		if token, err = p.token(r.User); err != nil {
			return answer{}, err
		}
	}
	request, err := p.request(r, token)
	if err != nil {
		return answer{}, err
	}
	res, err := p.send(r.Method, request)
	if err != nil {
		return answer{}, err
	}
	for name, how := range r.Capture {
		value, err := extract(how, res)
		if err == nil && len(value) < minCapture {
			err = fmt.Errorf("%q is too short to be found again", value)
		}
		if err != nil {
			return answer{}, fmt.Errorf("capture %s: %w", name, err)
		}
		p.values[name] = value
	}
	return p.steady(res), nil
}

// token logs a user in.
func (p *player) token(user string) (string, error) {
	if t, ok := p.tokens[user]; ok || user == "" {
		return t, nil
	}
	raw := fmt.Appendf(nil, "GET /auth/v1.0 HTTP/1.1\r\nHost: %s\r\nX-Auth-User: %s\r\nX-Auth-Key: %s\r\n\r\n", p.addr, user, keys[user])
	res, err := p.send("GET", raw)
	if err != nil {
		return "", err
	}
	token := res.header.Get("X-Auth-Token")
	if token == "" {
		return "", fmt.Errorf("log in: %d", res.status)
	}
	p.tokens[user] = token
	return token, nil
}

// request writes a row's request.
func (p *player) request(r row, token string) ([]byte, error) {
	body := r.Base64
	path, err := p.expand(r.Path)
	if err == nil && r.Body != "" {
		var text string
		text, err = p.expand(r.Body)
		body = []byte(text)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, path)
	sent := map[string]bool{}
	if r.S3 {
		signed, more := p.sign(r, path, body)
		err, r.Header = cmp.Or(err, more), signed
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		value, more := p.expand(r.Header[name])
		err = cmp.Or(err, more)
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		sent[http.CanonicalHeaderKey(name)] = true
	}
	if !sent["Host"] {
		fmt.Fprintf(&b, "Host: %s\r\n", p.addr)
	}
	if token != "" && !sent["X-Auth-Token"] {
		fmt.Fprintf(&b, "X-Auth-Token: %s\r\n", token)
	}
	switch {
	case r.Chunked && len(body) > 0:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	case r.Chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	default:
		if !sent["Content-Length"] {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
		}
		fmt.Fprintf(&b, "\r\n%s", body)
	}
	return b.Bytes(), err
}

// sign returns the headers of a row with the signature of its user.
func (p *player) sign(r row, path string, body []byte) (map[string]string, error) {
	request, err := http.NewRequest(r.Method, "http://"+p.addr+path, nil)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for name, value := range r.Header {
		if headers[name], err = p.expand(value); err != nil {
			return nil, err
		}
		if request.Header.Set(name, headers[name]); http.CanonicalHeaderKey(name) == "Host" {
			request.Host = headers[name]
		}
	}
	request.Header.Del("Host")
	sum := sha256.Sum256(body)
	signer := sigv4.NewSigner(r.User, keys[r.User], "", "us-east-1")
	if _, err := signer.Sign(request, hex.EncodeToString(sum[:]), p.now()); err != nil {
		return nil, err
	}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"} {
		headers[name] = request.Header.Get(name)
	}
	return headers, nil
}

// expand puts captured values in place of their names.
func (p *player) expand(text string) (string, error) {
	var err error
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := p.values[name[1:len(name)-1]]
		if !ok {
			err = fmt.Errorf("%s was not captured", name)
		}
		return value
	}), err
}

// send makes a request on a connection of its own.
func (p *player) send(method string, request []byte) (response, error) {
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return response{}, err
	}
	// A server may refuse without reading everything: what it said can still be read, so a failed write is no failure.
	_, _ = conn.Write(request)
	in := &swapped{Reader: conn}
	in.names.BeginRead(true)
	br := bufio.NewReader(in)
	res, err := http.ReadResponse(br, &http.Request{Method: method})
	for err == nil && res.StatusCode == http.StatusContinue {
		in.names.Restore(res.Header)
		res, err = http.ReadResponse(br, &http.Request{Method: method})
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return response{cut: true}, nil
	} else if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	in.names.Restore(res.Header)
	body, err := io.ReadAll(res.Body)
	cut := errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !cut {
		return response{}, err
	}
	return response{status: res.StatusCode, header: res.Header, body: body, cut: cut}, nil
}

// swapped reads answers whose names may be such as Swift has and net/http refuses.
type swapped struct {
	io.Reader
	names headname.Swapper
}

// Read reads.
func (s *swapped) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.names.Swap(p[:n])
	return n, err
}

// extract finds the value that a capture names.
func extract(how string, res response) (string, error) {
	kind, what, _ := strings.Cut(how, ":")
	switch kind {
	case "header":
		return res.header.Get(what), nil
	case "text":
		pattern, err := regexp.Compile(what)
		if err != nil {
			return "", err
		}
		if m := pattern.FindSubmatch(res.body); len(m) > 1 {
			return string(m[1]), nil
		}
		return "", fmt.Errorf("no %q in %q", what, res.body)
	case "json":
		var value any
		if err := json.Unmarshal(res.body, &value); err != nil {
			return "", err
		}
		return dig(value, strings.Split(what, "."))
	}
	return "", fmt.Errorf("unknown capture %q", how)
}

// dig follows a path into JSON.
func dig(value any, path []string) (string, error) {
	for _, step := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return "", fmt.Errorf("no element %q among %d", step, len(v))
			}
			value = v[i]
		default:
			return "", fmt.Errorf("no %q in %v", step, v)
		}
	}
	if s, ok := value.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(value)
	return string(b), err
}

// steady makes an answer comparable with one of another server and another day.
func (p *player) steady(res response) answer {
	a := answer{Status: res.status, Header: map[string]string{}, Cut: res.cut}
	text, mark := string(res.body), ""
	if m := boundary.FindStringSubmatch(res.header.Get("Content-Type")); m != nil {
		mark = m[1]
		text = strings.ReplaceAll(text, mark, "{boundary}")
	}
	if a.Text = text; utf8.ValidString(text) {
		a.Text = p.name(text)
	}
	for name, values := range res.header {
		value := strings.Join(values, ", ")
		switch bare := res.status == http.StatusNoContent || res.status == http.StatusNotModified; {
		case slices.Contains(unsteady, name) && !slices.Contains(p.also, name), bare && name == "Content-Length",
			res.status == http.StatusNotModified && name == "Content-Type":
			continue
		case name == "Allow":
			methods := strings.Split(value, ", ")
			slices.Sort(methods)
			value = strings.Join(methods, ", ")
		case name == "Content-Type" && mark != "":
			value = strings.ReplaceAll(value, mark, "{boundary}")
		}
		a.Header[name] = p.name(value)
	}
	return a
}

// name puts names in place of captured values, the longest first, and of whatever else varies.
func (p *player) name(text string) string {
	text = strings.ReplaceAll(text, p.addr, "{host}")
	names := slices.SortedFunc(maps.Keys(p.values), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(p.values[b]), len(p.values[a])), cmp.Compare(a, b))
	})
	now := p.now()
	for _, name := range names {
		// Two answers have the same time, or not, by chance.
		if value := p.values[name]; normalise(value, now) == value {
			text = strings.ReplaceAll(text, value, "{"+name+"}")
		}
	}
	return normalise(text, now)
}
