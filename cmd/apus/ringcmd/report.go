package ringcmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

func (s *session) showVerb() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "default",
		Aliases: []string{"show"},
		Short:   "Show the ring and its devices, as without a verb",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return s.show(asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the ring and its devices as json")
	return c
}

func (s *session) show(asJSON bool) error {
	if s.builderPath == "" {
		return errors.New("name a builder file: apus ring FILE")
	}
	b, err := s.load()
	if err != nil {
		return err
	}
	if asJSON {
		return s.showJSON(b)
	}
	type zone struct{ region, zone int }
	regions, zones := make(map[int]bool), make(map[zone]bool)
	var devices []*builder.Device
	for d := range b.Devices() {
		regions[d.Region], zones[zone{d.Region, d.Zone}] = true, true
		devices = append(devices, d)
	}
	id := b.ID()
	if id == "" {
		id = "(none yet)"
	}
	s.printf("%s, build version %d, id %s\n", s.builderPath, b.Version(), id)
	s.printf("%d partitions, %.6f replicas, %d regions, %d zones, %d devices, %.2f balance, %.2f dispersion\n",
		b.Partitions(), b.Replicas(), len(regions), len(zones), len(devices), b.Balance(), b.Dispersion())
	s.printf("A partition stays for %d hours after a move (%v left)\n", b.MinPartHours(),
		b.MinPartTimeLeft(s.now()).Round(time.Second))
	s.printf("The overload is %.2f%% (%.6f)\n", 100*b.Overload(), b.Overload())
	s.printf("%s\n", s.ringState(b))
	if err := s.deviceTable(b, devices); err != nil {
		return err
	}
	s.powerState(b)
	return nil
}

// ringState says whether the ring file is what the builder would write.
func (s *session) ringState(b *builder.Builder) string {
	have, err := ring.Load(s.ringPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "Ring file " + s.ringPath + " was not written yet"
	case err != nil:
		return "Ring file " + s.ringPath + " is bad: " + err.Error()
	}
	want, err := b.Ring()
	if err != nil {
		return "Ring file " + s.ringPath + " cannot be compared: " + err.Error()
	}
	var x, y bytes.Buffer
	if err := errors.Join(have.Encode(&x, ring.Format2, ""), want.Encode(&y, ring.Format2, "")); err != nil {
		return "Ring file " + s.ringPath + " cannot be compared: " + err.Error()
	}
	if bytes.Equal(x.Bytes(), y.Bytes()) {
		return "Ring file " + s.ringPath + " is up to date"
	}
	return "Ring file " + s.ringPath + " is out of date; rebalance or write_ring writes it"
}

func (s *session) powerState(b *builder.Builder) {
	next, ok := b.NextPartPower()
	switch {
	case ok && next > b.PartPower():
		s.printf("\nThe partition power is about to become %d. Relink on all nodes before increase_partition_power.\n", next)
	case ok:
		s.printf("\nThe partition power became %d. Clean up with the relinker on all nodes before "+
			"finish_increase_partition_power.\n", next)
	}
}

func (s *session) deviceTable(b *builder.Builder, devices []*builder.Device) error {
	slices.SortStableFunc(devices, func(x, y *builder.Device) int {
		return cmp.Or(cmp.Compare(x.Region, y.Region), cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.IP, y.IP),
			cmp.Compare(x.Name, y.Name))
	})
	return s.table("id\tregion\tzone\tip:port\treplication ip:port\tname\tweight\tpartitions\tbalance\tflags\tmeta",
		func(w io.Writer) {
			for _, d := range devices {
				flags := ""
				if d.Removed {
					flags = "DEL"
				}
				fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%s\t%.2f\t%d\t%.2f\t%s\t%s\n", d.ID, d.Region, d.Zone, d.HostPort(),
					net.JoinHostPort(d.ReplicationIP, strconv.Itoa(d.ReplicationPort)), d.Name, d.Weight, d.Parts,
					b.DeviceBalance(d), flags, d.Meta)
			}
		})
}

// table prints aligned columns, numbers to the left as text is, since addresses are among them.
func (s *session) table(header string, rows func(io.Writer)) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(w)
	return w.Flush()
}

func (s *session) showJSON(b *builder.Builder) error {
	type device struct {
		ring.Device
		Parts, Wanted int
		Balance       float64
		Removed       bool
	}
	out := struct {
		File                string
		ID                  string
		Version             int64
		PartPower           uint
		NextPartPower       *uint
		Replicas            float64
		MinPartHours        int
		Overload            float64
		Balance, Dispersion float64
		Devices             []device
	}{File: s.builderPath, ID: b.ID(), Version: b.Version(), PartPower: b.PartPower(), Replicas: b.Replicas(),
		MinPartHours: b.MinPartHours(), Overload: b.Overload(), Balance: b.Balance(), Dispersion: b.Dispersion(),
		Devices: []device{}}
	if next, ok := b.NextPartPower(); ok {
		out.NextPartPower = &next
	}
	for d := range b.Devices() {
		out.Devices = append(out.Devices, device{d.Device, d.Parts, d.Wanted, b.DeviceBalance(d), d.Removed})
	}
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (s *session) search() *cobra.Command {
	var flags deviceFlags
	c := &cobra.Command{
		Use:     "search SEARCH...",
		Short:   "Show devices that match",
		Long:    "Shows the devices that match." + searchHelp,
		Example: "  apus ring object.builder search z2\n  apus ring object.builder search --device sdb1 --weight 0",
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := s.load()
			if err != nil {
				return err
			}
			devices, err := flags.find(b, args)
			if err == nil && len(devices) == 0 {
				err = errors.New("no device matches")
			}
			if err != nil {
				return err
			}
			return s.deviceTable(b, devices)
		},
	}
	flags.register(c.Flags(), true)
	return c
}

func (s *session) listParts() *cobra.Command {
	var flags deviceFlags
	c := &cobra.Command{
		Use:   "list_parts SEARCH...",
		Short: "List the partitions on devices that match",
		Long: "Lists the partitions that have replicas on the devices that match, and how many replicas those are, most\n" +
			"first." + searchHelp,
		Example: "  apus ring object.builder list_parts d3\n  apus ring object.builder list_parts z1 z2",
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := s.load()
			if err != nil {
				return err
			}
			devices, err := flags.find(b, args)
			if err == nil && len(devices) == 0 {
				err = errors.New("no device matches")
			}
			if err != nil {
				return err
			}
			parts, err := b.PartsOn(devices)
			if err == nil && len(parts) == 0 {
				err = errors.New("the devices that match have no partitions")
			}
			if err != nil {
				return err
			}
			s.printf("Partition   Matches\n")
			for _, p := range parts {
				s.printf("%9d   %7d\n", p.Partition, p.Replicas)
			}
			return nil
		},
	}
	flags.register(c.Flags(), true)
	return c
}

func (s *session) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the assignments",
		Long:  "Checks that every partition has its replicas on devices that exist, and no two on the same one.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := s.load()
			if err != nil {
				return err
			}
			return b.Validate()
		},
	}
}

func (s *session) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the builder's change counter",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := s.load()
			if err == nil {
				s.printf("Build version: %d\n", b.Version())
			}
			return err
		},
	}
}

func (s *session) dispersion() *cobra.Command {
	recalculate, verbose := false, false
	c := &cobra.Command{
		Use:   "dispersion [REGEXP]",
		Short: "Report how well replicas are spread",
		Long: "Reports which tier has the largest share of part-replicas that should be elsewhere. With --verbose it lists the\n" +
			"tiers, those whose name begins with a match of REGEXP if one is given: the part-replicas in it, the percentage of\n" +
			"them that is too many, the largest number of replicas of a partition that is well, and the numbers of\n" +
			"partitions that have none, one, two ... replicas there.",
		Example: "  apus ring object.builder dispersion 'r\\d+z\\d+$' -v",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var match *regexp.Regexp
			if len(args) > 0 {
				var err error
				if match, err = regexp.Compile("^(?:" + args[0] + ")"); err != nil {
					return fmt.Errorf("REGEXP %q: %w", args[0], err)
				}
			}
			if !recalculate {
				b, err := s.load()
				if err != nil {
					return err
				}
				return s.reportDispersion(b, match, verbose)
			}
			return s.edit(func(b *builder.Builder) error {
				if err := b.RecalculateDispersion(); err != nil {
					return err
				}
				return s.reportDispersion(b, match, verbose)
			})
		},
	}
	c.Flags().BoolVar(&recalculate, "recalculate", false, "count anew, and save the builder")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list the tiers")
	return c
}

func (s *session) reportDispersion(b *builder.Builder, match *regexp.Regexp, verbose bool) error {
	tiers, err := b.DispersionReport(match)
	if err != nil {
		return fmt.Errorf("%w; rebalance first", err)
	}
	s.printf("Dispersion is %.6f, balance %.6f, overload %.2f%%\n", b.Dispersion(), b.Balance(), 100*b.Overload())
	if required, err := b.RequiredOverload(); err == nil {
		s.printf("Required overload is %.6f%%\n", 100*required)
	}
	var worst *builder.TierCount
	for i := range tiers {
		if d := tiers[i].Dispersion(); d > 0 && (worst == nil || d > worst.Dispersion()) {
			worst = &tiers[i]
		}
	}
	if verbose && len(tiers) > 0 {
		header := "tier\tparts\t%\tmax"
		for n := range tiers[0].Counts {
			header += "\t" + strconv.Itoa(n)
		}
		err := s.table(header, func(w io.Writer) {
			for i := range tiers {
				t := &tiers[i]
				fmt.Fprintf(w, "%s\t%d\t%.2f\t%d", t.Name, t.Parts(), t.Dispersion(), t.Most)
				for _, n := range t.Counts {
					fmt.Fprintf(w, "\t%d", n)
				}
				fmt.Fprintln(w)
			}
		})
		if err != nil {
			return err
		}
	}
	if worst != nil {
		return warning("worst tier is %s with a dispersion of %.6f", worst.Name, worst.Dispersion())
	}
	return nil
}
