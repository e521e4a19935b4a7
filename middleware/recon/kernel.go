package recon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/cache"
)

// mem shows /proc/meminfo.
func (n *node) mem() (any, error) {
	text, err := n.read("meminfo")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out, nil
}

// load shows /proc/loadavg.
func (n *node) load() (any, error) {
	text, err := n.read("loadavg")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return nil, fmt.Errorf("loadavg has %d fields, want 5", len(fields))
	}
	out := map[string]any{"tasks": fields[3]}
	for i, name := range []string{"1m", "5m", "15m"} {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return nil, err
		}
		out[name] = cache.Float(v)
	}
	if out["processes"], err = strconv.Atoi(fields[4]); err != nil {
		return nil, err
	}
	return out, nil
}

// mounted shows /proc/mounts.
func (n *node) mounted() (any, error) {
	text, err := n.read("mounts")
	if err != nil {
		return nil, err
	}
	out := []map[string]string{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) >= 2 {
			out = append(out, map[string]string{"device": fields[0], "path": fields[1]})
		}
	}
	return out, nil
}

// sockets shows what /proc/net/sockstat and sockstat6 say of TCP. A kernel without one of them has less to say.
func (n *node) sockets() (any, error) {
	out := map[string]int{}
	for _, s := range []struct {
		file, line string
		fields     map[string]int
	}{
		{"net/sockstat", "TCP: inuse", map[string]int{"tcp_in_use": 2, "orphan": 4, "time_wait": 6, "tcp_mem_allocated_bytes": 10}},
		{"net/sockstat6", "TCP6: inuse", map[string]int{"tcp6_in_use": 2}},
	} {
		text, err := n.read(s.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, s.line) {
				continue
			}
			if err := numbers(out, strings.Fields(line), s.fields); err != nil {
				return nil, fmt.Errorf("%s: %w", s.file, err)
			}
		}
	}
	if pages, ok := out["tcp_mem_allocated_bytes"]; ok {
		out["tcp_mem_allocated_bytes"] = pages * os.Getpagesize()
	}
	return out, nil
}

// numbers puts numbered fields of a line under their names.
func numbers(out map[string]int, fields []string, names map[string]int) error {
	for name, i := range names {
		if i >= len(fields) {
			return fmt.Errorf("line of %d fields, want %d", len(fields), i+1)
		}
		v, err := strconv.Atoi(fields[i])
		if err != nil {
			return err
		}
		out[name] = v
	}
	return nil
}
