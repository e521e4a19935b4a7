package serve

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// A textHandler writes what slog.TextHandler writes. Messages without attributes of their own, such as the lines of an access
// log, it writes itself: slog's quotes them letter by letter, which would be half of what such a line costs.
type textHandler struct {
	*slog.TextHandler
	w    io.Writer
	tail []byte // the attributes that every message has, with the line's end
}

// newTextHandler makes a handler that writes each message with one Write. w is used by several at once.
func newTextHandler(w io.Writer, o *slog.HandlerOptions) slog.Handler {
	return textHandler{TextHandler: slog.NewTextHandler(w, o), w: w, tail: []byte("\n")}
}

// WithAttrs returns a handler whose messages all have the attributes.
func (h textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b bytes.Buffer
	line := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
	line.AddAttrs(attrs...)
	_ = slog.NewTextHandler(&b, nil).Handle(context.Background(), line) // a buffer takes everything
	more := bytes.TrimPrefix(b.Bytes(), []byte("level=INFO msg=m"))
	h.tail = append(bytes.TrimSuffix(bytes.Clone(h.tail), []byte("\n")), more...)
	h.TextHandler = h.TextHandler.WithAttrs(attrs).(*slog.TextHandler)
	return h
}

// WithGroup returns a handler that qualifies names, which slog's knows how to do.
func (h textHandler) WithGroup(name string) slog.Handler { return h.TextHandler.WithGroup(name) }

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}

// Handle writes a message.
func (h textHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.NumAttrs() > 0 || r.Time.IsZero() || !printable(r.Message) {
		return h.TextHandler.Handle(ctx, r)
	}
	buf := lines.Get().(*[]byte)
	defer lines.Put(buf)
	b := append((*buf)[:0], slog.TimeKey+"="...)
	b = r.Time.AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, " "+slog.LevelKey+"="...)
	b = append(b, r.Level.String()...)
	b = append(b, " "+slog.MessageKey+"="...)
	b = appendQuoted(b, r.Message)
	b = append(b, h.tail...)
	*buf = b
	_, err := h.w.Write(b)
	return err
}

// printable says that quoting a text takes no more than quotation marks around it.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendQuoted writes a printable text as slog does: between quotation marks if it could be misread without.
func appendQuoted(b []byte, s string) []byte {
	bare := s != ""
	for i := 0; i < len(s) && bare; i++ {
		bare = s[i] != ' ' && s[i] != '='
	}
	if bare {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
