package readcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"path"

	"github.com/apus-storage/apus/internal/disk"
)

// A file is the body, then a description in JSON, then a footer of 32 bytes: what the footer ends is complete.
//
//	8 bytes  "APUSRC1\n"
//	8 bytes  length of the body, big endian
//	4 bytes  length of the description
//	4 bytes  CRC-32C of the body
//	4 bytes  CRC-32C of the description
//	4 bytes  CRC-32C of the 28 bytes before
//
// Its name is the SHA-256 of its key, in a directory of the first two digits.

const (
	magic      = "APUSRC1\n"
	footerSize = 32
	// maxDescription bounds what is read for it; S3 allows 8 KiB of headers.
	maxDescription = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("damaged")

// id is what a key is found by.
type id [sha256.Size]byte

func (k Key) id() id {
	var b []byte
	for _, s := range []string{k.Upstream, k.Bucket, k.Object, k.Version} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return sha256.Sum256(b)
}

func (h id) stripe() int { return int(binary.BigEndian.Uint16(h[:]) % 1024) }

// file is where a body is kept.
func (c *Cache) file(h id) string {
	name := hex.EncodeToString(h[:])
	return path.Join(c.Path, name[:2], name)
}

// description is what a file says of itself.
type description struct {
	Key    Key         `json:"key"`
	ETag   string      `json:"etag"`
	Header http.Header `json:"header"`
}

type footer struct {
	body           int64
	description    uint32
	bodySum        uint32
	descriptionSum uint32
}

func (f footer) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, uint64(f.body))
	b = binary.BigEndian.AppendUint32(b, f.description)
	b = binary.BigEndian.AppendUint32(b, f.bodySum)
	b = binary.BigEndian.AppendUint32(b, f.descriptionSum)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseFooter(b []byte) (footer, error) {
	if len(b) != footerSize || string(b[:8]) != magic || binary.BigEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return footer{}, fmt.Errorf("footer: %w", errDamaged)
	}
	f := footer{int64(binary.BigEndian.Uint64(b[8:])), binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint32(b[24:])}
	if f.body < 0 || f.description > maxDescription {
		return footer{}, fmt.Errorf("footer: %w", errDamaged)
	}
	return f, nil
}

// describe reads what a file says of itself, and checks all but its body.
func describe(f disk.File) (description, footer, error) {
	st, err := f.Stat()
	if err != nil {
		return description{}, footer{}, err
	}
	if st.Size < footerSize {
		return description{}, footer{}, fmt.Errorf("%d bytes: %w", st.Size, errDamaged)
	}
	var b [footerSize]byte
	if _, err := f.ReadAt(b[:], st.Size-footerSize); err != nil {
		return description{}, footer{}, err
	}
	foot, err := parseFooter(b[:])
	if err != nil {
		return description{}, footer{}, err
	}
	if st.Size != foot.body+int64(foot.description)+footerSize {
		return description{}, footer{}, fmt.Errorf("%d bytes: %w", st.Size, errDamaged)
	}
	text := make([]byte, foot.description)
	if _, err := f.ReadAt(text, foot.body); err != nil {
		return description{}, footer{}, err
	}
	var d description
	if crc32.Checksum(text, castagnoli) != foot.descriptionSum || json.Unmarshal(text, &d) != nil {
		return description{}, footer{}, fmt.Errorf("description: %w", errDamaged)
	}
	return d, foot, nil
}
