package readcache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// retryLock is how often a directory is asked for that another cache uses.
const retryLock = time.Second

// start waits until the directory is this cache's alone, and looks up what is there.
func (c *Cache) start(ctx context.Context) {
	defer close(c.done)
	for told := false; ; told = true {
		ok, err := c.lock.TryLock()
		if err != nil {
			c.log.Error("cannot lock the directory of the read cache; nothing is kept", "path", c.Path, "err", err)
			return
		}
		if ok {
			break
		}
		if !told {
			c.log.Warn("the directory of the read cache is in use; nothing is kept until it is free", "path", c.Path)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryLock):
		}
	}
	c.scan(ctx)
	if ctx.Err() == nil {
		c.mu.Lock()
		c.ready = true
		c.mu.Unlock()
	}
}

// scan looks up what earlier processes have left: whole bodies become known, all else is removed.
func (c *Cache) scan(ctx context.Context) {
	names, err := c.fs.Names(c.Path, nil)
	if err != nil {
		c.log.Error("cannot read the directory of the read cache", "err", err)
		return
	}
	var found []foundNode
	for _, name := range names {
		switch {
		case ctx.Err() != nil:
			return
		case strings.HasPrefix(name, "new-"):
			c.remove(path.Join(c.Path, name))
		case len(name) == 2:
			found = c.scanFolder(ctx, name, found)
		}
	}
	// The newest first into the list's front, so the oldest go first when there is no room.
	slices.SortFunc(found, func(a, b foundNode) int { return int(min(1, max(-1, a.written-b.written))) })
	for _, f := range found {
		c.mu.Lock()
		if c.room(f.size) {
			c.used += f.size
			c.add(f.node)
		} else {
			c.remove(c.file(f.key))
		}
		c.mu.Unlock()
	}
}

type foundNode struct {
	*node
	written int64
}

func (c *Cache) scanFolder(ctx context.Context, folder string, found []foundNode) []foundNode {
	names, err := c.fs.Names(path.Join(c.Path, folder), nil)
	if err != nil {
		c.log.Warn("cannot read a directory of the read cache", "err", err)
		return found
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return found
		}
		file := path.Join(c.Path, folder, name)
		n, err := c.inspect(file)
		if err == nil && len(found) >= 2*c.MaxEntries {
			err = errDamaged // an operator has set a far smaller limit: more would not be looked at again
		}
		if err != nil {
			c.remove(file)
			c.damaged.Add(1)
			continue
		}
		found = append(found, n)
	}
	return found
}

// inspect reads what a file says of itself. Its body is compared with its checksum when it is used.
func (c *Cache) inspect(file string) (foundNode, error) {
	f, err := c.fs.Open(file, os.O_RDONLY, 0)
	if err != nil {
		return foundNode{}, err
	}
	defer f.Close()
	d, foot, err := describe(f)
	if err != nil {
		return foundNode{}, err
	}
	st, err := f.Stat()
	if err != nil {
		return foundNode{}, err
	}
	h := d.Key.id()
	if c.file(h) != file {
		return foundNode{}, errDamaged
	}
	return foundNode{&node{key: h, etag: d.ETag, length: foot.body, size: st.Size}, st.Mtime}, nil
}

func (c *Cache) remove(file string) {
	if err := c.fs.Unlink(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("cannot remove a file of the read cache", "err", err)
	}
}
