// Package benchcmd is the sub-command "apus bench": it reads flags, has internal/bench drive one or two endpoints,
// shows progress on standard error and the tables on standard output. It measures nothing itself.
//
// The command fails (the process is to exit with a status other than 0) when an operation failed, unless errors are
// tolerated, and when it was interrupted; the tables are written all the same.
//
// Example:
//
//	root.AddCommand(benchcmd.Command())
package benchcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/internal/bench"
)

// ErrOperations is wrapped when operations failed and errors were not to be tolerated.
var ErrOperations = errors.New("operations failed")

// ErrInterrupted is wrapped when a signal ended the run early.
var ErrInterrupted = errors.New("interrupted")

const long = `Drive an endpoint of the Swift or S3 API with requests and print, for each kind of operation, throughput, latency and errors.
With the process ids of servers on this machine, also how many operations they do per second of processor time.

A run works on a population of objects whose names, sizes and contents follow from --seed. It is a list of phases
(--ops): each plain operation is a phase of its own, in the order given, and neighbours with weights are one mixed
phase. A phase ends after --count operations or after --duration, whichever is first. Operations are put, get, head,
delete and post (of objects) and list (a page of a container, from --list-marker on). S3 has no post.

A phase of reads needs objects: those of a put phase before it, or of --prepare, which fills the population outside of
the measured time. Without either, the objects are taken to be there from an earlier run with the same --seed, --size,
--objects and containers. A delete phase deletes each object once and ends when none is left.

With --compare a second endpoint, B, is driven in alternation with the first, A: the phases of a round are run by A, B,
A, B, ..., and --rounds rounds are run. The medians of the rounds are compared; a ratio over 1 means A has more.

With --s3 requests are those of the S3 API, signed with version 4, and containers are buckets. --payload says how
bodies are sent: unsigned; hashed, with their SHA-256, which this program computes before it begins to count the time;
chunks, of aws-chunked, each signed; chunks-crc32c, with a checksum after them too; unsigned-crc32c, in chunks without
signatures before a checksum. A run of --compare may have S3 on one side and Swift on the other, of one server, or two
payloads; lists are ListObjectsV2 and Swift's JSON. The clock must be that of the server within its allowed skew.

Credentials are for version 1 authentication, or access key and secret of S3 (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). ST_AUTH, ST_USER and ST_KEY, or OS_STORAGE_URL and OS_AUTH_TOKEN, in the
environment stand in for flags not given; there the key does not show in the list of processes.

The table's columns: count is operations that succeeded, and errors those that did not, by status and with an example
below the table. ops/s and MiB/s are by the clock on the wall. ops/CPU-s and CPU ms/op are by the processor time of
--pids, which Linux counts in steps of 10 ms; phases should use at least a second of it. The same request costs more
processor time on a busy machine than on an idle one, easily by half: compare two servers with --compare, not by two runs.`

const examples = `  # 10 seconds each of 4 KiB PUT, GET, HEAD and DELETE, 8 at a time, every body checked, nothing left behind
  apus bench -A http://127.0.0.1:8080/auth/v1.0 -U test:tester -K testing --verify --clean

  # the processor time that servers with forked workers need for a mix of reads and writes
  apus bench -A http://127.0.0.1:8080/auth/v1.0 -U test:tester -K testing --prepare --objects 2000 \
      --ops get=80,put=20 --duration 30s --pids "$(paste -sd, /run/apus.pid)" --pids-of-children

  # two servers side by side with large objects, five rounds, figures kept
  apus bench -A http://127.0.0.1:8080/auth/v1.0 -U test:tester -K testing --pids 4711 \
      --compare http://127.0.0.1:9090/auth/v1.0 --pids2 4812,4813 --pids-of-children \
      --size 64MiB --objects 8 --count 8 --concurrency 2 --ops put,get --rounds 5 --clean --json result.json

  # what S3 costs beside Swift, on one server
  apus bench --s3 http://127.0.0.1:8080 -U test:tester -K testing --pids 4711 \
      --compare http://127.0.0.1:8080/auth/v1.0 --pids2 4711 --ops get --objects 1000 --prepare --count 10000`

// Command makes the sub-command.
func Command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Load an endpoint and measure it",
		Long:    long,
		Example: examples,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// From here on an error is about the run and not about how the command is used.
			cmd.SilenceUsage = true
			return run(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	return cmd
}

// run does what the flags say.
func run(parent context.Context, f flags, out, errOut io.Writer) error {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the run in order; a second one finds no handler and ends the process.
	context.AfterFunc(ctx, stop)

	sides, err := f.sides(ctx)
	if err != nil {
		return err
	}
	finish := showProgress(errOut, sides, f.quiet)
	rep, err := bench.Run(ctx, sides, f.rounds)
	finish()
	if ctx.Err() != nil {
		err = ErrInterrupted
	}
	err = errors.Join(err, f.write(rep, out, errOut))
	if n := rep.Errors(); n > 0 && !f.tolerate {
		err = errors.Join(err, fmt.Errorf("%d %w", n, ErrOperations))
	}
	if f.clean {
		err = errors.Join(err, clean(ctx, parent, f, sides, errOut))
	}
	return err
}

// clean deletes what the run made, also after an interruption.
func clean(ctx, parent context.Context, f flags, sides []*bench.Side, errOut io.Writer) error {
	if ctx.Err() != nil {
		fmt.Fprintln(errOut, "cleaning up; a second interrupt leaves the rest behind")
		ctx = parent
	}
	defer showProgress(errOut, sides, f.quiet)()
	var errs []error
	for _, s := range sides {
		if err := s.Runner.Clean(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// write writes the tables, and the JSON form to where it is wanted. When that is standard output the tables make way.
func (f flags) write(rep bench.Report, out, errOut io.Writer) error {
	tables := out
	if f.json == "-" {
		tables = errOut
	}
	if err := rep.WriteText(tables); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	if f.json == "" {
		return nil
	}
	data, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	data = append(data, '\n')
	if f.json == "-" {
		_, err = out.Write(data)
	} else {
		err = os.WriteFile(f.json, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
