package attacks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A field is a line of a head.
type field struct{ name, value string }

// A message is a request that is being made, with nothing done to it that is not asked for.
type message struct {
	method, path, query string // as they are sent
	absolute            string // scheme and host before the path, "" for none
	host                string
	fields              []field
	body                string
	length              int // said in the head; -1 is that of the body
}

func request(w World, method, path string) *message {
	path, query, _ := strings.Cut(path, "?")
	return &message{method: method, path: path, query: query, host: w.Host, length: -1}
}

func (m *message) with(name, value string) *message {
	m.fields = append(m.fields, field{name, value})
	return m
}

func (m *message) carry(body string) *message {
	m.body = body
	return m
}

func (m *message) drop(name string) *message {
	m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return strings.EqualFold(f.name, name) })
	return m
}

func (m *message) get(name string) string {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// set changes a header where it stands.
func (m *message) set(name, value string) *message {
	for i := range m.fields {
		if strings.EqualFold(m.fields[i].name, name) {
			m.fields[i].value = value
			return m
		}
	}
	return m.with(name, value)
}

// swap changes a piece of a header.
func (m *message) swap(name, old, new string) *message {
	return m.set(name, strings.Replace(m.get(name), old, new, 1))
}

// ask adds to the query.
func (m *message) ask(query string) *message {
	if m.query != "" {
		m.query += "&"
	}
	m.query += query
	return m
}

func (m *message) bytes() []byte {
	var b bytes.Buffer
	target := m.absolute + m.path
	if m.query != "" {
		target += "?" + m.query
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", m.method, target, m.host)
	for _, f := range m.fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	length := m.length
	if length < 0 {
		length = len(m.body)
	}
	if length > 0 || m.method == "PUT" || m.method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	b.WriteString("\r\n" + m.body)
	return b.Bytes()
}

// how is the way to sign; what is empty is as it should be.
type how struct {
	at        time.Time
	region    string
	service   string
	end       string // of the scope
	day       string
	payload   string
	signed    []string // headers; nil is the host and all x-amz-*
	algorithm string
	noDate    bool
	expires   string // in seconds, of a presigned URL
	noExpires bool
}

func (h how) or(w World) how {
	or := func(to *string, value string) {
		if *to == "" {
			*to = value
		}
	}
	if h.at.IsZero() {
		h.at = w.Now
	}
	h.at = h.at.UTC()
	or(&h.region, w.Region)
	or(&h.service, "s3")
	or(&h.end, "aws4_request")
	or(&h.day, h.at.Format("20060102"))
	or(&h.payload, "UNSIGNED-PAYLOAD")
	or(&h.algorithm, "AWS4-HMAC-SHA256")
	or(&h.expires, "300")
	return h
}

func (h how) scope() string { return strings.Join([]string{h.day, h.region, h.service, h.end}, "/") }

const stamp = "20060102T150405Z"

func mac(key, text string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return string(m.Sum(nil))
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// derive makes the key of a day.
func (h how) derive(secret string) string {
	return mac(mac(mac(mac("AWS4"+secret, h.day), h.region), h.service), h.end)
}

// sign signs in the head, and returns the signature.
func (m *message) sign(w World, k Key, h how) *message {
	h = h.or(w)
	if !h.noDate {
		m.set("X-Amz-Date", h.at.Format(stamp))
	}
	m.set("X-Amz-Content-Sha256", h.payload)
	names := m.signedNames(h)
	signature := m.signature(k, h, names, h.payload)
	return m.set("Authorization", fmt.Sprintf("%s Credential=%s/%s,SignedHeaders=%s,Signature=%s", h.algorithm, k.Access, h.scope(),
		strings.Join(names, ";"), signature))
}

// presign signs in the query.
func (m *message) presign(w World, k Key, h how) *message {
	h = h.or(w)
	names := m.signedNames(h)
	m.ask("X-Amz-Algorithm=" + h.algorithm + "&X-Amz-Credential=" + url.QueryEscape(k.Access+"/"+h.scope()))
	m.ask("X-Amz-Date=" + h.at.Format(stamp))
	if !h.noExpires {
		m.ask("X-Amz-Expires=" + h.expires)
	}
	m.ask("X-Amz-SignedHeaders=" + url.QueryEscape(strings.Join(names, ";")))
	return m.ask("X-Amz-Signature=" + m.signature(k, h, names, h.payload))
}

func (m *message) signedNames(h how) []string {
	if h.signed != nil {
		return h.signed
	}
	names := []string{"host"}
	for _, f := range m.fields {
		if name := strings.ToLower(f.name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (m *message) signature(k Key, h how, names []string, payload string) string {
	var b strings.Builder
	b.WriteString(m.method + "\n" + canonicalPath(m.path) + "\n" + canonicalQuery(m.query) + "\n")
	for _, name := range names {
		var values []string
		if name == "host" {
			values = []string{m.host}
		}
		for _, f := range m.fields {
			if strings.EqualFold(f.name, name) {
				values = append(values, strings.TrimSpace(f.value))
			}
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + payload)
	text := h.algorithm + "\n" + h.at.Format(stamp) + "\n" + h.scope() + "\n" + sum(b.String())
	return hex.EncodeToString([]byte(mac(h.derive(k.Secret), text)))
}

func canonicalPath(path string) string {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return encode(decoded, "-._~/")
}

func canonicalQuery(query string) string {
	if query == "" {
		return ""
	}
	var pairs []string
	for piece := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil {
			return query
		}
		// A name is sorted before another that begins with it.
		pairs = append(pairs, encode(name, "-._~")+"\x00"+encode(value, "-._~"))
	}
	slices.Sort(pairs)
	return strings.ReplaceAll(strings.Join(pairs, "&"), "\x00", "=")
}

func encode(text, keep string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
