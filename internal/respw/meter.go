package respw

import (
	"io"
	"math"
	"net/http"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

// NewMeter returns a writer that notes what was sent.
func NewMeter(w http.ResponseWriter, c clock.Clock) *Meter {
	return &Meter{head: head{ResponseWriter: w}, clock: c}
}

// Begin makes m what NewMeter returns.
func (m *Meter) Begin(client http.ResponseWriter, c clock.Clock) {
	*m = Meter{head: head{ResponseWriter: client}, clock: c}
}

// A Meter is what NewMeter returns. Read its fields when the handler has returned.
type Meter struct {
	head
	clock clock.Clock

	Status    int       // final status; 0 if the handler wrote nothing
	Bytes     int64     // of the body, as accepted by the writer below
	FirstByte time.Time // when the first byte of the body was handed down; zero if there was none
	Err       error     // first failure of a write: the client has gone, or what was being sent broke off

	// Passed, if set before anything is written, is told of the body's bytes as they pass. What is copied as a whole then
	// goes in pieces, of a size that files can still be sent at by the kernel.
	Passed func(n int64)
}

// piece is how much is copied between two calls of Passed.
const piece = 1 << 20

// WriteHeader notes the status.
func (m *Meter) WriteHeader(code int) {
	if m.wrote {
		return
	}
	if !informational(code) {
		m.wrote, m.Status = true, code
	}
	m.ResponseWriter.WriteHeader(code)
}

func (m *Meter) begin() {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	if m.FirstByte.IsZero() {
		m.FirstByte = m.clock.Now()
	}
}

func (m *Meter) note(n int64, err error) {
	m.Bytes += n
	if m.Passed != nil && n > 0 {
		m.Passed(n)
	}
	if err != nil && m.Err == nil {
		m.Err = err
	}
}

// Write counts p.
func (m *Meter) Write(p []byte) (int, error) {
	m.begin()
	n, err := m.ResponseWriter.Write(p)
	m.note(int64(n), err)
	return n, err
}

// ReadFrom counts what the writer below took. r goes down as it is: net/http finds the file to send by its type.
func (m *Meter) ReadFrom(r io.Reader) (int64, error) {
	m.begin()
	if m.Passed != nil {
		return m.readPieces(r)
	}
	n, err := Copy(m.ResponseWriter, r)
	m.note(n, err)
	return n, err
}

func (m *Meter) readPieces(r io.Reader) (sum int64, err error) {
	// net/http knows a file within a LimitedReader, but not within two.
	whole, ok := r.(*io.LimitedReader)
	if !ok {
		whole = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	for {
		part := &io.LimitedReader{R: whole.R, N: min(whole.N, piece)}
		n, err := Copy(m.ResponseWriter, part)
		whole.N -= n
		m.note(n, err)
		sum += n
		if err != nil || n < piece {
			return sum, err
		}
	}
}

// FlushError flushes.
func (m *Meter) FlushError() error {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(m.ResponseWriter).Flush()
}
