package broker

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// Metadata is what a database remembers of request headers: title-cased name to value and time. A deleted name stays
// with an empty value, so that the deletion wins over older values from other replicas.
type Metadata map[string]MetaValue

// A MetaValue is one value and the internal form of the time it was set.
type MetaValue struct {
	Value     string
	Timestamp string
}

// MarshalJSON writes the pair [value, timestamp].
func (v MetaValue) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]string{v.Value, v.Timestamp})
}

// UnmarshalJSON reads the pair [value, timestamp].
func (v *MetaValue) UnmarshalJSON(data []byte) error {
	var pair []string
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("metadata value has %d parts, not 2", len(pair))
	}
	v.Value, v.Timestamp = pair[0], pair[1]
	return nil
}

// ParseMetadata reads the JSON text of the metadata column; the empty text is no metadata.
func ParseMetadata(text string) (Metadata, error) {
	m := Metadata{}
	if text == "" {
		return m, nil
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("parse metadata: %w", err)
	}
	return m, nil
}

// String is the JSON text of the metadata column.
func (m Metadata) String() string {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	// A map of strings always encodes.
	if err := e.Encode(map[string]MetaValue(m)); err != nil {
		panic(err)
	}
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

// merge takes over what is newer in updates and reports whether anything was. Times are compared as texts, which for
// the internal form is their order.
func (m Metadata) merge(updates Metadata) (changed bool) {
	for name, v := range updates {
		if old, ok := m[name]; !ok || v.Timestamp > old.Timestamp {
			m[name] = v
			changed = true
		}
	}
	return changed
}

// Metadata returns everything, deleted names too.
func (d *database) Metadata() (m Metadata, err error) {
	file, err := d.live()
	if err != nil {
		return nil, err
	}
	err = d.p.read(file, func(h *handle) error {
		m, err = d.readMetadata(h)
		return err
	})
	return m, err
}

// UpdateMetadata takes over the values that are newer than those stored. If check is not nil it sees the outcome
// before it is stored and may refuse it; its error is returned as it is.
func (d *database) UpdateMetadata(updates Metadata, check func(Metadata) error) error {
	if len(updates) == 0 {
		return nil
	}
	return d.update(func(h *handle) error {
		m, err := d.readMetadata(h)
		if err != nil {
			return err
		}
		if !m.merge(updates) {
			return nil
		}
		if check != nil {
			if err := check(m); err != nil {
				return err
			}
		}
		return d.writeMetadata(h, m)
	})
}

func (d *database) readMetadata(h *handle) (Metadata, error) {
	var raw string
	err := h.query("SELECT metadata FROM "+d.k.stat, nil, func(v []driver.Value) error {
		raw = text(v[0])
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ParseMetadata(raw)
}

func (d *database) writeMetadata(h *handle, m Metadata) error {
	_, err := h.exec("UPDATE "+d.k.stat+" SET metadata = ?", m.String())
	return err
}
