package realms

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Destination is where a container is copied to.
type Destination struct {
	// URL is that of the other container.
	URL string
	// Realm and Key are those of the realm that the other cluster was named by; empty for one that was given by its URL.
	Realm, Key string
}

// Destination reads an X-Container-Sync-To: //realm/cluster/account/container, or the URL of a container on one of the
// hosts. The text of an error is what Swift tells the client. An empty value is no destination and no error.
func (r *Realms) Destination(value string, hosts []string) (Destination, error) {
	trimmed := strings.TrimRight(value, "/")
	if trimmed == "" {
		return Destination{}, nil
	}
	if named, ok := strings.CutPrefix(trimmed, "//"); ok {
		return r.named(value, strings.Split(named, "/"))
	}
	u, err := url.Parse(trimmed)
	if err != nil {
		return Destination{}, invalid(value)
	}
	last := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return Destination{}, problem(`Invalid scheme '%s' in X-Container-Sync-To, must be "//", "http", or "https".`, u.Scheme)
	case u.Path == "":
		return Destination{}, problem("Path required in X-Container-Sync-To")
	case strings.ContainsAny(trimmed, "?#") || strings.Contains(last, ";"):
		return Destination{}, problem("Params, queries, and fragments not allowed in X-Container-Sync-To")
	case !slices.Contains(hosts, strings.ToLower(u.Hostname())):
		return Destination{}, problem("Invalid host '%s' in X-Container-Sync-To", strings.ToLower(u.Hostname()))
	}
	return Destination{URL: trimmed}, nil
}

// named finds realm, cluster, account and container.
func (r *Realms) named(value string, parts []string) (Destination, error) {
	if len(parts) != 4 {
		return Destination{}, invalid(value)
	}
	realm, _ := r.Realm(parts[0])
	if realm.Key == "" {
		return Destination{}, problem("No realm key for '%s'", parts[0])
	}
	endpoint := realm.Clusters[strings.ToUpper(parts[1])]
	if endpoint == "" {
		return Destination{}, problem("No cluster endpoint for '%s' '%s'", parts[0], parts[1])
	}
	if parts[2] == "" || parts[3] == "" {
		return Destination{}, invalid(value) // it could not be copied to
	}
	return Destination{strings.TrimRight(endpoint, "/") + "/" + parts[2] + "/" + parts[3], realm.Name, realm.Key}, nil
}

// problem is an error whose text a client reads.
type problemError string

func (p problemError) Error() string { return string(p) }

func problem(format string, args ...any) error { return problemError(fmt.Sprintf(format, args...)) }

func invalid(value string) error { return problem("Invalid X-Container-Sync-To format '%s'", value) }
