package s3gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/middleware/s3gateway/readcache"
)

// cacheCounts are what the read cache's metrics do not get from the cache itself.
type cacheCounts struct {
	cacheHits   prometheus.Counter
	cacheMisses prometheus.Counter
	cacheBytes  prometheus.Counter
}

func newCacheCounts(r prometheus.Registerer, c *readcache.Cache) cacheCounts {
	n := cacheCounts{
		cacheHits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apus_s3gateway_cache_hits_total", Help: "Reads whose body came from the read cache.",
		}),
		cacheMisses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apus_s3gateway_cache_misses_total", Help: "Reads that might have come from the read cache and came from a store.",
		}),
		cacheBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apus_s3gateway_cache_served_bytes_total", Help: "Bytes of bodies that came from the read cache.",
		}),
	}
	r.MustRegister(n.cacheHits, n.cacheMisses, n.cacheBytes, &cacheCollector{c, describe()})
	return n
}

// cacheCollector reads the cache's own counts when they are asked for.
type cacheCollector struct {
	cache *readcache.Cache
	descs []cacheMetric
}

type cacheMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(readcache.Stats) int64
}

func describe() []cacheMetric {
	metric := func(name, help string, kind prometheus.ValueType, of func(readcache.Stats) int64) cacheMetric {
		return cacheMetric{prometheus.NewDesc("apus_s3gateway_cache_"+name, help, nil, nil), kind, of}
	}
	count, level := prometheus.CounterValue, prometheus.GaugeValue
	return []cacheMetric{
		metric("stale_total", "Bodies that were dropped because the store has another one by now.", count, func(s readcache.Stats) int64 { return s.Stale }),
		metric("fills_total", "Bodies that were kept.", count, func(s readcache.Stats) int64 { return s.Filled }),
		metric("aborts_total", "Bodies that were not kept since they did not come to their end, or were not what was promised.", count, func(s readcache.Stats) int64 { return s.Aborted }),
		metric("evictions_total", "Bodies that were dropped to make room.", count, func(s readcache.Stats) int64 { return s.Evicted }),
		metric("damaged_total", "Bodies that were dropped since the disk did not give them back as they were.", count, func(s readcache.Stats) int64 { return s.Damaged }),
		metric("entries", "Bodies that are kept.", level, func(s readcache.Stats) int64 { return s.Entries }),
		metric("bytes", "Bytes on disk, of what is being written too.", level, func(s readcache.Stats) int64 { return s.Bytes }),
	}
}

// Describe implements prometheus.Collector.
func (c *cacheCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.descs {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *cacheCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.cache.Stats()
	for _, m := range c.descs {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.of(s)))
	}
}
