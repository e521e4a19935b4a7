package serve

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// pieces keeps what is written in one go apart.
type pieces struct {
	mu  sync.Mutex // guards all
	all []string
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, string(b))
	return len(b), nil
}

// said is what the pieces are about.
func (p *pieces) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var words []string
	for _, piece := range p.all {
		word := ""
		for line := range strings.Lines(piece) {
			_, after, _ := strings.Cut(strings.ReplaceAll(line, `"msg":"`, "msg="), "msg=")
			word += after[:1]
		}
		words = append(words, word)
	}
	p.all = nil
	return strings.Join(words, " ")
}

func TestMessagesWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, format := range []string{"text", "json"} {
			var out pieces
			c := Defaults()
			c.LogFormat = format
			log, flush := c.Logger(&out)
			log = log.With("server", "proxy").WithGroup("g")
			log.Info("a")
			log.Info("b")
			time.Sleep(99 * time.Millisecond)
			synctest.Wait()
			if got := out.said(); got != "" {
				t.Errorf("%s, within the delay: got %q, want nothing", format, got)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if got := out.said(); got != "ab" {
				t.Errorf("%s, after the delay: got %q, want both at once", format, got)
			}
			log.Info("c")
			log.Warn("d")
			log.Error("e")
			if got := out.said(); got != "cd e" {
				t.Errorf("%s, warnings: got %q, want them at once, with what was before them", format, got)
			}
			log.Info("f")
			log.Info("g" + strings.Repeat("x", 2500))
			log.Info("h" + strings.Repeat("x", 2500))
			log.Info("i" + strings.Repeat("x", 5000))
			log.Info("j")
			if got := out.said(); got != "fg h i" {
				t.Errorf("%s, long ones: got %q, want no more than 4 KiB together", format, got)
			}
			flush()
			if got := out.said(); got != "j" {
				t.Errorf("%s, at the end: got %q, want the rest", format, got)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
	})
}

func TestWithoutDelayNoMessageWaits(t *testing.T) {
	var out pieces
	c := Defaults()
	c.LogDelay = config.Duration{}
	log, _ := c.Logger(&out)
	log.Info("a")
	log.Info("b")
	if got := out.said(); got != "a b" {
		t.Errorf("got %q, want each by itself", got)
	}
}
