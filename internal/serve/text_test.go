package serve

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// Whatever is logged looks as slog.TextHandler writes it.
func TestTextIsThatOfSlog(t *testing.T) {
	var ours, theirs bytes.Buffer
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	a, b := newTextHandler(&ours, o), slog.Handler(slog.NewTextHandler(&theirs, o))
	at := time.Date(2026, 12, 1, 5, 4, 3, 2_999_999, time.FixedZone("", 5400))
	texts := []string{"", "word", "two words", "a=b", `a"b`, `a\b`, "line\nline", "tab\t", "\x7f", "caf\u00e9", "\xff", "\u2028", "%20-/:{}'", "level=INFO msg=m"}
	for i := range 256 {
		texts = append(texts, "a"+string([]byte{byte(i)})+"b")
	}
	with := []func(h slog.Handler) slog.Handler{
		func(h slog.Handler) slog.Handler { return h },
		func(h slog.Handler) slog.Handler { return h.WithAttrs(nil) },
		func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.String("name", "proxy-access")})
		},
		func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.String("msg=m", "a b\n"), slog.Any("err", fmt.Errorf("x: %w", context.Canceled))}).WithAttrs([]slog.Attr{
				slog.Group("g", slog.Int("i", 1), slog.Group("h", slog.Bool("b", true))), slog.Group("none"), {}, slog.Duration("took", time.Second)})
		},
		func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("b", 2)})
		},
		func(h slog.Handler) slog.Handler { return h.WithGroup("").WithGroup("g") },
	}
	for i, with := range with {
		for _, text := range texts {
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError + 3} {
				for _, when := range []time.Time{at, at.UTC(), at.Round(time.Second), {}} {
					for _, attrs := range [][]slog.Attr{
						nil, {slog.String("k", text)}, {slog.Int("status", -200), slog.Duration("took", 1234), slog.String(text, "v")},
						{slog.String("path", "/a b"), slog.Bool("b", true)}, {slog.Any("err", context.Canceled), slog.Int64("n", 1)},
						{slog.Int("n", 1), slog.Group("g", slog.Int("i", 2))}, {slog.Int("n", 1), {}}, {slog.Uint64("u", 1<<63), slog.Time("t", at)},
					} {
						r := slog.NewRecord(when, level, text, 0)
						r.AddAttrs(attrs...)
						ours.Reset()
						theirs.Reset()
						if with(a).Enabled(t.Context(), level) != with(b).Enabled(t.Context(), level) {
							t.Fatalf("%v is enabled in one of them only", level)
						}
						err1, err2 := with(a).Handle(t.Context(), r), with(b).Handle(t.Context(), r)
						if ours.String() != theirs.String() || err1 != nil || err2 != nil {
							t.Fatalf("handler %d, %q at %v: got %q, %v, want %q, %v", i, text, when, ours.String(), err1, theirs.String(), err2)
						}
					}
				}
			}
		}
	}
}
