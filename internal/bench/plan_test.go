package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseOps(t *testing.T) {
	for _, tc := range []struct {
		name, in, want string
		labels         string
	}{
		{name: "each a phase", in: "put,get,head,delete", want: "put|get|head|delete", labels: "put|get|head|delete"},
		{name: "a mix", in: "get=80,put=20", want: "get=80,put=20", labels: "mix"},
		{name: "a mix between", in: "put, get=3,head=1, delete", want: "put|get=3,head=1|delete", labels: "put|mix|delete"},
		{name: "again", in: "get,put,get", want: "get|put|get", labels: "get|put|get#2"},
		{name: "one weight is no mix", in: "post=5", want: "post", labels: "post"},
		{name: "unknown operation", in: "put,copy"},
		{name: "nothing", in: ""},
		{name: "weight of zero", in: "get=0,put=1"},
		{name: "weight missing", in: "get=,put=1"},
		{name: "twice in a mix", in: "get=1,get=2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			phases, err := ParseOps(tc.in)
			var got []string
			for _, p := range phases {
				got = append(got, p.String())
			}
			if s := strings.Join(got, "|"); s != tc.want || errors.Is(err, ErrInvalid) != (tc.want == "") {
				t.Errorf("ParseOps(%q) = %q, %v; want %q", tc.in, s, err, tc.want)
			}
			if s := strings.Join(labels(phases), "|"); s != tc.labels {
				t.Errorf("labels of %q = %q, want %q", tc.in, s, tc.labels)
			}
		})
	}
}

func FuzzParseOps(f *testing.F) {
	for _, s := range []string{"put,get", "get=80,put=20", "put,get=3,head=1,delete", "=", ",,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		phases, err := ParseOps(in)
		if err != nil {
			return
		}
		for _, p := range phases {
			if len(p.ops) == 0 || p.total < len(p.ops) {
				t.Errorf("ParseOps(%q) has phase %+v", in, p)
			}
		}
	})
}

func TestValidateNamesTheFault(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"fewer objects than workers", func(c *Config) { c.Objects = 3 }, "3 objects"},
		{"no end", func(c *Config) { c.Count, c.Duration = 0, 0 }, "a count or a duration"},
		{"slash in the container", func(c *Config) { c.Container = "a/b" }, "a/b"},
		{"no containers", func(c *Config) { c.Containers = 0 }, "0 containers"},
		{"no phases", func(c *Config) { c.Phases = nil }, "no operations"},
		{"no timeout", func(c *Config) { c.Timeout = 0 }, "timeout"},
		{"no names wanted", func(c *Config) { c.Page.Limit = 0 }, "list limit"},
		{"no workers", func(c *Config) { c.Concurrency = 0 }, "concurrency 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := testConfig(t, "put")
			if err := c.Validate(); err != nil {
				t.Fatalf("the plan to start from: %v", err)
			}
			tc.change(&c)
			err := c.Validate()
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Validate() = %v, want an ErrInvalid with %q", err, tc.want)
			}
		})
	}
}

// testConfig is a small plan for a fake server.
func testConfig(t *testing.T, ops string) Config {
	t.Helper()
	phases, err := ParseOps(ops)
	if err != nil {
		t.Fatal(err)
	}
	sizes, err := ParseSizes("100B=2,70000B=1,0B=1")
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Container: "bench", Containers: 2, Objects: 21, Sizes: sizes, Phases: phases, Concurrency: 4, Count: 21,
		Timeout: time.Minute, Page: Page{Limit: 100}, Seed: 7, Verify: true,
	}
}
