// Package constraint holds the limits that a cluster sets on names, metadata, listings and sizes: the
// [swift-constraints] section of the cluster-wide file. Proxies and storage nodes must use the same values, which is why
// they are not options of a server. Package swiftconf reads them; the rules that apply them live where the headers are.
//
//	limits := constraint.Default()
//	if utf8.RuneCountInString(name) > limits.MaxObjectNameLength { ... }
package constraint

import "fmt"

// fixedHeaderCount is the number of headers a request may carry besides metadata, before extra_header_count.
const fixedHeaderCount = 36

// Limits are the constraints of a cluster. Lengths are bytes, those of names characters. The json names are those of the swift section of /info.
type Limits struct {
	// MaxFileSize is the greatest size of one stored object, in bytes.
	MaxFileSize int64 `toml:"max_file_size" json:"max_file_size"`
	// MaxMetaNameLength limits the name of a metadata item, without its header prefix.
	MaxMetaNameLength int `toml:"max_meta_name_length" json:"max_meta_name_length"`
	// MaxMetaValueLength limits the value of a metadata item.
	MaxMetaValueLength int `toml:"max_meta_value_length" json:"max_meta_value_length"`
	// MaxMetaCount limits the number of metadata items.
	MaxMetaCount int `toml:"max_meta_count" json:"max_meta_count"`
	// MaxMetaOverallSize limits the sum of all metadata names and values.
	MaxMetaOverallSize int `toml:"max_meta_overall_size" json:"max_meta_overall_size"`
	// MaxHeaderSize limits one header line of a request.
	MaxHeaderSize int `toml:"max_header_size" json:"max_header_size"`
	// MaxRequestLine limits the first line of a request.
	MaxRequestLine int `toml:"max_request_line" json:"max_request_line"`
	// MaxObjectNameLength limits the name of an object.
	MaxObjectNameLength int `toml:"max_object_name_length" json:"max_object_name_length"`
	// MaxContainerNameLength limits the name of a container.
	MaxContainerNameLength int `toml:"max_container_name_length" json:"max_container_name_length"`
	// MaxAccountNameLength limits the name of an account.
	MaxAccountNameLength int `toml:"max_account_name_length" json:"max_account_name_length"`
	// ContainerListingLimit is the greatest number of entries in one page of a container's listing.
	ContainerListingLimit int `toml:"container_listing_limit" json:"container_listing_limit"`
	// AccountListingLimit is the greatest number of entries in one page of an account's listing.
	AccountListingLimit int `toml:"account_listing_limit" json:"account_listing_limit"`
	// ExtraHeaderCount raises the number of headers a request may carry; see MaxHeaderCount.
	ExtraHeaderCount int `toml:"extra_header_count" json:"extra_header_count"`
	// ValidAPIVersions are the first path segments that clients may use.
	ValidAPIVersions []string `toml:"valid_api_versions" json:"valid_api_versions"`
	// AutoCreateAccountPrefix begins the names of accounts that Swift keeps for itself and creates on first use.
	AutoCreateAccountPrefix string `toml:"auto_create_account_prefix" json:"auto_create_account_prefix"`
}

// Default returns Swift's limits, in a value that the caller owns.
func Default() Limits {
	return Limits{
		MaxFileSize:             5368709122,
		MaxMetaNameLength:       128,
		MaxMetaValueLength:      256,
		MaxMetaCount:            90,
		MaxMetaOverallSize:      4096,
		MaxHeaderSize:           8192,
		MaxRequestLine:          8192,
		MaxObjectNameLength:     1024,
		MaxContainerNameLength:  256,
		MaxAccountNameLength:    256,
		ContainerListingLimit:   10000,
		AccountListingLimit:     10000,
		ExtraHeaderCount:        0,
		ValidAPIVersions:        []string{"v1", "v1.0"},
		AutoCreateAccountPrefix: ".",
	}
}

// MaxHeaderCount returns the number of headers that one request may carry.
func (l Limits) MaxHeaderCount() int { return l.MaxMetaCount + fixedHeaderCount + l.ExtraHeaderCount }

// Validate refuses values under which no request could succeed. The error names the key.
func (l Limits) Validate() error {
	for _, limit := range []struct {
		key   string
		value int64
	}{
		{"max_file_size", l.MaxFileSize},
		{"max_meta_name_length", int64(l.MaxMetaNameLength)},
		{"max_meta_value_length", int64(l.MaxMetaValueLength)},
		{"max_meta_count", int64(l.MaxMetaCount)},
		{"max_meta_overall_size", int64(l.MaxMetaOverallSize)},
		{"max_header_size", int64(l.MaxHeaderSize)},
		{"max_request_line", int64(l.MaxRequestLine)},
		{"max_object_name_length", int64(l.MaxObjectNameLength)},
		{"max_container_name_length", int64(l.MaxContainerNameLength)},
		{"max_account_name_length", int64(l.MaxAccountNameLength)},
		{"container_listing_limit", int64(l.ContainerListingLimit)},
		{"account_listing_limit", int64(l.AccountListingLimit)},
		{"extra_header_count", int64(l.ExtraHeaderCount)},
	} {
		if limit.value < 0 {
			return fmt.Errorf("%s: %d is negative", limit.key, limit.value)
		}
	}
	if len(l.ValidAPIVersions) == 0 {
		return fmt.Errorf("valid_api_versions: at least one version is needed")
	}
	if l.AutoCreateAccountPrefix == "" {
		return fmt.Errorf("auto_create_account_prefix: must not be empty, or every account would be internal")
	}
	return nil
}
