package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/nodes"
)

// daemonCommands are the background processes of a cluster.
func daemonCommands() []*cobra.Command {
	var cmds []*cobra.Command
	for _, d := range assembly.DaemonKinds {
		path := "/etc/apus/" + strings.Split(d.Files[0], "-")[0] + "-server.toml"
		var once bool
		cmd := &cobra.Command{
			Use:   d.Name,
			Short: d.Short,
			Long: d.Short + `, again and again.

It takes the place of swift-` + d.Name + `. Its options are in the table [` + d.Name + `] of the file.

SIGTERM, SIGHUP and ctrl-C stop it when what it is at is done; a second signal stops it at once.
Exit codes: 0 stopped, or with --once done; 1 failed; 2 wrong usage.`,
			Example: "  apus " + d.Name + " -c " + path + "\n  apus " + d.Name + " -c " + path + " --once",
			Args:    cobra.NoArgs,
		}
		cmd.Flags().StringVarP(&path, "config", "c", path, "configuration file")
		cmd.Flags().BoolVar(&once, "once", false, "make one pass and stop")
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runDaemon(cmd, d.Name, d.Files, path, once) }
		cmds = append(cmds, cmd)
	}
	return cmds
}

func runDaemon(cmd *cobra.Command, name string, files []string, path string, once bool) error {
	setup, err := assembly.Read(path, "")
	if err != nil {
		return err
	}
	if !slices.Contains(files, setup.Kind) {
		return setup.Plan.File.Errorf([]string{"pipeline", "main"}, "is for the kind %s; %s is configured in a file for the kind %s",
			setup.Kind, name, strings.Join(files, " or "))
	}
	c := &setup.Server
	log, flush := c.Logger(os.Stderr)
	defer flush()
	cluster, rings, err := setup.Cluster(true, log, clock.System)
	if err != nil {
		return err
	}
	around := assembly.Around{
		Log: log, Clock: clock.System, FS: disk.OS{}, Dir: c.SwiftDir, Cluster: cluster, Rings: rings,
		Metrics: prometheus.NewRegistry(), Version: version,
	}
	if name == assembly.Expirer {
		// It is a proxy as well; the others make a transport of their own, with their own conn_timeout.
		transport := nodes.NewTCP(nodes.TCPOptions{ConnTimeout: setup.ConnTimeout()})
		defer transport.CloseIdleConnections()
		around.Transport = transport
	}
	d, closeAll, err := setup.BuildDaemon(name, around)
	if err != nil {
		return err
	}
	run := d.Run
	if once {
		run = d.Once
	}
	return errors.Join(run(cmd.Context()), closeAll())
}
