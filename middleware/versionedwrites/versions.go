package versionedwrites

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/timestamp"
)

// listVersions answers with all versions, given the container's own listing: what stands there is current. The error is
// the client's answer.
func (c *listCall) listVersions(own []listing.Entry) error {
	request.From(c.r.Context()).RawListing = true // there is no other form
	if _, err := listing.Negotiate(strings.Join(c.r.Header["Accept"], ","), listing.TypeJSON); err != nil {
		return reply.Status(http.StatusNotAcceptable).Because(err)
	}
	query, err := c.versionsQuery()
	if err != nil {
		return err
	}
	l := versionList{current: map[string]listing.Entry{}, latest: map[string]bool{}, subdirs: map[string]bool{}}
	l.addOwn(own)
	if name, ok := c.inside(); ok {
		l.latest[name] = true
	}
	res, err := segments.Fetch(c.next, c.request(c.r, http.MethodGet, c.hidden, query, nil), maxListing)
	switch {
	case err != nil:
		return reply.Status(http.StatusServiceUnavailable).Because(err)
	case res.Code == http.StatusNotFound:
		l.addBroken()
	case !res.OK():
		return res.Reply()
	default:
		versions, err := listing.Decode(res.Body)
		if err != nil {
			return reply.Status(http.StatusServiceUnavailable).Because(err)
		}
		l.addVersions(versions)
		if nulls(c.r) {
			if err := c.asS3(&l); err != nil {
				return err
			}
		}
	}
	body, err := c.page(c.r.URL.RawQuery, l.all(), listing.Container)
	if err != nil {
		return err
	}
	sendListing(c.w, c.res.Code, c.res.Header, body)
	return nil
}

// page sorts entries as the client wants them, and cuts them off where it does.
func (o *objects) page(rawQuery string, entries []listing.Entry, kind listing.Kind) ([]byte, error) {
	q, err := listing.ParseQuery(kind, rawQuery, o.maxList[kind])
	if err != nil {
		return nil, reply.Status(http.StatusBadRequest).Because(err)
	}
	slices.SortStableFunc(entries, func(a, b listing.Entry) int {
		x, _ := a.Name()
		y, _ := b.Name()
		if q.Reverse {
			x, y = y, x
		}
		return cmp.Compare(x, y)
	})
	return listing.Append(nil, entries[:min(len(entries), q.Limit)]), nil
}

// versionsQuery is the query to the hidden container. There is no end_marker.
func (c *listCall) versionsQuery() (url.Values, error) {
	query := url.Values{}
	for _, name := range []string{"prefix", "marker", "limit", "delimiter", "reverse"} {
		v, _ := param(c.r, name)
		query.Set(name, v)
	}
	if n, err := strconv.Atoi(query.Get("limit")); err == nil && nulls(c.r) {
		// One may be left out.
		query.Set("limit", strconv.Itoa(min(n+1, c.maxList[listing.Container])))
	}
	if err := c.setMarker(query); err != nil {
		return nil, err
	}
	// Characters of version ids would split names where clients see none.
	if strings.ContainsAny(query.Get("delimiter"), "0123456789."+apipath.Reserved) {
		return nil, reply.Raw(http.StatusBadRequest, "invalid delimiter param")
	}
	if prefix, given := param(c.r, "prefix"); given {
		// The prefix may be a part of a name, so it does not end in NUL.
		name, err := apipath.ReservedName(prefix)
		if err != nil {
			return nil, reply.Raw(http.StatusBadRequest, "invalid prefix param").Because(err)
		}
		query.Set("prefix", name)
	}
	return query, nil
}

// setMarker makes a marker in the hidden container of the client's.
func (c *listCall) setMarker(query url.Values) error {
	marker, given := param(c.r, "marker")
	id, hasID := param(c.r, "version_marker")
	switch {
	case hasID && !given:
		return reply.Raw(http.StatusBadRequest, "version_marker param requires marker")
	case !given:
		return nil
	case !hasID && c.isSubdir(marker):
		// The names of versions go on behind it; only the name itself says that all of them have been listed.
		name, err := apipath.ReservedName(marker)
		if err != nil {
			return reply.Raw(http.StatusBadRequest, "invalid marker param").Because(err)
		}
		query.Set("marker", name)
		return nil
	}
	all, err := apipath.ReservedName(marker, "")
	if err != nil {
		return reply.Raw(http.StatusBadRequest, "invalid marker param").Because(err)
	}
	// A colon comes after all digits.
	after := all + ":"
	delimiter, _ := param(c.r, "delimiter")
	prefix, _ := param(c.r, "prefix")
	switch {
	case !hasID && delimiter != "" && len(marker) > len(prefix) && strings.HasSuffix(marker, delimiter):
		// It is what other names have been listed as, all of which come before the next page.
		after = strings.TrimSuffix(all, apipath.Reserved)
	case hasID && id == nullVersion && nulls(c.r) && c.hidden.Container != "":
		p, err := c.objectCall(marker).findNull()
		switch {
		case err != nil:
			return err
		case p.name != "":
			after = p.name
		default:
			after = all
		}
	case hasID && id == nullVersion:
		// It is listed before the versions, which come next.
		if v, _ := param(c.r, "reverse"); !meta.Truthy(v) {
			after = all
		}
	case hasID:
		t, err := timestamp.Parse(id)
		if err != nil {
			return reply.Raw(http.StatusBadRequest, "invalid version_marker param").Because(err)
		}
		after = all + t.Inverted().Internal()
	}
	query.Set("marker", after)
	return nil
}

// isSubdir says whether a marker is what a page lists in place of names that begin with it.
func (c *listCall) isSubdir(marker string) bool {
	prefix, _ := param(c.r, "prefix")
	delimiter, _ := param(c.r, "delimiter")
	rest, ok := strings.CutPrefix(marker, prefix)
	_, after, found := strings.Cut(rest, delimiter)
	return ok && delimiter != "" && found && after == ""
}

// inside returns the name of the object in whose versions the page begins, if it goes from newer to older: its latest
// version has been listed before.
func (c *listCall) inside() (string, bool) {
	id, ok := param(c.r, "version_marker")
	reverse, _ := param(c.r, "reverse")
	name, _ := param(c.r, "marker")
	return name, ok && (id == nullVersion || !meta.Truthy(reverse))
}

// A versionList is the listing of all versions in the making.
type versionList struct {
	current map[string]listing.Entry // links of the container, by the names of the versions
	latest  map[string]bool          // objects of which the current version is known
	subdirs map[string]bool

	nulls, versions, broken []listing.Entry
}

// addOwn adds the container's own listing.
func (l *versionList) addOwn(entries []listing.Entry) {
	for _, e := range entries {
		name, subdir := e.Name()
		if subdir {
			l.subdirs[name] = true
			continue
		}
		if e.Has(keyLink) {
			path, _ := e.Text("symlink_path")
			_, _, version, _ := splitLocation(path)
			l.current[version] = e
			continue
		}
		e.SetText("version_id", nullVersion)
		e.SetBool("is_latest", true)
		l.nulls = append(l.nulls, e)
		l.latest[name] = true
	}
}

// addVersions adds the listing of the hidden container. Links to versions that are not in it are left out.
func (l *versionList) addVersions(entries []listing.Entry) {
	for _, e := range entries {
		hidden, subdir := e.Name()
		if subdir {
			if parts, err := apipath.SplitReserved(hidden); err == nil {
				l.subdirs[parts[0]] = true
			}
			continue
		}
		name, t, ok := splitVersion(hidden)
		if !ok {
			continue
		}
		_, latest := l.current[hidden]
		if kind, _ := e.Text(listing.KeyContentType); kind == markerType && !l.latest[name] {
			latest = true // nothing newer, and no link
		}
		if latest {
			l.latest[name] = true
		}
		e.SetBool("is_latest", latest)
		e.SetText(listing.KeyName, name)
		e.SetText("version_id", t.Internal())
		l.versions = append(l.versions, e)
	}
}

// addBroken adds the versions that links refer to although the hidden container has gone.
func (l *versionList) addBroken() {
	for hidden, e := range l.current {
		name, t, ok := splitVersion(hidden)
		if !ok {
			continue
		}
		latest := !l.latest[name]
		l.latest[name] = true
		var broken listing.Entry
		broken.SetText(listing.KeyName, name)
		broken.SetBool("is_latest", latest)
		broken.SetText("version_id", t.Internal())
		for _, key := range []string{listing.KeyContentType, listing.KeyBytes, listing.KeyHash, listing.KeyLastModified} {
			broken.SetRaw(key, e.Raw(key))
		}
		l.broken = append(l.broken, broken)
	}
}

// all is the whole list. Of entries with one name, the null version is the first.
func (l *versionList) all() []listing.Entry {
	all := append(l.nulls, l.versions...)
	for name := range l.subdirs {
		var e listing.Entry
		e.SetText(listing.KeySubdir, name)
		all = append(all, e)
	}
	return append(all, l.broken...)
}
