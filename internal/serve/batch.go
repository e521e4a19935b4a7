package serve

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// batchSize is up to how many bytes are written at once: what goes to a pipe stays in one piece up to there.
const batchSize = 4 << 10

// A batch gathers the lines of a log, each of which comes with one Write, and writes several at once. What has waited for the
// delay is written; without a delay nothing waits.
type batch struct {
	w     io.Writer
	delay time.Duration

	mu    sync.Mutex // guards what follows; held while writing
	lines []byte
	armed bool // flush is going to be called
}

// Write takes a line.
func (b *batch) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines)+len(line) > batchSize || b.delay <= 0 {
		b.send()
	}
	if len(line) > batchSize || b.delay <= 0 {
		return b.w.Write(line)
	}
	b.lines = append(b.lines, line...)
	if !b.armed {
		b.armed = true
		time.AfterFunc(b.delay, func() { b.flush(true) })
	}
	return len(line), nil
}

// flush writes what waits.
func (b *batch) flush(delayed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if delayed {
		b.armed = false
	}
	b.send()
}

func (b *batch) send() {
	if len(b.lines) > 0 {
		_, _ = b.w.Write(b.lines) // a log that cannot be written has nobody to tell
		b.lines = b.lines[:0]
	}
}

// urgent is a handler that lets nothing wait which somebody may have to look at.
type urgent struct {
	slog.Handler
	batch *batch
}

// Handle passes the record on, and has it written if it is a warning or worse.
func (u urgent) Handle(ctx context.Context, r slog.Record) error {
	err := u.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		u.batch.flush(false)
	}
	return err
}

// WithAttrs returns a handler whose messages all have the attributes.
func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.batch}
}

// WithGroup returns a handler that qualifies names.
func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.batch}
}
