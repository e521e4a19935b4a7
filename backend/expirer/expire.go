package expirer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/daemon/direct"
	"github.com/apus-storage/apus/internal/timestamp"
)

// errLater says that a task stays in the queue without anything being wrong: the object may have been deleted, or got
// another time, before its row was.
var errLater = errors.New("not yet")

// expire deletes a task's object and then its row.
func (e *Expirer) expire(ctx context.Context, p *daemon.Progress, t task) error {
	err := e.deleteObject(ctx, p, t)
	if refusal, ok := errors.AsType[*StatusError](err); ok && (refusal.Code == http.StatusNotFound || refusal.Code == http.StatusPreconditionFailed) {
		// The object may be on nodes that are away now. It is looked for until nobody can have it any more.
		if giveUp := timestamp.FromTime(e.deps.Clock.Now().Add(-e.cfg.ReclaimAge.Duration)); t.at.After(giveUp) {
			return errLater
		}
		err = nil
	}
	if err != nil {
		return err
	}
	e.deleteRow(ctx, p, t)
	return nil
}

func (e *Expirer) deleteObject(ctx context.Context, p *daemon.Progress, t task) error {
	r := request{
		method: http.MethodDelete, path: "/v1/" + t.account + "/" + t.container + "/" + t.object,
		header: http.Header{"X-Timestamp": {t.at.Normal()}}, accept: []int{http.StatusConflict},
	}
	if t.async {
		r.accept = append(r.accept, http.StatusNotFound)
	} else {
		r.header.Set("X-If-Delete-At", t.at.Normal())
		// The row is deleted below, by somebody who knows that the object is gone.
		r.header.Set("X-Backend-Clean-Expiring-Object-Queue", "no")
	}
	_, err := e.client.do(ctx, p, r)
	return err
}

// deleteRow deletes the row on all of its container's servers. Those that are away learn of it by replication; if nobody
// took it, the task comes up again in the next pass.
func (e *Expirer) deleteRow(ctx context.Context, p *daemon.Progress, t task) {
	r := e.deps.Containers.Ring()
	part := r.Partition(e.deps.Hasher.Sum(e.account, t.queueContainer))
	answers := e.nodes.All(ctx, r.AppendPrimaries(nil, part), direct.Request{
		Method: http.MethodDelete, Partition: part, Path: "/" + e.account + "/" + t.queueContainer + "/" + t.row,
		Header: http.Header{
			"X-Timestamp":                       {timestamp.FromTime(e.deps.Clock.Now()).Internal()},
			"X-Backend-Use-Replication-Network": {"true"},
		},
	})
	took := false
	for _, a := range answers {
		if a.OK() {
			took = true
			continue
		}
		p.Log().Debug("container server did not delete a row of the queue", slog.String("row", t.row),
			slog.String("node", a.Node.ReplicationHostPort()), slog.Int("status", a.Code), slog.Any("err", a.Err))
	}
	if !took {
		p.Log().Warn("row of the queue not deleted", slog.String("container", t.queueContainer), slog.String("row", t.row))
	}
}
