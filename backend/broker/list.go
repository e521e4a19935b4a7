package broker

import (
	"strings"
	"unicode/utf8"
)

// ListOptions select a page of a listing. The zero value of each field means no restriction.
type ListOptions struct {
	// Limit is the greatest number of entries.
	Limit int
	// Marker and EndMarker bound the names, both excluded, in the direction of the listing.
	Marker, EndMarker string
	Prefix            string
	// Delimiter folds names that share what lies between the prefix and the end of the delimiter into one entry.
	Delimiter string
	// Path lists what is directly under a directory, without folding; it replaces Prefix and Delimiter. Containers only.
	Path *string
	// Reverse lists in descending order.
	Reverse bool
	// AllowReserved shows the names that Swift keeps for itself, which start with a NUL.
	AllowReserved bool
	// Policy selects rows by storage policy. Containers only.
	Policy int
}

// lister walks a table in name order, folding as it goes. It is made for one call.
type lister struct {
	h *handle
	o ListOptions
	// columns and table are the start of the query, where its fixed condition, args the fixed condition's parameters.
	columns, where string
	args           []any
	// row takes a row, subdir a folded name.
	row    func(v []value)
	subdir func(name string)

	count     int
	endPrefix string
	inclusive bool // the next query's lower bound includes the marker
}

// list runs the whole listing. The algorithm is Swift's, statement for statement where the results depend on it.
func (l *lister) list() error {
	o := &l.o
	if o.Reverse {
		o.Marker, o.EndMarker = o.EndMarker, o.Marker
	}
	original := o.Marker
	if o.Path != nil {
		o.Prefix, o.Delimiter = "", "/"
		if *o.Path != "" {
			dir := strings.TrimRight(*o.Path, "/") + "/"
			o.Prefix, o.Path = dir, &dir
		}
	}
	l.endPrefix = increment(o.Prefix)
	if o.Delimiter != "" {
		// One lock and one look for a journal for all queries.
		if _, err := l.h.exec("BEGIN"); err != nil {
			return err
		}
		defer func() {
			if l.h.commit() != nil {
				l.h.rollback()
			}
		}()
	}
	for l.count < o.Limit {
		query, args := l.query()
		seen := 0
		err := l.h.query(query, args, func(v []value) error {
			seen++
			name := text(v[0])
			if o.Reverse {
				o.EndMarker = name
			} else {
				o.Marker = name
			}
			if o.Delimiter != "" && l.jump(name, original) {
				return errStop
			}
			if o.Path != nil && name == *o.Path {
				return nil
			}
			l.row(v)
			if l.count++; l.count == o.Limit {
				return errStop
			}
			return nil
		})
		if err != nil {
			return err
		}
		if o.Delimiter == "" || seen == 0 {
			return nil
		}
	}
	return nil
}

// jump sees whether a name lies in a directory below the prefix. If so the next query starts behind that directory.
func (l *lister) jump(name, original string) bool {
	o := &l.o
	end := strings.Index(name[len(o.Prefix):], o.Delimiter)
	if end < 0 {
		return false
	}
	end += len(o.Prefix)
	dir := name[:end+len(o.Delimiter)]
	if o.Path != nil && (name == *o.Path || name == dir) {
		return false // a name that ends in the delimiter is an entry of its own
	}
	if o.Reverse {
		o.EndMarker = dir
	} else {
		o.Marker = increment(dir)
	}
	if o.Path != nil {
		return true
	}
	l.inclusive = !o.Reverse
	if dir != original {
		l.subdir(dir)
		l.count++
	}
	return true
}

// query makes the statement for the next turn. There are few different texts, so that handles can keep them prepared.
//
// Nothing in them invites SQLite to plan anew for each value: a bare "name > ?" or "LIMIT ?" makes it look at the bound
// value and compile the statement again whenever that changes, which costs more than the search. The reader stops at the
// limit by itself.
func (l *lister) query() (string, []any) {
	o := &l.o
	var b strings.Builder
	b.WriteString(l.columns)
	args := append([]any(nil), l.args...)
	cond := func(text, arg string) {
		b.WriteString(text)
		args = append(args, arg)
	}
	b.WriteString(l.where)
	switch {
	case o.EndMarker != "" && (o.Prefix == "" || o.EndMarker < l.endPrefix):
		cond(" AND name < (?||'')", o.EndMarker)
	case o.Prefix != "":
		cond(" AND name < (?||'')", l.endPrefix)
	}
	switch {
	case l.inclusive:
		l.inclusive = false
		cond(" AND name >= (?||'')", o.Marker)
	case o.Marker != "" && (o.Prefix == "" || o.Marker >= o.Prefix):
		cond(" AND name > (?||'')", o.Marker)
	case o.Prefix != "":
		cond(" AND name >= (?||'')", o.Prefix)
	}
	if !o.AllowReserved {
		b.WriteString(" AND name >= char(1)")
	}
	b.WriteString(" ORDER BY name")
	if o.Reverse {
		b.WriteString(" DESC")
	}
	return b.String(), args
}

// increment returns the least text that sorts after every text starting with s: its last character replaced by the
// next one. Characters without a successor are dropped first.
func increment(s string) string {
	for s != "" {
		r, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
		switch {
		case r == utf8.MaxRune:
			continue
		case r == 0xd7ff:
			r = 0xe000 // what lies between are surrogates, which are no characters
		default:
			r++
		}
		return s + string(r)
	}
	return ""
}

// A ContainerEntry is one line of an account's listing.
type ContainerEntry struct {
	Name         string
	ObjectCount  int64
	BytesUsed    int64
	PutTimestamp string
	Policy       int
	// Subdir marks a folded name; the other fields mean nothing then.
	Subdir bool
}

// List returns a page of the account's containers.
func (a *Account) List(r Reading, o ListOptions) ([]ContainerEntry, error) {
	entries := make([]ContainerEntry, 0, min(o.Limit, 1024))
	o.Path = nil
	err := a.view(r, func(h *handle) error {
		run := func(policyColumn string) error {
			entries = entries[:0]
			l := lister{
				h: h, o: o, where: " WHERE deleted = 0",
				columns: "SELECT name, object_count, bytes_used, put_timestamp, " + policyColumn + " FROM container",
				row: func(v []value) {
					entries = append(entries, ContainerEntry{
						Name: text(v[0]), ObjectCount: integer(v[1]), BytesUsed: integer(v[2]), PutTimestamp: text(v[3]), Policy: int(integer(v[4])),
					})
				},
				subdir: func(name string) { entries = append(entries, ContainerEntry{Name: name, Subdir: true}) },
			}
			return l.list()
		}
		return tolerate(run("storage_policy_index"), func() error { return run("0") })
	})
	return entries, err
}

// An ObjectEntry is one line of a container's listing.
type ObjectEntry struct {
	Name string
	// Timestamp is the time the object's metadata was last set, in internal form.
	Timestamp   string
	Size        int64
	ContentType string
	ETag        string
	// Subdir marks a folded name; the other fields mean nothing then.
	Subdir bool
}

// List returns a page of the container's objects. While a container is being sharded that is a page of the oldest
// database, which has all rows from before the sharding began.
func (c *Container) List(r Reading, o ListOptions) ([]ObjectEntry, error) {
	if err := c.settle(r); err != nil {
		return nil, err
	}
	file, err := c.oldest()
	if err != nil {
		return nil, err
	}
	entries := make([]ObjectEntry, 0, min(o.Limit, 1024))
	err = c.p.read(file, func(h *handle) error {
		run := func(where string, args ...any) error {
			entries = entries[:0]
			l := lister{
				h: h, o: o, where: where, args: args,
				columns: "SELECT name, created_at, size, content_type, etag FROM object",
				row: func(v []value) {
					entries = append(entries, ObjectEntry{
						Name: text(v[0]), Timestamp: metaTime(text(v[1])), Size: integer(v[2]), ContentType: text(v[3]), ETag: text(v[4]),
					})
				},
				subdir: func(name string) { entries = append(entries, ObjectEntry{Name: name, Timestamp: "0", Subdir: true}) },
			}
			return l.list()
		}
		return tolerate(run(" WHERE deleted = 0 AND storage_policy_index = ?", o.Policy), func() error {
			if o.Policy != 0 {
				return nil // before storage policies there was only policy 0
			}
			return run(" WHERE deleted = 0")
		})
	})
	return entries, err
}

// metaTime returns the time of the metadata from created_at.
func metaTime(createdAt string) string {
	if len(createdAt) == len("1700000000.00000") {
		return createdAt // only one time, in normal form: nearly every row
	}
	row := ObjectRow{CreatedAt: createdAt}
	t, err := row.times()
	if err != nil {
		return createdAt
	}
	return t.Meta.Internal()
}
