package ringcmd

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

func formatFlag(c *cobra.Command, into *int) {
	c.Flags().IntVar(into, "format-version", 1, "version of the ring file: 1, or 2 for Swift 2.36 and later")
}

func checkFormat(version int) (ring.Format, error) {
	if version != 1 && version != 2 {
		return 0, fmt.Errorf("--format-version %d: want 1 or 2", version)
	}
	return ring.Format(version), nil
}

type rebalanceFlags struct {
	seed         string
	force, debug bool
	version      int
}

func (s *session) rebalance() *cobra.Command {
	var f rebalanceFlags
	c := &cobra.Command{
		Use:   "rebalance [SEED]",
		Short: "Assign partitions to devices and write the ring",
		Long: "Assigns partitions to devices as weights and tiers ask, and writes the builder and the ring. One replica of a\n" +
			"partition moves at most, and none of a partition that moved within min_part_hours. Copy the ring to all nodes\n" +
			"and wait for a pass of the replicators before the next rebalance. A ring that would change by less than 1 %\n" +
			"is not written, unless devices have changed.",
		Example: "  apus ring object.builder rebalance\n  apus ring object.builder rebalance --seed 2024-11 --force",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if f.seed == "" && len(args) > 0 {
				f.seed = args[0]
			}
			return s.doRebalance(f)
		},
	}
	c.Flags().StringVarP(&f.seed, "seed", "s", "", "makes the outcome repeatable")
	c.Flags().BoolVarP(&f.force, "force", "f", false, "write the ring even if less than 1 % has changed")
	c.Flags().BoolVarP(&f.debug, "debug", "d", false, "say what is being done")
	formatFlag(c, &f.version)
	return c
}

func (s *session) doRebalance(f rebalanceFlags) error {
	format, err := checkFormat(f.version)
	if err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	b, err := s.load()
	if err != nil {
		return err
	}
	now := s.now()
	changed, balance, dispersion := b.Changed(), b.Balance(), b.Dispersion()
	left := b.MinPartTimeLeft(now)
	p := s.newProgress(f.debug)
	result, err := b.Rebalance(builder.RebalanceOptions{Seed: f.seed, Now: now, Progress: p.report})
	p.end()
	if errors.Is(err, builder.ErrTooFewDevices) {
		return fmt.Errorf("%w; add devices, or lower the number with set_replicas", err)
	}
	if err != nil {
		return err
	}
	if result.Moved == 0 && result.Removed == 0 && !f.force {
		if left > 0 {
			return warning("nothing could be moved: partitions stay for %d hours after a move, %v are left",
				b.MinPartHours(), left.Round(time.Second))
		}
		return warning("there is nothing to move")
	}
	// A drained device keeps the balance at its maximum until it is empty, so that says nothing about the change.
	better := math.Abs(balance-result.Balance) >= 1 || math.Abs(dispersion-result.Dispersion) >= 1 ||
		balance == builder.MaxBalance && result.Balance == builder.MaxBalance
	if !f.force && !changed && !better {
		return warning("not written: balance and dispersion change by less than 1%%; --force writes it nevertheless")
	}
	if err := b.Validate(); err != nil {
		return err
	}
	// The builder first: a ring without its builder would be forgotten by the next rebalance, and data move twice, while
	// the ring of a builder can always be written.
	if err := s.saveBuilder(b, now); err != nil {
		return err
	}
	if err := s.saveRing(b, format, now); err != nil {
		return fmt.Errorf("%w; the builder is saved, try again with write_ring", err)
	}
	s.printf("%d part-replicas of %d partitions (%.2f%%) were reassigned. Balance is %.2f, dispersion %.2f.\n",
		result.Moved, result.Partitions, 100*float64(result.Partitions)/float64(b.Partitions()), result.Balance,
		result.Dispersion)
	return s.judge(b, result)
}

// judge says what there is to do about the outcome of a rebalance.
func (s *session) judge(b *builder.Builder, r builder.Result) error {
	if r.Dispersion > 0 {
		return warning("a dispersion of %.6f means that some partitions have more replicas in one place than need be; the verb "+
			"dispersion tells where, other weights or more overload help", r.Dispersion)
	}
	if r.Balance > 5 && r.Balance/100 > b.Overload() {
		return warning("with a balance of %.2f, distribute this ring, wait %d hours and rebalance again", r.Balance,
			b.MinPartHours())
	}
	return nil
}

// progress shows on a terminal what a rebalance does when it takes long.
type progress struct {
	s     *session
	debug bool
	tty   bool
	begun time.Time
	last  time.Time
	step  string
	shown bool
}

func (s *session) newProgress(debug bool) *progress {
	p := &progress{s: s, debug: debug, begun: s.now()}
	if f, ok := s.err.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.tty = err == nil
	}
	return p
}

func (p *progress) report(step string, done, total int) {
	if p.debug && step != p.step {
		fmt.Fprintf(p.s.err, "%s: %d to do\n", step, total-done)
	}
	p.step = step
	now := p.s.now()
	if !p.tty || now.Sub(p.begun) < time.Second || now.Sub(p.last) < time.Second/4 {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.s.err, "\r\x1b[K%s %d of %d", step, done, total)
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.s.err, "\r\x1b[K")
	}
}

func (s *session) writeRing() *cobra.Command {
	version := 1
	c := &cobra.Command{
		Use:   "write_ring",
		Short: "Write the ring of the builder as it is",
		Long: "Writes the ring as the builder has it. rebalance does that by itself; it is needed after set_info and the\n" +
			"steps of a partition power increase.",
		Example: "  apus ring object.builder write_ring --format-version 2",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			format, err := checkFormat(version)
			if err != nil {
				return err
			}
			unlock, err := s.lock()
			if err != nil {
				return err
			}
			defer unlock()
			b, err := s.load()
			if err != nil {
				return err
			}
			devices := 0
			for range b.Devices() {
				devices++
			}
			if devices == 0 {
				return errors.New("the ring is empty; add devices and rebalance")
			}
			if !b.Rebalanced() {
				s.warn("no partition is assigned; rebalance first if the ring is to be used")
			}
			return s.saveRing(b, format, s.now())
		},
	}
	formatFlag(c, &version)
	return c
}

func (s *session) writeBuilder() *cobra.Command {
	return &cobra.Command{
		Use:   "write_builder [MIN_PART_HOURS]",
		Short: "Make a builder file of a ring whose builder was lost",
		Long: "Makes a builder file of the ring next to it. What only a builder has is lost: the overload, when partitions\n" +
			"moved, and min_part_hours, which is 24 unless it is given.",
		Example: "  apus ring object.ring.gz write_builder 24",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			hours := 24
			if len(args) == 0 {
				s.warn("taking 24 for min_part_hours, which may not be what the lost builder had")
			} else {
				var err error
				if hours, err = count(args[0]); err != nil {
					return fmt.Errorf("MIN_PART_HOURS %q: %w", args[0], err)
				}
			}
			unlock, err := s.lock()
			if err != nil {
				return err
			}
			defer unlock()
			if err := mustNotExist(s.builderPath); err != nil {
				return err
			}
			r, err := ring.Load(s.ringPath)
			if err != nil {
				return err
			}
			b, err := builder.FromRing(r, hours)
			if err != nil {
				return err
			}
			return b.Save(s.builderPath)
		},
	}
}
