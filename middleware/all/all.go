// Package all lists the filters, one line each. Adding one touches its own folder, this list and the samples in etc.
package all

import (
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/catcherrors"
	servercopy "github.com/apus-storage/apus/middleware/copy"
	"github.com/apus-storage/apus/middleware/gatekeeper"
	"github.com/apus-storage/apus/middleware/healthcheck"
	"github.com/apus-storage/apus/middleware/listingformats"
	"github.com/apus-storage/apus/middleware/memcache"
	"github.com/apus-storage/apus/middleware/metrics"
	"github.com/apus-storage/apus/middleware/proxylogging"
	"github.com/apus-storage/apus/middleware/tempauth"
)

// Filters returns every filter.
func Filters() []*middleware.Definition {
	return []*middleware.Definition{
		catcherrors.Filter,
		servercopy.Filter,
		gatekeeper.Filter,
		healthcheck.Filter,
		listingformats.Filter,
		memcache.Filter,
		metrics.Filter,
		proxylogging.Filter,
		tempauth.Filter,
	}
}
