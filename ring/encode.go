package ring

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/apus-storage/apus/ring/internal/atomicfile"
)

// A Format is a version of the ring file.
type Format int

const (
	// Format1 is read by every Swift. It holds device ids of two bytes.
	Format1 Format = 1
	// Format2 is read by Swift 2.36 and later, and can be read from the middle.
	Format2 Format = 2
)

// gzipTime is the time that ring writers put into the gzip header, so that equal rings make equal files.
var gzipTime = time.Unix(1300507380, 0)

// Save writes r to path in a format: to a temporary file in the same directory, which then replaces path, so that a
// reader sees the old ring or the new one.
func Save(path string, r *Ring, format Format) error {
	var buf bytes.Buffer
	if err := r.Encode(&buf, format, filepath.Base(path)); err != nil {
		return fmt.Errorf("save ring %s: %w", path, err)
	}
	if err := atomicfile.Replace(path, buf.Bytes()); err != nil {
		return fmt.Errorf("save ring: %w", err)
	}
	return nil
}

// Encode writes the content of a ring file to w. The name is noted in the gzip header, without its .gz.
func (r *Ring) Encode(w io.Writer, format Format, name string) error {
	name = strings.TrimSuffix(name, ".gz")
	switch format {
	case Format1:
		return r.encodeV1(w, name)
	case Format2:
		return r.encodeV2(w)
	}
	return fmt.Errorf("%w %d, want 1 or 2", ErrVersion, format)
}

func (r *Ring) encodeV1(w io.Writer, name string) error {
	if len(r.devs) > math.MaxUint16 || r.rows.wide != nil {
		return fmt.Errorf("%w: format 1 has room for %d devices; write format 2", ErrTooLarge, math.MaxUint16)
	}
	h := r.headerMap()
	h["byteorder"] = "little"
	h["devs"] = r.deviceList()
	h["replica_count"] = int64(r.rows.count())
	doc, err := appendJSON(nil, h)
	if err != nil {
		return err
	}
	zw, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	zw.Name, zw.ModTime = name, gzipTime
	buf := append([]byte(magic), 0, 1)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(doc)))
	if _, err := zw.Write(append(buf, doc...)); err != nil {
		return err
	}
	for _, row := range r.rows.narrow {
		buf = buf[:0]
		for _, id := range row {
			buf = binary.LittleEndian.AppendUint16(buf, id)
		}
		if _, err := zw.Write(buf); err != nil {
			return err
		}
	}
	return zw.Close()
}

// headerMap holds what the headers of both formats have in common.
func (r *Ring) headerMap() map[string]any {
	h := map[string]any{"part_shift": int64(MaxPartPower - r.partPower), "version": r.version}
	if r.nextPartPower >= 0 {
		h["next_part_power"] = int64(r.nextPartPower)
	}
	return h
}

func (r *Ring) deviceList() []any {
	list := make([]any, len(r.devs))
	for i, d := range r.devs {
		if d != nil {
			list[i] = d.Map()
		}
	}
	return list
}

func (r *Ring) encodeV2(w io.Writer) error {
	h := r.headerMap()
	h["replica_count"] = r.ReplicaCount()
	h["dev_id_bytes"] = int64(2)
	if r.rows.wide != nil {
		h["dev_id_bytes"] = int64(4)
	}
	metadata, err := appendJSON(nil, h)
	if err != nil {
		return err
	}
	devices, err := appendJSON(nil, r.deviceList())
	if err != nil {
		return err
	}
	s := newSectionWriter()
	s.section(sectionMetadata, metadata)
	s.section(sectionDevices, devices)
	s.section(sectionAssignments, r.table())
	if err := s.finish(); err != nil {
		return err
	}
	_, err = w.Write(s.out.Bytes())
	return err
}

// table returns the assignments as format 2 holds them.
func (r *Ring) table() []byte {
	var table []byte
	for _, row := range r.rows.narrow {
		for _, id := range row {
			table = binary.BigEndian.AppendUint16(table, id)
		}
	}
	for _, row := range r.rows.wide {
		for _, id := range row {
			table = binary.BigEndian.AppendUint32(table, id)
		}
	}
	return table
}

// sectionWriter makes a gzip file that is cut by full flushes. A full flush starts afresh, without reference to what
// was before; a new deflate stream after a flush of the old one is the same thing on the wire.
type sectionWriter struct {
	out   bytes.Buffer
	crc   uint32
	plain int64 // bytes so far, uncompressed
	index map[string]any
	err   error
}

func newSectionWriter() *sectionWriter {
	s := &sectionWriter{index: make(map[string]any)}
	head := [10]byte{0x1f, 0x8b, 8, 8: 2, 9: 255} // deflate, best compression, unknown system
	binary.LittleEndian.PutUint32(head[4:], uint32(gzipTime.Unix()))
	s.out.Write(head[:])
	s.block([]byte(magic+"\x00\x02"), flate.NoCompression)
	return s
}

// block writes data and a flush.
func (s *sectionWriter) block(data []byte, level int) {
	if s.err != nil {
		return
	}
	fw, err := flate.NewWriter(&s.out, level)
	if err == nil {
		_, err = fw.Write(data)
	}
	if err == nil {
		err = fw.Flush()
	}
	s.err = err
	s.crc = crc32.Update(s.crc, crc32.IEEETable, data)
	s.plain += int64(len(data))
}

// blob writes a payload after its length.
func (s *sectionWriter) blob(payload []byte) []byte {
	blob := append(binary.BigEndian.AppendUint64(nil, uint64(len(payload))), payload...)
	s.block(blob, flate.BestCompression)
	return blob
}

func (s *sectionWriter) section(name string, payload []byte) {
	from, fromPlain := int64(s.out.Len()), s.plain
	sum := sha256.Sum256(s.blob(payload))
	s.index[name] = []any{from, fromPlain, int64(s.out.Len()), s.plain, "sha256", hex.EncodeToString(sum[:])}
}

// finish writes the index, where it is, and the end of the file.
func (s *sectionWriter) finish() error {
	at, atPlain := s.out.Len(), s.plain
	doc, err := appendJSON(nil, s.index)
	if err != nil {
		return err
	}
	s.blob(doc)
	s.block(binary.BigEndian.AppendUint64(nil, uint64(atPlain)), flate.NoCompression)
	s.block(binary.BigEndian.AppendUint64(nil, uint64(at)), flate.NoCompression)
	end := []byte{1, 0, 0, 0xff, 0xff}
	end = binary.LittleEndian.AppendUint32(end, s.crc)
	end = binary.LittleEndian.AppendUint32(end, uint32(s.plain))
	s.out.Write(end)
	return s.err
}
