package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/all"
)

const swiftConf = `[swift-hash]
swift_hash_path_suffix = interop
swift_hash_path_prefix = proof
[storage-policy:0]
name = gold
default = yes
[storage-policy:1]
name = silver
[swift-constraints]
max_header_size = 16384
`

// launcher runs a program of Swift's with another directory than /etc/swift.
const launcher = `import runpy, sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
from swift.common import storage_policy, constraints
constraints.reload_constraints()
storage_policy.reload_storage_policies()
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
`

const ringScript = `import sys
from swift.common.ring import RingBuilder
etc = %q
ports = {'account': (%d, %d, %d), 'container': (%d, %d, %d), 'object': (%d, %d, %d)}
for name, net in [(n, e) for n in ('account', 'container', 'object', 'object-1') for e in ('', '-net')]:
    b = RingBuilder(4, 3, 0)
    for i in range(4):
        all = ports[name.split('-')[0]]
        p = all[i // 2]
        b.add_dev({'region': 1, 'zone': i + 1, 'ip': '127.0.0.1', 'port': p, 'replication_ip': '127.0.0.1',
                   'replication_port': all[2] if net else p, 'device': 'sdb%%d' %% (i + 1), 'weight': 100, 'meta': ''})
    b.rebalance(seed=7)
    b.get_ring().save('%%s%%s/%%s.ring.gz' %% (etc, net, name))
    b.save('%%s%%s/%%s.builder' %% (etc, net, name))
`

// swiftFilters are in the pipeline of Swift's proxy; Apus' has those of them that it knows.
var swiftFilters = []string{"catch_errors", "gatekeeper", "healthcheck", "cache", "listing_formats", "s3api", "tempauth", "copy", "slo",
	"dlo", "versioned_writes", "symlink"}

// apusFilters are those that Apus knows.
func apusFilters() []string { return knownTo(swiftFilters) }

// knownTo picks the filters that Apus knows.
func knownTo(filters []string) []string {
	var known []string
	for _, d := range all.Filters() {
		known = append(known, d.Names()...)
	}
	var out []string
	for _, f := range filters {
		if slices.Contains(known, f) {
			out = append(out, f)
		}
	}
	return out
}

const swiftDefault = `[DEFAULT]
swift_dir = %s
devices = %s
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
bind_ip = 127.0.0.1
bind_port = %d
workers = 0
user = root
log_level = INFO
log_address = /nonexistent
`

const swiftNode = swiftDefault + `[pipeline:main]
pipeline = healthcheck recon %[4]s-server
[app:%[4]s-server]
use = egg:swift#%[4]s
container_update_timeout = 20
node_timeout = 30
conn_timeout = 10
allow_versions = true
[filter:recon]
use = egg:swift#recon
recon_cache_path = %[5]s
[filter:healthcheck]
use = egg:swift#healthcheck
`

const apusDefault = `[DEFAULT]
swift_dir = %q
bind_ip = "127.0.0.1"
bind_port = %d
`

func (r *rig) writeConfigs(t *testing.T) {
	t.Helper()
	etc, dev, cache := r.path("etc"), r.path("dev"), r.path("cache")
	for _, k := range kinds {
		for _, h := range []string{first, second, replication} {
			name := k + "-" + h
			conf := fmt.Sprintf(swiftNode, etc, dev, r.ports[name], k, cache)
			for _, d := range []string{"replicator", "auditor", "updater", "reaper", "reconstructor", "sharder", "sync"} {
				conf += fmt.Sprintf("[%s-%s]\nrecon_cache_path = %s\nfiles_per_second = 10000\nzero_byte_files_per_second = 10000\nbytes_per_second = 1000000000\ncontainers_per_second = 10000\naccounts_per_second = 10000\n", k, d, cache)
			}
			if h == replication {
				conf = strings.Replace(conf, etc, etc+"-net", 1)
				conf = strings.Replace(conf, "conn_timeout", "replication_server = true\nconn_timeout", 1)
			}
			r.write(t, name+".conf", conf)
			toml := fmt.Sprintf(apusDefault, etc, r.ports[name])
			filters := knownTo([]string{"healthcheck", "recon"})
			toml += fmt.Sprintf("[pipeline.main]\npipeline = [\"%s\", \"%s-server\"]\n", strings.Join(filters, "\", \""), k)
			for _, f := range filters {
				toml += "[filter." + f + "]\n"
				if f == "recon" {
					toml += fmt.Sprintf("recon_cache_path = %q\n", cache)
				}
			}
			toml += fmt.Sprintf("[app.%s-server]\ndevices = %q\nmount_check = false\nfallocate_reserve = \"0\"\n", k, dev)
			if k == "object" {
				toml += "disable_fallocate = true\ncontainer_update_timeout = 20\nconn_timeout = 10\nnode_timeout = 30\n"
			}
			if k == "container" {
				toml += "allow_versions = true\nnode_timeout = 30\n"
			}
			if k != "account" {
				toml += fmt.Sprintf("[%s-updater]\ndevices = %q\nmount_check = false\nrecon_cache_path = %q\n", k, dev, cache)
			}
			r.write(t, name+".toml", toml)
		}
	}
	users := ""
	toml := ""
	for i := range maxUsers {
		users += fmt.Sprintf("user_interop%02d_admin = key .admin\nuser_interop%02d_guest = key\n", i, i)
		toml += fmt.Sprintf("user_interop%02d_admin = \"key .admin\"\nuser_interop%02d_guest = \"key\"\n", i, i)
	}
	r.write(t, "proxy-swift.conf", fmt.Sprintf(swiftDefault, etc, dev, r.ports["proxy-swift"])+
		"[pipeline:main]\npipeline = "+strings.Join(swiftFilters, " ")+" proxy-server\n"+swiftProxyRest+users+
		fmt.Sprintf("[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:%d\n", r.ports["memcached"]))
	filters := apusFilters()
	text := fmt.Sprintf(apusDefault, etc, r.ports["proxy-apus"]) + "[pipeline.main]\npipeline = [\"" + strings.Join(filters, "\", \"") +
		"\", \"proxy-server\"]\n[app.proxy-server]\naccount_autocreate = true\nallow_account_management = true\nnode_timeout = 30\nconn_timeout = 10\npost_quorum_timeout = 10\n"
	for _, f := range filters {
		text += "[filter." + f + "]\n"
		switch f {
		case "cache":
			text += fmt.Sprintf("memcache_servers = [\"127.0.0.1:%d\"]\n", r.ports["memcached"])
		case "tempauth":
			text += toml
		case "s3api":
			text += "s3_acl = true\nmin_segment_size = 4\n"
		case "versioned_writes":
			text += "allow_versioned_writes = true\nallow_object_versioning = true\n"
		}
	}
	r.write(t, "proxy-apus.toml", text)
	r.write(t, "object-expirer.conf", fmt.Sprintf(swiftDefault, etc, dev, 1)+fmt.Sprintf(swiftExpirer, cache, r.ports["memcached"]))
	r.write(t, "object-expirer.toml", fmt.Sprintf(apusDefault, etc, 1)+fmt.Sprintf(apusExpirer, cache))
}

const maxUsers = 100

const swiftProxyRest = `[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 30
conn_timeout = 10
post_quorum_timeout = 10
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
[filter:s3api]
use = egg:swift#s3api
s3_acl = true
min_segment_size = 4
[filter:tempauth]
use = egg:swift#tempauth
`

const swiftExpirer = `[object-expirer]
recon_cache_path = %s
[pipeline:main]
pipeline = catch_errors cache proxy-server
[app:proxy-server]
use = egg:swift#proxy
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:%d
`

const apusExpirer = `[object-expirer]
recon_cache_path = %q
dequeue_from_legacy = true
[pipeline.main]
pipeline = ["catch_errors", "proxy-server"]
[filter.catch_errors]
[app.proxy-server]
`
