package gate

import (
	"fmt"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// Access is one or several rights.
type Access uint8

// The rights. What deletes is Write.
const (
	Read Access = 1 << iota
	Write
	List
)

const everything = Read | Write | List

var rights = map[string]Access{"read": Read, "write": Write, "list": List}

// String names the rights, as the configuration does.
func (a Access) String() string {
	var names []string
	for _, name := range []string{"read", "write", "list"} {
		if a&rights[name] != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// An Identity is who clients are here, and what they may do. It does not change.
type Identity struct {
	Name     string
	Callable string    // name of its functions, "" if it has none
	Expires  time.Time // zero: never

	rights    Access
	buckets   []route.Glob
	prefixes  []string
	functions callable.Functions
}

func newIdentity(name string, c Config, functions map[string]callable.Functions) (*Identity, error) {
	id := &Identity{Name: name, Callable: c.Callable, prefixes: c.Prefixes}
	for _, right := range c.Rights {
		id.rights |= rights[right]
	}
	for _, pattern := range c.Buckets {
		g, err := route.CompileGlob(pattern)
		if err != nil {
			return nil, err
		}
		id.buckets = append(id.buckets, g)
	}
	var err error
	if id.Expires, err = c.expires(); err != nil {
		return nil, err
	}
	if c.Callable != "" {
		f, ok := functions[c.Callable]
		if !ok {
			return nil, fmt.Errorf("there is no callable %q", c.Callable)
		}
		id.functions = f
	}
	return id, nil
}

// Limited says whether the identity has prefixes that it may not leave.
func (id *Identity) Limited() bool { return len(id.prefixes) > 0 }

// Sees says whether the identity may use a bucket at all, such as in a list of them.
func (id *Identity) Sees(bucket string) bool {
	if len(id.buckets) == 0 {
		return true
	}
	for _, g := range id.buckets {
		if g.Match(bucket) {
			return true
		}
	}
	return false
}

// holds says whether a key, or what a listing is limited to, is within the identity's prefixes.
func (id *Identity) holds(key string) bool {
	if !id.Limited() {
		return true
	}
	if route.Dots(key) {
		return false
	}
	for _, prefix := range id.prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// allows says whether the identity has all the rights for a key, or, without a key, for the bucket itself.
func (id *Identity) allows(a Access, bucket, key string) bool {
	return id.rights&a == a && id.Sees(bucket) && id.holds(key)
}

func denied(why string, args ...any) error {
	return s3err.AccessDenied.With().Because(fmt.Errorf(why, args...))
}
