package serve

import (
	"io"
	"log/slog"
)

// Logger makes the server's logger, which writes to w.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	level, err := c.level()
	if err != nil {
		level = slog.LevelInfo // Validate has refused it
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(newTextHandler(w, o))
}
