package builder

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// describe shows which parts of a query are set.
func describe(q Query) string {
	var parts []string
	add := func(name string, set bool, value func() any) {
		if set {
			parts = append(parts, fmt.Sprintf("%s=%v", name, value()))
		}
	}
	add("id", q.ID != nil, func() any { return *q.ID })
	add("region", q.Region != nil, func() any { return *q.Region })
	add("zone", q.Zone != nil, func() any { return *q.Zone })
	add("ip", q.IP != nil, func() any { return *q.IP })
	add("port", q.Port != nil, func() any { return *q.Port })
	add("rip", q.ReplicationIP != nil, func() any { return *q.ReplicationIP })
	add("rport", q.ReplicationPort != nil, func() any { return *q.ReplicationPort })
	add("device", q.Name != nil, func() any { return *q.Name })
	add("meta", q.Meta != nil, func() any { return *q.Meta })
	return strings.Join(parts, " ")
}

func TestParseSearch(t *testing.T) {
	for value, want := range map[string]string{
		"d74":             "id=74",
		"r4":              "region=4",
		"z1":              "zone=1",
		"z1-1.2.3.4":      "zone=1 ip=1.2.3.4",
		"1.2.3.4":         "ip=1.2.3.4",
		"z1:5678":         "zone=1 port=5678",
		":5678":           "port=5678",
		"R5.6.7.8":        "rip=5.6.7.8",
		"R:5678":          "rport=5678",
		"1.2.3.4R5.6.7.8": "ip=1.2.3.4 rip=5.6.7.8",
		"/sdb1":           "device=sdb1",
		"_shiny":          "meta=shiny",
		"_snet: 5.6.7.8":  "meta=snet: 5.6.7.8",
		"_":               "meta=",
		"[::1]":           "ip=::1",
		"[FD00:0:0::01]":  "ip=fd00::1",
		"z1-[::1]:5678":   "zone=1 ip=::1 port=5678",
		"d74r4z1-1.2.3.4:5678R[::2]:9/sdb1_a_b/c": "id=74 region=4 zone=1 ip=1.2.3.4 port=5678 rip=::2 rport=9 " +
			"device=sdb1 meta=a_b/c",
	} {
		q, err := ParseSearch(value)
		if got := describe(q); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", value, got, err, want)
		}
	}
	for _, value := range []string{"", "d", "dx", "r", "z-1", "x", "1.2.3", "300.1.1.1", "[::1", "[zz]", "::1", "d1 ",
		"d99999999999", "1.2.3.4:", "R!"} {
		if q, err := ParseSearch(value); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %s, %v; want %v", value, describe(q), err, ErrInvalid)
		}
	}
}

func TestParseAdd(t *testing.T) {
	for value, want := range map[string]string{
		"z1-1.2.3.4:6200/sdb":                     `d0r1z1-1.2.3.4:6200R1.2.3.4:6200/sdb_""`,
		"r2z3-1.2.3.4:6200/sdb_":                  `d0r2z3-1.2.3.4:6200R1.2.3.4:6200/sdb_""`,
		"r2z3-1.2.3.4:6200R5.6.7.8:9/sdb_a_b c/d": `d0r2z3-1.2.3.4:6200R5.6.7.8:9/sdb_"a_b c/d"`,
		"z0-[FD00::0:1]:6200R[::2]:1/sdb":         `d0r1z0-[fd00::1]:6200R[::2]:1/sdb_""`,
	} {
		d, region, err := ParseAdd(value)
		if err != nil || d.String() != want || region != strings.HasPrefix(value, "r") {
			t.Errorf("%q: %s, %v, %v; want %s", value, d.String(), region, err, want)
		}
	}
	for _, value := range []string{"", "1.2.3.4:6200/sdb", "r1-1.2.3.4:6200/sdb", "z1:6200/sdb", "z1-1.2.3.4/sdb",
		"z1-1.2.3.4:6200", "z1-1.2.3.4:6200/", "z1-1.2.3.4:6200/_note", "z1-1.2.3.4:6200R5.6.7.8/sdb",
		"z1-1.2.3.4:6200/..", "z1-1.2.3.4:6200/a/b", "z1-1.2.3.4:x/sdb", "z1-host:6200/sdb"} {
		if d, _, err := ParseAdd(value); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %s, %v; want %v", value, d.String(), err, ErrInvalid)
		}
	}
}

func TestParseHost(t *testing.T) {
	for host, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "FD00::0:1": "fd00::1", "Node-1.Example.ORG.": "node-1.example.org", "n": "n", "3com": "3com",
	} {
		if got, err := ParseHost(host); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", host, got, err, want)
		}
	}
	for _, host := range []string{"", ".", "1.2.3", "1.2.3.4.5", "-a", "a-", "a..b", "a b", "a/b", "fe80::1%eth0",
		strings.Repeat("a", 64), "[::1]"} {
		if got, err := ParseHost(host); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %q, %v; want %v", host, got, err, ErrInvalid)
		}
	}
}

func TestSearch(t *testing.T) {
	six := grid(1, 3, 1, 2)
	six[4].IP, six[5].Meta = "FD00:0::1", "a shiny one"
	b := build(t, 2, 1, six...)
	for value, want := range map[string]string{
		"z2": "2 3", "/sd1": "1 3 5", "[fd00::1]": "4", "_shiny": "5", "d3": "3", "z2/sd1": "3", "r9": "", ":6200": "0 1 2 3 4 5",
	} {
		q, err := ParseSearch(value)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, d := range b.Search(q) {
			ids = append(ids, fmt.Sprint(d.ID))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q finds %q, want %q", value, got, want)
		}
	}
	heavy := 100.0
	if got := len(b.Search(Query{Weight: &heavy})); got != 6 {
		t.Errorf("%d devices of weight 100, want 6", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, value := range []string{"d74r4z1-1.2.3.4:5678R[::2]:9/sdb1_a_b", "z1-1.2.3.4:6200/sdb", "[::1]R:1", ""} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		q, err := ParseSearch(value)
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("search %q: %v", value, err)
		}
		if d, _, err := ParseAdd(value); err == nil {
			// What describes a new device finds it.
			d := d.Clone()
			if q, err := ParseSearch(value); err != nil || !q.Match(d) {
				t.Errorf("%q adds %s and does not find it: %s, %v", value, d, describe(q), err)
			}
		}
		_ = describe(q)
		if c, err := ParseChange(value); err == nil {
			var d Device
			c.apply(&d.Device)
		}
	})
}
