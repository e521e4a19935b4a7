package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// A lateLogger is handed out before the configuration that says how to log has been read.
type lateLogger struct {
	*slog.Logger
	handler *lateHandler
}

func newLateLogger(w io.Writer) lateLogger {
	var now atomic.Pointer[slog.Logger]
	now.Store(slog.New(slog.NewTextHandler(w, nil)))
	h := &lateHandler{now: &now}
	return lateLogger{slog.New(h), h}
}

// use makes l, and all that was derived from it, log to the given logger from now on.
func (l lateLogger) use(to *slog.Logger) { l.handler.now.Store(to) }

type lateHandler struct {
	now  *atomic.Pointer[slog.Logger]
	with []func(slog.Handler) slog.Handler
}

func (h *lateHandler) handler() slog.Handler {
	to := h.now.Load().Handler()
	for _, w := range h.with {
		to = w(to)
	}
	return to
}

// Enabled asks the current handler.
func (h *lateHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.now.Load().Handler().Enabled(ctx, level)
}

// Handle passes the record on.
func (h *lateHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.handler().Handle(ctx, r)
}

// WithAttrs remembers the attributes for whatever handler there will be.
func (h *lateHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup remembers the group for whatever handler there will be.
func (h *lateHandler) WithGroup(name string) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *lateHandler) and(f func(slog.Handler) slog.Handler) slog.Handler {
	return &lateHandler{now: h.now, with: append(append([]func(slog.Handler) slog.Handler(nil), h.with...), f)}
}
