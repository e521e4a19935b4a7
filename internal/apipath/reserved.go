package apipath

import (
	"errors"
	"strings"
)

// Reserved is the byte that starts a name of the reserved namespace, the one that Swift keeps for itself, and
// separates the parts of such a name.
const Reserved = "\x00"

// misplacedAccount holds the reconciler's queue; object names in it are paths and may have NULs anywhere.
const misplacedAccount = ".misplaced_objects"

// ErrReservedName is a name that is not made of reserved parts, or a part that cannot be in one.
var ErrReservedName = errors.New("invalid reserved name")

// ReservedError says how names of the reserved namespace and of the users' are mixed in one path.
type ReservedError struct {
	text string
}

func (e *ReservedError) Error() string { return strings.ToLower(e.text[:1]) + e.text[1:] }

// Text returns what Swift tells the client.
func (e *ReservedError) Text() string { return e.text }

// IsReserved reports whether a name is in the reserved namespace.
func IsReserved(name string) bool { return strings.HasPrefix(name, Reserved) }

// ReservedName builds a name of the reserved namespace from parts, none of which may contain NUL.
func ReservedName(parts ...string) (string, error) {
	for _, p := range parts {
		if strings.Contains(p, Reserved) {
			return "", ErrReservedName
		}
	}
	return Reserved + strings.Join(parts, Reserved), nil
}

// SplitReserved returns the parts of a name built by [ReservedName].
func SplitReserved(name string) ([]string, error) {
	if !IsReserved(name) {
		return nil, ErrReservedName
	}
	return strings.Split(name[1:], Reserved), nil
}

// CheckReserved returns a [*ReservedError] if the names of a path mix the namespaces: a name may hold NUL only if it
// starts with it, and a reserved object needs a reserved container and the other way round. Accounts that start with
// autoCreatePrefix (normally ".") are the cluster's own and may name objects as they like.
func CheckReserved(account, container, object, autoCreatePrefix string) error {
	if misplacedNUL(account) {
		return &ReservedError{"Invalid reserved-namespace account"}
	}
	if misplacedNUL(container) {
		return &ReservedError{"Invalid reserved-namespace container"}
	}
	if object == "" || strings.HasPrefix(account, autoCreatePrefix) || account == misplacedAccount {
		return nil
	}
	switch c, o := IsReserved(container), IsReserved(object); {
	case misplacedNUL(object):
		return &ReservedError{"Invalid reserved-namespace object"}
	case c && !o:
		return &ReservedError{"Invalid user-namespace object in reserved-namespace container"}
	case o && !c:
		return &ReservedError{"Invalid reserved-namespace object in user-namespace container"}
	}
	return nil
}

func misplacedNUL(name string) bool {
	return !IsReserved(name) && strings.Contains(name, Reserved)
}
