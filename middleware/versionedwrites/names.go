package versionedwrites

import (
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/timestamp"
)

// hiddenPart is what the names of hidden containers begin with.
const hiddenPart = "versions"

// hiddenContainer is the name of the container with the versions of another's objects. The error is that of a name which
// is reserved itself.
func hiddenContainer(container string) (string, error) {
	return apipath.ReservedName(hiddenPart, container)
}

// shownContainer is the reverse of hiddenContainer.
func shownContainer(hidden string) (string, bool) {
	parts, err := apipath.SplitReserved(hidden)
	if err != nil || len(parts) != 2 || parts[0] != hiddenPart {
		return "", false
	}
	return parts[1], true
}

// versionName is the name of an object's version in the hidden container.
func versionName(object string, t timestamp.Timestamp) (string, error) {
	return apipath.ReservedName(object, t.Inverted().Internal())
}

// splitVersion is the reverse of versionName.
func splitVersion(name string) (object string, t timestamp.Timestamp, ok bool) {
	parts, err := apipath.SplitReserved(name)
	if err != nil || len(parts) != 2 {
		return "", t, false
	}
	t, err = timestamp.Parse(parts[1])
	return parts[0], t.Inverted(), err == nil
}

// splitTarget takes "container/object", as links have it, apart.
func splitTarget(target string) (container, object string, ok bool) {
	container, object, ok = strings.Cut(target, "/")
	return container, object, ok && container != "" && object != ""
}

// splitLocation takes the quoted path of an object apart.
func splitLocation(location string) (account, container, object string, ok bool) {
	p, err := apipath.Parse(apipath.Unquote(location))
	return p.Account, p.Container, p.Object, err == nil && p.Object != ""
}
