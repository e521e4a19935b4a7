package serve

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A textHandler writes what slog.TextHandler writes. Usual messages, such as those of requests, it writes itself: slog's looks at
// them letter by letter, which would be half of what such a line costs.
type textHandler struct {
	*slog.TextHandler
	w    io.Writer
	with []byte // the attributes that every message has
}

// newTextHandler makes a handler that writes each message with one Write. w is used by several at once.
func newTextHandler(w io.Writer, o *slog.HandlerOptions) slog.Handler {
	return textHandler{TextHandler: slog.NewTextHandler(w, o), w: w}
}

// WithAttrs returns a handler whose messages all have the attributes.
func (h textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b bytes.Buffer
	line := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
	line.AddAttrs(attrs...)
	_ = slog.NewTextHandler(&b, nil).Handle(context.Background(), line) // a buffer takes everything
	more := bytes.TrimSuffix(bytes.TrimPrefix(b.Bytes(), []byte("level=INFO msg=m")), []byte("\n"))
	h.with = append(bytes.Clone(h.with), more...)
	h.TextHandler = h.TextHandler.WithAttrs(attrs).(*slog.TextHandler)
	return h
}

// WithGroup returns a handler that qualifies names, which slog's knows how to do.
func (h textHandler) WithGroup(name string) slog.Handler { return h.TextHandler.WithGroup(name) }

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}

// Handle writes a message.
func (h textHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Time.IsZero() || !printable(r.Message) {
		return h.TextHandler.Handle(ctx, r)
	}
	buf := lines.Get().(*[]byte)
	defer lines.Put(buf)
	b := append((*buf)[:0], slog.TimeKey+"="...)
	b = appendTime(b, r.Time)
	b = append(b, " "+slog.LevelKey+"="...)
	b = append(b, r.Level.String()...)
	b = append(b, " "+slog.MessageKey+"="...)
	b = appendQuoted(b, r.Message)
	b = append(b, h.with...)
	usual := true
	r.Attrs(func(a slog.Attr) bool {
		b, usual = appendAttr(b, a)
		return usual
	})
	*buf = b
	if !usual {
		return h.TextHandler.Handle(ctx, r)
	}
	*buf = append(b, '\n')
	_, err := h.w.Write(*buf)
	return err
}

// appendTime writes a time as slog does, by the one layout that package time is quick at.
func appendTime(b []byte, t time.Time) []byte {
	const second = len("2006-01-02T15:04:05")
	at := len(b) + second
	b = t.AppendFormat(b, time.RFC3339)
	ms := t.Nanosecond() / 1e6
	return slices.Insert(b, at, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

// appendAttr writes an attribute; usual is false if that takes more than is done here.
func appendAttr(b []byte, a slog.Attr) (_ []byte, usual bool) {
	if a.Key == "" || !printable(a.Key) {
		return b, false
	}
	b = append(appendQuoted(append(b, ' '), a.Key), '=')
	switch v := a.Value; v.Kind() {
	case slog.KindString:
		if !printable(v.String()) {
			return b, false
		}
		return appendQuoted(b, v.String()), true
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10), true
	case slog.KindDuration:
		return append(b, v.Duration().String()...), true
	}
	return b, false
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
