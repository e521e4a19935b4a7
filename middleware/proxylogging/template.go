package proxylogging

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/config"
)

// defaultTemplate is Swift's line.
const defaultTemplate = "{client_ip} {remote_addr} {end_time.datetime} {method} {path} {protocol} {status_int} {referer} " +
	"{user_agent} {auth_token} {bytes_recvd} {bytes_sent} {client_etag} {transaction_id} {headers} {request_time} {source} " +
	"{log_info} {start_time} {end_time} {policy_index} {access_user_id}"

// A part is a piece of a template: text, or a field.
type part struct {
	text  string
	field field
	// anonymized replaces the field's value by its hash.
	anonymized bool
	// time is how a time is written.
	time timeFormat
}

type field int

const (
	fieldText field = iota
	fieldClientIP
	fieldRemoteAddr
	fieldDomain
	fieldPath
	fieldReferer
	fieldUserAgent
	fieldHeaders
	fieldClientEtag
	fieldAccount
	fieldContainer
	fieldObject
	fieldUserID
	fieldMethod
	fieldProtocol
	fieldStatus
	fieldWireStatus
	fieldAuthToken
	fieldBytesReceived
	fieldBytesSent
	fieldTransID
	fieldRequestTime
	fieldSource
	fieldLogInfo
	fieldPolicy
	fieldFirstByte
	fieldPID
	fieldStartTime
	fieldEndTime
)

var fields = map[string]field{
	"client_ip": fieldClientIP, "remote_addr": fieldRemoteAddr, "domain": fieldDomain, "path": fieldPath,
	"referer": fieldReferer, "user_agent": fieldUserAgent, "headers": fieldHeaders, "client_etag": fieldClientEtag,
	"account": fieldAccount, "container": fieldContainer, "object": fieldObject, "access_user_id": fieldUserID,
	"method": fieldMethod, "protocol": fieldProtocol, "status_int": fieldStatus, "wire_status_int": fieldWireStatus,
	"auth_token": fieldAuthToken, "bytes_recvd": fieldBytesReceived, "bytes_sent": fieldBytesSent,
	"transaction_id": fieldTransID, "request_time": fieldRequestTime, "source": fieldSource, "log_info": fieldLogInfo,
	"policy_index": fieldPolicy, "ttfb": fieldFirstByte, "pid": fieldPID,
	"start_time": fieldStartTime, "end_time": fieldEndTime,
}

func (f field) isTime() bool { return f == fieldStartTime || f == fieldEndTime }

// private fields can be anonymized.
func (f field) private() bool { return f >= fieldClientIP && f <= fieldUserID }

// parseTemplate reads a template: text, names in braces, and doubled braces for braces.
func parseTemplate(s string) ([]part, error) {
	var parts []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c:
			text.WriteByte(c)
			i++
		case c == '}':
			return nil, fmt.Errorf("a } without its { after %q; write }} for a brace", s[:i])
		case c == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("a { without its } in %q; write {{ for a brace", s[i:])
			}
			p, err := parseField(s[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			flush()
			parts = append(parts, p)
			i += end
		default:
			text.WriteByte(c)
		}
	}
	flush()
	return parts, nil
}

func parseField(s string) (part, error) {
	if strings.ContainsAny(s, "!:[") {
		return part{}, fmt.Errorf("{%s}: conversions, widths and indices are not supported", s)
	}
	name, attr, dotted := strings.Cut(s, ".")
	f, ok := fields[name]
	if !ok {
		names := slices.Sorted(maps.Keys(fields))
		if n := config.Nearest(name, names); n != "" {
			return part{}, fmt.Errorf("unknown field {%s}; did you mean {%s}?", s, n)
		}
		return part{}, fmt.Errorf("unknown field {%s}; known are %s", s, strings.Join(names, ", "))
	}
	p := part{field: f}
	switch {
	case !dotted:
		return p, nil
	case f.isTime():
		if p.time, ok = timeFormats[attr]; !ok {
			return part{}, fmt.Errorf("{%s}: unknown form of a time; known are %s", s,
				strings.Join(slices.Sorted(maps.Keys(timeFormats)), ", "))
		}
		return p, nil
	case f.private() && attr == "anonymized":
		p.anonymized = true
		return p, nil
	case f.private():
		return part{}, fmt.Errorf("{%s}: the only other form is {%s.anonymized}", s, name)
	}
	return part{}, fmt.Errorf("{%s}: the field has no other forms", s)
}

// An anonymizer replaces values by their hashes.
type anonymizer struct {
	label string // what stands before the hash: "{SMD5}"
	salt  string
	new   func() hash.Hash
}

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	"sha3_224": func() hash.Hash { return sha3.New224() }, "sha3_256": func() hash.Hash { return sha3.New256() },
	"sha3_384": func() hash.Hash { return sha3.New384() }, "sha3_512": func() hash.Hash { return sha3.New512() },
}

func (c *Config) anonymizer() (anonymizer, error) {
	method := strings.ToLower(c.AnonymizationMethod)
	n, ok := hashes[method]
	if !ok {
		return anonymizer{}, errors.New("want one of " + strings.Join(slices.Sorted(maps.Keys(hashes)), ", "))
	}
	a := anonymizer{label: "{" + strings.ToUpper(method) + "}", salt: c.AnonymizationSalt, new: n}
	if a.salt != "" {
		a.label = "{S" + a.label[1:]
	}
	return a, nil
}

// hash returns what stands for a value; nothing for nothing.
func (a anonymizer) hash(value string) string {
	if value == "" {
		return ""
	}
	h := a.new()
	h.Write([]byte(a.salt))
	h.Write([]byte(value))
	return a.label + hex.EncodeToString(h.Sum(nil))
}
