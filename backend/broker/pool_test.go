package broker

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestIdleHandlesAreClosed(t *testing.T) {
	at := testPlace(t)
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(Options{IdleTime: time.Minute})
		defer p.Close()
		c := p.Container(at, "a", "c")
		if err := c.Create(parseTime("1"), 0); err != nil {
			t.Fatal(err)
		}
		must(c.Info(Fresh))(t)
		if n := openFiles(t, c.Dir()); n == 0 {
			t.Error("no handle is kept")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := openFiles(t, c.Dir()); n != 0 {
			t.Errorf("%d files are still open", n)
		}
		must(c.Info(Fresh))(t)
	})
}

// openFiles counts this process's descriptors below a directory.
func openFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, dir) {
			n++
		}
	}
	return n
}

func TestCloseLeavesNothing(t *testing.T) {
	// The pools of other tests are not this one's business.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p := NewPool(Options{})
	c := p.Container(testPlace(t), "a", "c")
	if err := c.Create(parseTime("1"), 0); err != nil {
		t.Fatal(err)
	}
	must(c.List(Fresh, ListOptions{Limit: 1, Delimiter: "/"}))(t)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := openFiles(t, c.Dir()); n != 0 {
		t.Errorf("%d files are still open", n)
	}
}

func TestPanicInATransactionKeepsNoLock(t *testing.T) {
	p := newPool(t)
	c := p.Container(testPlace(t), "a", "c")
	if err := c.Create(parseTime("1"), 0); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { recover() }()
		c.update(func(*handle) error { panic("handler gone wrong") })
	}()
	p.o.BusyTimeout = 100 * time.Millisecond
	if err := c.UpdatePutTimestamp(parseTime("2")); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestFailedTransactionIsUndone(t *testing.T) {
	p := newPool(t)
	c := p.Container(testPlace(t), "a", "c")
	if err := c.Create(parseTime("1"), 0); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no")
	err := c.update(func(h *handle) error {
		if _, err := h.exec("UPDATE container_stat SET put_timestamp = '9'"); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	if info := must(c.Info(Fresh))(t); info.PutTimestamp == "9" {
		t.Error("the change is there")
	}
}

func TestKeyedLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newKeyedLock()
		unlock, err := l.lock("a", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.lock("a", time.Second); !errors.Is(err, ErrLocked) {
			t.Errorf("second lock: got %v, want ErrLocked", err)
		}
		if other, err := l.lock("b", 0); err != nil {
			t.Errorf("lock of another key: %v", err)
		} else {
			other()
		}
		time.AfterFunc(time.Second, unlock)
		again, err := l.lock("a", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		again()
		if len(l.m) != 0 {
			t.Errorf("%d keys are left", len(l.m))
		}
	})
}

// The time for BEGIN may be up just when it has succeeded. Then the handle has a transaction that nobody knows of.
func TestAHandleThatMayBeInATransactionIsNotUsedAgain(t *testing.T) {
	p := newPool(t)
	p.o.BusyTimeout = 100 * time.Millisecond
	c := p.Container(testPlace(t), "a", "c")
	if err := c.Create(parseTime("1"), 0); err != nil {
		t.Fatal(err)
	}
	h := must(p.acquire(must(c.live())(t)))(t)
	if err := h.begin(time.Second); err != nil {
		t.Fatal(err)
	}
	p.release(h)
	if err := c.UpdatePutTimestamp(parseTime("2")); err == nil {
		t.Fatal("there is no transaction in the way")
	}
	if err := c.UpdatePutTimestamp(parseTime("2")); err != nil {
		t.Errorf("the next write: %v", err)
	}
}
