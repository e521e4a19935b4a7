package object

import (
	"errors"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
)

// Config is what an operator sets.
type Config struct {
	// Directory with one directory per device.
	Devices string `toml:"devices"`
	// Refuse (507) a device that is not a mount point.
	MountCheck bool `toml:"mount_check"`
	// Do not make room on the disk before an upload, and do not check fallocate_reserve.
	DisableFallocate bool `toml:"disable_fallocate"`
	// Room that must stay free: bytes, or a percentage such as "1%". Uploads that would take it are refused (507).
	FallocateReserve disk.Reserve `toml:"fallocate_reserve"`
	// Seconds after which tombstones are removed. The same on all nodes, and not above that of the containers.
	ReclaimAge config.Duration `toml:"reclaim_age"`
	// Megabytes of an upload after which it is flushed to the disk.
	MBPerSync int64 `toml:"mb_per_sync"`
	// Let uploads and deletions that are under way at the same time share one sync of their file system (ext4, XFS), in place of
	// several for each: less processor time, at the price of depending on the kernel's threads that write back. Leave it off if
	// the servers have real-time priority: where those threads hardly get a processor, requests have waited for ten seconds.
	SharedSyncs bool `toml:"shared_syncs"`
	// Objects smaller than this many bytes may stay in the page cache when read.
	KeepCacheSize int64 `toml:"keep_cache_size"`
	// Keep them in the page cache even if the request had a token.
	KeepCachePrivate bool `toml:"keep_cache_private"`
	// Keep manifests of static large objects in the page cache even if the request had a token.
	KeepCacheSLOManifest bool `toml:"keep_cache_slo_manifest"`
	// Share of GETs and HEADs, in percent, that check the object: the checksum of its metadata, and the MD5 of its body
	// while that is sent whole. A damaged object is quarantined then. Swift checks all metadata, and its default for
	// bodies is 100. The auditor checks everything in any case.
	ETagValidatePct float64 `toml:"etag_validate_pct"`
	// Headers stored with an object besides its metadata. Content-Length, ETag and Deleted cannot be among them.
	AllowedHeaders config.List `toml:"allowed_headers"`
	// Seconds to wait for the next part of an upload (408).
	ClientTimeout config.Duration `toml:"client_timeout"`
	// Seconds that an upload may take (408).
	MaxUploadTime config.Duration `toml:"max_upload_time"`
	// Bytes read from a connection at a time.
	NetworkChunkSize int `toml:"network_chunk_size"`
	// Seconds to wait for a container server's answer.
	NodeTimeout config.Duration `toml:"node_timeout"`
	// Seconds to wait for a connection to a container server.
	ConnTimeout config.Duration `toml:"conn_timeout"`
	// Seconds that the answer to a client waits for container updates. They go on in the background after that.
	ContainerUpdateTimeout config.Duration `toml:"container_update_timeout"`
	// Seconds of expiry that share a group of containers in the expiry queue. Deprecated; must be the same everywhere.
	ExpiringDivisor int64 `toml:"expiring_objects_container_divisor"`
	// Write a line for each request.
	LogRequests bool `toml:"log_requests"`
}

// DefaultConfig returns Swift's defaults, except that bodies are not hashed on GET.
func DefaultConfig() Config {
	reserve, err := disk.ParseReserve("1%")
	if err != nil {
		panic(err) // a constant
	}
	return Config{
		Devices:          "/srv/node",
		MountCheck:       true,
		FallocateReserve: reserve,
		ReclaimAge:       config.Seconds(604800),
		MBPerSync:        512,
		KeepCacheSize:    5 << 20,
		AllowedHeaders: config.List{"Content-Disposition", "Content-Encoding", "X-Delete-At", "X-Object-Manifest",
			"X-Static-Large-Object", "Cache-Control", "Content-Language", "Expires", "X-Robots-Tag"},
		ClientTimeout:          config.Seconds(60),
		MaxUploadTime:          config.Seconds(86400),
		NetworkChunkSize:       65536,
		NodeTimeout:            config.Seconds(3),
		ConnTimeout:            config.Seconds(0.5),
		ContainerUpdateTimeout: config.Seconds(1),
		ExpiringDivisor:        86400,
		LogRequests:            true,
	}
}

// Validate names what cannot work.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, problem string) { errs = append(errs, config.Invalid(key, "%s", problem)) }
	if c.Devices == "" {
		bad("devices", "is empty: want a directory such as /srv/node")
	}
	for key, d := range map[string]config.Duration{"client_timeout": c.ClientTimeout, "max_upload_time": c.MaxUploadTime,
		"node_timeout": c.NodeTimeout, "conn_timeout": c.ConnTimeout, "container_update_timeout": c.ContainerUpdateTimeout} {
		if d.Duration <= 0 {
			bad(key, "want more than 0 seconds")
		}
	}
	if c.ReclaimAge.Duration < time.Second {
		bad("reclaim_age", "want at least 1 second")
	}
	if c.MBPerSync < 1 {
		bad("mb_per_sync", "want at least 1")
	}
	if c.KeepCacheSize < 0 {
		bad("keep_cache_size", "want 0 or more bytes")
	}
	if c.NetworkChunkSize < 512 || c.NetworkChunkSize > 64<<20 {
		bad("network_chunk_size", "want 512 to 67108864 bytes")
	}
	if c.ETagValidatePct < 0 || c.ETagValidatePct > 100 {
		bad("etag_validate_pct", "want 0 to 100")
	}
	if c.ExpiringDivisor < 1 {
		bad("expiring_objects_container_divisor", "want at least 1 second")
	}
	return errors.Join(errs...)
}
