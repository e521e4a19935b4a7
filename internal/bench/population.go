package bench

import (
	"math/rand/v2"
	"strconv"
)

// names tells name, container and size of each object of a population by its number.
type names struct {
	cfg    Config
	prefix string
}

func newNames(cfg Config) names {
	return names{cfg: cfg, prefix: "o-" + strconv.FormatUint(cfg.Seed, 10) + "-"}
}

// container is the name of the container with that number.
func (n names) container(i int) string {
	if n.cfg.Containers == 1 {
		return n.cfg.Container
	}
	return n.cfg.Container + "-" + strconv.Itoa(i)
}

// object is the name of an object within its container. It needs no quoting in a URL.
func (n names) object(i int32) string {
	var buf [48]byte
	b := append(buf[:0], n.prefix...)
	for limit := int32(10_000_000); limit > i && limit > 1; limit /= 10 {
		b = append(b, '0') // eight digits, so that names sort by number
	}
	return string(strconv.AppendInt(b, int64(i), 10))
}

// path is where an object is, from its account.
func (n names) path(i int32) string {
	return "/" + n.container(int(i)%n.cfg.Containers) + "/" + n.object(i)
}

func (n names) size(i int32) int64 {
	return n.cfg.Sizes.pick(mix(n.cfg.Seed ^ mix(uint64(i))))
}

// share is the part of the population that one worker owns, by what it knows of each object. Only the owner touches it.
type share struct {
	present []int32 // surely there
	absent  []int32 // not there, or unknown after an error
	deleted map[int32]bool
}

// newShare deals the objects out to the workers in turn.
func newShare(cfg Config, worker int, present bool) *share {
	s := &share{deleted: make(map[int32]bool)}
	for i := worker; i < cfg.Objects; i += cfg.Concurrency {
		if present {
			s.present = append(s.present, int32(i))
		} else {
			s.absent = append(s.absent, int32(i))
		}
	}
	return s
}

// claim chooses an object for the operation: one that is absent for a PUT as long as there are any, and else one that is
// present. For PUT and DELETE it is taken out of its list; settle puts it where it then belongs. False means that no
// object will do.
func (s *share) claim(op Op, rng *rand.Rand) (int32, bool) {
	from := &s.present
	if op == Put && len(s.absent) > 0 {
		from = &s.absent
	}
	if len(*from) == 0 {
		return 0, false
	}
	i := rng.IntN(len(*from))
	id := (*from)[i]
	if op == Put || op == Delete {
		last := len(*from) - 1
		(*from)[i] = (*from)[last]
		*from = (*from)[:last]
	}
	return id, true
}

// settle files an object that claim took out. After a failure its state is unknown, and it is not read again until a PUT
// succeeds.
func (s *share) settle(op Op, id int32, ok bool) {
	switch {
	case op == Put && ok:
		s.present = append(s.present, id)
		delete(s.deleted, id)
	case op == Put || op == Delete:
		s.absent = append(s.absent, id)
		if ok {
			s.deleted[id] = true
		} else {
			delete(s.deleted, id)
		}
	}
}

// remaining are the ids of the share's objects, except those that are surely gone because our own DELETE succeeded.
func (s *share) remaining() []int32 {
	ids := append([]int32(nil), s.present...)
	for _, id := range s.absent {
		if !s.deleted[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
