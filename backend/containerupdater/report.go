package containerupdater

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/daemon/direct"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/timestamp"
)

// report reports one container if it has changed. Errors are those of the database.
func (u *Updater) report(ctx context.Context, p *daemon.Progress, at broker.Place) error {
	// Its names are not known yet: they are in the database.
	info, err := u.deps.Databases.Container(at, "", "").Info(broker.Fresh)
	if errors.Is(err, broker.ErrNotExist) {
		return nil
	}
	if err == nil && info.DBState == broker.Sharded {
		// Whether the counts are those of the shards depends on whose shards they are, so on the names.
		info, err = u.deps.Databases.Container(at, info.Account, info.Container).Info(broker.Fresh)
	}
	if errors.Is(err, broker.ErrLocked) {
		p.Log().Info("container is locked; left to the next pass", slog.Any("err", err))
		return nil
	}
	if err != nil {
		return err
	}
	// A database that came to be by an object's update has no say yet.
	if put, err := timestamp.Parse(info.PutTimestamp); err != nil || put.IsZero() {
		return err
	}
	if u.suppressed.has(info.Account, u.deps.Clock.Now()) {
		p.Count(suppressed, 1)
		return nil
	}
	c := u.deps.Databases.Container(at, info.Account, info.Container)
	meta, err := c.Metadata()
	if err != nil {
		return err
	}
	if !isRoot(meta, info.Account+"/"+info.Container) {
		info.ObjectCount, info.BytesUsed = 0, 0
	}
	if !info.NeedsReport() {
		p.Count(noChanges, 1)
		return nil
	}
	return u.tell(ctx, p, c, info)
}

// tell sends the report and acts on the answers.
func (u *Updater) tell(ctx context.Context, p *daemon.Progress, c *broker.Container, info broker.ContainerInfo) error {
	r := u.deps.Accounts.Ring()
	part := r.Partition(u.deps.Hasher.Sum(info.Account))
	primaries := r.AppendPrimaries(nil, part)
	path := "/" + info.Account + "/" + info.Container
	answers := u.client.All(ctx, primaries, direct.Request{Method: http.MethodPut, Partition: part, Path: path, Header: http.Header{
		"X-Put-Timestamp":                {info.PutTimestamp},
		"X-Delete-Timestamp":             {info.DeleteTimestamp},
		"X-Object-Count":                 {strconv.FormatInt(info.ObjectCount, 10)},
		"X-Bytes-Used":                   {strconv.FormatInt(info.BytesUsed, 10)},
		"X-Account-Override-Deleted":     {"yes"},
		"X-Backend-Storage-Policy-Index": {strconv.Itoa(info.Policy)},
	}})
	took, missing := 0, 0
	for _, a := range answers {
		switch {
		case a.OK():
			took++
		case a.Code == http.StatusNotFound:
			missing++
		default:
			p.Log().Debug("account server did not take a report", slog.String("path", path), slog.String("node", a.Node.ReplicationHostPort()),
				slog.String("device", a.Node.Name), slog.Int("status", a.Code), slog.Any("err", a.Err))
		}
	}
	switch {
	case len(answers) > 0 && took >= len(answers)/2+1:
		p.Count(successes, 1)
		return c.Reported(info.PutTimestamp, info.DeleteTimestamp, info.ObjectCount, info.BytesUsed)
	case len(answers) > 0 && missing == len(answers):
		p.Count(failures, 1)
		p.Count(quarantines, 1)
		p.Log().Error("container belongs to no account and goes to quarantine", slog.String("path", path))
		_, err := c.Quarantine()
		return err
	}
	p.Count(failures, 1)
	u.suppressed.add(info.Account, u.deps.Clock.Now().Add(u.cfg.AccountSuppressionTime.Duration))
	return nil
}

// isRoot reports whether a container is one that clients know, and not a shard of another. Shards know their root by
// its path.
func isRoot(m broker.Metadata, path string) bool {
	value := func(name string) string {
		for k, v := range m {
			if strings.EqualFold(k, name) {
				return v.Value
			}
		}
		return ""
	}
	if root := value("X-Container-Sysmeta-Shard-Quoted-Root"); root != "" {
		return apipath.Unquote(root) == path
	}
	root := value("X-Container-Sysmeta-Shard-Root")
	return root == "" || root == path
}
