// Package interop proves that Apus and OpenStack Swift can stand in for each other, process by process, in both directions.
//
// TestInterchange runs a cluster of real processes on loopback: two proxies side by side, one of each make, sharing memcached;
// account, container and object servers for two halves of the devices; and the daemons and tools of both. It swaps the
// storage servers under the running proxies, from Swift to a mixture to Apus and back, and asks after each swap
//
//   - that several hundred requests are answered exactly as an all-Swift cluster answers them,
//   - that everything written before, by whichever make, is read back exactly as it was answered then,
//   - that each replica, asked directly, answers alike under both makes,
//   - that daemons and tools of the one find nothing to complain about on disks of the other.
//
// TestS3 runs the same cluster, and has buckets, uploads in parts, versions and grants begun through the S3 API of the one and gone on
// with, read and ended through that of the other.
//
// TestCache compares what the proxies keep in memcached, tokens and what is known of accounts and containers, and has each go by
// the other's entries.
//
// They need Debian's packages of Swift and memcached, and are slow, so that they have a flag:
//
//	go test ./internal/interop -interop -v
//	go test ./internal/interop -interop -interop.full -v -timeout 30m
//
// Differences that are known are listed in known_test.go, each with its reason. Nothing else belongs there.
package interop
