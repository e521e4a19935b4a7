// Package killtest kills the real program with SIGKILL while clients upload, starts it again, and looks whether everything
// that was acknowledged is there, undamaged and listed. It has tests only.
//
// SIGKILL leaves the kernel's caches alone, so this is about the process: about what it keeps in memory, and what it leaves
// half-done. What a power failure does is tested by package testcluster with a disk in memory that forgets what was not
// synced.
//
//	go test ./internal/testcluster/killtest -killtest.rounds=20
package killtest
