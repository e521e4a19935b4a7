package memcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/apus-storage/apus/internal/config"
)

// The files with the options that all servers of a machine share, and their sections: what stands under [DEFAULT] is
// behind what stands under [memcache].
const (
	tomlName       = "memcache.toml"
	iniName        = "memcache.conf"
	baseSection    = "memcache"
	defaultSection = "DEFAULT"
)

// base is what such a file says; the zero value says nothing.
type base struct{ own, shared config.Section }

// readBase reads memcache.toml, or else memcache.conf, in dir. Without either the result is empty.
func readBase(dir string) (base, error) {
	if dir == "" {
		return base{}, nil
	}
	for _, source := range []struct {
		name  string
		parse func(path string, data []byte) (*config.File, error)
	}{{tomlName, config.Parse}, {iniName, parseINI}} {
		path := filepath.Join(dir, source.name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return base{}, fmt.Errorf("read the cache's options: %w", err)
		}
		file, err := source.parse(path, data)
		if err != nil {
			return base{}, err
		}
		return sections(file)
	}
	return base{}, nil
}

// sections returns the sections that the file may have.
func sections(file *config.File) (base, error) {
	root, _ := file.Section()
	for _, key := range root.Keys() {
		return base{}, root.Errorf(key, "stands outside of any section; put it under [%s]", baseSection)
	}
	for _, name := range file.Names() {
		if name != baseSection && name != defaultSection {
			return base{}, file.Errorf([]string{name}, "unknown section; want [%s]", baseSection)
		}
	}
	var b base
	b.own, _ = file.Section(baseSection)
	b.shared, _ = file.Section(defaultSection)
	return b, nil
}

// parseINI reads the text of a memcache.conf and writes it as TOML, each option on the line where it stood, so that one
// decoder with its places and its strictness serves both kinds of file.
//
// Of the rules of Python's ConfigParser it keeps those that matter to these options: both separators, names in any case,
// values that go on in further indented lines, comments in lines of their own, %% for a percent sign. References to
// other options, %(name)s, are refused.
func parseINI(path string, data []byte) (*config.File, error) {
	var out []string
	option, indent := -1, 0 // the line of the option that may go on, and how far in it stands
	var value string
	fault := func(line int, problem string, args ...any) error {
		return &config.Error{File: path, Line: line + 1, Problem: fmt.Sprintf(problem, args...)}
	}
	for i, line := range strings.Split(string(data), "\n") {
		out = append(out, "")
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		in := len(line) - len(strings.TrimLeft(line, " \t"))
		switch key, rest, isOption := cutOption(text); {
		case option >= 0 && in > indent:
			value += "\n" + text
			key, _, _ = cutOption(out[option])
			out[option] = key + " = " + quote(value)
		case text[0] == '[' && text[len(text)-1] == ']':
			option = -1
			out[i] = "[" + quote(text[1:len(text)-1]) + "]"
		case !isOption:
			return nil, fault(i, "%q is neither a [section] nor an option with its value", text)
		default:
			option, indent, value = i, in, rest
			out[i] = quote(strings.ToLower(key)) + " = " + quote(rest)
		}
		if plain := strings.ReplaceAll(text, "%%", ""); strings.Contains(plain, "%") {
			return nil, fault(i, "a %% must be doubled; references to other options are not followed, write the value out")
		}
	}
	return config.Parse(path, []byte(strings.Join(out, "\n")))
}

func cutOption(text string) (key, value string, ok bool) {
	at := strings.IndexAny(text, "=:")
	if at <= 0 {
		return "", "", false
	}
	return strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+1:]), true
}

// quote writes s as a TOML string, whose escapes are those of JSON.
func quote(s string) string {
	b, _ := json.Marshal(strings.ReplaceAll(s, "%%", "%")) // a string cannot fail
	return string(b)
}
