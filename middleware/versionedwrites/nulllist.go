package versionedwrites

import (
	"net/http"
	"slices"
	"sync"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// A group are the versions of one object on a page of the list, and what there is to say of them.
type group struct {
	object   string
	entries  []*listing.Entry
	ids      []timestamp.Timestamp
	begun    bool           // on an earlier page
	own      *listing.Entry // the null version under the object's own name
	null     int            // which of the entries is the null version, -1 if none is
	latest   int            // which is current, -1 if none is
	repeated []int          // which are what stands under the object's own name, kept too early
}

// asS3 makes of a page what it is in S3: null versions are called that, and which version is current is looked at where the
// listings of the two containers, which are not of the same moment, leave it open.
func (c *listCall) asS3(l *versionList) error {
	groups := c.groups(l)
	work := make(chan *group)
	failed := make(chan error, 1)
	var workers sync.WaitGroup
	for range min(len(groups), lookers) {
		workers.Go(func() {
			for g := range work {
				if err := guarded(func() error { return c.look(g) }); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for _, g := range groups {
		if g.open() {
			work <- g
		}
	}
	close(work)
	workers.Wait()
	select {
	case err := <-failed:
		return reply.Status(http.StatusServiceUnavailable).Because(err)
	default:
	}
	repeated := map[*listing.Entry]bool{}
	for _, g := range groups {
		if g.null >= 0 {
			g.entries[g.null].SetText("version_id", nullVersion)
		}
		for _, i := range g.repeated {
			repeated[g.entries[i]] = true
		}
		for i, e := range g.entries {
			e.SetBool("is_latest", i == g.latest)
		}
	}
	if len(repeated) > 0 {
		var left []listing.Entry
		for i := range l.versions {
			if !repeated[&l.versions[i]] {
				left = append(left, l.versions[i])
			}
		}
		l.versions = left
	}
	return nil
}

// lookers is how many objects of a page are looked at at once.
const lookers = 8

// groups takes a page apart.
func (c *listCall) groups(l *versionList) []*group {
	own := map[string]*listing.Entry{}
	for i := range l.nulls {
		name, _ := l.nulls[i].Name()
		own[name] = &l.nulls[i]
	}
	begun, inside := c.inside()
	var all []*group
	for i := range l.versions {
		e := &l.versions[i]
		name, _ := e.Name()
		if len(all) == 0 || all[len(all)-1].object != name {
			all = append(all, &group{object: name, begun: inside && name == begun, own: own[name], null: -1, latest: -1})
		}
		g := all[len(all)-1]
		text, _ := e.Text("version_id")
		id, _ := timestamp.Parse(text) // it was made from one
		if e.Raw("is_latest") == "true" {
			g.latest = len(g.entries)
		}
		g.entries, g.ids = append(g.entries, e), append(g.ids, id)
	}
	return all
}

// maybeNull says whether an entry may be a null version.
func (g *group) maybeNull(i int) bool { return listedAt(*g.entries[i]).Raw() != g.ids[i].Raw() }

// maybeCopied says whether one may be of what was changed at that time, from before.
func (g *group) maybeCopied(changed timestamp.Timestamp) bool {
	for i, id := range g.ids {
		if g.maybeNull(i) && id.Raw() < changed.Raw() {
			return true
		}
	}
	return false
}

// open says whether there is anything to look at. Usually the newest version is the current one, and none is a null version.
func (g *group) open() bool {
	if g.begun || g.own == nil && g.latest != 0 {
		return true
	}
	for i := range g.entries {
		if g.maybeNull(i) {
			return true
		}
	}
	return false
}

// look looks at what the listings do not say.
func (c *listCall) look(g *group) error {
	o := c.objectCall(g.object)
	null := g.own != nil
	latest := g.begun || !null && g.latest != 0
	var stands span // of what stands under the object's own name
	if null {
		stands.to = listedAt(*g.own)
		stands.from = stands.to
	}
	if latest || null && g.maybeCopied(stands.to) {
		head, link, err := o.current()
		if err != nil {
			return err
		}
		if head != nil && link == "" {
			null = true
			if s, ok := spanOf(head.Header); ok {
				stands = s
			}
		}
		if latest {
			g.latest = -1
		}
		switch {
		case !latest:
		case link != "":
			g.latest = slices.IndexFunc(g.ids, func(id timestamp.Timestamp) bool { return link == g.name(id) })
		case head == nil && !g.begun && isMarker(g.entries[0]):
			g.latest = 0
		}
	}
	for i, e := range g.entries {
		switch {
		case !g.maybeNull(i):
		case null:
			if stands.has(g.ids[i]) {
				g.repeated = append(g.repeated, i)
			}
		default:
			name := g.name(g.ids[i])
			is, err := c.isNull(c.r, o.inHidden(name), *e, g.ids[i])
			if err != nil {
				return err
			}
			if is && g.begun {
				is, err = o.newestNull(name)
			}
			if is {
				g.null = i
			}
			if is || err != nil {
				return err
			}
		}
	}
	return nil
}

// name is that of a version in the hidden container, from where the object's name has come.
func (g *group) name(id timestamp.Timestamp) string {
	name, _ := versionName(g.object, id)
	return name
}

func isMarker(e *listing.Entry) bool {
	kind, _ := e.Text(listing.KeyContentType)
	return kind == markerType
}

// newestNull says whether the null version of the call's object is that one: there may be one on an earlier page.
func (c *objectCall) newestNull(name string) (bool, error) {
	p, err := c.findNull()
	return p.name == name, err
}

// objectCall is a call for an object of the container, to look at.
func (c *listCall) objectCall(name string) *objectCall {
	p := c.path
	p.Object = name
	return &objectCall{objects: c.objects, r: c.r, path: p, hidden: c.hidden.Container}
}
