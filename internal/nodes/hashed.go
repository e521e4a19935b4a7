package nodes

import "io"

// A Hashed body is that of an upload to several nodes in this process, [Direct] ones: who sends it has computed the MD5 of the
// object's bytes, once for all of them, so that nodes need not. It is an optimisation: over [TCP], and through transports
// that wrap bodies, a node finds none and hashes what it gets.
//
// The bytes that a node gets are those that were hashed: they are in the memory of one process. The length is told too, and a
// node that has got another one must not store the object.
type Hashed interface {
	io.ReadCloser
	// ObjectMD5 returns the function that tells MD5 and length, or nil if there is none. It is called when the object's bytes
	// have been read to their end; that of the body may come later, after a footer.
	ObjectMD5() func() (sum []byte, length int64)
}
