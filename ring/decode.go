package ring

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

const magic = "R1NG"

// Bounds on what a file may claim. The largest rings in use have some 2^23 partitions and a few thousand devices.
const (
	maxFile        = 1 << 30  // bytes of the compressed file
	maxJSON        = 64 << 20 // bytes of a JSON document in it
	maxAssignments = 1 << 28  // entries of the table of assignments
	maxReplicas    = 1 << 12
)

// Load reads the ring file at path, of version 1 or 2.
func Load(path string) (*Ring, error) {
	r, _, err := load(path)
	return r, err
}

// load returns the file's identity too, taken from the descriptor that was read.
func load(path string) (*Ring, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("load ring: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("load ring: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("load ring: %w", err)
	}
	r, err := Decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("load ring %s: %w", path, err)
	}
	return r, info, nil
}

// Decode reads the content of a ring file of version 1 or 2. Errors are [ErrCorrupt], [ErrVersion] and [ErrTooLarge].
func Decode(data []byte) (*Ring, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: file of more than %d bytes", ErrTooLarge, maxFile)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	var head [6]byte
	if _, err := io.ReadFull(zr, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, cut(err))
	}
	if string(head[:4]) != magic {
		return nil, fmt.Errorf("%w: starts with %q, want %q", ErrCorrupt, head[:4], magic)
	}
	var r *Ring
	switch version := binary.BigEndian.Uint16(head[4:]); version {
	case 1:
		r, err = decodeV1(zr)
	case 2:
		r, err = decodeV2(data)
	default:
		return nil, fmt.Errorf("%w %d", ErrVersion, version)
	}
	if err != nil {
		return nil, err
	}
	r.setFile(md5.Sum(data), len(data))
	return r, nil
}

// cut makes an end in the middle of something an error that says so.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readN reads n bytes, and grows with what is there instead of trusting n.
func readN(r io.Reader, n int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(data)) < n {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

func decodeV1(r io.Reader) (*Ring, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, cut(err))
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxJSON {
		return nil, fmt.Errorf("%w: header of %d bytes, want at most %d", ErrTooLarge, n, maxJSON)
	}
	doc, err := readN(r, int64(n))
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	h, err := parseHeader(doc)
	if err != nil {
		return nil, err
	}
	ring, err := h.ring()
	if err != nil {
		return nil, err
	}
	if ring.devs, err = devicesFrom(h.m["devs"]); err != nil {
		return nil, err
	}
	count := int(h.replicas)
	if float64(count) != h.replicas {
		return nil, fmt.Errorf("%w: replica_count %v, want an integer", ErrCorrupt, h.replicas)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h.m["byteorder"] == "big" {
		order = binary.BigEndian
	}
	for row := range count {
		data, err := io.ReadAll(io.LimitReader(r, 2<<ring.partPower))
		if err != nil {
			return nil, fmt.Errorf("%w: replica %d: %w", ErrCorrupt, row, err)
		}
		if len(data)%2 != 0 {
			return nil, fmt.Errorf("%w: replica %d ends within a device id", ErrCorrupt, row)
		}
		if len(data) == 0 {
			return nil, fmt.Errorf("%w: it ends before replica %d of %d", ErrCorrupt, row, count)
		}
		ring.rows.narrow = append(ring.rows.narrow, narrowIDs(data, order))
	}
	// Reading to the end makes gzip verify its checksum.
	if n, err := io.Copy(io.Discard, io.LimitReader(r, 1)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	} else if n > 0 {
		return nil, fmt.Errorf("%w: more follows the last replica", ErrCorrupt)
	}
	return ring.finish()
}

func narrowIDs(data []byte, order binary.ByteOrder) []uint16 {
	ids := make([]uint16, len(data)/2)
	for i := range ids {
		ids[i] = order.Uint16(data[2*i:])
	}
	return ids
}

// header is the JSON object that describes the table of assignments.
type header struct {
	m        map[string]any
	replicas float64
}

func parseHeader(doc []byte) (*header, error) {
	v, err := decodeJSON(doc)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: header is no json object", ErrCorrupt)
	}
	h := &header{m: m}
	switch n := m["replica_count"].(type) {
	case int64:
		h.replicas = float64(n)
	case float64:
		h.replicas = n
	default:
		return nil, fmt.Errorf("%w: replica_count is %v, want a number", ErrCorrupt, n)
	}
	if !(h.replicas >= 0 && h.replicas <= maxReplicas) {
		return nil, fmt.Errorf("%w: replica_count %v, want at most %d", ErrTooLarge, h.replicas, maxReplicas)
	}
	return h, nil
}

// integer returns an optional key, or missing.
func (h *header) integer(key string, missing int64) (int64, error) {
	v, ok := h.m[key]
	if !ok || v == nil {
		return missing, nil
	}
	n, ok := v.(int64)
	if !ok || n < 0 || n > math.MaxInt64/2 {
		return 0, fmt.Errorf("%w: %s is %v, want an integer that is not negative", ErrCorrupt, key, v)
	}
	return n, nil
}

// ring starts a ring with what the header says.
func (h *header) ring() (*Ring, error) {
	shift, err := h.integer("part_shift", -1)
	if err != nil {
		return nil, err
	}
	if shift < 0 || shift > MaxPartPower {
		return nil, fmt.Errorf("%w: part_shift %v, want 0 to %d", ErrCorrupt, h.m["part_shift"], MaxPartPower)
	}
	next, err := h.integer("next_part_power", -1)
	if err != nil {
		return nil, err
	}
	version, err := h.integer("version", 0)
	if err != nil {
		return nil, err
	}
	r := &Ring{partPower: uint(MaxPartPower - shift), nextPartPower: int(min(next, math.MaxInt32)), version: version}
	if entries := math.Ceil(h.replicas * float64(r.PartitionCount())); entries > maxAssignments {
		return nil, fmt.Errorf("%w: %v assignments, want at most %d", ErrTooLarge, entries, maxAssignments)
	}
	return r, nil
}

func devicesFrom(v any) ([]*Device, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: the device list is missing", ErrCorrupt)
	}
	devs := make([]*Device, len(list))
	for i, item := range list {
		if item == nil {
			continue
		}
		m, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: device %d is no json object", ErrCorrupt, i)
		}
		d, err := DeviceFromMap(m, i)
		if err != nil {
			return nil, err
		}
		devs[i] = d
	}
	return devs, nil
}
