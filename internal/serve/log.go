package serve

import (
	"io"
	"log/slog"
)

// Logger makes the server's logger, which writes to w. What it still keeps is written by flush, which must be the last.
func (c *Config) Logger(w io.Writer) (log *slog.Logger, flush func()) {
	level, err := c.level()
	if err != nil {
		level = slog.LevelInfo // Validate has refused it
	}
	o := &slog.HandlerOptions{Level: level}
	b := &batch{w: w, delay: c.LogDelay.Duration}
	h := newTextHandler(b, o)
	if c.LogFormat == "json" {
		h = slog.NewJSONHandler(b, o)
	}
	return slog.New(urgent{h, b}), func() { b.flush(false) }
}
