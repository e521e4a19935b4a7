// Package all lists the filters, one line each. Adding one touches its own folder, this list and the samples in etc.
package all

import (
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/accountquotas"
	"github.com/apus-storage/apus/middleware/backendratelimit"
	"github.com/apus-storage/apus/middleware/bulk"
	"github.com/apus-storage/apus/middleware/catcherrors"
	"github.com/apus-storage/apus/middleware/cnamelookup"
	"github.com/apus-storage/apus/middleware/containerquotas"
	"github.com/apus-storage/apus/middleware/containersync"
	servercopy "github.com/apus-storage/apus/middleware/copy"
	"github.com/apus-storage/apus/middleware/crossdomain"
	"github.com/apus-storage/apus/middleware/dlo"
	"github.com/apus-storage/apus/middleware/domainremap"
	"github.com/apus-storage/apus/middleware/etagquoter"
	"github.com/apus-storage/apus/middleware/formpost"
	"github.com/apus-storage/apus/middleware/gatekeeper"
	"github.com/apus-storage/apus/middleware/healthcheck"
	"github.com/apus-storage/apus/middleware/listendpoints"
	"github.com/apus-storage/apus/middleware/listingformats"
	"github.com/apus-storage/apus/middleware/memcache"
	"github.com/apus-storage/apus/middleware/metrics"
	"github.com/apus-storage/apus/middleware/namecheck"
	"github.com/apus-storage/apus/middleware/proxylogging"
	"github.com/apus-storage/apus/middleware/ratelimit"
	"github.com/apus-storage/apus/middleware/readonly"
	"github.com/apus-storage/apus/middleware/recon"
	"github.com/apus-storage/apus/middleware/s3api"
	"github.com/apus-storage/apus/middleware/s3gateway"
	"github.com/apus-storage/apus/middleware/slo"
	"github.com/apus-storage/apus/middleware/staticweb"
	"github.com/apus-storage/apus/middleware/symlink"
	"github.com/apus-storage/apus/middleware/tempauth"
	"github.com/apus-storage/apus/middleware/tempurl"
	"github.com/apus-storage/apus/middleware/versionedwrites"
	"github.com/apus-storage/apus/middleware/xprofile"
)

// Filters returns every filter.
func Filters() []*middleware.Definition {
	return []*middleware.Definition{
		accountquotas.Filter,
		backendratelimit.Filter,
		bulk.Filter,
		catcherrors.Filter,
		cnamelookup.Filter,
		containerquotas.Filter,
		containersync.Filter,
		servercopy.Filter,
		crossdomain.Filter,
		dlo.Filter,
		domainremap.Filter,
		etagquoter.Filter,
		formpost.Filter,
		gatekeeper.Filter,
		healthcheck.Filter,
		listendpoints.Filter,
		listingformats.Filter,
		memcache.Filter,
		metrics.Filter,
		namecheck.Filter,
		proxylogging.Filter,
		ratelimit.Filter,
		readonly.Filter,
		recon.Filter,
		s3api.Filter,
		s3gateway.Filter,
		slo.Filter,
		staticweb.Filter,
		symlink.Filter,
		tempauth.Filter,
		tempurl.Filter,
		versionedwrites.Filter,
		xprofile.Filter,
	}
}
