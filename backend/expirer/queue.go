package expirer

import (
	"context"
	"crypto/md5"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/timestamp"
)

// asyncDelete is the content type of rows that are jobs of bulk deletes.
const asyncDelete = "application/async-deleted"

// A task is one row of the queue.
type task struct {
	queueContainer, row        string
	account, container, object string
	at                         timestamp.Timestamp
	async                      bool
}

// parseTask reads a row's name: "<time>-<account>/<container>/<object>".
func parseTask(row string) (task, error) {
	at, path, _ := strings.Cut(row, "-")
	t := task{row: row}
	var err error
	if t.at, err = timestamp.Parse(at); err != nil {
		return t, err
	}
	names, err := apipath.SplitRest(nil, "/"+path, 3, 3)
	if err != nil {
		return t, err
	}
	t.account, t.container, t.object = names[0], names[1], names[2]
	return t, nil
}

// containers returns the queue's containers that may hold tasks that are due. Their names are times.
func (e *Expirer) containers(ctx context.Context, p *daemon.Progress) ([]string, error) {
	head, err := e.client.do(ctx, p, request{method: "HEAD", path: "/v1/" + e.account, accept: []int{404}})
	if err != nil {
		return nil, err
	}
	// A number that is missing counts as none, as in Swift.
	count, _ := strconv.ParseInt(head.Header.Get("X-Account-Container-Count"), 10, 64)
	if !head.OK() || count == 0 {
		return nil, nil
	}
	p.Log().Info("queue found", slog.String("account", e.account), slog.Int64("containers", count),
		slog.String("objects", head.Header.Get("X-Account-Object-Count")))
	now := timestamp.FromTime(e.deps.Clock.Now())
	var names []string
	for entry, err := range e.client.list(ctx, p, "/v1/"+e.account) {
		if err != nil {
			return nil, err
		}
		name, _ := entry.Name()
		at, err := timestamp.Parse(name)
		if err != nil {
			p.Count(errorsFigure, 1)
			p.Log().Error("container of the queue has a name that is no time", slog.String("container", name))
			continue
		}
		if at.After(now) {
			break
		}
		names = append(names, name)
	}
	return names, nil
}

// queue reads the tasks of one pass.
type queue struct {
	e          *Expirer
	p          *daemon.Progress
	containers []string
	err        error // the last container that could not be read
}

// tasks yields what is due and this expirer's to do, container by container.
func (q *queue) tasks(ctx context.Context) iter.Seq[task] {
	return func(yield func(task) bool) {
		for _, c := range q.containers {
			more, empty, err := q.container(ctx, c, yield)
			if errors.Is(err, daemon.ErrStopped) {
				return
			}
			if err != nil {
				// The other containers' tasks are due all the same.
				q.err = err
				q.p.Count(errorsFigure, 1)
				q.p.Log().Error("tasks not listed", slog.String("container", c), slog.Any("err", err))
			}
			if !more {
				return
			}
			if empty && err == nil {
				q.remove(ctx, c)
			}
		}
	}
}

// container yields the tasks of one container, and tells whether there was none at all.
func (q *queue) container(ctx context.Context, name string, yield func(task) bool) (more, empty bool, err error) {
	empty = true
	for entry, err := range q.e.client.list(ctx, q.p, "/v1/"+q.e.account+"/"+name) {
		if err != nil {
			return true, empty, err
		}
		empty = false
		row, _ := entry.Name()
		t, err := parseTask(row)
		if err != nil {
			q.p.Count(errorsFigure, 1)
			q.p.Log().Error("row of the queue is no task", slog.String("container", name), slog.String("row", row), slog.Any("err", err))
			continue
		}
		now := q.e.deps.Clock.Now()
		if t.at.After(timestamp.FromTime(now)) {
			break // and so are all that follow
		}
		t.queueContainer = name
		kind, _ := entry.Text("content_type")
		t.async = kind == asyncDelete
		if !q.mine(t) || (!t.async && t.at.After(timestamp.FromTime(now.Add(-q.e.delay(t))))) {
			continue
		}
		if !yield(t) {
			return false, empty, nil
		}
	}
	return true, empty, nil
}

// mine reports whether this expirer is the one to do the task. All expirers must compute the same: Swift's too.
func (q *queue) mine(t task) bool {
	if q.e.cfg.Processes < 2 {
		return true
	}
	// The digest is one number of 128 bits.
	sum := md5.Sum([]byte(t.queueContainer + "/" + t.row))
	rest := uint64(0)
	for _, b := range sum {
		rest = (rest<<8 | uint64(b)) % uint64(q.e.cfg.Processes)
	}
	return rest == uint64(q.e.cfg.Process)
}

// delay is how long the task's object is to be kept on. The container's word goes before the account's.
func (e *Expirer) delay(t task) time.Duration {
	if d, ok := e.delays[t.account+"/"+t.container]; ok {
		return d
	}
	return e.delays[t.account]
}

// remove deletes a container of the queue that is empty. Somebody may have put a task in it just now: 409.
func (q *queue) remove(ctx context.Context, container string) {
	_, err := q.e.client.do(ctx, q.p, request{method: "DELETE", path: "/v1/" + q.e.account + "/" + container, accept: []int{404, 409}})
	if err != nil && !errors.Is(err, daemon.ErrStopped) {
		q.p.Log().Warn("empty container of the queue not deleted", slog.String("container", container), slog.Any("err", err))
	}
}

// roundRobin yields tasks so that the objects' containers take turns: deleting many objects of one container in a row
// would keep its three databases busy and the rest of the cluster idle. It holds up to size tasks.
func roundRobin(tasks iter.Seq[task], size int) iter.Seq[task] {
	return func(yield func(task) bool) {
		held := map[string][]task{}
		count := 0
		// drain yields one task of each container, until none is left.
		drain := func() bool {
			for len(held) > 0 {
				for _, key := range slices.Sorted(maps.Keys(held)) {
					first := held[key][0]
					if held[key] = held[key][1:]; len(held[key]) == 0 {
						delete(held, key)
					}
					if !yield(first) {
						return false
					}
				}
			}
			count = 0
			return true
		}
		for t := range tasks {
			key := t.account + "/" + t.container
			held[key] = append(held[key], t)
			if count++; count >= size && !drain() {
				return
			}
		}
		drain()
	}
}
