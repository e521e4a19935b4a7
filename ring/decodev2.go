package ring

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
)

// Names of the sections of a file of version 2.
const (
	sectionMetadata    = "swift/ring/metadata"
	sectionDevices     = "swift/ring/devices"
	sectionAssignments = "swift/ring/assignments"
)

// Sizes of the end of a file of version 2, whose last parts are stored uncompressed.
const (
	offsetBlock = 18 // a stored block of eight bytes and the flush after it
	endBlock    = 13 // the final empty block, the checksum and the length
)

const (
	maxSection  = 4*maxAssignments + 8
	maxInflated = maxSection + 4*maxJSON
)

func decodeV2(data []byte) (*Ring, error) {
	r, err := ringFromSections(seekSections(data))
	if err == nil {
		return r, nil
	}
	// A file that somebody recompressed has lost the flush points that the index speaks of, but not its content.
	whole, werr := inflateSections(data)
	if werr != nil {
		return nil, werr
	}
	return ringFromSections(whole, nil)
}

// sections gives the payloads of named sections.
type sections struct {
	index map[string]place
	open  func(place) io.Reader // yields the section from its length on
}

// place says where a section is, and its digest.
type place struct {
	compressed, uncompressed int64 // where it starts
	size                     int64 // uncompressed, with the eight bytes of the length
	method, digest           string
}

// seekSections finds the index from the end of the file, without reading what is before it.
func seekSections(data []byte) (*sections, error) {
	tail := len(data) - offsetBlock - endBlock
	if tail < 0 {
		return nil, fmt.Errorf("%w: too short", ErrCorrupt)
	}
	var at [8]byte
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(data[tail:])), at[:]); err != nil {
		return nil, fmt.Errorf("%w: offset of the index: %w", ErrCorrupt, cut(err))
	}
	open := func(offset int64) io.Reader {
		if offset < 0 || offset >= int64(len(data)) {
			return bytes.NewReader(nil)
		}
		return flate.NewReader(bytes.NewReader(data[offset:]))
	}
	index, err := readIndex(open(int64(binary.BigEndian.Uint64(at[:]))))
	if err != nil {
		return nil, err
	}
	return &sections{index: index, open: func(p place) io.Reader { return open(p.compressed) }}, nil
}

// inflateSections inflates the whole file and finds the index in that.
func inflateSections(data []byte) (*sections, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	plain, err := io.ReadAll(io.LimitReader(zr, maxInflated+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case len(plain) > maxInflated:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxInflated)
	case len(plain) < 16:
		return nil, fmt.Errorf("%w: too short", ErrCorrupt)
	}
	open := func(offset int64) io.Reader {
		if offset < 0 || offset >= int64(len(plain)) {
			return bytes.NewReader(nil)
		}
		return bytes.NewReader(plain[offset:])
	}
	index, err := readIndex(open(int64(binary.BigEndian.Uint64(plain[len(plain)-16:]))))
	if err != nil {
		return nil, err
	}
	return &sections{index: index, open: func(p place) io.Reader { return open(p.uncompressed) }}, nil
}

func readIndex(r io.Reader) (map[string]place, error) {
	doc, err := readBlob(r, maxJSON)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	v, err := decodeJSON(doc[8:])
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: index is no json object", ErrCorrupt)
	}
	index := make(map[string]place, len(m))
	for name, entry := range m {
		p, err := parsePlace(entry)
		if err != nil {
			return nil, fmt.Errorf("index: section %q: %w", name, err)
		}
		index[name] = p
	}
	return index, nil
}

func parsePlace(v any) (place, error) {
	bad := fmt.Errorf("%w: want [start, start, end, end, method, digest], got %v", ErrCorrupt, v)
	list, ok := v.([]any)
	if !ok || len(list) != 6 {
		return place{}, bad
	}
	var n [4]int64
	for i := range n {
		if n[i], ok = list[i].(int64); !ok || n[i] < 0 || n[i] > math.MaxInt64/2 {
			return place{}, bad
		}
	}
	method, ok1 := list[4].(string)
	digest, ok2 := list[5].(string)
	if !ok1 || !ok2 || n[3] < n[1] {
		return place{}, bad
	}
	return place{compressed: n[0], uncompressed: n[1], size: n[3] - n[1], method: method, digest: digest}, nil
}

// readBlob reads a length and as many bytes, and returns both.
func readBlob(r io.Reader, limit int64) ([]byte, error) {
	head, err := readN(r, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	n := binary.BigEndian.Uint64(head)
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: section of %d bytes, want at most %d", ErrTooLarge, n, limit)
	}
	blob, err := io.ReadAll(io.MultiReader(bytes.NewReader(head), io.LimitReader(r, int64(n))))
	if err == nil && uint64(len(blob)) < 8+n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return blob, nil
}

// payload reads a section and verifies its digest.
func (s *sections) payload(name string, limit int64) ([]byte, error) {
	p, ok := s.index[name]
	if !ok {
		return nil, fmt.Errorf("%w: section %q is missing", ErrCorrupt, name)
	}
	blob, err := readBlob(s.open(p), limit)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", name, err)
	}
	if int64(len(blob)) != p.size {
		return nil, fmt.Errorf("%w: section %q has %d bytes, the index says %d", ErrCorrupt, name, len(blob), p.size)
	}
	h, err := newDigest(p.method)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", name, err)
	}
	h.Write(blob)
	if got := hex.EncodeToString(h.Sum(nil)); subtle.ConstantTimeCompare([]byte(got), []byte(p.digest)) != 1 {
		return nil, fmt.Errorf("%w: section %q has %s %s, the index says %s", ErrCorrupt, name, p.method, got, p.digest)
	}
	return blob[8:], nil
}

func newDigest(method string) (hash.Hash, error) {
	switch method {
	case "md5":
		return md5.New(), nil
	case "sha1":
		return sha1.New(), nil
	case "sha256":
		return sha256.New(), nil
	case "sha512":
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("%w: digest method %q, want md5, sha1, sha256 or sha512", ErrCorrupt, method)
}

func ringFromSections(s *sections, err error) (*Ring, error) {
	if err != nil {
		return nil, err
	}
	doc, err := s.payload(sectionMetadata, maxJSON)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(doc)
	if err != nil {
		return nil, err
	}
	ring, err := h.ring()
	if err != nil {
		return nil, err
	}
	width, err := h.integer("dev_id_bytes", 2)
	if err != nil {
		return nil, err
	}
	if width != 2 && width != 4 {
		return nil, fmt.Errorf("%w: dev_id_bytes %d, want 2 or 4", ErrCorrupt, width)
	}
	doc, err = s.payload(sectionDevices, maxJSON)
	if err != nil {
		return nil, err
	}
	list, err := decodeJSON(doc)
	if err != nil {
		return nil, fmt.Errorf("devices: %w", err)
	}
	if ring.devs, err = devicesFrom(list); err != nil {
		return nil, err
	}
	table, err := s.payload(sectionAssignments, maxSection)
	if err != nil {
		return nil, err
	}
	if err := ring.fillRows(table, int(width), h.replicas); err != nil {
		return nil, err
	}
	return ring.finish()
}

// fillRows cuts the table of assignments into rows.
func (r *Ring) fillRows(table []byte, width int, replicas float64) error {
	row := width << r.partPower
	if len(table)%width != 0 || len(table)/width > maxAssignments {
		return fmt.Errorf("%w: assignments of %d bytes for ids of %d bytes", ErrCorrupt, len(table), width)
	}
	// The last row is cut at a whole partition, so the count is only right to within one.
	if got := float64(len(table)) / float64(row); math.Abs(got-replicas)*float64(r.PartitionCount()) > 1 {
		return fmt.Errorf("%w: assignments for %v replicas, replica_count says %v", ErrCorrupt, got, replicas)
	}
	for len(table) > 0 {
		n := min(row, len(table))
		if width == 2 {
			r.rows.narrow = append(r.rows.narrow, narrowIDs(table[:n], binary.BigEndian))
		} else {
			ids := make([]uint32, n/4)
			for i := range ids {
				ids[i] = binary.BigEndian.Uint32(table[4*i:])
			}
			r.rows.wide = append(r.rows.wide, ids)
		}
		table = table[n:]
	}
	return nil
}
