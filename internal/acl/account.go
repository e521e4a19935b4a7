package acl

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
)

// Header is the header with which owners see and set an account's list; SysmetaHeader is where it is stored, as the
// client wrote it.
const (
	Header        = "X-Account-Access-Control"
	SysmetaHeader = "X-Account-Sysmeta-Core-Access-Control"
)

// The keys of an account's list.
const (
	keyAdmin     = "admin"
	keyReadWrite = "read-write"
	keyReadOnly  = "read-only"
)

// Account is the access list of an account: who owns it like its users do, who may change and who may read what is in
// it.
type Account struct {
	Admin, ReadWrite, ReadOnly []string
}

// Empty reports whether the list names nobody.
func (a Account) Empty() bool { return len(a.Admin)+len(a.ReadWrite)+len(a.ReadOnly) == 0 }

// AccountError is an account's list that a client must not set: 400 text/plain.
type AccountError struct {
	Reason string // as Swift words it
	Input  string // the header value
}

func (e *AccountError) Error() string { return "parse account acl: " + e.Reason }

// Text returns the whole answer of tempauth. Like Swift's it shows the bytes of the input as one character each.
func (e *AccountError) Text() string {
	return Header + " invalid: " + e.Reason + "\n\nInput: " + meta.ToStored(e.Input) + "\n"
}

var errSyntax = errors.New("not a json object")

// ParseAccount reads and checks the list that a client sends. An empty value removes the list and is no error. The
// error is an [*AccountError].
func ParseAccount(value string) (Account, error) {
	keys, values, err := object(value)
	if err != nil {
		return Account{}, &AccountError{"Syntax error in input (" + repr(value) + ")", value}
	}
	for _, key := range keys {
		if key != keyAdmin && key != keyReadWrite && key != keyReadOnly {
			return Account{}, &AccountError{"Key " + quoted(key) + " not recognized", value}
		}
	}
	var a Account
	for _, f := range []struct {
		key  string
		into *[]string
	}{{keyAdmin, &a.Admin}, {keyReadWrite, &a.ReadWrite}, {keyReadOnly, &a.ReadOnly}} {
		raw, ok := values[f.key]
		if !ok {
			continue
		}
		list, isList, ok := stringList(raw)
		switch {
		case !isList:
			return Account{}, &AccountError{"Value for key " + quoted(f.key) + " must be a list", value}
		case !ok:
			return Account{}, &AccountError{"Elements of " + quoted(f.key) + " list must be strings", value}
		}
		*f.into = list
	}
	return a, nil
}

// StoredAccount reads the list in an account's sysmeta. ok is false if there is none that names anybody. Unknown keys,
// which another auth system may have set, are passed over; a known key that is not a list of strings makes the whole
// list void.
func StoredAccount(sysmeta string) (a Account, ok bool) {
	_, values, err := object(sysmeta)
	if err != nil {
		return Account{}, false
	}
	for key, into := range map[string]*[]string{keyAdmin: &a.Admin, keyReadWrite: &a.ReadWrite, keyReadOnly: &a.ReadOnly} {
		if raw, present := values[key]; present {
			if *into, _, ok = stringList(raw); !ok {
				return Account{}, false
			}
		}
	}
	return a, !a.Empty()
}

// FormatAccount returns a stored list as owners see it: keys sorted, no white space, ASCII only. ok is false if there
// is nothing to show. Swift takes each byte of a stored list as a character here and so shows two escapes for an é; this
// reads it as the UTF-8 it is.
func FormatAccount(sysmeta string) (header string, ok bool) {
	keys, _, err := object(sysmeta)
	if err != nil || len(keys) == 0 {
		return "", false
	}
	dec := json.NewDecoder(strings.NewReader(sysmeta))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return "", false
	}
	return string(appendCompact(nil, v)), true
}

// object reads a JSON object and keeps the order of its keys. No text is the empty object.
func object(s string) (keys []string, values map[string]json.RawMessage, err error) {
	if s == "" {
		return nil, nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(s))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') || !json.Valid([]byte(s)) {
		return nil, nil, errSyntax
	}
	values = map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		key, isText := t.(string)
		var raw json.RawMessage
		if err != nil || !isText || dec.Decode(&raw) != nil {
			return nil, nil, errSyntax
		}
		if _, twice := values[key]; !twice {
			keys = append(keys, key)
		}
		values[key] = raw
	}
	return keys, values, nil
}

func stringList(raw json.RawMessage) (list []string, isList, ok bool) {
	// json.Unmarshal would take null for a list, and null elements for empty strings.
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		return nil, false, false
	}
	var items []any
	if json.Unmarshal(raw, &items) != nil {
		return nil, true, false
	}
	for _, item := range items {
		s, isText := item.(string)
		if !isText {
			return nil, true, false
		}
		list = append(list, s)
	}
	return list, true, true
}

func quoted(s string) string { return string(listing.AppendString(nil, s)) }

func appendCompact(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(listing.AppendString(b, key), ':')
			b = appendCompact(b, v[key])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCompact(b, item)
		}
		return append(b, ']')
	case string:
		return listing.AppendString(b, v)
	case json.Number:
		return append(b, v...)
	case bool:
		if v {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	}
	return append(b, "null"...)
}
