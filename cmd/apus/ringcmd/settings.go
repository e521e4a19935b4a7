package ringcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/ring/builder"
)

func (s *session) create() *cobra.Command {
	return &cobra.Command{
		Use:   "create PART_POWER REPLICAS MIN_PART_HOURS",
		Short: "Make a new builder file",
		Long: "Makes a new builder file. There will be 2^PART_POWER partitions; aim at a hundred on each device when the\n" +
			"cluster is as large as it will get. REPLICAS may be fractional. A partition that moved stays where it is for\n" +
			"MIN_PART_HOURS, which should be longer than a pass of the replicators.",
		Example: "  apus ring object.builder create 14 3 24",
		Args:    cobra.ExactArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			power, err := count(args[0])
			if err != nil {
				return fmt.Errorf("PART_POWER %q: %w", args[0], err)
			}
			replicas, err := number(args[1])
			if err != nil {
				return fmt.Errorf("REPLICAS %q: %w", args[1], err)
			}
			hours, err := count(args[2])
			if err != nil {
				return fmt.Errorf("MIN_PART_HOURS %q: %w", args[2], err)
			}
			b, err := builder.New(uint(power), replicas, hours)
			if err != nil {
				return err
			}
			unlock, err := s.lock()
			if err != nil {
				return err
			}
			defer unlock()
			if err := mustNotExist(s.builderPath); err != nil {
				return err
			}
			return s.saveBuilder(b, s.now())
		},
	}
}

func mustNotExist(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("%s exists; move it away if it is not needed any more", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *session) setReplicas() *cobra.Command {
	return &cobra.Command{
		Use:     "set_replicas REPLICAS",
		Short:   "Change the number of replicas",
		Long:    "Changes the number of replicas. It may be fractional, to get from one number to another in steps.",
		Example: "  apus ring object.builder set_replicas 3.25",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit(func(b *builder.Builder) error {
				n, err := number(args[0])
				if err != nil {
					return fmt.Errorf("REPLICAS %q: %w", args[0], err)
				}
				if err := b.SetReplicas(n); err != nil {
					return err
				}
				s.printf("The next rebalance makes it %.6f replicas.\n", n)
				return nil
			})
		},
	}
}

func (s *session) setMinPartHours() *cobra.Command {
	return &cobra.Command{
		Use:     "set_min_part_hours HOURS",
		Short:   "Change how long a partition stays after a move",
		Long:    "Changes how long a partition that moved stays where it is. It should be longer than a pass of the replicators.",
		Example: "  apus ring object.builder set_min_part_hours 24",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit(func(b *builder.Builder) error {
				n, err := count(args[0])
				if err != nil {
					return fmt.Errorf("HOURS %q: %w", args[0], err)
				}
				if err := b.SetMinPartHours(n); err != nil {
					return err
				}
				s.printf("A partition that moved stays for %d hours now.\n", n)
				return nil
			})
		},
	}
}

func (s *session) setOverload() *cobra.Command {
	return &cobra.Command{
		Use:   "set_overload OVERLOAD[%]",
		Short: "Change how much dispersion may cost in balance",
		Long: "Changes by how much of its fair share a device may be overloaded so that replicas are in more zones or\n" +
			"servers. The verb dispersion says how much would be required. Keep so much space free.",
		Example: "  apus ring object.builder set_overload 10%\n  apus ring object.builder set_overload 0.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit(func(b *builder.Builder) error {
				digits, percent := strings.CutSuffix(args[0], "%")
				n, err := strconv.ParseFloat(digits, 64)
				if err != nil {
					return fmt.Errorf("OVERLOAD %q: want a number, such as 0.1 or 10%%", args[0])
				}
				if percent {
					n /= 100
				}
				if err := b.SetOverload(n); err != nil {
					return err
				}
				s.printf("The next rebalance uses an overload of %.2f%% (%.6f).\n", 100*n, n)
				if n > 1 && !percent {
					return warning("an overload of %v is %.0f%%; write %v%% if you mean that", n, 100*n, n)
				}
				return nil
			})
		},
	}
}

func (s *session) pretend() *cobra.Command {
	return &cobra.Command{
		Use:   "pretend_min_part_hours_passed",
		Short: "Let every partition move in the next rebalance",
		Long: "Lets every partition move in the next rebalance, however short ago it moved. Replicas that are still being\n" +
			"copied then have to be copied from elsewhere again; data may be out of reach until they are.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.edit(func(b *builder.Builder) error {
				b.PretendMinPartHoursPassed()
				return nil
			})
		},
	}
}

// powerVerbs are the steps of a partition power increase.
func (s *session) powerVerbs() []*cobra.Command {
	const care = "\nEach step ends with write_ring and copying the ring to all nodes. A step out of turn makes data unreachable."
	verb := func(use, short, next string, f func(*builder.Builder) error) *cobra.Command {
		return &cobra.Command{
			Use:     use,
			Short:   short,
			Long:    short + ".\n" + next + care,
			Example: "  apus ring object.builder " + use + "\n  apus ring object.builder write_ring",
			Args:    cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				if !s.isObjectRing() {
					return fmt.Errorf("%s is no object ring by its name; only those can change partition power", s.builderPath)
				}
				return s.edit(func(b *builder.Builder) error {
					if err := f(b); err != nil {
						return err
					}
					s.printf("The partition power is %d", b.PartPower())
					if power, ok := b.NextPartPower(); ok {
						s.printf(", the next one %d", power)
					}
					s.printf(". %s\n", next)
					return nil
				})
			},
		}
	}
	return []*cobra.Command{
		verb("prepare_increase_partition_power", "Prepare to double the partitions",
			"Write and distribute the ring, then relink on all nodes.", (*builder.Builder).PrepareIncrease),
		verb("increase_partition_power", "Double the partitions",
			"Write and distribute the ring, then clean up with the relinker on all nodes.", (*builder.Builder).Increase),
		verb("cancel_increase_partition_power", "Take back the preparation",
			"Write and distribute the ring, then clean up with the relinker on all nodes.", (*builder.Builder).CancelIncrease),
		verb("finish_increase_partition_power", "End the increase after the relinker has cleaned up",
			"Write and distribute the ring.", (*builder.Builder).FinishIncrease),
	}
}
