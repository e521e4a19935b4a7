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
	"github.com/apus-storage/apus/internal/ini"
)

// The files with the options that all servers of a machine share, and their sections: what stands under [DEFAULT] is
// behind what stands under [memcache].
const (
	tomlName       = "memcache.toml"
	iniName        = "memcache.conf"
	baseSection    = "memcache"
	defaultSection = ini.Default
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
func parseINI(path string, data []byte) (*config.File, error) {
	parsed, err := ini.Parse(path, data, ini.Rules{})
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	at := 1
	write := func(line int, text string) {
		// What a second [DEFAULT] adds to the first comes right after it, which in TOML is not possible otherwise.
		line = max(line, at)
		out.WriteString(strings.Repeat("\n", line-at) + text + "\n")
		at = line + 1
	}
	for _, s := range parsed.Sections {
		write(s.Line, "["+quote(s.Name)+"]")
		for _, o := range s.Options {
			write(o.Line, quote(o.Key)+" = "+quote(o.Value))
		}
	}
	return config.Parse(path, []byte(out.String()))
}

// quote writes s as a TOML string, whose escapes are those of JSON but for the control character DEL.
func quote(s string) string {
	b, _ := json.Marshal(s) // a string cannot fail
	return strings.ReplaceAll(string(b), "\x7f", `\u007f`)
}
