package memcached

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"iter"
	"slices"
	"strconv"
)

// pointsPerServer is how often each server stands on the circle.
const pointsPerServer = 50

// A keySum is the MD5 of a key's text: its place on the circle and, in hex, its name on the wire.
type keySum [md5.Size]byte

func sumKey(key string) keySum { return md5.Sum([]byte(key)) }

func (s keySum) wire() string { return hex.EncodeToString(s[:]) }

// A ring is the circle of servers, the same that OpenStack Swift draws from the same names. It is immutable.
type ring struct {
	points []point // by rising sum
	tries  int
}

type point struct {
	sum    keySum
	server int // index into the configured names
}

// newRing places servers by their names. At most tries different servers are offered for a key.
func newRing(servers []string, tries int) *ring {
	r := &ring{tries: min(tries, len(servers))}
	for i, name := range servers {
		for n := range pointsPerServer {
			r.points = append(r.points, point{sumKey(name + "-" + strconv.Itoa(n)), i})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int { return bytes.Compare(a.sum[:], b.sum[:]) })
	return r
}

// walk yields the servers to try for a key, in order, each once.
func (r *ring) walk(key keySum) iter.Seq[int] {
	return func(yield func(int) bool) {
		// Swift looks for the first point beyond the key and then starts one further on. So must we.
		pos, _ := slices.BinarySearchFunc(r.points, key, func(p point, k keySum) int {
			if bytes.Compare(p.sum[:], k[:]) > 0 {
				return 1
			}
			return -1
		})
		served := make([]int, 0, 8)
		for i := range r.points {
			s := r.points[(pos+1+i)%len(r.points)].server
			if slices.Contains(served, s) {
				continue
			}
			if !yield(s) {
				return
			}
			if served = append(served, s); len(served) == r.tries {
				return
			}
		}
	}
}

// first is the server that a key is kept on while nothing is wrong.
func (r *ring) first(key keySum) int {
	for s := range r.walk(key) {
		return s
	}
	return -1
}
