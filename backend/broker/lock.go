package broker

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// keyedLock is one mutex per key, made on demand.
type keyedLock struct {
	mu sync.Mutex // guards m and the counts in it
	m  map[string]*keyedEntry
}

type keyedEntry struct {
	held chan struct{} // holds one token while locked
	refs int
}

func newKeyedLock() *keyedLock { return &keyedLock{m: make(map[string]*keyedEntry)} }

func (l *keyedLock) lock(key string, wait time.Duration) (unlock func(), err error) {
	l.mu.Lock()
	e := l.m[key]
	if e == nil {
		e = &keyedEntry{held: make(chan struct{}, 1)}
		l.m[key] = e
	}
	e.refs++
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if e.refs--; e.refs == 0 {
			delete(l.m, key)
		}
	}
	select {
	case e.held <- struct{}{}:
	default:
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case e.held <- struct{}{}:
		case <-t.C:
			forget()
			return nil, fmt.Errorf("lock %s: %w", key, ErrLocked)
		}
	}
	return func() { <-e.held; forget() }, nil
}

// lockDir takes Swift's lock of a directory: an exclusive flock of its file ".lock". The directory must exist.
func (p *Pool) lockDir(dir string, wait time.Duration) (unlock func(), err error) {
	deadline := time.Now().Add(wait)
	// One goroutine of this process at a time polls for the flock.
	release, err := p.dirs.lock(dir, wait)
	if err != nil {
		return nil, err
	}
	fd, err := flockUntil(filepath.Join(dir, ".lock"), deadline)
	if err != nil {
		release()
		return nil, err
	}
	return func() { syscall.Close(fd); release() }, nil
}

// flockUntil opens and locks path. A lock on a file that has meanwhile been removed guards nothing, so the name is
// checked again once it is held.
func flockUntil(path string, deadline time.Time) (fd int, err error) {
	delay := time.Millisecond
	for {
		fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_WRONLY|syscall.O_CLOEXEC, 0o644)
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isFile(fd, path) {
			return fd, nil
		}
		syscall.Close(fd)
		if err != nil && err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			return -1, &fs.PathError{Op: "flock", Path: path, Err: err}
		}
		if !time.Now().Before(deadline) {
			return -1, fmt.Errorf("lock %s: %w", path, ErrLocked)
		}
		time.Sleep(min(delay, time.Until(deadline)))
		delay = min(2*delay, 10*time.Millisecond)
	}
}

// isFile reports whether path names the file that is open as fd.
func isFile(fd int, path string) bool {
	var a, b syscall.Stat_t
	return syscall.Fstat(fd, &a) == nil && syscall.Stat(path, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}
