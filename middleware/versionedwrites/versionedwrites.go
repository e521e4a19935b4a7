// Package versionedwrites is the filter "versioned_writes": it keeps what uploads and deletions replace.
//
//	[filter.versioned_writes]
//	allow_versioned_writes = true
//	allow_object_versioning = true
//
// There are two ways, and a container uses one of them.
//
// Object versioning is switched on and off by X-Versions-Enabled: true, or false, on a container. Each upload goes to a
// hidden container and has a version id; what stands under the object's name is a static link to the current version:
//
//	/v1/AUTH_test/photos/cat                          link to the version 1700000000.00000
//	/v1/AUTH_test/\0versions\0photos/\0cat\0829999...   the version; the name ends in its inverted time, newest first
//
// A deletion leaves a version that marks it. With ?version-id= a version is read, deleted, or made current; with
// ?versions a container lists them all.
//
// The older way copies an object, before it is replaced, to a container that the client has made and named: with
// X-Versions-Location a deletion brings the latest copy back (a stack), with X-History-Location it adds a marker to the
// copies.
//
// What is stored is as Swift stores it, so that either serves what the other has written.
//
// Invariants:
//   - Nothing is replaced before it has been kept.
//   - The filter works in containers in its own right, so it asks first whether the client may do what it wants to do.
//     A version by its id is its owner's only.
//   - Bodies are streamed. Of listings, a page is held.
//
// It must stand to the right of the auth filter, copy, slo and dlo, and to the left of symlink, without which there is no
// object versioning. A proxy adds it, with its defaults, where it is missing.
//
// Files: legacy.go and stack.go are the older way; object.go (what is asked of a name), current.go (what a name is linked to),
// write.go, version.go (of a version), null.go and copies.go (of one without an id), container.go, versions.go and nulllist.go
// (lists of versions) and account.go are object versioning; archive.go and names.go serve
// both.
package versionedwrites

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/contenttype"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("versioned_writes", Config{}, build).
	After("gatekeeper", "tempauth", "keystoneauth", "staticweb", "copy", "container_quotas", "account_quotas", "slo", "dlo").
	Before("symlink", "keymaster", "encryption")

// Config is the section of the filter.
type Config struct {
	// Let clients keep earlier objects with X-Versions-Location and X-History-Location. Left empty, only what container
	// servers with allow_versions have stored is honoured; false refuses new settings and ignores old ones.
	AllowVersionedWrites Choice `toml:"allow_versioned_writes"`
	// Let clients version objects with X-Versions-Enabled. Needs the filter symlink.
	AllowObjectVersioning bool `toml:"allow_object_versioning"`
}

// A Choice is a yes, a no, or neither.
type Choice string

// The choices that were made.
const (
	Yes Choice = "true"
	No  Choice = "false"
)

// UnmarshalText reads one of Swift's words for yes or no; nothing means neither.
func (c *Choice) UnmarshalText(text []byte) error {
	*c = ""
	if len(text) == 0 {
		return nil
	}
	yes, err := config.ParseBool(string(text))
	switch {
	case err != nil:
		return err
	case yes:
		*c = Yes
	default:
		*c = No
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	if c.AllowObjectVersioning && !slices.Contains(host.Pipeline, "symlink") {
		return middleware.Instance{}, errors.New("object versioning requires symlinks")
	}
	types, err := contenttype.Load(filepath.Join(host.Dir, "mime.types"))
	if err != nil {
		return middleware.Instance{}, err
	}
	info := map[string]any{}
	if c.AllowVersionedWrites == Yes {
		info["versioned_writes"] = map[string]any{"allowed_flags": []string{"x-versions-location", "x-history-location"}}
	}
	if c.AllowObjectVersioning {
		info["object_versioning"] = map[string]any{}
	}
	return middleware.Instance{
		Info: info,
		Wrap: func(next http.Handler) http.Handler {
			if c.AllowObjectVersioning {
				next = newObjects(host, types, next)
			}
			return newLegacy(host, c.AllowVersionedWrites, next)
		},
	}, nil
}
