package secret_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/secret"
)

// TestAFileThatChanges is read again, but not more than once a second; one that has become bad is an error, or what it was.
func TestAFileThatChanges(t *testing.T) {
	for _, keep := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "secret")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		now := time.Now()
		var log bytes.Buffer
		f := &secret.File[string]{Path: path, Parse: secret.Line, Keep: keep, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Clock: clock.Func(func() time.Time { return now })}
		want := func(value, problem string) {
			t.Helper()
			got, err := f.Get()
			if got != value || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
				t.Errorf("keep %v: got %q, %v; want %q, %q", keep, got, err, value, problem)
			}
		}
		want("", "no such file")
		write("first\n")
		now = now.Add(time.Second)
		want("first", "")
		write("other\n") // as long, and perhaps at the same time for the file system
		want("first", "")
		now = now.Add(time.Second)
		want("other", "")
		for text, problem := range map[string]string{"": "empty", "two\nlines\n": "more than one line", strings.Repeat("x", 2<<20): "larger"} {
			write(text)
			now = now.Add(time.Second)
			if keep {
				want("other", "")
			} else {
				want("", problem)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		if keep {
			want("other", "")
		} else {
			want("", "no such file")
		}
		write("again")
		now = now.Add(time.Second)
		want("again", "")
		if told := strings.Contains(log.String(), "what it said before is used"); told != keep || strings.Contains(log.String(), "other") {
			t.Errorf("keep %v: the log has %q", keep, log.String())
		}
	}
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		command       []string
		want, problem string
	}{
		{[]string{"echo", "the secret"}, "the secret", ""},
		{[]string{"true"}, "", "what true prints: it is empty"},
		{[]string{"printf", `a\nb`}, "", "more than one line"},
		{[]string{"head", "-c", "1000000", "/dev/zero"}, "", "run head"},
		{[]string{"sh", "-c", "echo the secret >&2; exit 3"}, "", "run sh: exit status 3"},
		{[]string{"no-such-program-here"}, "", "no-such-program-here"},
	} {
		got, err := secret.Run(context.Background(), test.command)
		if got != test.want || (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%v: got %q, %v; want %q, %q", test.command, got, err, test.want, test.problem)
		}
		if err != nil && strings.Contains(err.Error(), "the secret") {
			t.Errorf("%v: the error tells the secret: %v", test.command, err)
		}
	}
}
