package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/convert"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and convert configuration files",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(configCheck(), configShow(), configConvert())
	return cmd
}

func configCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE...",
		Short: "Report everything that is wrong with configuration files",
		Long: `Read the files as their servers would, and report every fault with its file and line. Nothing is started.

Exit codes: 0 all files are good, 1 some are not.`,
		Example: "  apus config check /etc/apus/*-server.toml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := 0
			for _, path := range args {
				setup, err := assembly.Read(path, "")
				if err != nil {
					bad++
					fmt.Fprintln(cmd.ErrOrStderr(), err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: good: a %s server with %d filters\n", path, setup.Kind, len(setup.Plan.Entries)-1)
			}
			if bad > 0 {
				return quietError{}
			}
			return nil
		},
	}
}

// quietError fails without a further message.
type quietError struct{}

func (quietError) Error() string { return "" }
func (quietError) ExitCode() int { return 1 }

func configShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Show what a configuration file amounts to",
		Long: `Show the pipeline as it will run, with the filters that are added by themselves, and every option with its value and where
that came from: a line of the file, or the default. Secrets are not shown.`,
		Example: "  apus config show /etc/apus/proxy-server.toml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			setup, err := assembly.Read(args[0], "")
			if err != nil {
				return err
			}
			return show(cmd.OutOrStdout(), setup)
		},
	}
}

func configConvert() *cobra.Command {
	var kind, output string
	cmd := &cobra.Command{
		Use:   "convert FILE",
		Short: "Turn a configuration file of OpenStack Swift into TOML",
		Long: `Convert a file of OpenStack Swift (proxy-server.conf, account-server.conf, container-server.conf, object-server.conf,
object-expirer.conf, swift.conf, memcache.conf) and print it as TOML.

Nothing is dropped: what cannot be converted is left in as a comment, and named on standard error with its line. What would make
the result mean something else, such as a filter that Apus does not have, stays in, so that 'apus config check' refuses the result until
somebody has decided.

Exit codes: 0 converted, 1 not converted, or only with something left to decide.`,
		Example: `  apus config convert /etc/swift/proxy-server.conf > /etc/apus/proxy-server.toml
  apus config convert /etc/swift/swift.conf -o /etc/apus/swift.toml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return convertFile(cmd, args[0], kind, output) },
	}
	cmd.Flags().StringVar(&kind, "kind", "", "kind of file, where its name does not say: proxy, account, container, object, object-expirer, swift, memcache")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this new file instead of standard output")
	return cmd
}

func convertFile(cmd *cobra.Command, path, kindName, output string) error {
	kind := convert.Kind(kindName)
	if kindName == "" {
		var ok bool
		if kind, ok = convert.KindOf(path); !ok {
			return usageError{cmd, fmt.Errorf("the name %s does not say what kind of file it is; use --kind", path)}
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, notes, err := convert.Convert(path, data, kind, assembly.Known())
	if err != nil {
		return err
	}
	blocking := 0
	for _, n := range notes {
		if n.Blocking {
			blocking++
		}
		fmt.Fprintln(cmd.ErrOrStderr(), n)
	}
	if err := writeOut(cmd, output, text); err != nil {
		return err
	}
	if blocking > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of these must be decided before the result can be used.\n", blocking)
		return quietError{}
	}
	return nil
}

// writeOut writes to a file that must not exist yet, or to standard output.
func writeOut(cmd *cobra.Command, path string, text []byte) error {
	if path == "" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640) // it may hold keys
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

func show(w io.Writer, s *assembly.Setup) error {
	fmt.Fprintf(w, "# %s: a %s server\n\npipeline\n", s.Plan.File.Path(), s.Kind)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, e := range s.Plan.Entries {
		note := ""
		if e.Inserted {
			note = "added"
		}
		fmt.Fprintf(tw, "  %d\t%s\t%s\t%s\n", i+1, e.Section, e.Definition.Kind(), note)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	showOptions(w, "DEFAULT", s.Plan.Default)
	var seen []string
	for i, e := range s.Plan.Entries {
		table := "filter"
		if i == len(s.Plan.Entries)-1 {
			table = "app"
		}
		if name := table + "." + e.Section; !slices.Contains(seen, name) {
			seen = append(seen, name)
			showOptions(w, name, e.Report)
		}
	}
	for name, r := range s.Plan.Tables {
		showOptions(w, name, r)
	}
	return nil
}

// showOptions shows the options of a section, and those of each table within it below.
func showOptions(w io.Writer, section string, r config.Report) {
	tables, options := byTable(r.Options)
	for _, table := range tables {
		fmt.Fprintf(w, "\n%s\n", header(section, table))
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, o := range options[table] {
			fmt.Fprintf(tw, "%s\t= %s\t# %s\n", o.Key, o.Value, o.Source)
		}
		tw.Flush()
	}
}

// byTable sorts options by the table within their section that they are in, in the order in which those come; the section's
// own is "".
func byTable(all []config.Option) ([]string, map[string][]config.Option) {
	tables, options := []string{""}, map[string][]config.Option{}
	for _, o := range all {
		table := ""
		if i := strings.LastIndex(o.Key, "."); i >= 0 && o.Table {
			table, o.Key = o.Key[:i], o.Key[i+1:]
		}
		if _, seen := options[table]; !seen && table != "" {
			tables = append(tables, table)
		}
		options[table] = append(options[table], o)
	}
	return tables, options
}

var numbered = regexp.MustCompile(`\[(\d+)\]$`)

// header is that of a table as a file has it. Of tables of one name, it says which it is.
func header(section, table string) string {
	name := section
	if table != "" {
		name += "." + table
	}
	if m := numbered.FindStringSubmatchIndex(name); m != nil {
		return fmt.Sprintf("[[%s]]  # %s", name[:m[0]], name[m[2]:m[3]])
	}
	return "[" + name + "]"
}
