package benchcmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/apus-storage/apus/internal/bench"
)

const (
	// liveEvery is how often the line on a terminal is drawn anew.
	liveEvery = 250 * time.Millisecond
	// logEvery is how often a line is written to anything else.
	logEvery = 5 * time.Second
)

// showProgress tells on w how the run goes until the returned function is called: with one line drawn over and over on a
// terminal, and otherwise with a new line every few seconds.
func showProgress(w io.Writer, sides []*bench.Side, quiet bool) func() {
	if quiet {
		return func() {}
	}
	live := isTerminal(w)
	every := logEvery
	if live {
		every = liveEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				draw(w, sides, live)
			case <-done:
				if live {
					io.WriteString(w, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// draw writes the line of the side whose turn it is.
func draw(w io.Writer, sides []*bench.Side, live bool) {
	for _, s := range sides {
		p := s.Runner.Progress()
		if p.Phase == "" {
			continue
		}
		line := progressLine(s.Name, len(sides) > 1, p)
		if live {
			fmt.Fprintf(w, "\r%s\x1b[K", line)
		} else {
			fmt.Fprintln(w, line)
		}
		return
	}
}

func progressLine(side string, named bool, p bench.Progress) string {
	seconds := max(p.Elapsed.Seconds(), 0.001)
	line := fmt.Sprintf("%s: %.1f s, %d done, %.0f/s, %.1f MiB/s, %d errors",
		p.Phase, p.Elapsed.Seconds(), p.Count, float64(p.Count)/seconds, float64(p.Bytes)/seconds/(1<<20), p.Errors)
	if named {
		line = side + " " + line
	}
	return line
}

// isTerminal says if w is a character device, such as a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
