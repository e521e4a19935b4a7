package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/nodes"
)

// serverCommands are the servers of a cluster, one process each.
func serverCommands() []*cobra.Command {
	var cmds []*cobra.Command
	for _, s := range []struct{ kind, short string }{
		{assembly.Gateway, "Run an S3 gateway: one endpoint in front of many S3 stores"},
		{assembly.Proxy, "Run a proxy server: the one that clients talk to"},
		{assembly.Account, "Run an account server: which containers there are"},
		{assembly.Container, "Run a container server: which objects there are"},
		{assembly.Object, "Run an object server: the objects themselves"},
	} {
		path := "/etc/apus/" + s.kind + "-server.toml"
		about := "It takes the place of swift-" + s.kind + `-server of the same cluster: rings, protocol and disks are the same. Convert the file with
'apus config convert'.`
		if s.kind == assembly.Gateway {
			path, about = "/etc/apus/s3-gateway.toml", gatewayHelp
		}
		var test bool
		cmd := &cobra.Command{
			Use:   s.kind,
			Short: s.short,
			Long: s.short + `.

` + about + `

SIGTERM, SIGHUP and ctrl-C stop the server when the requests under way are done; a second signal stops it at once.
Exit codes: 0 stopped, 1 failed to start or to serve, 2 wrong usage.`,
			Example: "  apus " + s.kind + " -c " + path,
			Args:    cobra.NoArgs,
		}
		cmd.Flags().StringVarP(&path, "config", "c", path, "configuration file")
		cmd.Flags().BoolVarP(&test, "test", "t", false, "check the configuration, cluster files and rings, and stop")
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return serveOne(cmd, s.kind, path, test) }
		cmds = append(cmds, cmd)
	}
	return cmds
}

const gatewayHelp = `Clients sign with keys of the gateway; it checks their signatures and what they may do, signs again with the store's key, and
streams. Routes say which bucket is at which store; several stores of one route take over from each other, share the load, or
are moved from one to the other. There is no cluster: no rings, no storage nodes. As the filter s3gateway the same stands in the pipeline of
a proxy.

GET /healthz tells load balancers whether every route has a store that answers. etc/s3-gateway.toml is a sample,
docs/s3-gateway.md has worked examples.`

func serveOne(cmd *cobra.Command, kind, path string, test bool) error {
	ctx := cmd.Context()
	setup, err := assembly.Read(path, kind)
	if err != nil {
		return err
	}
	c := &setup.Server
	c.Workers.Limit()
	log, flush := c.Logger(os.Stderr)
	defer flush()
	log = log.With("server", kind)
	cluster, rings, err := setup.Cluster(kind == assembly.Proxy, log, clock.System)
	if err != nil {
		return err
	}
	transport := nodes.NewTCP(nodes.TCPOptions{ConnTimeout: setup.ConnTimeout()})
	defer transport.CloseIdleConnections()
	srv, err := setup.Build(assembly.Around{
		Log: log, Clock: clock.System, FS: disk.OS{}, Transport: transport, Dir: c.SwiftDir, Cluster: cluster, Rings: rings,
		Metrics: prometheus.NewRegistry(), Version: version,
	})
	if err != nil {
		return err
	}
	if test {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is good\n", path)
		return srv.Close()
	}
	l, err := c.Listen(ctx)
	if err != nil {
		return errors.Join(err, srv.Close())
	}
	log.Info("serving", "address", l.Addr().String(), "pipeline", setup.Plan.Kinds())
	return errors.Join(c.Run(ctx, l, srv, log), srv.Close())
}
