package memcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/ini.v1"

	"github.com/apus-storage/apus/internal/config"
)

// The files with the options that all servers of a machine share, and their one section.
const (
	tomlName    = "memcache.toml"
	iniName     = "memcache.conf"
	baseSection = "memcache"
)

// readBase returns the section of memcache.toml, or else memcache.conf, in dir. Without either it is empty.
func readBase(dir string) (config.Section, error) {
	if dir == "" {
		return config.Section{}, nil
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
			return config.Section{}, fmt.Errorf("read the cache's options: %w", err)
		}
		file, err := source.parse(path, data)
		if err != nil {
			return config.Section{}, err
		}
		return section(file)
	}
	return config.Section{}, nil
}

// section returns the one section that the file may have.
func section(file *config.File) (config.Section, error) {
	root, _ := file.Section()
	for _, key := range root.Keys() {
		return root, root.Errorf(key, "stands outside of any section; put it under [%s]", baseSection)
	}
	for _, name := range file.Names() {
		if name != baseSection {
			return root, file.Errorf([]string{name}, "unknown section; the only one is [%s]", baseSection)
		}
	}
	s, _ := file.Section(baseSection)
	return s, nil
}

// parseINI reads the text of a memcache.conf and writes its section as TOML, each option on the line where it stood, so
// that one decoder with its places and its strictness serves both kinds of file.
func parseINI(path string, data []byte) (*config.File, error) {
	parsed, err := ini.LoadSources(ini.LoadOptions{
		// As Python's ConfigParser has it.
		InsensitiveKeys: true, IgnoreInlineComment: true, IgnoreContinuation: true, PreserveSurroundedQuote: true,
		AllowPythonMultilineValues: true, KeyValueDelimiters: "=:",
	}, data)
	if err != nil {
		return nil, &config.Error{File: path, Problem: err.Error()}
	}
	options := map[string]string{}
	for _, s := range parsed.Sections() {
		switch {
		case s.Name() == ini.DefaultSection || s.Name() == baseSection:
			for _, k := range s.Keys() {
				// Python's [DEFAULT] stands behind every section: it comes first here, and is overwritten.
				options[k.Name()] = k.String()
			}
		default:
			return nil, &config.Error{File: path, Key: s.Name(), Problem: "unknown section; the only one is [" + baseSection + "]"}
		}
	}
	return config.Parse(path, asTOML(string(data), options))
}

// asTOML writes the options so that each is on the last line of the text that begins with its name.
func asTOML(text string, options map[string]string) []byte {
	lines := strings.Split(text, "\n")
	where := map[string]int{}
	header := 0
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "["+baseSection+"]" && header == 0 {
			header = i
		}
		if at := strings.IndexAny(line, "=:"); at >= 0 {
			where[strings.ToLower(strings.TrimSpace(line[:at]))] = i
		}
	}
	out := make([]string, len(lines)+1)
	for key, value := range options {
		// An option of [DEFAULT] that stands above the header cannot keep its line.
		line := max(where[key], header+1)
		for line < len(out) && out[line] != "" {
			line++
		}
		if line >= len(out) {
			out = append(out, make([]string, line-len(out)+1)...)
		}
		out[line] = quote(key) + " = " + quote(value)
	}
	out[header] = "[" + baseSection + "]"
	return []byte(strings.Join(out, "\n"))
}

// quote writes s as a TOML string, whose escapes are those of JSON.
func quote(s string) string {
	b, _ := json.Marshal(s) // a string cannot fail
	return string(b)
}
