// Package object is the object server: the storage node's HTTP service that keeps objects of replicated policies on its
// disks and tells container servers about them. It speaks OpenStack Swift's protocol of storage nodes, so that proxies
// and daemons of either kind can use it.
//
//	PUT|GET|HEAD|POST|DELETE /<device>/<partition>/<account>/<container>/<object>
//	OPTIONS *
//
// A PUT, POST or DELETE that was answered with success is on the disk. The container update that belongs to it has been
// delivered, is still being delivered, or is on the disk for an updater: a crash between the change and its update can
// lose the update, as in Swift, whose container auditors and replicators have the same gap.
//
// Bodies are sent from the file to the connection by the kernel where the ResponseWriter allows it, and are not hashed
// on the way unless etag_validate_pct asks for it.
//
// Not here: REPLICATE and SSYNC, erasure coded policies, and PUTs that commit in two phases are answered with 501.
// A server that is to answer "OPTIONS *" must set http.Server.DisableGeneralOptionsHandler.
//
//	s, err := object.New(cfg, object.Deps{Cluster: cluster})
//	defer s.Close()
//	http.Serve(listener, s)
package object
