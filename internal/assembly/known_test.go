package assembly

import (
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/convert"
)

// TestConvertedFilesAreRead converts what only some servers and filters have.
func TestConvertedFilesAreRead(t *testing.T) {
	const conf = `[DEFAULT]
bind_port = 8080
log_statsd_host = 127.0.0.1
statsd_label_mode = graphite
statsd_emit_legacy = false
statsd_user_label_dc = eu
[pipeline:main]
pipeline = catch_errors gatekeeper xprofile proxy-logging cache tempauth proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
[filter:xprofile]
use = egg:swift#xprofile
profile_module = eventlet.green.profile
log_filename_prefix = /var/log/swift/profile/proxy.profile
dump_interval = 2.5
dump_timestamp = no
path = /__profile__
flush_at_shutdown = yes
unwind = no
[filter:proxy-logging]
use = egg:swift#proxy_logging
statsd_emit_buffer_xfer_bytes_seconds = 0.5
storage_domain = a.com, b.com
statsd_user_label_node = n1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
[filter:tempauth]
use = egg:swift#tempauth
`
	text, notes, err := convert.Convert("proxy-server.conf", []byte(conf), convert.Proxy, Known())
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, n := range notes {
		said = append(said, n.String())
	}
	if got := strings.Join(said, "\n"); len(said) != 2 || !strings.Contains(got, "filter.xprofile.profile_module: not needed: the profiler is Go's own") {
		t.Errorf("notes:\n%s", got)
	}
	file, err := config.Parse("proxy-server.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(file, Proxy); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	for _, want := range []string{
		"statsd_emit_legacy = false", `statsd_label_mode = "graphite"`, "dump_interval = 2.5", "flush_at_shutdown = true", `storage_domain = ["a.com", "b.com"]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestLabelsAreForTheLogAlone refuses options that nobody would honour.
func TestLabelsAreForTheLogAlone(t *testing.T) {
	file, err := config.Parse("account-server.toml", []byte(`[DEFAULT]
bind_port = 6202
statsd_label_mode = "graphite"
[pipeline.main]
pipeline = ["account-server"]
[app.account-server]
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(file, Account); err == nil || !strings.HasPrefix(err.Error(), "account-server.toml:3: DEFAULT.statsd_label_mode: unknown key") {
		t.Errorf("got %v", err)
	}
}
