package respw

import (
	"io"
	"net/http"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

// NewMeter returns a writer that notes what was sent.
func NewMeter(w http.ResponseWriter, c clock.Clock) *Meter {
	return &Meter{head: head{ResponseWriter: w}, clock: c}
}

// A Meter is what NewMeter returns. Read its fields when the handler has returned.
type Meter struct {
	head
	clock clock.Clock

	Status    int       // final status; 0 if the handler wrote nothing
	Bytes     int64     // of the body, as accepted by the writer below
	FirstByte time.Time // when the first byte of the body was handed down; zero if there was none
	Err       error     // first failure of a write: the client has gone, or what was being sent broke off
}

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
	n, err := Copy(m.ResponseWriter, r)
	m.note(n, err)
	return n, err
}

// FlushError flushes.
func (m *Meter) FlushError() error {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(m.ResponseWriter).Flush()
}
