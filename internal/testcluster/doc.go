// Package testcluster is a cluster in one process, for tests.
package testcluster
