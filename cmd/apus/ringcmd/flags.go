package ringcmd

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

// optional is a flag that knows whether it was given.
type optional[V any] struct {
	value *V
	parse func(string) (V, error)
	kind  string
}

func (o *optional[V]) Set(text string) error {
	v, err := o.parse(text)
	if err != nil {
		return err
	}
	o.value = &v
	return nil
}

func (o *optional[V]) String() string {
	if o.value == nil {
		return ""
	}
	return fmt.Sprint(*o.value)
}

func (o *optional[V]) Type() string { return o.kind }

func count(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, errors.New("want a whole number that is not negative")
	}
	return int(n), nil
}

func number(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, errors.New("want a number")
	}
	return f, nil
}

func text(s string) (string, error) { return s, nil }

// deviceFlags describe a device by options instead of one value.
type deviceFlags struct {
	id, region, zone      optional[int]
	ip, replicationIP     optional[string]
	port, replicationPort optional[int]
	name, meta            optional[string]
	weight                optional[float64]
}

func intFlag(f *pflag.FlagSet, o *optional[int], name, short, usage string) {
	o.parse, o.kind = count, "int"
	f.VarP(o, name, short, usage)
}

func textFlag(f *pflag.FlagSet, o *optional[string], name, short, usage string) {
	o.parse, o.kind = text, "text"
	f.VarP(o, name, short, usage)
}

func hostFlag(f *pflag.FlagSet, o *optional[string], name, short, usage string) {
	o.parse, o.kind = builder.ParseHost, "host"
	f.VarP(o, name, short, usage)
}

func (d *deviceFlags) register(f *pflag.FlagSet, search bool) {
	if search {
		intFlag(f, &d.id, "id", "u", "device id")
	}
	intFlag(f, &d.region, "region", "r", "region")
	intFlag(f, &d.zone, "zone", "z", "zone")
	hostFlag(f, &d.ip, "ip", "i", "IP address or host name")
	intFlag(f, &d.port, "port", "p", "port")
	hostFlag(f, &d.replicationIP, "replication-ip", "j", "IP address or host name for replication")
	intFlag(f, &d.replicationPort, "replication-port", "q", "port for replication")
	textFlag(f, &d.name, "device", "d", "device name, such as sdb1")
	d.weight.parse, d.weight.kind = number, "number"
	f.VarP(&d.weight, "weight", "w", "weight")
	textFlag(f, &d.meta, "meta", "m", "note")
}

func (d *deviceFlags) info() builder.Info {
	return builder.Info{IP: d.ip.value, Port: d.port.value, ReplicationIP: d.replicationIP.value,
		ReplicationPort: d.replicationPort.value, Name: d.name.value, Meta: d.meta.value}
}

func (d *deviceFlags) query() builder.Query {
	return builder.Query{ID: d.id.value, Region: d.region.value, Zone: d.zone.value, Weight: d.weight.value, Info: d.info()}
}

// given says that one of the options was used.
func (d *deviceFlags) given() bool { return d.query() != builder.Query{} }

// device makes a new device of the options.
func (d *deviceFlags) device() (ring.Device, error) {
	var missing []string
	need := func(name string, given bool) {
		if !given {
			missing = append(missing, "--"+name)
		}
	}
	need("region", d.region.value != nil)
	need("zone", d.zone.value != nil)
	need("ip", d.ip.value != nil)
	need("port", d.port.value != nil)
	need("device", d.name.value != nil)
	need("weight", d.weight.value != nil)
	if len(missing) > 0 {
		return ring.Device{}, fmt.Errorf("a new device needs %s", strings.Join(missing, ", "))
	}
	dev := ring.Device{Region: *d.region.value, Zone: *d.zone.value, IP: *d.ip.value, Port: *d.port.value,
		ReplicationIP: *d.ip.value, ReplicationPort: *d.port.value, Name: *d.name.value, Weight: *d.weight.value}
	if d.replicationIP.value != nil {
		dev.ReplicationIP = *d.replicationIP.value
	}
	if d.replicationPort.value != nil {
		dev.ReplicationPort = *d.replicationPort.value
	}
	if d.meta.value != nil {
		dev.Meta = *d.meta.value
	}
	return dev, nil
}

// changeFlags say what set_info changes.
type changeFlags struct {
	ip, replicationIP     optional[string]
	port, replicationPort optional[int]
	name, meta            optional[string]
}

func (c *changeFlags) register(f *pflag.FlagSet) {
	hostFlag(f, &c.ip, "change-ip", "I", "new IP address or host name")
	intFlag(f, &c.port, "change-port", "P", "new port")
	hostFlag(f, &c.replicationIP, "change-replication-ip", "J", "new IP address or host name for replication")
	intFlag(f, &c.replicationPort, "change-replication-port", "Q", "new port for replication")
	textFlag(f, &c.name, "change-device", "D", "new device name")
	textFlag(f, &c.meta, "change-meta", "M", "new note")
}

func (c *changeFlags) info() builder.Info {
	return builder.Info{IP: c.ip.value, Port: c.port.value, ReplicationIP: c.replicationIP.value,
		ReplicationPort: c.replicationPort.value, Name: c.name.value, Meta: c.meta.value}
}

// errMixed is for a verb that was given values and options.
var errMixed = errors.New("give devices by values or by options, not both")

// find returns the devices that any of the search values, or the options, match.
func (d *deviceFlags) find(b *builder.Builder, values []string) ([]*builder.Device, error) {
	if len(values) == 0 {
		if !d.given() {
			return nil, errors.New("say which devices, such as d3, z2 or 10.0.0.1; --help has more")
		}
		return b.Search(d.query()), nil
	}
	if d.given() {
		return nil, errMixed
	}
	var found []*builder.Device
	seen := make(map[int]bool)
	for _, value := range values {
		q, err := builder.ParseSearch(value)
		if err != nil {
			return nil, err
		}
		for _, dev := range b.Search(q) {
			if !seen[dev.ID] {
				seen[dev.ID] = true
				found = append(found, dev)
			}
		}
	}
	return found, nil
}

// confirm refuses to change no device, and asks before it changes several.
func (s *session) confirm(devices []*builder.Device, what string, yes bool) error {
	if len(devices) == 0 {
		return errors.New("no device matches; nothing was changed")
	}
	if len(devices) == 1 {
		return nil
	}
	s.printf("%d devices match:\n", len(devices))
	for _, d := range devices {
		s.printf("    %s\n", d)
	}
	if yes {
		return nil
	}
	s.printf("Really %s these %d devices? (y/N) ", what, len(devices))
	line, _ := bufio.NewReader(s.in).ReadString('\n')
	if strings.TrimSpace(line) != "y" {
		return errors.New("not confirmed, nothing was changed; --yes answers all questions")
	}
	return nil
}
