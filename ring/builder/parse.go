package builder

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/ring"
)

// Info holds what to change of a device; what is nil stays as it is.
type Info struct {
	IP, ReplicationIP     *string
	Port, ReplicationPort *int
	Name, Meta            *string
}

func (c Info) apply(d *ring.Device) {
	set(c.IP, &d.IP)
	set(c.Port, &d.Port)
	set(c.ReplicationIP, &d.ReplicationIP)
	set(c.ReplicationPort, &d.ReplicationPort)
	set(c.Name, &d.Name)
	set(c.Meta, &d.Meta)
}

func set[V any](from, to *V) {
	if from != nil {
		*to = *from
	}
}

// Query holds what to look for in devices; what is nil is not looked at.
type Query struct {
	ID, Region, Zone *int
	Weight           *float64
	Info             // Meta needs to be part of the note only, everything else has to be equal
}

// Match says that a device has all that the query holds.
func (q *Query) Match(d *ring.Device) bool {
	ip, rip := canonical(d.IP), canonical(d.ReplicationIP)
	return equal(q.ID, &d.ID) && equal(q.Region, &d.Region) && equal(q.Zone, &d.Zone) && equal(q.Weight, &d.Weight) &&
		equal(q.IP, &ip) && equal(q.Port, &d.Port) && equal(q.ReplicationIP, &rip) &&
		equal(q.ReplicationPort, &d.ReplicationPort) && equal(q.Name, &d.Name) &&
		(q.Meta == nil || strings.Contains(d.Meta, *q.Meta))
}

func equal[V comparable](want, got *V) bool { return want == nil || *want == *got }

// Search returns the devices that match, by id.
func (b *Builder) Search(q Query) []*Device {
	var out []*Device
	for d := range b.Devices() {
		if q.Match(&d.Device) {
			out = append(out, d)
		}
	}
	return out
}

// canonical returns the usual form of an IP address, and what is none in lower case, as host names are compared.
func canonical(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String()
	}
	return strings.ToLower(host)
}

// ParseHost checks an IP address or host name and returns it in its usual form.
func ParseHost(host string) (string, error) {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		return addr.String(), nil
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "" || len(name) > 253 || strings.Trim(name, "0123456789.") == "" {
		return "", fmt.Errorf("%w: %q is neither an IP address nor a host name", ErrInvalid, host)
	}
	for label := range strings.SplitSeq(name, ".") {
		bad := strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
		if bad || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("%w: %q is neither an IP address nor a host name", ErrInvalid, host)
		}
	}
	return name, nil
}

// checkName refuses names that are no directory below the devices' one.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: device name %q, want the name of a mount point such as sdb1", ErrInvalid, name)
	}
	return nil
}

// scanner takes a value of the ring tools apart. The first error sticks.
type scanner struct {
	rest string
	err  error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
}

// accept takes a prefix if it is there.
func (s *scanner) accept(prefix string) bool {
	rest, ok := strings.CutPrefix(s.rest, prefix)
	if s.err != nil || !ok {
		return false
	}
	s.rest = rest
	return true
}

// number takes digits after a prefix, nil if the prefix is not there.
func (s *scanner) number(prefix, what string) *int {
	if !s.accept(prefix) {
		return nil
	}
	digits := s.rest[:len(s.rest)-len(strings.TrimLeft(s.rest, "0123456789"))]
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		s.fail("%q is followed by %q, want the number of the %s", prefix, s.rest, what)
		return nil
	}
	s.rest = s.rest[len(digits):]
	v := int(n)
	return &v
}

// address takes an IPv4 address, or one of IPv6 in brackets, nil if there is none.
func (s *scanner) address() *string {
	if s.err != nil || s.rest == "" {
		return nil
	}
	var text string
	if s.rest[0] == '[' {
		inner, rest, ok := strings.Cut(s.rest[1:], "]")
		if !ok {
			s.fail("%q lacks the closing bracket", s.rest)
			return nil
		}
		text, s.rest = inner, rest
	} else if s.rest[0] >= '0' && s.rest[0] <= '9' {
		text = s.rest[:len(s.rest)-len(strings.TrimLeft(s.rest, "0123456789."))]
		s.rest = s.rest[len(text):]
	} else {
		return nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		s.fail("%q is no IP address", text)
		return nil
	}
	text = addr.String()
	return &text
}

// tail takes the device name and the note, which end every value.
func (s *scanner) tail(c *Info) {
	if s.accept("/") {
		name, _, _ := strings.Cut(s.rest, "_")
		s.rest = s.rest[len(name):]
		c.Name = &name
	}
	if s.accept("_") {
		meta := s.rest
		c.Meta, s.rest = &meta, ""
	}
}

// endpoints takes ip:port and R followed by the replication server's.
func (s *scanner) endpoints(c *Info) {
	c.IP = s.address()
	c.Port = s.number(":", "port")
	if s.accept("R") {
		c.ReplicationIP = s.address()
		c.ReplicationPort = s.number(":", "replication port")
	}
}

// end returns the error, which names the value and what it should look like.
func (s *scanner) end(value, form string) error {
	if s.err == nil && s.rest != "" {
		s.fail("do not know what to make of %q", s.rest)
	}
	if s.err != nil {
		return fmt.Errorf("%q: %w; the form is %s", value, s.err, form)
	}
	return nil
}

// ParseSearch reads a search value: d<id>r<region>z<zone>-<ip>:<port>R<ip>:<port>/<device>_<meta>, of which any part may
// be missing but not all.
func ParseSearch(value string) (Query, error) {
	const form = "d<id>r<region>z<zone>-<ip>:<port>R<ip>:<port>/<device>_<meta>, any part of it"
	s := scanner{rest: value}
	var q Query
	if value == "" {
		s.fail("nothing to search for")
	}
	q.ID = s.number("d", "device id")
	q.Region = s.number("r", "region")
	q.Zone = s.number("z", "zone")
	s.accept("-")
	s.endpoints(&q.Info)
	s.tail(&q.Info)
	return q, s.end(value, form)
}

// ParseChange reads what set_info is to change: <ip>:<port>R<ip>:<port>/<device>_<meta>, of which any part may be missing
// but not all.
func ParseChange(value string) (Info, error) {
	const form = "<ip>:<port>R<ip>:<port>/<device>_<meta>, any part of it"
	s := scanner{rest: value}
	var c Info
	if value == "" {
		s.fail("nothing to change")
	}
	s.endpoints(&c)
	s.tail(&c)
	if c.Name != nil {
		if err := checkName(*c.Name); err != nil && s.err == nil {
			s.err = err
		}
	}
	return c, s.end(value, form)
}

// ParseAdd reads the description of a new device: [r<region>]z<zone>-<ip>:<port>[R<ip>:<port>]/<device>[_<meta>]. The
// region is 1 when it is missing, and regionGiven is false then. The device has no weight yet.
func ParseAdd(value string) (d ring.Device, regionGiven bool, err error) {
	const form = "[r<region>]z<zone>-<ip>:<port>[R<ip>:<port>]/<device>[_<meta>]"
	s := scanner{rest: value}
	var c Info
	region := s.number("r", "region")
	zone := s.number("z", "zone")
	if zone == nil {
		s.fail("the zone is missing")
	}
	if !s.accept("-") {
		s.fail("a - is missing between the zone and the address")
	}
	s.endpoints(&c)
	s.tail(&c)
	switch {
	case c.IP == nil || c.Port == nil:
		s.fail("address or port is missing")
	case (c.ReplicationIP == nil) != (c.ReplicationPort == nil):
		s.fail("replication address and port go together")
	case c.Name == nil:
		s.fail("the device name is missing")
	default:
		if err := checkName(*c.Name); err != nil && s.err == nil {
			s.err = err
		}
	}
	if err := s.end(value, form); err != nil {
		return ring.Device{}, false, err
	}
	d = ring.Device{Region: 1, Zone: *zone, ReplicationIP: *c.IP, ReplicationPort: *c.Port}
	set(region, &d.Region)
	c.apply(&d)
	return d, region != nil, nil
}
