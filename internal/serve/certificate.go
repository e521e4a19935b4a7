package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificate is a pair of files, loaded again when they have changed. They are looked at when a client connects, at most once a
// second: that works on every file system and for links that are swapped, and needs no goroutine. A pair that does not load,
// such as a new certificate whose key has not come yet, leaves the old one in use.
type certificate struct {
	certFile, keyFile string
	log               atomic.Pointer[slog.Logger]

	current atomic.Pointer[tls.Certificate]
	looked  atomic.Int64 // when, in Unix nanoseconds

	mu    sync.Mutex // held by the one who looks
	stamp [2]stamp
}

// stamp is what tells that a file has changed.
type stamp struct {
	info os.FileInfo // nil if it is not there
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}

// lookEvery is how often the files are looked at.
const lookEvery = time.Second

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	c.looked.Store(time.Now().UnixNano())
	c.stamp = c.stamps()
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificate) stamps() (s [2]stamp) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info}
		}
	}
	return s
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load TLS certificate %s: %w", c.certFile, err)
	}
	c.current.Store(&pair)
	return nil
}

// get is for tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := time.Now().UnixNano()
	if last := c.looked.Load(); now-last >= int64(lookEvery) && c.looked.CompareAndSwap(last, now) && c.mu.TryLock() {
		c.look()
		c.mu.Unlock()
	}
	return c.current.Load(), nil
}

// look loads the files if they have changed. The caller holds mu.
func (c *certificate) look() {
	now := c.stamps() // before they are read: a change in between is found the next time
	if now[0].same(c.stamp[0]) && now[1].same(c.stamp[1]) {
		return
	}
	c.stamp = now
	log := c.log.Load()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := c.load(); err != nil {
		log.Error("the new TLS certificate does not load; the old one stays in use", "err", err)
		return
	}
	log.Info("TLS certificate loaded again", "file", c.certFile, "until", c.current.Load().Leaf.NotAfter)
}
