package objectupdater

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/backend/daemon/direct"
	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/ring"
)

// target returns the container that an update goes to: the root, or a shard.
func target(u *updates.Update) (account, container string) {
	if account, container, ok := strings.Cut(u.ContainerPath, "/"); ok && account != "" && container != "" {
		return account, container
	}
	return u.Account, u.Container
}

// deliver sends one update. A redirect is followed once.
func (s *sweep) deliver(ctx context.Context, i pending) {
	out := s.send(ctx, &i)
	if out == redirected {
		out = s.send(ctx, &i)
		if out == failed {
			out = redirected // the file does not know the new target yet
		}
	}
	switch out {
	case delivered:
		s.p.Count(unlinks, 1)
		s.unlink(i.path)
	case changed, redirected:
		if err := s.rewrite(i); err != nil {
			// The old file stays: at worst somebody gets the update twice.
			s.p.Count(errorsFigure, 1)
			s.p.Log().Error("update not rewritten", slog.String("path", i.path), slog.Any("err", err))
		}
	}
}

// outcome is what became of sending an update.
type outcome int

const (
	failed     outcome = iota // nobody took it
	delivered                 // everybody has it
	changed                   // some took it
	redirected                // it is for another container
)

// send sends the update to the servers that do not have it.
func (s *sweep) send(ctx context.Context, i *pending) outcome {
	u := &i.update
	account, container := target(u)
	r := s.u.deps.Containers.Ring()
	part := r.Partition(s.u.deps.Hasher.Sum(account, container))
	primaries := r.AppendPrimaries(nil, part)
	missing := slices.DeleteFunc(slices.Clone(primaries), func(n ring.Node) bool { return slices.Contains(u.Successes, int64(n.ID)) })
	answers := s.u.client.All(ctx, missing, direct.Request{
		Method: u.Op, Partition: part, Path: "/" + account + "/" + container + "/" + u.Object, Header: i.header(),
	})
	var newest *redirect
	all, took := len(primaries) > 0, false
	for _, a := range answers {
		if a.OK() {
			u.Successes = append(u.Successes, int64(a.Node.ID))
			took = true
			continue
		}
		all = false
		s.refused(i, a)
		if a.Code == http.StatusMovedPermanently {
			if to, err := redirectOf(a.Header); err != nil {
				s.p.Log().Error("redirect not understood", slog.String("path", i.path), slog.Any("err", err))
			} else if newest == nil || to.at.After(newest.at) {
				newest = &to
			}
		}
	}
	switch {
	case all:
		s.p.Count(successes, 1)
		return delivered
	case newest != nil:
		s.p.Count(redirects, 1)
		follow(u, newest.to)
		return redirected
	}
	s.p.Count(failures, 1)
	if took {
		return changed
	}
	return failed
}

func (s *sweep) refused(i *pending, a direct.Answer) {
	s.p.Log().Debug("container server did not take an update", slog.String("path", i.path), slog.String("node", a.Node.ReplicationHostPort()),
		slog.String("device", a.Node.Name), slog.Int("status", a.Code), slog.Any("err", a.Err))
}

// follow turns an update to a shard. One that has been there goes back to the root: the servers disagree, and the root
// knows best in the end.
func follow(u *updates.Update, to string) {
	u.Successes = nil
	if slices.Contains(u.RedirectHistory, to) {
		u.ContainerPath, u.RedirectHistory = "", nil
		return
	}
	u.ContainerPath = to
	u.RedirectHistory = append(u.RedirectHistory, to)
}

// header returns what is sent with the update.
func (i *pending) header() http.Header {
	h := make(http.Header, len(i.update.Headers)+4)
	for _, x := range i.update.Headers {
		h.Set(x.Name, x.Value)
	}
	for name, value := range map[string]string{
		"X-Backend-Storage-Policy-Index":   i.policy.String(),
		"X-Backend-Accept-Redirect":        "true",
		"X-Backend-Accept-Quoted-Location": "true",
	} {
		if _, ok := h[name]; !ok {
			h.Set(name, value)
		}
	}
	return h
}

// A redirect names a shard, "account/container", and since when it is responsible.
type redirect struct {
	to string
	at timestamp.Timestamp
}

// redirectOf reads a container server's redirect.
func redirectOf(h http.Header) (redirect, error) {
	location := h.Get("Location")
	path := location
	if scheme, rest, ok := strings.Cut(path, "://"); ok && !strings.Contains(scheme, "/") {
		_, rest, _ = strings.Cut(rest, "/")
		path = "/" + rest
	}
	path, _, _ = strings.Cut(path, "#")
	path, _, _ = strings.Cut(path, "?")
	if meta.Truthy(h.Get("X-Backend-Location-Is-Quoted")) {
		path = apipath.Unquote(path)
	}
	parts, err := apipath.SplitRest(nil, path, 2, 3)
	if err != nil {
		return redirect{}, fmt.Errorf("redirect to %q: %w", location, err)
	}
	at, err := timestamp.Parse(h.Get("X-Backend-Redirect-Timestamp"))
	if err != nil {
		return redirect{}, fmt.Errorf("redirect to %q: X-Backend-Redirect-Timestamp: %w", location, err)
	}
	return redirect{parts[0] + "/" + parts[1], at}, nil
}
