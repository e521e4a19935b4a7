// Command apus is a Swift-compatible object store in one binary: every server, daemon and tool of it is a sub-command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/cmd/apus/benchcmd"
	"github.com/apus-storage/apus/cmd/apus/ringcmd"
)

// version is set by the linker.
var version = "dev"

func main() {
	// One signal stops gracefully; a second one is not caught and kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes a command line and returns the exit code: 0 for success, 1 for failure, or the code that the error
// carries.
func run(ctx context.Context, args []string) int {
	cmd := root()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		if err.Error() != "" {
			fmt.Fprintln(os.Stderr, "apus:", err)
		}
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "apus:", err)
	return 1
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apus",
		Short: "A Swift-compatible object store in one binary",
		Long: `Apus is a Swift-compatible object store: the same API, rings, wire protocol and bytes on disk as OpenStack Swift.

  apus serve --data /tmp/apus                  everything in one process, nothing to set up
  apus config check /etc/apus/proxy-server.toml
  apus proxy -c /etc/apus/proxy-server.toml    one server of a cluster

Exit codes: 0 success, 1 failure, 2 wrong usage.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{c, err} })
	cmd.AddCommand(serveCommand(), configCommand(), ringcmd.Command(), benchcmd.Command())
	cmd.AddCommand(serverCommands()...)
	cmd.AddCommand(daemonCommands()...)
	return cmd
}

// usageError is a wrong command line.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e usageError) Error() string {
	return fmt.Sprintf("%v\nSee '%s --help'.", e.err, e.cmd.CommandPath())
}

func (e usageError) ExitCode() int { return 2 }
