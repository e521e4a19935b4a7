package tempurl

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/digest"
)

// Config is the section of the filter. Its lists may be arrays, or strings with blanks between the items.
type Config struct {
	// Methods that a signed URL may be for.
	Methods config.List `toml:"methods"`
	// Headers that are taken from requests. A star at the end stands for anything.
	IncomingRemoveHeaders config.List `toml:"incoming_remove_headers"`
	// Headers that are left in requests although incoming_remove_headers has them.
	IncomingAllowHeaders config.List `toml:"incoming_allow_headers"`
	// Headers that are taken from answers.
	OutgoingRemoveHeaders config.List `toml:"outgoing_remove_headers"`
	// Headers that are left in answers although outgoing_remove_headers has them.
	OutgoingAllowHeaders config.List `toml:"outgoing_allow_headers"`
	// Digests that a signature may be made with: sha1 (deprecated), sha256, sha512.
	AllowedDigests config.List `toml:"allowed_digests"`
}

func defaults() Config {
	return Config{
		Methods:               config.List{"GET", "HEAD", "PUT", "POST", "DELETE"},
		IncomingRemoveHeaders: config.List{"x-timestamp", "x-open-expired"},
		OutgoingRemoveHeaders: config.List{"x-object-meta-*"},
		OutgoingAllowHeaders:  config.List{"x-object-meta-public-*"},
		AllowedDigests:        config.List{"sha1", "sha256", "sha512"},
	}
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if _, _, err := digest.NewSet(c.AllowedDigests.Words()); err != nil {
		return config.Invalid("allowed_digests", "%v", err)
	}
	return nil
}

// headers removes headers by name.
type headers struct{ remove, allow names }

// names are names of headers, in lower case, and beginnings of such.
type names struct {
	exact    map[string]struct{}
	prefixes []string
}

func newNames(l config.List) names {
	n := names{exact: map[string]struct{}{}}
	for _, name := range l.Words() {
		name = plain(name)
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			n.prefixes = append(n.prefixes, prefix)
			continue
		}
		n.exact[name] = struct{}{}
	}
	return n
}

// plain spells a header's name in the one way in which names are compared. Underscores are hyphens to whatever comes later.
func plain(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

func (n names) has(name string) bool {
	if _, ok := n.exact[name]; ok {
		return true
	}
	for _, p := range n.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// clean takes out what is to be removed and not allowed. A star does not stand for the body's type and length.
func (f headers) clean(h http.Header) {
	for name := range h {
		key := plain(name)
		if key == "content-type" || key == "content-length" {
			if _, ok := f.remove.exact[key]; !ok {
				continue
			}
		}
		if f.remove.has(key) && !f.allow.has(key) {
			delete(h, name)
		}
	}
}
