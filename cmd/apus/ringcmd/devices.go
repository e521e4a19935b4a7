package ringcmd

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

// searchHelp explains search values to every verb that takes them.
const searchHelp = `

A search value is d<id>r<region>z<zone>-<ip>:<port>R<ip>:<port>/<device>_<note> or any part of it:

  d74               the device with id 74
  r4z1              region 4, zone 1
  z1-10.0.0.4       zone 1 of any region, that address
  10.0.0.4          that address
  [fd00::4]:6200    that IPv6 address and port
  :6200             that port
  R10.1.0.4         that replication address
  /sdb1             that device name
  _shiny            "shiny" in the note`

func (s *session) add() *cobra.Command {
	var flags deviceFlags
	c := &cobra.Command{
		Use:   "add {[r<region>]z<zone>-<ip>:<port>[R<ip>:<port>]/<device>[_<note>] WEIGHT}...",
		Short: "Add devices",
		Long: "Adds devices. They get no partitions before the next rebalance. The weight is a device's share relative to\n" +
			"the others, so take its size, in gigabytes say.",
		Example: "  apus ring object.builder add r1z1-10.0.0.1:6200R10.1.0.1:6300/sdb1_shelf4 4000\n" +
			"  apus ring object.builder add --region 1 --zone 2 --ip node2 --port 6200 --device sdb1 --weight 4000",
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit(func(b *builder.Builder) error {
				devices, err := s.newDevices(&flags, args)
				if err != nil {
					return err
				}
				for _, d := range devices {
					if d.ID, err = b.Add(d); err != nil {
						return fmt.Errorf("%w; nothing was changed", err)
					}
					s.printf("%s with weight %v got id %d\n", &d, d.Weight, d.ID)
				}
				return nil
			})
		},
	}
	flags.register(c.Flags(), false)
	return c
}

func (s *session) newDevices(flags *deviceFlags, args []string) ([]ring.Device, error) {
	if len(args) == 0 {
		d, err := flags.device()
		return []ring.Device{d}, err
	}
	if flags.given() {
		return nil, errMixed
	}
	if len(args)%2 != 0 {
		return nil, fmt.Errorf("%q has no weight; the form is DEVICE WEIGHT [DEVICE WEIGHT]", args[len(args)-1])
	}
	var devices []ring.Device
	for i := 0; i < len(args); i += 2 {
		d, hasRegion, err := builder.ParseAdd(args[i])
		if err != nil {
			return nil, err
		}
		if !hasRegion {
			s.warn("no region is given for %s, taking 1", args[i])
		}
		if d.Weight, err = strconv.ParseFloat(args[i+1], 64); err != nil {
			return nil, fmt.Errorf("%q: want a weight, a number", args[i+1])
		}
		devices = append(devices, d)
	}
	return devices, nil
}

func (s *session) remove() *cobra.Command {
	var flags deviceFlags
	yes := false
	c := &cobra.Command{
		Use:   "remove SEARCH...",
		Short: "Take devices out of the ring",
		Long: "Marks devices for removal. The next rebalance puts their partitions elsewhere at once, whenever those moved\n" +
			"last. That is for devices that have failed: drain one that works with set_weight 0 first." + searchHelp,
		Example: "  apus ring object.builder remove d3\n  apus ring object.builder remove --ip 10.0.0.4 --yes",
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit(func(b *builder.Builder) error {
				devices, err := flags.find(b, args)
				if err == nil {
					err = s.confirm(devices, "remove", yes)
				}
				if err != nil {
					return err
				}
				for _, d := range devices {
					if err := b.Remove(d.ID); err != nil {
						return err
					}
					s.printf("%s is marked for removal by the next rebalance\n", d)
				}
				return nil
			})
		},
	}
	flags.register(c.Flags(), true)
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// apply changes one device to a value.
type apply func(b *builder.Builder, id int, value string) error

// setter makes a verb that takes pairs of search values and new values, or options and one new value.
func (s *session) setter(what string, c *cobra.Command, apply apply) *cobra.Command {
	var flags deviceFlags
	yes := false
	c.RunE = func(_ *cobra.Command, args []string) error {
		return s.edit(func(b *builder.Builder) error {
			if flags.given() {
				if len(args) != 1 {
					return fmt.Errorf("after the options comes one value, the new %s", what)
				}
				args = []string{"", args[0]}
			}
			if len(args) == 0 || len(args)%2 != 0 {
				return fmt.Errorf("the form is: %s", c.Use)
			}
			for i := 0; i < len(args); i += 2 {
				var values []string
				if args[i] != "" {
					values = args[i : i+1]
				}
				devices, err := flags.find(b, values)
				if err == nil {
					err = s.confirm(devices, "change the "+what+" of", yes)
				}
				if err != nil {
					return err
				}
				for _, d := range devices {
					if err := apply(b, d.ID, args[i+1]); err != nil {
						return err
					}
					s.printf("%s: %s is %s now\n", d, what, args[i+1])
				}
			}
			return nil
		})
	}
	c.Long += searchHelp
	flags.register(c.Flags(), true)
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func (s *session) setWeight() *cobra.Command {
	return s.setter("weight", &cobra.Command{
		Use:   "set_weight SEARCH WEIGHT [SEARCH WEIGHT]...",
		Short: "Change the weight of devices",
		Long: "Changes the weight of devices. With weight 0 a device is drained: it keeps serving while rebalances take\n" +
			"away what it has.",
		Example: "  apus ring object.builder set_weight d3 2000\n  apus ring object.builder set_weight z2 0 --yes",
	}, func(b *builder.Builder, id int, value string) error {
		w, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%q: want a weight, a number", value)
		}
		return b.SetWeight(id, w)
	})
}

func (s *session) setRegion() *cobra.Command {
	return s.setter("region", &cobra.Command{
		Use:     "set_region SEARCH REGION [SEARCH REGION]...",
		Short:   "Change the region of devices",
		Long:    "Changes the region of devices.",
		Example: "  apus ring object.builder set_region 10.0.2.1 2",
	}, integerSetter((*builder.Builder).SetRegion, "region"))
}

func (s *session) setZone() *cobra.Command {
	return s.setter("zone", &cobra.Command{
		Use:     "set_zone SEARCH ZONE [SEARCH ZONE]...",
		Short:   "Change the zone of devices",
		Long:    "Changes the zone of devices.",
		Example: "  apus ring object.builder set_zone d3 2",
	}, integerSetter((*builder.Builder).SetZone, "zone"))
}

func integerSetter(set func(*builder.Builder, int, int) error, what string) apply {
	return func(b *builder.Builder, id int, value string) error {
		n, err := count(value)
		if err != nil {
			return fmt.Errorf("%s %q: %w", what, value, err)
		}
		return set(b, id, n)
	}
}

func (s *session) setInfo() *cobra.Command {
	var flags deviceFlags
	var changes changeFlags
	yes := false
	c := &cobra.Command{
		Use:   "set_info SEARCH <ip>:<port>R<ip>:<port>/<device>_<note> [SEARCH CHANGE]...",
		Short: "Change address, name or note of devices",
		Long: "Changes the address, the replication address, the name and the note of devices; what is not given stays.\n" +
			"No partition moves for it: write_ring makes the change known." + searchHelp,
		Example: "  apus ring object.builder set_info d3 10.0.0.9:6200\n" +
			"  apus ring object.builder set_info d3 _\"moved to shelf 5\"\n" +
			"  apus ring object.builder set_info --ip 10.0.0.3 --change-ip node3 --yes",
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit(func(b *builder.Builder) error {
				if changes.info() != (builder.Info{}) {
					if len(args) > 0 {
						return errMixed
					}
					return s.changeInfo(b, &flags, nil, changes.info(), yes)
				}
				if len(args) == 0 || len(args)%2 != 0 {
					return errors.New("the form is SEARCH CHANGE [SEARCH CHANGE], or options to search and --change options")
				}
				for i := 0; i < len(args); i += 2 {
					change, err := builder.ParseChange(args[i+1])
					if err == nil {
						err = s.changeInfo(b, &flags, args[i:i+1], change, yes)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	flags.register(c.Flags(), true)
	changes.register(c.Flags())
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func (s *session) changeInfo(b *builder.Builder, f *deviceFlags, values []string, change builder.Info, yes bool) error {
	devices, err := f.find(b, values)
	if err == nil {
		err = s.confirm(devices, "change", yes)
	}
	if err != nil {
		return err
	}
	for _, d := range devices {
		before := d.String()
		if err := b.SetInfo(d.ID, change); err != nil {
			return fmt.Errorf("%w; nothing was changed", err)
		}
		s.printf("%s is %s now\n", before, d)
	}
	return nil
}
