package assembly

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

// Where the rings of an embedded cluster say that its nodes are. Nobody listens there.
const (
	nodeIP        = "127.0.0.1"
	objectPort    = "6200"
	containerPort = "6201"
	accountPort   = "6202"
)

// initData fills a new data directory, or checks an existing one against the options.
func initData(o EmbeddedOptions) error {
	etc := filepath.Join(o.Data, "etc")
	if _, err := os.Stat(filepath.Join(etc, "swift.toml")); err == nil {
		return checkData(etc, o)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	devices, replicas := max(o.Devices, 1), max(o.Replicas, 1)
	if replicas > devices {
		return fmt.Errorf("%d replicas need as many devices, have %d; add --devices %d", replicas, devices, replicas)
	}
	policies, err := newPolicies(o.Policies)
	if err != nil {
		return err
	}
	// Built aside and renamed, so that a directory is either whole or not there.
	tmp := etc + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	for i := range devices {
		if err := os.MkdirAll(filepath.Join(o.Data, "devices", deviceName(i)), 0o755); err != nil {
			return err
		}
	}
	rings := map[string]int{"account": 6202, "container": 6201}
	for _, p := range policies.All() {
		rings[p.Index.RingName()] = 6200
	}
	for name, port := range rings {
		if err := makeRing(filepath.Join(tmp, name), port, devices, replicas); err != nil {
			return fmt.Errorf("make the %s ring: %w", name, err)
		}
	}
	if err := writeSynced(filepath.Join(tmp, "swift.toml"), swiftTOML(policies)); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(tmp, "proxy-server.toml"), proxyTOML()); err != nil {
		return err
	}
	if err := os.Rename(tmp, etc); err != nil {
		return err
	}
	return syncDir(o.Data)
}

func deviceName(i int) string { return fmt.Sprintf("d%d", i+1) }

// newPolicies makes the policies of a new store, all of them replicated; the first is the default.
func newPolicies(names []string) (policy.Set, error) {
	if len(names) == 0 {
		names = []string{policy.LegacyName}
	}
	all := make([]policy.Policy, len(names))
	for i, name := range names {
		all[i] = policy.Policy{Index: policy.Index(i), Name: name, Default: i == 0}
	}
	return policy.NewSet(all...)
}

// checkData refuses numbers and policies that differ from those the directory was made with.
func checkData(etc string, o EmbeddedOptions) error {
	b, err := builder.Load(filepath.Join(etc, "object.builder"))
	if err != nil {
		return err
	}
	devices := 0
	for range b.Devices() {
		devices++
	}
	if o.Devices != 0 && o.Devices != devices || o.Replicas != 0 && float64(o.Replicas) != b.Replicas() {
		return fmt.Errorf("it was made with --devices %d --replicas %v, which cannot be changed here; leave the flags out, or use another directory",
			devices, b.Replicas())
	}
	return checkPolicies(etc, o.Policies)
}

func checkPolicies(etc string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	cluster, err := swiftconf.Load(etc)
	if err != nil {
		return err
	}
	have := make([]string, 0, len(names))
	for _, p := range cluster.Policies.All() {
		have = append(have, p.Name)
	}
	if !slices.Equal(have, names) {
		return fmt.Errorf("it has --policies %s, which cannot be changed here; leave the flag out, or use another directory", strings.Join(have, ","))
	}
	return nil
}

// makeRing writes a ring and its builder. Every device is a zone of its own.
func makeRing(path string, port, devices, replicas int) error {
	// About 64 partitions a device: enough to spread them, few enough that their directories are soon there.
	power := uint(6 + bits.Len(uint(devices-1)))
	b, err := builder.New(power, float64(replicas), 1)
	if err != nil {
		return err
	}
	for i := range devices {
		if _, err := b.Add(ring.Device{
			ID: -1, Region: 1, Zone: i + 1, IP: nodeIP, Port: port, ReplicationIP: nodeIP, ReplicationPort: port,
			Name: deviceName(i), Weight: 100,
		}); err != nil {
			return err
		}
	}
	if _, err := b.Rebalance(builder.RebalanceOptions{}); err != nil {
		return err
	}
	r, err := b.Ring()
	if err != nil {
		return err
	}
	if err := b.Save(path + ".builder"); err != nil {
		return err
	}
	return ring.Save(path+".ring.gz", r, ring.Format1)
}

// secret returns a random word of 26 letters and digits: 130 bits.
func secret() string {
	b := make([]byte, 17)
	rand.Read(b) // never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))[:26]
}

func swiftTOML(policies policy.Set) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# What all servers of this cluster agree on. Changing the hash's prefix or suffix loses all data.
[swift-hash]
swift_hash_path_prefix = %q
swift_hash_path_suffix = %q
`, secret(), secret())
	for _, p := range policies.All() {
		fmt.Fprintf(&b, "\n[storage-policy.%s]\nname = %q\n", p.Index, p.Name)
		if p.Default {
			b.WriteString("default = true\n")
		}
	}
	return b.String()
}

func proxyTOML() string {
	return fmt.Sprintf(`# The proxy of this data directory. It is yours to edit: see etc/proxy-server.toml in the sources for all options,
# and check a change with: apus config check FILE
[DEFAULT]
bind_ip = "127.0.0.1"
bind_port = 8080

[pipeline.main]
pipeline = [
  "catch_errors", "gatekeeper", "healthcheck", "metrics", "proxy-logging", "cache", "listing_formats", "bulk", "tempurl", "s3api", "formpost",
  "tempauth", "staticweb", "copy", "container-quotas", "account-quotas", "slo", "dlo", "versioned_writes", "symlink", "proxy-logging", "proxy-server",
]

[filter.catch_errors]
[filter.gatekeeper]
[filter.healthcheck]
[filter.metrics]
[filter.proxy-logging]
[filter.listing_formats]
[filter.bulk]
[filter.staticweb]
[filter.copy]
[filter.container-quotas]
[filter.account-quotas]
[filter.slo]
max_manifest_segments = 10000
# That many, with the longest names.
max_manifest_size = "16 MiB"

[filter.dlo]
[filter.symlink]

[filter.cache]
backend = "memory"

# Signed URLs and forms of the Swift API; sha1 is for clients that are old.
[filter.tempurl]
allowed_digests = ["sha256", "sha512"]
[filter.formpost]
allowed_digests = ["sha256", "sha512"]

# The S3 API. An access key is ACCOUNT:USER, its secret is that user's KEY below.
[filter.s3api]
location = "us-east-1"
# As many parts as AWS takes, which SDKs count on; slo must take as many segments.
max_upload_part_num = 10000
# Requests that nobody has signed are for the buckets of this account that everybody may read.
anonymous_account = "AUTH_%[1]s"
# With "s3.example.net", buckets can be in the name of the host: photos.s3.example.net.
# storage_domain = "s3.example.net"

[filter.versioned_writes]
allow_versioned_writes = true
allow_object_versioning = true

[filter.tempauth]
# user_ACCOUNT_USER = "KEY GROUP..."
user_%[1]s_%[2]s = "%[3]s .admin"

[app.proxy-server]
account_autocreate = true
`, firstAccount, firstUser, secret())
}

// The user that a new data directory has.
const (
	firstAccount = "apus"
	firstUser    = "admin"
)

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
