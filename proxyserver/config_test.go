package proxyserver_test

import (
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/proxyserver"
)

func decode(t *testing.T, text string) (proxyserver.Config, error) {
	t.Helper()
	f, err := config.Parse("proxy.toml", []byte(text))
	fatal(t, err)
	s, _ := f.Section("app", "proxy-server")
	c := proxyserver.DefaultConfig()
	_, err = s.Decode(&c, config.Section{})
	return c, err
}

func TestConfig(t *testing.T) {
	for _, c := range []struct{ text, fault string }{
		{"", ""},
		{`request_node_count = "3 * replicas"`, ""},
		{`request_node_count = 5`, ""},
		{`request_node_count = "3 * disks"`, `line 2`},
		{`request_node_count = 0`, "request_node_count"},
		{`sorting_method = "timing"`, ""},
		{`sorting_method = "speed"`, "sorting_method"},
		{`read_affinity = "r1=x"`, "read_affinity"},
		{`write_affinity = "z1"`, "write_affinity"},
		{`write_affinity_handoff_delete_count = "some"`, "write_affinity_handoff_delete_count"},
		{`node_timeout = 0`, "node_timeout"},
		{`recoverable_node_timeout = 0`, ""},
		{`error_suppression_limit = -1`, "error_suppression_limit"},
		{`account_existence_skip_cache_pct = 101`, "account_existence_skip_cache_pct"},
		{`rebalance_missing_suppression_count = -1`, "rebalance_missing_suppression_count"},
		{`expiring_objects_container_divisor = 100`, "expiring_objects_container_divisor"},
		{`concurrent_ec_extra_requests = 1`, "unknown key"},
		{`recheck_listing_shard_ranges = 600`, "unknown key"},
		{`stale_worker_timeout = 1`, "unknown key"},
		{"[app.proxy-server.policy.1]\nsorting_method = \"affinity\"\nread_affinity = \"r1=1\"", ""},
		{"[app.proxy-server.policy.1]\nsorting_method = \"x\"", "sorting_method"},
		{"[app.proxy-server.policy.1]\nnode_timeout = 5", "unknown key"},
		{"[app.proxy-server.policy.gold]\n", "index of a policy"},
	} {
		_, err := decode(t, "[app.proxy-server]\n"+c.text)
		want := c.fault
		if want == "line 2" {
			want = "proxy.toml:2"
		}
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", c.text, err, want)
		}
	}
}

func TestNodeCount(t *testing.T) {
	for text, want := range map[string]int{"7": 7, "2 * replicas": 6, "1 * Replicas": 3} {
		var n proxyserver.NodeCount
		if err := n.UnmarshalText([]byte(text)); err != nil || n.Of(3) != want {
			t.Errorf("%q: got %d, %v; want %d", text, n.Of(3), err, want)
		}
		var again proxyserver.NodeCount
		if err := again.UnmarshalText([]byte(n.String())); err != nil || again != n {
			t.Errorf("%q is written %q", text, n)
		}
	}
}

func TestUnknownPolicyIsAnError(t *testing.T) {
	c, err := decode(t, "[app.proxy-server]\n[app.proxy-server.policy.9]\nconcurrent_gets = true\n")
	fatal(t, err)
	_, err = proxyserver.New(testHost(t, testCluster(t), quiet()), c, proxyserver.Deps{Rings: fixedRings{}})
	if err == nil || !strings.Contains(err.Error(), "policy.9") {
		t.Errorf("got %v", err)
	}
}
