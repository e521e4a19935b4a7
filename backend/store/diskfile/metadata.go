package diskfile

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/pickle"
)

const (
	metadataAttr = "user.swift.metadata"
	checksumAttr = "user.swift.metadata_checksum"
	// attrChunk is how much of the metadata goes into one attribute.
	attrChunk = 65536
	nameKey   = "name"
	timeKey   = "X-Timestamp"
	ctypeKey  = "Content-Type"
	ctypeTime = "Content-Type-Timestamp"
	etagKey   = "ETag"
	lengthKey = "Content-Length"
	expiryKey = "X-Delete-At"
)

// errDamaged is the cause of a quarantine.
type errDamaged struct{ reason string }

func (e *errDamaged) Error() string { return e.reason }

func damaged(format string, args ...any) error {
	return &errDamaged{fmt.Sprintf(format, args...)}
}

// readMetadata returns a file's metadata, and the object's path from it. A *errDamaged if there is none or it is broken.
// With trust it is one attribute and its decoding, no more.
func (s *Store) readMetadata(f disk.File, trust bool) (store.Metadata, string, error) {
	buf := s.attrBufs.Get().(*[]byte)
	defer s.attrBufs.Put(buf)
	n, err := readAttr(f, metadataAttr, buf, 0)
	if err != nil {
		if unreadable(err) {
			err = damaged("metadata of %s: %v", f.Name(), err)
		}
		return nil, "", err
	}
	// A pickle ends with STOP, so one that decodes is complete and nobody needs to ask for a second attribute.
	items, errDecode := pickle.DecodeMetadata((*buf)[:n])
	for i := 1; errDecode != nil; i++ {
		more, err := readAttr(f, metadataAttr+strconv.Itoa(i), buf, n)
		if err != nil {
			if errors.Is(err, syscall.ENODATA) {
				return nil, "", damaged("metadata of %s: %v", f.Name(), errDecode)
			}
			return nil, "", err
		}
		n += more
		items, errDecode = pickle.DecodeMetadata((*buf)[:n])
	}
	if !trust {
		if err := checkSum(f, (*buf)[:n]); err != nil {
			return nil, "", err
		}
	}
	md, name := takeName(items)
	return md, name, nil
}

// checkSum compares the checksum of the metadata, which old files do not have.
func checkSum(f disk.File, data []byte) error {
	var have [33]byte
	n, err := f.Xattr(checksumAttr, have[:])
	if errors.Is(err, syscall.ENODATA) {
		return nil
	}
	if err != nil && !errors.Is(err, syscall.ERANGE) {
		return err
	}
	sum := md5.Sum(data)
	var want [32]byte
	hex.Encode(want[:], sum[:])
	if string(have[:n]) != string(want[:]) {
		return damaged("metadata checksum of %s is %q, not %q", f.Name(), have[:n], want[:])
	}
	return nil
}

// takeName separates the object's path from the metadata proper.
func takeName(items []pickle.KV) (store.Metadata, string) {
	i := slices.IndexFunc(items, func(kv pickle.KV) bool { return kv.Key == nameKey })
	if i < 0 {
		return items, ""
	}
	name := items[i].Value
	return slices.Delete(items, i, i+1), name
}

// unreadable tells whether an attribute is lost, so that the file is worth nothing.
func unreadable(err error) bool {
	return errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EUCLEAN)
}

// readAttr reads an attribute into *buf from position at on, making room as needed.
func readAttr(f disk.File, name string, buf *[]byte, at int) (int, error) {
	for {
		n, err := f.Xattr(name, (*buf)[at:])
		if !errors.Is(err, syscall.ERANGE) || len(*buf) > at+attrChunk {
			return n, err
		}
		grown := make([]byte, at+attrChunk+1)
		copy(grown, (*buf)[:at])
		*buf = grown
	}
}

// writeMetadata writes metadata and the object's path to a file's attributes. It may use the array of md.
func writeMetadata(f disk.File, path string, md store.Metadata) error {
	items := append(md, pickle.KV{Key: nameKey, Value: path})
	data := pickle.EncodeMetadata(items)
	sum := md5.Sum(data)
	for i := 0; i == 0 || len(data) > 0; i++ {
		name := metadataAttr
		if i > 0 {
			name += strconv.Itoa(i)
		}
		n := min(len(data), attrChunk)
		if err := f.SetXattr(name, data[:n]); err != nil {
			return attrError(err)
		}
		data = data[n:]
	}
	return attrError(f.SetXattr(checksumAttr, hex.AppendEncode(nil, sum[:])))
}

// attrError recognises attributes for which there can be no room: a single one that is too big for the file system.
func attrError(err error) error {
	if errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ERANGE) {
		return errors.Join(syscall.ENOSPC, err)
	}
	return err
}
