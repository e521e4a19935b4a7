package bench

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// An Op is a kind of request.
type Op uint8

// The kinds of requests. List asks for a page of a container's names, of Swift as JSON; the others are about an object.
const (
	Put Op = iota
	Get
	Head
	Delete
	Post
	List
	opCount
)

// String is the name that ParseOps reads.
func (o Op) String() string {
	return [opCount]string{"put", "get", "head", "delete", "post", "list"}[o]
}

func parseOp(s string) (Op, error) {
	for o := range opCount {
		if o.String() == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("%w: operation %q is none of put, get, head, delete, post, list", ErrInvalid, s)
}

// A Phase is a stretch of a run that is timed and charged as a whole: one operation, or several with weights.
type Phase struct {
	ops   []opWeight
	total int
}

type opWeight struct {
	op     Op
	weight int
}

// ParseOps reads a plan: a comma-separated list where each plain operation is a phase of its own ("put,get,delete") and
// neighbours with weights make one mixed phase ("get=80,put=20"). Both may stand in one plan: "put,get=80,put=20,delete"
// fills, mixes, empties. Errors wrap [ErrInvalid].
func ParseOps(s string) ([]Phase, error) {
	var phases []Phase
	mixing := false
	for item := range strings.SplitSeq(s, ",") {
		name, weight, weighted := strings.Cut(strings.TrimSpace(item), "=")
		op, err := parseOp(name)
		if err != nil {
			return nil, err
		}
		w := 1
		if weighted {
			if w, err = parseWeight(weight); err != nil {
				return nil, fmt.Errorf("operation %q: %w", item, err)
			}
		}
		if !weighted || !mixing {
			phases = append(phases, Phase{})
		}
		mixing = weighted
		p := &phases[len(phases)-1]
		if p.has(op) {
			return nil, fmt.Errorf("%w: operation %q stands twice in one mix", ErrInvalid, op)
		}
		p.ops = append(p.ops, opWeight{op, w})
		p.total += w
	}
	return phases, nil
}

// String is a form that ParseOps reads.
func (p Phase) String() string {
	if !p.mixed() {
		return p.ops[0].op.String()
	}
	parts := make([]string, len(p.ops))
	for i, c := range p.ops {
		parts[i] = c.op.String() + "=" + strconv.Itoa(c.weight)
	}
	return strings.Join(parts, ",")
}

func (p Phase) mixed() bool { return len(p.ops) > 1 }

func (p Phase) has(op Op) bool {
	for _, c := range p.ops {
		if c.op == op {
			return true
		}
	}
	return false
}

// pick chooses an operation by weight.
func (p Phase) pick(rng *rand.Rand) Op {
	if !p.mixed() {
		return p.ops[0].op
	}
	n := rng.IntN(p.total)
	for _, c := range p.ops {
		if n < c.weight {
			return c.op
		}
		n -= c.weight
	}
	panic("bench: weights do not add up")
}

// Config is the plan of a run: what population, which operations, how hard and how long.
type Config struct {
	// Container is the container's name, or with Containers over 1 the stem of their names: NAME-0, NAME-1, ...
	Container string
	// Containers is over how many containers the objects are spread.
	Containers int
	// Objects is the size of the population. At least Concurrency, as each worker has objects of its own.
	Objects int
	// Sizes is how large the objects are.
	Sizes Sizes
	// Phases is what to do, in order.
	Phases []Phase
	// Concurrency is the number of workers, each with one request in flight.
	Concurrency int
	// Count ends a phase after that many operations, divided beforehand among the workers; 0 is no limit.
	Count int
	// Duration ends a phase after that time: requests in flight are finished, no new ones begin; 0 is no limit.
	Duration time.Duration
	// Settle is how long to wait after each phase before its processor time is read, so that work which the servers put
	// off is charged to the phase that caused it.
	Settle time.Duration
	// Timeout bounds one request including its body.
	Timeout time.Duration
	// Page is what a list operation asks for.
	Page Page
	// Seed decides names, sizes and the order of requests.
	Seed uint64
	// Verify checks the bodies of GETs against what was PUT, and the Etags of PUTs against the content's MD5.
	Verify bool
	// Prepare fills the population before each round, outside of the measured time.
	Prepare bool
	// Persist keeps a worker going after any number of errors in a row, for runs that break the server on purpose.
	Persist bool
}

// maxObjects bounds the population: names and states of all objects are kept in memory.
const maxObjects = 10_000_000

// Validate checks what New needs. Errors wrap [ErrInvalid] and name what is accepted.
func (c Config) Validate() error {
	switch {
	case c.Container == "" || len(c.Container) > 200 || strings.Contains(c.Container, "/"):
		return fmt.Errorf("%w: container %q: want 1 to 200 bytes without a slash", ErrInvalid, c.Container)
	case c.Containers < 1 || c.Containers > 10_000:
		return fmt.Errorf("%w: %d containers: want 1 to 10000", ErrInvalid, c.Containers)
	case c.Concurrency < 1 || c.Concurrency > 4096:
		return fmt.Errorf("%w: concurrency %d: want 1 to 4096", ErrInvalid, c.Concurrency)
	case c.Objects < c.Concurrency || c.Objects > maxObjects:
		return fmt.Errorf("%w: %d objects: want from the concurrency, %d, to %d, as each worker has objects of its own",
			ErrInvalid, c.Objects, c.Concurrency, maxObjects)
	case len(c.Phases) == 0:
		return fmt.Errorf("%w: no operations", ErrInvalid)
	case c.Count < 0 || c.Duration < 0 || c.Settle < 0:
		return fmt.Errorf("%w: count, duration and settle must not be negative", ErrInvalid)
	case c.Count == 0 && c.Duration == 0:
		return fmt.Errorf("%w: a run needs a count or a duration", ErrInvalid)
	case c.Timeout <= 0:
		return fmt.Errorf("%w: timeout %v: want more than 0", ErrInvalid, c.Timeout)
	case c.Page.Limit < 1 || c.Page.Limit > 10_000:
		return fmt.Errorf("%w: list limit %d: want 1 to 10000", ErrInvalid, c.Page.Limit)
	}
	return nil
}

// puts says if any phase writes objects.
func (c Config) puts() bool {
	for _, p := range c.Phases {
		if p.has(Put) {
			return true
		}
	}
	return false
}
