package broker

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// pendingLimit is the size of a pending file, in bytes, from which on the next row goes to the database at once and
// takes the file's rows with it.
const pendingLimit = 131072

// appendRecord adds one record to the pending file. It is the hot path of every object PUT: no SQLite, one directory
// listing, one lock, one write.
func (d *database) appendRecord(tuple []any, wait time.Duration) error {
	unlock, err := d.p.lockDir(d.dir, wait)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", d.dir, ErrNotExist)
		}
		return err
	}
	defer unlock()
	// Looked up under the lock and for every row, as Swift does: another process may have removed the database, and an
	// accepted row must not go into the pending file of a database that is gone.
	file, err := d.live()
	if err != nil {
		return err
	}
	fd, err := openPending(d.pendingFile(), syscall.O_CREAT|syscall.O_APPEND|syscall.O_WRONLY)
	if err != nil {
		return err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		syscall.Close(fd)
		return err
	}
	if st.Size > pendingLimit {
		syscall.Close(fd)
		return d.mergeLocked(file, [][]any{tuple}, wait)
	}
	d.p.step("before append")
	err = appendAll(fd, encodeRecord(tuple), st.Size)
	// Close can report what write did not, on network file systems.
	if cerr := syscall.Close(fd); err == nil {
		err = cerr
	}
	d.p.step("after append")
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		return fmt.Errorf("append %s: %w", d.pendingFile(), err)
	}
	return nil
}

func openPending(path string, flags int) (int, error) {
	fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// appendAll writes the record whole or takes back what it wrote of it.
func appendAll(fd int, record []byte, size int64) error {
	for rest := record; len(rest) > 0; {
		n, err := syscall.Write(fd, rest)
		if err == syscall.EINTR {
			continue
		}
		if err == nil && n <= 0 {
			err = syscall.EIO
		}
		if err != nil {
			// A torn record would only be skipped with a warning, so failing to cut it off is not another error.
			_ = syscall.Ftruncate(fd, size)
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// encodeRecord makes a record: a colon and the base64 of the pickled tuple.
func encodeRecord(tuple []any) []byte {
	raw := appendTuple(make([]byte, 0, 256), tuple...)
	out := make([]byte, 1, 1+base64.StdEncoding.EncodedLen(len(raw)))
	out[0] = ':'
	return base64.StdEncoding.AppendEncode(out, raw)
}

// decodeRecords reads a pending file. Records that make no sense go to bad and are left out.
func decodeRecords(data []byte, bad func(record []byte, err error)) [][]any {
	var tuples [][]any
	for record := range bytes.SplitSeq(data, []byte{':'}) {
		if len(record) == 0 {
			continue
		}
		// Python's decoder ignores line breaks and so does this one.
		raw, err := base64.StdEncoding.DecodeString(string(record))
		if err == nil {
			var tuple []any
			if tuple, err = decodeTuple(raw); err == nil {
				tuples = append(tuples, tuple)
				continue
			}
		}
		bad(record, err)
	}
	return tuples
}

// settle merges the pending rows if there are any. A StaleOK reader goes on without them when something is locked.
func (d *database) settle(r Reading) error {
	wait := d.p.o.LockTimeout
	if r == StaleOK {
		wait = staleWait
	}
	err := d.Settle(wait)
	if r == StaleOK && errors.Is(err, ErrLocked) {
		return nil
	}
	return err
}

// Settle merges the rows of the pending file into the database, waiting for locks for at most the given time each.
func (d *database) Settle(wait time.Duration) error {
	// Rows that were accepted before this call are in the file by now, so an empty one needs no lock.
	if st, err := os.Stat(d.pendingFile()); err != nil || st.Size() == 0 {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	unlock, err := d.p.lockDir(d.dir, wait)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer unlock()
	file, err := d.live()
	if err != nil {
		if errors.Is(err, ErrNotExist) {
			return nil // a pending file does not make a database
		}
		return err
	}
	return d.mergeLocked(file, nil, wait)
}

// mergeLocked moves the rows of the pending file, and extra ones, into the database. The caller holds the directory's
// lock. The file is emptied only when its rows are safe.
func (d *database) mergeLocked(file string, extra [][]any, wait time.Duration) error {
	data, err := os.ReadFile(d.pendingFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tuples := decodeRecords(data, func(record []byte, err error) {
		d.p.o.Logger.Warn("skipping a pending row that cannot be read", "path", d.pendingFile(), "record", string(record), "err", err)
	})
	tuples = append(tuples, extra...)
	if len(tuples) > 0 {
		if err := d.mergeStable(file, tuples, wait); err != nil {
			return err
		}
	}
	if len(data) == 0 {
		return nil
	}
	d.p.step("before truncate")
	if err := os.Truncate(d.pendingFile(), 0); err != nil {
		return err
	}
	d.p.step("after truncate")
	return nil
}

// mergeStable merges into the database that file names, and again if another process put a different one in its place
// while the transaction ran: replication renames a merged copy over it without taking the directory's lock.
func (d *database) mergeStable(file string, tuples [][]any, wait time.Duration) error {
	for range 5 {
		before, err := statID(file)
		if err != nil {
			return err
		}
		if err := d.merge(file, tuples, wait); err != nil {
			return err
		}
		if after, err := statID(file); err != nil {
			return err
		} else if after == before {
			return nil
		}
	}
	return fmt.Errorf("merge into %s: replaced over and over: %w", file, ErrLocked)
}
