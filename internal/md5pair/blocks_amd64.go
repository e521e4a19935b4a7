package md5pair

// paired says that blocks is there.
const paired = true

// blocks hashes n blocks of 64 bytes of each of two streams, n not being 0.
//
//go:noescape
func blocks(s1, s2 *[4]uint32, p1, p2 *byte, n int)
