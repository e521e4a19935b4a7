package ring

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"strconv"
	"strings"
)

// A Device describes one disk of the cluster and the server it is in.
type Device struct {
	ID              int     // position in the device list; never changes while the device exists
	Region          int     // 1 when the file does not say
	Zone            int     // failure domain within the region
	IP              string  // address or host name that clients of the storage server use
	Port            int     // port of the storage server
	ReplicationIP   string  // address for replication; equal to IP when there is no separate network
	ReplicationPort int     // port for replication; equal to Port when there is no separate server
	Name            string  // name of the mount point, such as "sdb1"
	Weight          float64 // share of partitions relative to the others; 0 drains the device
	Meta            string  // the operator's note

	// Extra holds the keys of the description that are none of the above, as JSON values: nil, bool, string, int64,
	// float64, [json.Number] (for integers beyond 64 bits), []any and map[string]any.
	Extra map[string]any
}

// HostPort returns the address of the storage server in the form that a URL takes.
func (d *Device) HostPort() string { return net.JoinHostPort(d.IP, strconv.Itoa(d.Port)) }

// ReplicationHostPort is the replication server's address in the form that a URL takes.
func (d *Device) ReplicationHostPort() string {
	return net.JoinHostPort(d.ReplicationIP, strconv.Itoa(d.ReplicationPort))
}

// String names the device as ring tools do: d0r1z1-10.0.0.1:6200R10.0.0.1:6200/sdb1_"meta".
func (d *Device) String() string {
	return fmt.Sprintf("d%dr%dz%d-%s:%dR%s:%d/%s_%q", d.ID, d.Region, d.Zone, bracketed(d.IP), d.Port,
		bracketed(d.ReplicationIP), d.ReplicationPort, d.Name, d.Meta)
}

func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// Clone returns a copy that shares nothing that could be modified at the top level of d.
func (d *Device) Clone() *Device {
	c := *d
	c.Extra = maps.Clone(d.Extra)
	return &c
}

// DeviceFromMap makes a device of its description, as ring and builder files hold it. The values are those of
// [Device.Extra]. A description without region is in region 1, one without replication address uses the other one;
// a missing id is taken from position, the index in the device list.
func DeviceFromMap(m map[string]any, position int) (*Device, error) {
	d := &Device{ID: position, Region: 1}
	f := fields{m: m, seen: make(map[string]bool, len(m))}
	f.integer("id", &d.ID, false)
	f.integer("region", &d.Region, false)
	f.integer("zone", &d.Zone, true)
	f.text("ip", &d.IP, true)
	f.integer("port", &d.Port, true)
	d.ReplicationIP, d.ReplicationPort = d.IP, d.Port
	f.text("replication_ip", &d.ReplicationIP, false)
	f.integer("replication_port", &d.ReplicationPort, false)
	f.text("device", &d.Name, true)
	f.float("weight", &d.Weight)
	f.text("meta", &d.Meta, false)
	if f.err != nil {
		return nil, fmt.Errorf("device %d: %w", position, f.err)
	}
	if d.ID != position {
		return nil, fmt.Errorf("%w: device at position %d has id %d", ErrCorrupt, position, d.ID)
	}
	for key, value := range m {
		if f.seen[key] {
			continue
		}
		if d.Extra == nil {
			d.Extra = make(map[string]any)
		}
		d.Extra[key] = value
	}
	return d, nil
}

// Map returns the description as ring files hold it.
func (d *Device) Map() map[string]any {
	m := make(map[string]any, 10+len(d.Extra))
	maps.Copy(m, d.Extra)
	m["id"] = int64(d.ID)
	m["region"] = int64(d.Region)
	m["zone"] = int64(d.Zone)
	m["ip"] = d.IP
	m["port"] = int64(d.Port)
	m["replication_ip"] = d.ReplicationIP
	m["replication_port"] = int64(d.ReplicationPort)
	m["device"] = d.Name
	m["weight"] = d.Weight
	m["meta"] = d.Meta
	return m
}

// fields takes typed values out of a description, notes which were known and keeps the first error.
type fields struct {
	m    map[string]any
	seen map[string]bool
	err  error
}

func (f *fields) value(key string, required bool) (any, bool) {
	f.seen[key] = true
	v, ok := f.m[key]
	// Old tools wrote null for a replication address that was not given.
	if !ok || v == nil {
		if required {
			f.fail(key, "missing")
		}
		return nil, false
	}
	return v, true
}

func (f *fields) fail(key, why string) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: key %q: %s", ErrCorrupt, key, why)
	}
}

func (f *fields) integer(key string, into *int, required bool) {
	v, ok := f.value(key, required)
	if !ok {
		return
	}
	i, ok := v.(int64)
	if !ok || i < 0 || i > math.MaxInt32 {
		f.fail(key, fmt.Sprintf("want an integer from 0 to %d, got %v", math.MaxInt32, v))
		return
	}
	*into = int(i)
}

func (f *fields) text(key string, into *string, required bool) {
	v, ok := f.value(key, required)
	if !ok {
		return
	}
	s, ok := v.(string)
	if !ok {
		f.fail(key, fmt.Sprintf("want text, got %v", v))
		return
	}
	*into = s
}

func (f *fields) float(key string, into *float64) {
	v, ok := f.value(key, false)
	if !ok {
		return
	}
	switch n := v.(type) {
	case float64:
		*into = n
	case int64:
		*into = float64(n)
	case json.Number:
		*into, _ = n.Float64()
	default:
		f.fail(key, fmt.Sprintf("want a number, got %v", v))
		return
	}
	if *into < 0 || math.IsInf(*into, 0) || math.IsNaN(*into) {
		f.fail(key, fmt.Sprintf("want a finite number that is not negative, got %v", v))
	}
}
