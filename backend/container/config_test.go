package container

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/config"
)

func TestConfig(t *testing.T) {
	decode := func(text string) (Config, error) {
		f, err := config.Parse("test.toml", []byte("[app.container-server]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := f.Section("app", "container-server")
		c := DefaultConfig()
		_, err = s.Decode(&c, config.Section{})
		return c, err
	}
	c, err := decode(`devices = "/d"
mount_check = "no"
fallocate_reserve = "2.5%"
log_requests = false
replication_server = false
node_timeout = 0.5
allow_versions = true
allowed_sync_hosts = "a, b"
`)
	want := Config{NodeTimeout: config.Duration{Duration: 500 * time.Millisecond}, AllowVersions: true, AllowedSyncHosts: config.List{"a", "b"}}
	want.Devices = "/d"
	want.FallocateReserve.UnmarshalText([]byte("2.5%"))
	if err != nil || !cmp.Equal(c, want, cmp.Comparer(func(a, b Config) bool {
		return a.Config == b.Config && a.NodeTimeout == b.NodeTimeout && a.AllowVersions == b.AllowVersions && cmp.Equal(a.AllowedSyncHosts, b.AllowedSyncHosts)
	})) {
		t.Errorf("got %+v %v, want %+v", c, err, want)
	}
	for text, problem := range map[string]string{
		"node_timeout = 0":             "node_timeout",
		"fallocate_reserve = \"200%\"": "fallocate_reserve",
		"conn_timeout = 1":             "conn_timeout",
	} {
		if _, err := decode(text); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: got %v, want a complaint about %s", text, err, problem)
		}
	}
}
