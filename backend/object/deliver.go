package object

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/timestamp"
)

// target is a container server and the place of the container on it.
type target struct{ host, device, partition string }

func (t target) usable() bool { return t.host != "" && t.device != "" && t.partition != "" }

// delivery is an update on its way to one server.
type delivery struct {
	update updates.Update
	target target
	device string // where it is saved if it does not arrive
	policy policy.Index
}

// updateBatch is all that one request has to tell.
type updateBatch struct {
	toSend, toSave []delivery
}

// add adds an update for a server, or for an updater if the proxy has named none.
func (b *updateBatch) add(c *call, u updates.Update, t target) {
	if !t.usable() {
		b.save(c, u)
		return
	}
	b.toSend = append(b.toSend, delivery{u, t, c.object.Device, c.object.Policy})
}

// save adds an update for an updater.
func (b *updateBatch) save(c *call, u updates.Update) {
	b.toSave = append(b.toSave, delivery{u, target{}, c.object.Device, c.object.Policy})
}

// deliver saves what is to be saved and sends what is to be sent, all at once. It waits for no longer than
// container_update_timeout: the client's next listing should show the change, but a slow container server must not make
// the request slow. What is not done by then is saved, so that the answer's promise outlives this process, and goes on;
// Close waits for it. If it arrives after all, the updater sends it once more, which changes nothing.
func (s *Server) deliver(ctx context.Context, b *updateBatch) {
	for i := range b.toSave {
		s.saveUpdate(ctx, &b.toSave[i])
	}
	if len(b.toSend) == 0 {
		return
	}
	done := make(chan int, len(b.toSend)) // roomy, so that nobody has to be there to receive
	for i := range b.toSend {
		d := b.toSend[i] // its own: deliverOne follows redirects
		s.background.Go(func() {
			// Not the request's context, which ends with the answer.
			ctx, cancel := context.WithTimeout(s.life, s.cfg.ConnTimeout.Duration+s.cfg.NodeTimeout.Duration)
			defer cancel()
			s.deliverOne(ctx, &d)
			done <- i
		})
	}
	timer := time.NewTimer(s.cfg.ContainerUpdateTimeout.Duration)
	defer timer.Stop()
	waiting := make(map[int]bool, len(b.toSend))
	for i := range b.toSend {
		waiting[i] = true
	}
	for len(waiting) > 0 {
		select {
		case i := <-done:
			delete(waiting, i)
		case <-timer.C:
			s.deps.Logger.LogAttrs(ctx, slog.LevelDebug, "container updates go on in the background",
				slog.Int("count", len(waiting)), slog.Duration("waited", s.cfg.ContainerUpdateTimeout.Duration))
			for i := range waiting {
				s.saveUpdate(ctx, &b.toSend[i])
			}
			return
		}
	}
}

// deliverOne sends an update, and saves it if that fails.
func (s *Server) deliverOne(ctx context.Context, d *delivery) {
	redirect, err := s.sendUpdate(ctx, d)
	if err == nil && redirect == "" {
		return
	}
	if err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "container update failed, saved for later",
			slog.String("node", d.target.host), slog.String("device", d.target.device),
			slog.String("container", d.update.Account+"/"+d.update.Container), slog.Any("err", err))
	}
	if redirect != "" {
		d.update.ContainerPath = redirect
	}
	s.saveUpdate(ctx, d)
}

// saveUpdate leaves an update to an updater. If that fails, too, the row is missing until a replicator of containers or
// somebody's next write makes up for it; the object is safe.
func (s *Server) saveUpdate(ctx context.Context, d *delivery) {
	if err := s.queue.Save(d.device, d.policy, d.update); err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelError, "container update lost", slog.Any("err", err))
	}
}

// sendUpdate sends an update and returns where it belongs if that is somewhere else.
func (s *Server) sendUpdate(ctx context.Context, d *delivery) (redirect string, err error) {
	resp, err := s.deps.Transport.RoundTrip(updateRequest(ctx, d))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	// An unread answer would cost the connection; one that does not end, the timeout.
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	switch {
	case resp.StatusCode == http.StatusMovedPermanently:
		return redirectPath(resp.Header)
	case err != nil:
		return "", err
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	return "", nil
}

func updateRequest(ctx context.Context, d *delivery) *http.Request {
	container := d.update.ContainerPath
	if container == "" {
		container = d.update.Account + "/" + d.update.Container
	}
	path := "/" + d.target.device + "/" + d.target.partition + "/" + container + "/" + d.update.Object
	r := &http.Request{
		Method: d.update.Op, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Scheme: "http", Host: d.target.host, Path: path, RawPath: apipath.Quote(path)},
		Host:   d.target.host,
		Header: make(http.Header, len(d.update.Headers)),
	}
	for _, h := range d.update.Headers {
		r.Header.Set(h.Name, h.Value)
	}
	return r.WithContext(ctx)
}

// redirectPath reads "account/container" of the shard from a redirection.
func redirectPath(h http.Header) (string, error) {
	location, err := url.Parse(h.Get("Location"))
	if err != nil {
		return "", fmt.Errorf("redirect: %w", err)
	}
	path := location.EscapedPath()
	if meta.Truthy(h.Get("X-Backend-Location-Is-Quoted")) {
		path = apipath.Unquote(path)
	} else if raw := h.Get("Location"); strings.HasPrefix(raw, "/") {
		path = raw // not quoted: a percent sign is one
	}
	parts, err := apipath.SplitRest(nil, path, 2, 3)
	if err != nil {
		return "", fmt.Errorf("redirect to %q: %w", h.Get("Location"), err)
	}
	if _, err := timestamp.Parse(h.Get("X-Backend-Redirect-Timestamp")); err != nil {
		return "", fmt.Errorf("redirect to %q: %w", h.Get("Location"), err)
	}
	return parts[0] + "/" + parts[1], nil
}
