package proxyserver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/proxyserver/fanout"
)

// Config is the section of the app. Times are in seconds.
type Config struct {
	// How long a storage node may take to answer, and between two pieces of a body.
	NodeTimeout config.Duration `toml:"node_timeout"`
	// The same for reads of objects, which can go on with another node. 0: as node_timeout.
	RecoverableNodeTimeout config.Duration `toml:"recoverable_node_timeout"`
	// How long connecting to a storage node may take. It is for whoever makes the transport.
	ConnTimeout config.Duration `toml:"conn_timeout"`
	// How long to wait for the remaining nodes once a quorum has answered.
	PostQuorumTimeout config.Duration `toml:"post_quorum_timeout"`
	// How long a client may take to send the next piece of a body.
	ClientTimeout config.Duration `toml:"client_timeout"`
	// A node with too many errors is left out until it has made none for so long. 0: never.
	ErrorSuppressionInterval config.Duration `toml:"error_suppression_interval"`
	// So many errors are not yet too many.
	ErrorSuppressionLimit int `toml:"error_suppression_limit"`
	// How many nodes are tried for one request at most: a number, or "2 * replicas".
	RequestNodeCount NodeCount `toml:"request_node_count"`
	// Warn when more handoff nodes are used than a request may need anyway.
	LogHandoffs bool `toml:"log_handoffs"`
	// How long a node's time is remembered, with sorting_method = "timing".
	TimingExpiry config.Duration `toml:"timing_expiry"`

	NodeOptions

	// Let clients create and delete accounts with PUT and DELETE. Only resellers should get this far.
	AllowAccountManagement bool `toml:"allow_account_management"`
	// Create accounts on the first write to them.
	AccountAutocreate bool `toml:"account_autocreate"`
	// How many containers an account may have before further ones are refused. 0: no limit.
	MaxContainersPerAccount int `toml:"max_containers_per_account"`
	// Accounts without that limit.
	MaxContainersWhitelist config.List `toml:"max_containers_whitelist"`
	// Host headers to refuse.
	DenyHostHeaders config.List `toml:"deny_host_headers"`
	// Headers that only an account's owner sees and sets.
	SwiftOwnerHeaders config.List `toml:"swift_owner_headers"`
	// Let clients with "X-Open-Expired: true" reach objects that have expired but are still there.
	AllowOpenExpired bool `toml:"allow_open_expired"`

	// How long what is known about an account stays in the shared cache. A missing one is remembered a tenth as long.
	RecheckAccountExistence config.Duration `toml:"recheck_account_existence"`
	// The same for containers.
	RecheckContainerExistence config.Duration `toml:"recheck_container_existence"`
	// Percentage of the app's own account lookups that ignore the shared cache.
	AccountSkipCachePct float64 `toml:"account_existence_skip_cache_pct"`
	// The same for containers.
	ContainerSkipCachePct float64 `toml:"container_existence_skip_cache_pct"`

	// Origins that may make cross-origin requests to every container.
	CORSAllowOrigin config.List `toml:"cors_allow_origin"`
	// Send CORS headers to allowed origins only.
	StrictCORSMode bool `toml:"strict_cors_mode"`
	// Further response headers that scripts may see.
	CORSExposeHeaders config.List `toml:"cors_expose_headers"`

	// Serve /info.
	ExposeInfo bool `toml:"expose_info"`
	// Key that signs requests for the administrators' part of /info. Empty: there is none.
	AdminKey string `toml:"admin_key" secret:"true"`
	// Sections and, with dots, keys that /info hides.
	DisallowedSections config.List `toml:"disallowed_sections"`

	// Seconds of expiry times that share a queue container. The whole cluster must agree.
	ExpiringDivisor int64 `toml:"expiring_objects_container_divisor"`
	// Name of the queue's account, without the cluster's prefix.
	ExpiringAccount string `toml:"expiring_objects_account_name"`

	// Tables by policy index, with the options of [NodeOptions]; what they leave out is as above.
	Policies map[string]config.Section `toml:"policy"`
}

// NodeOptions say how nodes are chosen. They may be repeated for a policy:
//
//	[app.proxy-server.policy.1]
//	sorting_method = "affinity"
type NodeOptions struct {
	// Order in which nodes are asked: "shuffle", "timing" or "affinity".
	SortingMethod string `toml:"sorting_method"`
	// Places to read from first, with sorting_method = "affinity": "r1z1=100, r2=200", the lower number first.
	ReadAffinity string `toml:"read_affinity"`
	// Places that objects are written to first: "r1, r2z3".
	WriteAffinity string `toml:"write_affinity"`
	// How many nodes there are tried before others: a number, or "2 * replicas".
	WriteAffinityNodeCount NodeCount `toml:"write_affinity_node_count"`
	// How many handoff nodes there get a DELETE too: a number, or "auto" for the replicas that are elsewhere.
	WriteAffinityHandoffDeleteCount string `toml:"write_affinity_handoff_delete_count"`
	// How many primaries may say that they have never had something before that counts.
	RebalanceMissingSuppressionCount int `toml:"rebalance_missing_suppression_count"`
	// Ask further nodes before the first has answered.
	ConcurrentGets bool `toml:"concurrent_gets"`
	// How long to wait before that. 0: as conn_timeout.
	ConcurrencyTimeout config.Duration `toml:"concurrency_timeout"`
}

// DefaultConfig returns Swift's defaults.
func DefaultConfig() Config {
	return Config{
		NodeTimeout: config.Seconds(10), ConnTimeout: config.Seconds(0.5), PostQuorumTimeout: config.Seconds(0.5),
		ClientTimeout: config.Seconds(60), ErrorSuppressionInterval: config.Seconds(60), ErrorSuppressionLimit: 10,
		RequestNodeCount: NodeCount{N: 2, PerReplica: true}, LogHandoffs: true, TimingExpiry: config.Seconds(300),
		NodeOptions: NodeOptions{
			SortingMethod: string(fanout.SortShuffle), WriteAffinityNodeCount: NodeCount{N: 2, PerReplica: true},
			WriteAffinityHandoffDeleteCount: "auto", RebalanceMissingSuppressionCount: 1,
		},
		SwiftOwnerHeaders: config.List{
			"x-container-read", "x-container-write", "x-container-sync-key", "x-container-sync-to",
			"x-account-meta-temp-url-key", "x-account-meta-temp-url-key-2", "x-container-meta-temp-url-key",
			"x-container-meta-temp-url-key-2", "x-account-access-control",
		},
		RecheckAccountExistence: config.Seconds(60), RecheckContainerExistence: config.Seconds(60),
		StrictCORSMode: true, ExposeInfo: true,
		DisallowedSections: config.List{"swift.valid_api_versions", "swift.auto_create_account_prefix"},
		ExpiringDivisor:    86400, ExpiringAccount: "expiring_objects",
	}
}

// Validate reports all bad values.
func (c *Config) Validate() error {
	var errs []error
	bad := func(ok bool, key, problem string, args ...any) {
		if !ok {
			errs = append(errs, config.Invalid(key, problem, args...))
		}
	}
	for _, d := range []struct {
		key  string
		d    config.Duration
		zero bool // is allowed
	}{
		{"node_timeout", c.NodeTimeout, false}, {"recoverable_node_timeout", c.RecoverableNodeTimeout, true},
		{"conn_timeout", c.ConnTimeout, false}, {"post_quorum_timeout", c.PostQuorumTimeout, true},
		{"client_timeout", c.ClientTimeout, false}, {"error_suppression_interval", c.ErrorSuppressionInterval, true},
		{"timing_expiry", c.TimingExpiry, true}, {"recheck_account_existence", c.RecheckAccountExistence, true},
		{"recheck_container_existence", c.RecheckContainerExistence, true},
	} {
		bad(d.d.Duration > 0 || d.zero && d.d.Duration == 0, d.key, "want a positive time, have %s", d.d)
	}
	bad(c.ErrorSuppressionLimit >= 0, "error_suppression_limit", "want 0 or more, have %d", c.ErrorSuppressionLimit)
	bad(c.RequestNodeCount.N > 0, "request_node_count", "want at least one node")
	bad(c.MaxContainersPerAccount >= 0, "max_containers_per_account", "want 0 or more, have %d", c.MaxContainersPerAccount)
	for key, pct := range map[string]float64{
		"account_existence_skip_cache_pct": c.AccountSkipCachePct, "container_existence_skip_cache_pct": c.ContainerSkipCachePct,
	} {
		bad(pct >= 0 && pct <= 100, key, "want a percentage from 0 to 100, have %v", pct)
	}
	bad(c.ExpiringDivisor > 100, "expiring_objects_container_divisor", "want more than 100, have %d", c.ExpiringDivisor)
	bad(c.ExpiringAccount != "" && !strings.Contains(c.ExpiringAccount, "/"), "expiring_objects_account_name",
		"want a name without a slash, have %q", c.ExpiringAccount)
	if _, err := c.NodeOptions.build(c); err != nil {
		errs = append(errs, err)
	}
	if _, err := c.policyOptions(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// policyOptions decodes the tables of policies.
func (c *Config) policyOptions() (map[policy.Index]*fanout.Options, error) {
	out := map[policy.Index]*fanout.Options{}
	var errs []error
	for name, section := range c.Policies {
		i, ok := policy.ParseIndex(name)
		if !ok || name == "" {
			errs = append(errs, section.Errorf("", "want the index of a policy for the table's name, have %q", name))
			continue
		}
		o := c.NodeOptions
		_, err := section.Decode(&o, config.Section{})
		if err == nil {
			out[i], err = o.build(c)
			if e, ok := errors.AsType[*config.Error](err); ok && e.File == "" {
				err = section.Errorf(e.Key, "%s", e.Problem)
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// build makes what package fanout wants.
func (o NodeOptions) build(c *Config) (*fanout.Options, error) {
	var errs []error
	bad := func(key, problem string, args ...any) { errs = append(errs, config.Invalid(key, problem, args...)) }
	f := &fanout.Options{
		NodeTimeout: c.NodeTimeout.Duration, RecoverableNodeTimeout: orElse(c.RecoverableNodeTimeout, c.NodeTimeout),
		PostQuorumTimeout: c.PostQuorumTimeout.Duration, ConcurrentGets: o.ConcurrentGets,
		ConcurrencyTimeout: orElse(o.ConcurrencyTimeout, c.ConnTimeout), RequestNodeCount: c.RequestNodeCount.Of,
		RebalanceMissing: o.RebalanceMissingSuppressionCount, Sorting: fanout.Sorting(o.SortingMethod),
		WriteLocalCount: o.WriteAffinityNodeCount.Of, TimingExpiry: c.TimingExpiry.Duration, DeleteHandoffs: -1,
	}
	switch f.Sorting {
	case fanout.SortShuffle, fanout.SortTiming, fanout.SortAffinity:
	default:
		bad("sorting_method", `want "shuffle", "timing" or "affinity", have %q`, o.SortingMethod)
	}
	var err error
	if f.ReadAffinity, err = fanout.ParseReadAffinity(o.ReadAffinity); err != nil {
		bad("read_affinity", "%v", err)
	}
	if f.WriteAffinity, err = fanout.ParseWriteAffinity(o.WriteAffinity); err != nil {
		bad("write_affinity", "%v", err)
	}
	if v := o.WriteAffinityHandoffDeleteCount; v != "auto" {
		if f.DeleteHandoffs, err = strconv.Atoi(v); err != nil || f.DeleteHandoffs < 0 {
			bad("write_affinity_handoff_delete_count", `want a number or "auto", have %q`, v)
		}
	}
	if o.RebalanceMissingSuppressionCount < 0 {
		bad("rebalance_missing_suppression_count", "want 0 or more, have %d", o.RebalanceMissingSuppressionCount)
	}
	if o.ConcurrencyTimeout.Duration < 0 {
		bad("concurrency_timeout", "want a positive time, have %s", o.ConcurrencyTimeout)
	}
	return f, errors.Join(errs...)
}

func orElse(d, other config.Duration) time.Duration {
	if d.Duration == 0 {
		return other.Duration
	}
	return d.Duration
}

// A NodeCount is a number of nodes: fixed ("6"), or for each replica ("2 * replicas").
type NodeCount struct {
	N          int
	PerReplica bool
}

// Of returns the number for a partition with so many replicas.
func (c NodeCount) Of(replicas int) int {
	if c.PerReplica {
		return c.N * replicas
	}
	return c.N
}

// String returns what a file would have.
func (c NodeCount) String() string {
	if c.PerReplica {
		return fmt.Sprintf("%d * replicas", c.N)
	}
	return strconv.Itoa(c.N)
}

// UnmarshalText reads either form.
func (c *NodeCount) UnmarshalText(text []byte) error {
	fields := strings.Fields(strings.ToLower(string(text)))
	perReplica := len(fields) == 3 && fields[1] == "*" && fields[2] == "replicas"
	if len(fields) == 1 || perReplica {
		if n, err := strconv.Atoi(fields[0]); err == nil && n >= 0 {
			*c = NodeCount{n, perReplica}
			return nil
		}
	}
	return fmt.Errorf(`want a number or "<number> * replicas", have %q`, text)
}
