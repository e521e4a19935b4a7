// Package ringcmd is "apus ring": it makes and changes rings with the verbs, the values and the exit codes of
// swift-ring-builder, on the same files.
//
// Every verb that writes holds the lock of the file's directory, the same one that OpenStack Swift's tools take, from
// reading the builder until it is written. A failed verb leaves the files as they were.
//
// # Example
//
//	apus ring object.builder create 10 3 1
//	apus ring object.builder add r1z1-10.0.0.1:6200/sdb 100 r1z2-10.0.0.2:6200/sdb 100
//	apus ring object.builder rebalance
//
// # Non-goals
//
// Composite rings, and the analyser that plays through scenarios.
package ringcmd

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes, as swift-ring-builder has them.
const (
	CodeWarning = 1 // done, or nothing to do, but somebody should look
	CodeError   = 2 // refused or failed
)

// An ExitError is an error that asks for a certain exit code.
type ExitError struct {
	Code int // CodeWarning or CodeError
	Err  error
}

// Error returns the text of what went wrong.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode returns the code with which the process should end.
func (e *ExitError) ExitCode() int { return e.Code }

func warning(format string, args ...any) error {
	return &ExitError{CodeWarning, fmt.Errorf(format, args...)}
}

// Command returns the command "ring". Its errors are [*ExitError], from whatever verb.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "ring FILE [VERB]",
		Short: "Make and change rings",
		Long: "Makes and changes the ring of a builder file, with the verbs of swift-ring-builder.\n" +
			"FILE is the .builder file, or the .ring.gz next to it. \"apus ring VERB --help\" explains a verb.",
		// The name of the file stands between this command and the verb, so the verbs are a command tree of their own.
		DisableFlagParsing: true,
		SilenceUsage:       true,
		SilenceErrors:      true,
		RunE:               run,
	}
}

func run(cmd *cobra.Command, args []string) error {
	s := &session{in: cmd.InOrStdin(), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), now: time.Now}
	root := s.verbs()
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	switch {
	case len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help":
		if len(args) > 1 {
			root.SetArgs([]string{args[1], "--help"})
		} else {
			root.SetArgs([]string{"--help"})
		}
	case isVerb(root, args[0]) && len(args) > 1 && (args[1] == "--help" || args[1] == "-h"):
		root.SetArgs(args)
	case isVerb(root, args[0]) && (len(args) == 1 || !isVerb(root, args[1])):
		return &ExitError{CodeError, fmt.Errorf("the file comes before the verb: apus ring FILE %s", args[0])}
	default:
		s.setFile(args[0])
		root.SetArgs(args[1:])
	}
	err := root.ExecuteContext(cmd.Context())
	if err == nil {
		return nil
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit
	}
	return &ExitError{CodeError, err}
}

func isVerb(root *cobra.Command, name string) bool {
	for _, c := range root.Commands() {
		if c.Name() == name {
			return true
		}
	}
	return false
}

// session is one call of the command.
type session struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time

	builderPath, ringPath string
}

// setFile finds the names of both files from that of one.
func (s *session) setFile(name string) {
	if stem, ok := strings.CutSuffix(name, ".ring.gz"); ok {
		s.builderPath, s.ringPath = stem+".builder", name
		return
	}
	s.builderPath, s.ringPath = name, strings.TrimSuffix(name, ".builder")+".ring.gz"
}

func (s *session) printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// warn prints something that does not make the verb fail.
func (s *session) warn(format string, args ...any) {
	fmt.Fprintf(s.err, "warning: "+format+"\n", args...)
}

const rootLong = `Makes and changes the ring of a builder file.

FILE is the .builder file, or the .ring.gz next to it. Without a verb it shows the ring and its devices. Changes of
devices take effect with the next rebalance, so make them all first. Copies of what is written are kept in backups/.

Exit codes: 0 done; 1 done or nothing to do, but somebody should look; 2 refused or failed.`

const rootExample = `  apus ring object.builder create 10 3 1
  apus ring object.builder add r1z1-10.0.0.1:6200/sdb 100 r1z2-10.0.0.2:6200/sdb 100 r1z3-10.0.0.3:6200/sdb 100
  apus ring object.builder rebalance
  apus ring object.builder
  apus ring object.builder set_weight d2 0`

// verbs returns the tree below "apus ring FILE".
func (s *session) verbs() *cobra.Command {
	asJSON := false
	root := &cobra.Command{
		Use:           "FILE [VERB]",
		Long:          rootLong,
		Example:       rootExample,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          unknownVerb,
		RunE:          func(*cobra.Command, []string) error { return s.show(asJSON) },
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "apus ring FILE"},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.Flags().BoolVar(&asJSON, "json", false, "print the ring and its devices as json")
	root.AddCommand(s.create(), s.add(), s.remove(), s.setWeight(), s.setRegion(), s.setZone(), s.setInfo(),
		s.setReplicas(), s.setMinPartHours(), s.setOverload(), s.rebalance(), s.writeRing(), s.writeBuilder(),
		s.validate(), s.dispersion(), s.search(), s.listParts(), s.pretend(), s.version(), s.showVerb())
	root.AddCommand(s.powerVerbs()...)
	return root
}

func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := cmd.SuggestionsFor(args[0])
	if len(near) > 0 {
		return fmt.Errorf("unknown verb %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown verb %q; apus ring --help lists them", args[0])
}

// isObjectRing says that the file is an object ring's, by its name as everywhere.
func (s *session) isObjectRing() bool {
	return strings.Contains(filepath.Base(s.builderPath), "object")
}
