// Package s3api is the filter that speaks the S3 API, so that what is made for AWS works on accounts and containers:
//
//	[filter.s3api]
//	location = "us-east-1"
//	storage_domain = "s3.example.net"
//	dns_compliant_bucket_names = true
//
// A bucket is a container of the account that the access key belongs to; with tempauth the key is account:user. A request is
// one for S3 if it is signed, in its headers or its query, by version 4 or 2, or a browser's form. Any other goes on as it
// came, unless there is an anonymous_account: then it is for that account's buckets, where its path is none of Swift's.
// Buckets are named in the path, or in the Host below one of storage_domain.
//
// What is stored is as OpenStack Swift's s3api stores it, so that each serves what the other has written: user metadata as
// X-Object-Meta-*, its underscores as =5F; ACLs as those of containers, or with s3_acl in system metadata; versions as object
// versioning has them.
//
// # How a request goes
//
// exchange.serve parses address and signature (request.go, auth.go), finds the operation in the table of operations.go,
// refuses what parameters.go does not know or knows to be unsupported, asks the auth filter who has signed, lets the ACL mode
// (acl.go) decide, and calls the operation's handler. Each group of operations has a file of its own; a handler talks to the
// rest of the pipeline through exchange.ask, forward and send (exchange.go), and every error it returns becomes an answer in
// respond.go. A new operation is a handler, a row in the table, and a line less in parameters.go.
//
// Invariants:
//   - Nothing of a request counts that is not in the tables: a sub-resource, a parameter without a value or an x-amz-* header
//     that is unknown is 501, never taken for something else.
//   - No header of the client reaches Swift but those that headers.go names, so that none can steer Swift.
//   - No body is read before the request is authenticated and allowed; one whose signature or checksum is wrong breaks off
//     before its end and is not stored.
//
// It must stand to the left of the auth filter, with nothing in between that changes paths, of slo and versioned_writes, and of
// formpost, which takes every form that reaches it; and to the right of the gatekeeper.
package s3api

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("s3api", Config{
	Location: "us-east-1", DNSCompliantBucketNames: true, MaxBucketListing: 1000, MaxMultiDeleteObjects: 1000,
	AllowMultipartUploads: true, MaxPartsListing: 1000, MaxUploadPartNum: 1000, MinSegmentSize: 5 << 20,
	MultiDeleteConcurrency: 2, AuthPipelineCheck: true, ConditionalWrites: true, ClockSkew: config.Seconds(900),
}, build).
	After("gatekeeper", "proxy_logging", "memcache", "domain_remap", "listing_formats").
	Before("s3token", "authtoken", "tempauth", "keystoneauth", "copy", "slo", "dlo", "versioned_writes", "symlink")

// Config is the section of the filter.
type Config struct {
	// Name of the region that this cluster is: part of every signature of version 4, and what GetBucketLocation says.
	Location string `toml:"location"`
	// Take only names of buckets that AWS takes: 3 to 63 lower-case letters, digits, dots and hyphens. Otherwise also upper
	// case and underscores, up to 255 characters.
	DNSCompliantBucketNames bool `toml:"dns_compliant_bucket_names"`
	// How many keys one page of a listing has at most.
	MaxBucketListing int `toml:"max_bucket_listing"`
	// How many keys one request may delete.
	MaxMultiDeleteObjects int `toml:"max_multi_delete_objects"`
	// How many of them are deleted at the same time.
	MultiDeleteConcurrency int `toml:"multi_delete_concurrency"`
	// Let objects be uploaded in parts. Needs slo to the right.
	AllowMultipartUploads bool `toml:"allow_multipart_uploads"`
	// How many parts one page of a listing of parts has at most.
	MaxPartsListing int `toml:"max_parts_listing"`
	// The highest number that a part may have. An object can have no more parts than slo allows segments.
	MaxUploadPartNum int `toml:"max_upload_part_num"`
	// How small a part may be, but for the last one.
	MinSegmentSize config.Size `toml:"min_segment_size"`
	// Domains whose subdomains are buckets: with "s3.example.net", photos.s3.example.net is the bucket photos.
	StorageDomain config.List `toml:"storage_domain"`
	// Refuse to start when no filter to the right could know who has signed a request.
	AuthPipelineCheck bool `toml:"auth_pipeline_check"`
	// Write a line into the access log for each request that this filter makes to Swift, besides that of the client.
	ForceSwiftRequestProxyLog bool `toml:"force_swift_request_proxy_log"`
	// How far the clock of a client may be off.
	ClockSkew config.Duration `toml:"allowable_clock_skew"`
	// Origins whose cross-origin preflight requests are answered here, for all buckets: "*" alone for any. Empty leaves
	// them to what containers say.
	CORSPreflightAllowOrigin config.List `toml:"cors_preflight_allow_origin"`
	// Have owners and grants of buckets and objects, as AWS does, in place of Swift's access lists of containers.
	S3ACL bool `toml:"s3_acl"`
	// With s3_acl: what says of no owner, since it was not made by way of S3, is everybody's. Otherwise it is nobody's.
	AllowNoOwner bool `toml:"allow_no_owner"`
	// With s3_acl: list only the buckets that the user owns.
	CheckBucketOwner bool `toml:"check_bucket_owner"`
	// The account, such as AUTH_test, whose buckets requests are for that nobody has signed: they name none. They may do what
	// its buckets let everybody do. Empty leaves such requests to Swift.
	AnonymousAccount string `toml:"anonymous_account"`
	// Let writes and deletions depend on what is there. Otherwise their conditions are refused with 501, as by OpenStack Swift:
	// for a time in which clients meet proxies of both.
	ConditionalWrites bool `toml:"conditional_writes"`
	// Answer 429 rather than 503 to clients that are too fast.
	RatelimitAsClientError bool `toml:"ratelimit_as_client_error"`
}

// maxDeleteConcurrency bounds multi_delete_concurrency; each deletion under way holds connections to storage nodes.
const maxDeleteConcurrency = 1000

// maxPartNumber bounds max_upload_part_num; AWS's bound.
const maxPartNumber = 10000

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	for _, check := range []struct {
		ok        bool
		key, want string
	}{
		{c.Location != "" && !strings.ContainsAny(c.Location, "/ \t"), "location", "must be a name without slashes and spaces"},
		{c.MaxBucketListing > 0, "max_bucket_listing", "must be above 0"},
		{c.MaxMultiDeleteObjects > 0, "max_multi_delete_objects", "must be above 0"},
		{c.MultiDeleteConcurrency > 0 && c.MultiDeleteConcurrency <= maxDeleteConcurrency, "multi_delete_concurrency", "must be from 1 to 1000"},
		{c.MaxPartsListing > 0, "max_parts_listing", "must be above 0"},
		{c.MaxUploadPartNum > 0 && c.MaxUploadPartNum <= maxPartNumber, "max_upload_part_num", "must be from 1 to 10000"},
		{c.MinSegmentSize > 0, "min_segment_size", "must be above 0"},
		{!strings.Contains(c.AnonymousAccount, "/"), "anonymous_account", "must be the name of an account"},
		{c.ClockSkew.Duration > 0, "allowable_clock_skew", "must be above 0"},
		{!slices.Contains(c.CORSPreflightAllowOrigin, "*") || len(c.CORSPreflightAllowOrigin) == 1,
			"cors_preflight_allow_origin", "* stands for all, so it must be alone"},
	} {
		if !check.ok {
			return config.Invalid(check.key, "%s", check.want)
		}
	}
	return nil
}

func (c *Config) aclMode() aclMode {
	if c.S3ACL {
		return grantACL{c.AllowNoOwner, c.CheckBucketOwner}
	}
	return plainACL{}
}

// knowsS3 are the filters that can say who has signed a request.
var knowsS3 = []string{"tempauth", "keystoneauth"}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	if c.AuthPipelineCheck && slices.Contains(host.Pipeline, "proxy") && !rightOf(host, knowsS3...) {
		return middleware.Instance{}, config.Invalid("auth_pipeline_check",
			"no filter to the right of %s knows who has signed a request; there are %s", host.Section, strings.Join(knowsS3, ", "))
	}
	if c.AllowMultipartUploads && slices.Contains(host.Pipeline, "proxy") && !rightOf(host, "slo") {
		host.Log.Warn("there is no slo to the right: multipart uploads are refused")
		c.AllowMultipartUploads = false
	}
	if at := slices.Index(host.Pipeline, "formpost"); at >= 0 && at < slices.Index(host.Pipeline, "s3api") {
		host.Log.Warn("forms that post S3 objects end at formpost: put it to the right", "filter", host.Section)
	}
	f := &filter{
		config: c, clock: host.Clock, log: host.Log, limits: host.Cluster.Limits, keys: sigv4.NewKeys(1000),
		domains: domains(c.StorageDomain), acl: c.aclMode(),
		features: sync.OnceValue(func() features { return featuresOf(host.Info()) }),
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler {
			w := *f
			w.next = next
			return &w
		},
		Info: map[string]any{"s3api": map[string]any{
			"max_bucket_listing": c.MaxBucketListing, "max_multi_delete_objects": c.MaxMultiDeleteObjects, "s3_acl": c.S3ACL,
			"allow_multipart_uploads": c.AllowMultipartUploads, "max_parts_listing": c.MaxPartsListing,
			"max_upload_part_num": c.MaxUploadPartNum, "min_segment_size": int64(c.MinSegmentSize),
		}},
	}, nil
}

// rightOf says whether one of the kinds stands to the right of this filter.
func rightOf(host middleware.Host, kinds ...string) bool {
	at := slices.Index(host.Pipeline, "s3api")
	return slices.ContainsFunc(host.Pipeline[at+1:], func(k string) bool { return slices.Contains(kinds, k) })
}

// logSource is the filter's code in the log.
const logSource = "S3"

// filter is the filter. It does not change.
type filter struct {
	config   Config
	clock    clock.Clock
	log      *slog.Logger
	limits   constraint.Limits
	keys     *sigv4.Keys
	domains  []string // of buckets, each with a dot before it
	acl      aclMode
	features func() features
	next     http.Handler
}

// features are what the pipeline can do, as /info says. They are known when the whole pipeline has been built.
type features struct {
	versioning bool // object versioning
	encryption bool
}

func featuresOf(info middleware.Infos) features {
	_, versioning := info.Public["object_versioning"]
	encryption, _ := info.Admin["encryption"].(map[string]any)
	enabled, _ := encryption["enabled"].(bool)
	return features{versioning: versioning, encryption: enabled}
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodOptions && f.preflight(w, r):
	case f.signed(r), f.meantForS3(r):
		f.serve(w, r)
	case r.Method == http.MethodGet && f.isContainer(r.URL.Path):
		f.swiftListing(w, r)
	default:
		f.next.ServeHTTP(w, r)
	}
}
