package diskfile

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/disk"
)

// Writes that are under way at the same time are made durable together. A write waits for the disk twice: before its file gets
// its name, and after. Alone it syncs its file and its directories; among others it waits for one sync of the whole file
// system that has begun after it came. That sync does for all who wait, whichever of the two they wait for.

// TogetherFrom is how many writes should be under way on a file system before they share syncs: one alone has less to sync.
const TogetherFrom = 2

const (
	// bigUpload is from what size on an upload syncs its content itself.
	bigUpload = 1 << 20
	// dirtyLimit is how much of uploads may wait for the disk before everybody syncs his own: a sync of the file system
	// waits for it all.
	dirtyLimit = 8 << 20
	// patience is how long a shared sync may take, and patienceEach what is added for each who waits. After that those who
	// wait sync their own: somebody else is writing much, and a small object shall not wait for it.
	patience     = 100 * time.Millisecond
	patienceEach = 10 * time.Millisecond
	// After such a sync nobody shares one for a while: restFrom, and twice as long each time that the next one takes too long
	// as well, up to restLimit. So waiting in vain is a hundredth of the time at most.
	restFrom  = 250 * time.Millisecond
	restLimit = 10 * time.Second
)

// volumes are the file systems that are written to. They share nothing: one that hangs must not stop the others.
type volumes struct {
	fs    disk.FS
	from  int      // how many writes share; 0 for never
	byDev sync.Map // uint64 to *volume
}

// volume is a file system.
type volume struct {
	dirty atomic.Int64 // bytes of uploads that may wait for the disk

	mu       sync.Mutex    // guards the rest, and what is in terms
	never    bool          // it is not synced as a whole
	current  *term         // nil if nobody writes
	slow     bool          // the last shared sync took, or takes, too long
	rest     time.Duration // how long there is none after it
	restTill time.Time
}

// term is a time in which there was always somebody who wrote, and no error. An error of a shared sync is everybody's: the
// kernel tells it once, and not whose data are lost.
type term struct {
	v    *volume
	from int
	disk disk.Volume

	writers    int // who keep it open
	publishing int // who are about to sync, or do
	err        error
	running    *round // nil if no sync is under way
	next       *round // those who wait for the next sync; nil if there are none
}

// round is one sync of a file system.
type round struct {
	members int
	done    chan struct{} // closed when it is over; then err is set
	err     error
	late    chan struct{} // closed when its members need not wait for it
}

// patience is how long its members wait, once it has begun.
func (r *round) patience() time.Duration { return patience + time.Duration(r.members)*patienceEach }

func newRound() *round { return &round{done: make(chan struct{}), late: make(chan struct{})} }

// enter begins a write on a device, which is the directory of file system dev. It may return nil: then the write is one for
// itself. The file must be opened afterwards, so that no error of writing it can have been told before.
func (vs *volumes) enter(device string, dev uint64) *term {
	if vs.from <= 0 {
		return nil
	}
	x, ok := vs.byDev.Load(dev)
	if !ok {
		x, _ = vs.byDev.LoadOrStore(dev, new(volume))
	}
	v := x.(*volume)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.never {
		return nil
	}
	if v.current == nil {
		d, err := vs.fs.Volume(device)
		if err != nil {
			// Whatever is wrong with the device shows when it is written to.
			v.never = errors.Is(err, disk.ErrNoVolume)
			return nil
		}
		if d.Dev() != dev {
			_ = d.Close() // another disk has been mounted this moment; nothing was written
			return nil
		}
		v.current = &term{v: v, from: vs.from, disk: d}
	}
	v.current.writers++
	return v.current
}

// leave ends a write.
func (t *term) leave() {
	if t == nil {
		return
	}
	t.v.mu.Lock()
	t.writers--
	last := t.writers == 0
	if last && t.v.current == t {
		t.v.current = nil
	}
	t.v.mu.Unlock()
	if last {
		_ = t.disk.Close() // a directory opened for reading
	}
}

// wrote counts what has been left to the kernel.
func (d *draft) wrote(n int64) {
	d.unsynced += n
	if d.term != nil {
		d.term.v.dirty.Add(n)
	}
}

// synced notes that nothing of the draft waits for the disk any more, or ever will.
func (d *draft) synced() {
	d.wrote(-d.unsynced)
}

// publish says that a writer is about to sync, and end that it will not any more.
func (t *term) publish() {
	if t != nil {
		t.v.mu.Lock()
		t.publishing++
		t.v.mu.Unlock()
	}
}

func (t *term) end() {
	if t != nil {
		t.v.mu.Lock()
		t.publishing--
		t.v.mu.Unlock()
	}
}

// durable makes everything durable that the caller has written: with others if there are any, or by the function, which syncs
// just that.
func (t *term) durable(alone func() error) error {
	if t == nil {
		return alone()
	}
	if ok, err := t.together(); ok || err != nil {
		return err
	}
	return t.alone(alone)
}

// alone has the function sync what the caller has written.
func (t *term) alone(sync func() error) error {
	if err := sync(); err != nil || t == nil {
		return err
	}
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	return t.err // of a block that a shared sync could not write: fsync finds it clean
}

// together waits for a shared sync. False if there is to be none for the caller.
func (t *term) together() (bool, error) {
	v := t.v
	v.mu.Lock()
	if t.err != nil || !t.shares() {
		defer v.mu.Unlock()
		return false, t.err
	}
	r := t.next
	if r == nil {
		r = newRound()
		t.next = r
	}
	r.members++
	if t.running == nil {
		t.start()
	}
	v.mu.Unlock()
	select {
	case <-r.done:
		return r.err == nil, r.err
	case <-r.late:
		return false, nil
	}
}

// shares says whether a shared sync is worth it, with the volume's mutex held.
func (t *term) shares() bool {
	if t.publishing < t.from || t.v.dirty.Load() > dirtyLimit {
		return false
	}
	return !t.v.slow || t.running == nil && !time.Now().Before(t.v.restTill)
}

// start begins the next round while none is running.
func (t *term) start() {
	t.writers++ // run leaves
	t.running, t.next = t.next, nil
	go t.run(t.running)
}

// run syncs for one round after another until nobody waits. It is a goroutine of its own, so that nobody has to wait for a
// sync that takes too long; then it outlives its members, and ends with the sync.
func (t *term) run(r *round) {
	defer t.leave()
	for r != nil {
		start := time.Now()
		timer := time.AfterFunc(r.patience(), func() { t.tooLate(r) })
		err := t.disk.Sync()
		timer.Stop()
		r = t.over(r, err, start)
	}
}

// over ends a round and begins the next, if there is one.
func (t *term) over(r *round, err error, start time.Time) *round {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	t.v.took(time.Since(start) > r.patience())
	if err != nil && t.err == nil {
		t.err = err
		if t.v.current == t {
			t.v.current = nil // who comes now has written nothing yet that could be lost
		}
	}
	r.err = t.err
	close(r.done)
	t.running, t.next = t.next, nil
	return t.running
}

// took notes whether a shared sync has taken too long.
func (v *volume) took(tooLong bool) {
	v.slow = tooLong
	if !tooLong {
		v.rest = 0
		return
	}
	v.rest = min(max(2*v.rest, restFrom), restLimit)
	v.restTill = time.Now().Add(v.rest)
}

// tooLate releases who waits for a round, and who waits for the one after it.
func (t *term) tooLate(r *round) {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	if t.running != r {
		return
	}
	t.v.slow = true
	close(r.late)
	if t.next != nil {
		close(t.next.late)
		t.next = nil
	}
}
