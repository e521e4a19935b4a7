package listing

import (
	"fmt"
	"strings"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// RenderText returns the listing as lines of names. An entry without a name or subdir, or one that is no text, is
// ErrMalformed.
func RenderText(entries []Entry) ([]byte, error) {
	var b []byte
	for _, e := range entries {
		key := KeyName
		if !e.Has(key) {
			key = KeySubdir
		}
		s, ok := e.Text(key)
		if !ok {
			return nil, fmt.Errorf("%w: an entry without a name", ErrMalformed)
		}
		b = append(b, s...)
		b = append(b, '\n')
	}
	return b, nil
}

// RenderXML returns the listing of the account or container with the given name as XML. Keys that Swift does not show
// are left out; a missing one that it shows is ErrMalformed, and the caller serves the body untouched. Control
// characters are written as they are, as Swift does, although no XML parser takes them.
func RenderXML(entries []Entry, kind Kind, name string) ([]byte, error) {
	root, item, fields := "container", "object", []string{KeyName, KeyHash, KeyBytes, KeyContentType, KeyLastModified}
	if kind == Account {
		root, item, fields = "account", "container", []string{KeyName, KeyCount, KeyBytes, KeyLastModified}
	}
	b := make([]byte, 0, len(xmlHead)+128+200*len(entries))
	b = append(b, xmlHead...)
	b = append(b, '<')
	b = append(b, root...)
	b = append(b, ` name="`...)
	b = appendAttr(b, name)
	b = append(b, '"')
	if kind == Container && len(entries) == 0 {
		return append(b, " />"...), nil
	}
	b = append(b, '>')
	if kind == Account {
		b = append(b, '\n')
	}
	for _, e := range entries {
		var err error
		if e.Has(KeySubdir) {
			b, err = appendSubdir(b, e, kind)
		} else {
			b, err = appendItem(b, e, item, fields)
		}
		if err != nil {
			return nil, err
		}
		if kind == Account {
			b = append(b, '\n')
		}
	}
	b = append(b, "</"...)
	b = append(b, root...)
	return append(b, '>'), nil
}

func appendSubdir(b []byte, e Entry, kind Kind) ([]byte, error) {
	name, ok := e.Text(KeySubdir)
	if !ok {
		return nil, fmt.Errorf("%w: a subdir that is no text", ErrMalformed)
	}
	b = append(b, `<subdir name="`...)
	b = appendAttr(b, name)
	if kind == Account {
		return append(b, `" />`...), nil
	}
	b = append(b, `">`...)
	b = appendElement(b, KeyName, name)
	return append(b, "</subdir>"...), nil
}

func appendItem(b []byte, e Entry, item string, fields []string) ([]byte, error) {
	b = append(b, '<')
	b = append(b, item...)
	b = append(b, '>')
	for _, key := range fields {
		raw := e.Raw(key)
		if raw == "" {
			return nil, fmt.Errorf("%w: an entry without %s", ErrMalformed, key)
		}
		b = appendElement(b, key, xmlText(raw))
	}
	// Accounts show the policy since 2.38, after everything else.
	if policy := e.Raw(KeyStoragePolicy); policy != "" && item == "container" {
		b = appendElement(b, KeyStoragePolicy, xmlText(policy))
	}
	b = append(b, "</"...)
	b = append(b, item...)
	return append(b, '>'), nil
}

// xmlText shows a JSON value as Python's str() shows it; numbers, lists and objects as they are.
func xmlText(raw string) string {
	switch raw {
	case "null":
		return "None"
	case "true":
		return "True"
	case "false":
		return "False"
	}
	if s, ok := decodeString(raw); ok {
		return s
	}
	return raw
}

func appendElement(b []byte, name, text string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	if text == "" {
		return append(b, " />"...)
	}
	b = append(b, '>')
	b = appendText(b, text)
	b = append(b, "</"...)
	b = append(b, name...)
	return append(b, '>')
}

func appendText(b []byte, s string) []byte {
	for {
		i := strings.IndexAny(s, "&<>")
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		b = append(b, entity(s[i])...)
		s = s[i+1:]
	}
}

func appendAttr(b []byte, s string) []byte {
	for {
		i := strings.IndexAny(s, "&<>\"\r\n\t")
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		b = append(b, entity(s[i])...)
		s = s[i+1:]
	}
}

func entity(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&quot;"
	case '\r':
		return "&#13;"
	case '\n':
		return "&#10;"
	}
	return "&#09;"
}
