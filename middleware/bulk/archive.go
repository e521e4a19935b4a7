package bulk

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A fault is what is wrong with an archive, as the client is told.
type fault struct {
	text string
	err  error
}

func (f *fault) Error() string {
	if f.err == nil {
		return f.text
	}
	return f.text + ": " + f.err.Error()
}

// Unwrap gives the reason.
func (f *fault) Unwrap() error { return f.err }

// The texts are Swift's, which are Python's, as far as it finds the same fault.
const (
	textEmpty      = "empty file"
	textTruncated  = "truncated header"
	textChecksum   = "bad checksum"
	textHeader     = "invalid header"
	textEnd        = "unexpected end of data"
	textCompressed = "invalid compressed data"
	textGzip       = "not a gzip file"
	textLong       = "headers are too long"
	textBomb       = "most of it is not stored"
)

const (
	// maxHead bounds what stands before one file: its header, and records and names in front of that. archive/tar holds no
	// more than a few MiB of it in memory.
	maxHead = 4 << 20
	// What may be unpacked without being stored is this much, and a multiple of what the client has sent, and something
	// for the headers of each file that is stored: archives of small files shrink well.
	freeWaste    = 16 << 20
	wasteFactor  = 16
	wastePerFile = 4 << 10

	blockSize = 512
)

// An archive gives the files of a tar one after the other. It holds nothing but what archive/tar does.
type archive struct {
	client  *body
	content window // unpacked
	tar     *tar.Reader
	global  attributes
	waste   int64 // bytes unpacked without being stored
	stored  int64 // files
	begun   bool
}

// openArchive begins to read an archive: format is "", "gz" or "bz2".
func openArchive(client *body, format string) (*archive, error) {
	a := &archive{client: client, global: attributes{}}
	a.content = window{Reader: client, left: math.MaxInt64}
	switch format {
	case "gz":
		z, err := gzip.NewReader(client)
		if err != nil {
			return nil, &fault{textGzip, err}
		}
		a.content.Reader = z
	case "bz2":
		a.content.Reader = bzip2.NewReader(client)
	}
	return a, nil
}

// begin looks at the first header, of which there is more to say than archive/tar does.
func (a *archive) begin() error {
	a.begun = true
	block := make([]byte, blockSize)
	n, err := io.ReadFull(&a.content, block)
	switch {
	case err == io.EOF:
		return &fault{textEmpty, nil}
	case err == io.ErrUnexpectedEOF && a.content.err == nil:
		return &fault{textTruncated, nil}
	case err != nil:
		return a.fault(err)
	}
	if text := checkHeader(block[:n]); text != "" {
		return &fault{text, nil}
	}
	a.tar = tar.NewReader(io.MultiReader(bytes.NewReader(block), &a.content))
	return nil
}

// checkHeader says what is wrong with the checksum of a header, "" if nothing is.
func checkHeader(block []byte) string {
	if len(bytes.Trim(block, "\x00")) == 0 {
		return "" // the end
	}
	field, _, _ := strings.Cut(string(block[148:156]), "\x00")
	field = strings.TrimSpace(field)
	want, err := strconv.ParseInt(field, 8, 64)
	if err != nil && field != "" {
		return textHeader
	}
	var unsigned, signed int64
	for i, c := range block {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	if want != unsigned && want != signed {
		return textChecksum
	}
	return ""
}

// next returns the header of the next file, and its attributes with those of all files. The error is io.EOF at the end, and a
// *fault when there is something wrong.
func (a *archive) next(ctx context.Context) (*tar.Header, attributes, error) {
	if !a.begun {
		if err := a.begin(); err != nil {
			return nil, nil, err
		}
	}
	for {
		if err := a.skip(ctx); err != nil {
			return nil, nil, err
		}
		a.content.left = maxHead
		h, err := a.tar.Next()
		a.waste += maxHead - a.content.left
		a.content.left = math.MaxInt64
		switch {
		case errors.Is(err, tar.ErrInsecurePath): // names of objects are no paths of files
		case err == io.EOF && a.content.err == nil:
			return nil, nil, io.EOF
		case err == io.ErrUnexpectedEOF && a.content.err == nil:
			return nil, nil, &fault{textTruncated, err}
		case err != nil:
			return nil, nil, a.fault(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			if a.global.keep(h.PAXRecords); a.global.size() > maxGlobal {
				return nil, nil, &fault{textLong, nil}
			}
			continue
		}
		if !isFile(h.Typeflag) {
			continue
		}
		own := attributes{}
		own.keep(a.global)
		own.keep(h.PAXRecords)
		return h, own, nil
	}
}

// isFile says that an entry is a file. What is sparse is read with its holes filled.
func isFile(flag byte) bool {
	return flag == tar.TypeReg || flag == tar.TypeCont || flag == tar.TypeGNUSparse
}

// skip goes to the end of what is left of a file.
func (a *archive) skip(ctx context.Context) error {
	for {
		n, err := io.CopyN(io.Discard, a.tar, 1<<20)
		a.waste += n
		if a.waste > freeWaste+wasteFactor*a.client.n+wastePerFile*a.stored {
			return &fault{textBomb, fmt.Errorf("%d bytes of %d", a.waste, a.client.n)}
		}
		if err == io.EOF {
			return ctx.Err()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return a.fault(err)
		}
	}
}

// fault says what is wrong when reading has failed.
func (a *archive) fault(err error) error {
	text := textHeader
	switch {
	case errors.Is(err, errWindow), errors.Is(err, tar.ErrFieldTooLong):
		text = textLong
	case errors.Is(err, io.ErrUnexpectedEOF):
		text = textEnd
	case a.content.err != nil:
		text = textCompressed
	}
	return &fault{text, err}
}

// A window lets a bounded number of bytes through.
type window struct {
	io.Reader
	left int64
	err  error // of the reader, that is not the end
}

var errWindow = errors.New("no end of it")

// Read reads what is let through.
func (w *window) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, errWindow
	}
	n, err := w.Reader.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err != nil && err != io.EOF && w.err == nil {
		w.err = err
	}
	return n, err
}
