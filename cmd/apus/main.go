// Command apus is a Swift-compatible object store in one binary: every server, daemon and tool of it is a sub-command.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	raiseHeapFloor()
	// One signal stops gracefully; a second one is not caught and kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns the exit code: 0 for success, 1 for failure, or the code that the error
// carries.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit interface{ ExitCode() int }
	code := 1
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if err.Error() != "" {
		fmt.Fprintln(stderr, "apus:", err)
	}
	return code
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
		Version: version,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return nil
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{c, err} })
	cmd.AddCommand(serveCommand(), configCommand(), ringcmd.Command(), benchcmd.Command())
	cmd.AddCommand(serverCommands()...)
	cmd.AddCommand(daemonCommands()...)
	usage(cmd)
	return cmd
}

// usage makes wrong arguments of a command and those below it usage errors.
func usage(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, a []string) error {
			if err := args(c, a); err != nil {
				return usageError{c, err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		usage(c)
	}
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
