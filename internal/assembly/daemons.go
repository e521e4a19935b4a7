package assembly

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/containerupdater"
	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/expirer"
	"github.com/apus-storage/apus/backend/objectupdater"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/recon"
)

// Daemons are the tables of daemons in a server's file.
type Daemons struct {
	ContainerUpdater containerupdater.Config
	ObjectUpdater    objectupdater.Config
	ObjectExpirer    expirer.Config
}

func defaultDaemons() Daemons {
	return Daemons{
		ContainerUpdater: containerupdater.Defaults(), ObjectUpdater: objectupdater.Defaults(), ObjectExpirer: expirer.Defaults(),
	}
}

// DaemonKinds are the daemons, each with the kinds of files that it may be configured in.
var DaemonKinds = []struct {
	Name  string
	Files []string
	Short string
}{
	{"container-updater", []string{Container}, "Report containers' sizes to their accounts"},
	{"object-updater", []string{Object}, "Deliver container updates that could not be delivered at once"},
	{expirer.Name, []string{Object, Expirer}, "Delete objects whose time is over"},
}

// tables are the top-level tables of daemons that belong into a file of the kind.
func (s *Setup) tables() map[string]any {
	switch s.Kind {
	case Container:
		return map[string]any{"container-updater": &s.Daemons.ContainerUpdater}
	case Object:
		return map[string]any{"object-updater": &s.Daemons.ObjectUpdater, expirer.Name: &s.Daemons.ObjectExpirer}
	case Expirer:
		return map[string]any{expirer.Name: &s.Daemons.ObjectExpirer}
	}
	return nil
}

// internalPipeline is what the expirer sends its requests through when its file does not have a pipeline of its own for
// that: a proxy without auth, and without gatekeeper, since it speaks in headers of the cluster's own.
const internalPipeline = `[DEFAULT]
bind_port = 1
[pipeline.main]
pipeline = ["catch_errors", "proxy-server"]
[filter.catch_errors]
[app.proxy-server]
`

// BuildDaemon makes a daemon of the file. Close what is returned with it when the daemon has stopped.
func (s *Setup) BuildDaemon(name string, a Around) (*daemon.Daemon, func() error, error) {
	switch name {
	case "container-updater":
		pool := broker.NewPool(broker.Options{Logger: a.Log, Clock: a.Clock})
		d, err := containerUpdater(s.Daemons.ContainerUpdater, a, pool)
		return d, pool.Close, err
	case "object-updater":
		d, err := objectUpdater(s.Daemons.ObjectUpdater, a)
		return d, func() error { return nil }, err
	case expirer.Name:
		inner, err := s.internal(a)
		if err != nil {
			return nil, nil, err
		}
		d, err := objectExpirer(s.Daemons.ObjectExpirer, a, inner)
		return d, inner.Close, err
	}
	return nil, nil, fmt.Errorf("no daemon is called %q", name)
}

// internal is the pipeline for requests of a daemon's own: the file's, if it is an expirer's, else the built-in one.
func (s *Setup) internal(a Around) (*Server, error) {
	inner := s
	if s.Kind != Expirer {
		file, err := config.Parse("built-in pipeline", []byte(internalPipeline))
		if err != nil {
			return nil, err
		}
		if inner, err = readFile(file, Proxy, false); err != nil {
			return nil, err
		}
	}
	a.Metrics = prometheus.NewRegistry() // it is not a server of its own
	return inner.Build(a)
}

func containerUpdater(c containerupdater.Config, a Around, pool *broker.Pool) (*daemon.Daemon, error) {
	task, err := containerupdater.New(c, containerupdater.Deps{
		Databases: pool, Accounts: a.Rings.Account(), Hasher: a.Cluster.Hasher, Transport: a.Transport, Clock: a.Clock,
	})
	if err != nil {
		return nil, err
	}
	return frame(task, c.Options(recon.ContainerFile), a)
}

func objectUpdater(c objectupdater.Config, a Around) (*daemon.Daemon, error) {
	task, err := objectupdater.New(c, objectupdater.Deps{
		FS: a.FS, Containers: a.Rings.Container(), Hasher: a.Cluster.Hasher, Policies: a.Cluster.Policies, Transport: a.Transport,
		Clock: a.Clock,
	})
	if err != nil {
		return nil, err
	}
	return frame(task, c.Options(recon.ObjectFile), a)
}

func objectExpirer(c expirer.Config, a Around, pipeline http.Handler) (*daemon.Daemon, error) {
	task, err := expirer.New(c, expirer.Deps{
		Pipeline: pipeline, Containers: a.Rings.Container(), Hasher: a.Cluster.Hasher,
		AccountPrefix: a.Cluster.Limits.AutoCreateAccountPrefix, Transport: a.Transport, Clock: a.Clock,
	})
	if err != nil {
		return nil, err
	}
	return frame(task, c.Options(recon.ObjectFile), a)
}

func frame(t daemon.Task, o daemon.Options, a Around) (*daemon.Daemon, error) {
	o.Log, o.Clock, o.Metrics = a.Log, a.Clock, a.Metrics
	return daemon.New(t, o)
}
