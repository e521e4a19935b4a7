package diskfile

import (
	"slices"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/timestamp"
)

// kind is what a file of a hash directory is.
type kind uint8

const (
	dataFile kind = iota
	metaFile
	tombstone
)

// extension returns the ending of a kind's names.
func (k kind) extension() string {
	switch k {
	case dataFile:
		return ".data"
	case metaFile:
		return ".meta"
	}
	return ".ts"
}

// entry is a parsed name of a hash directory.
type entry struct {
	name string
	kind kind
	at   timestamp.Timestamp
	// ctype is the content-type time of a .meta that carries a content type, zero otherwise.
	ctype timestamp.Timestamp
}

// parseName reads a file name; false if it is none of a replicated policy's. The rsync program's temporary files, EC
// fragments and legacy markers are among those.
func parseName(name string) (entry, bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return entry{}, false
	}
	e := entry{name: name}
	stem := name[:dot]
	switch name[dot:] {
	case ".data":
		e.kind = dataFile
	case ".ts":
		e.kind = tombstone
	case ".meta":
		e.kind = metaFile
		if strings.ContainsAny(stem[1:], "+-") {
			t, present, err := timestamp.DecodeDelta(stem)
			if err != nil || present < 2 {
				return entry{}, false
			}
			e.at, e.ctype = t.Data, t.ContentType
			return e, true
		}
	default:
		return entry{}, false
	}
	var err error
	e.at, err = timestamp.Parse(stem)
	return e, err == nil
}

// fileName is the name of a file with these times.
func fileName(k kind, at timestamp.Timestamp, ctype timestamp.Timestamp, hasCtype bool) string {
	var buf [96]byte
	if hasCtype {
		return string(append(timestamp.AppendDelta(buf[:0], true, at, ctype), k.extension()...))
	}
	return string(append(at.AppendInternal(buf[:0]), k.extension()...))
}

// choice is what the files of a hash directory mean. An entry that was not chosen has no name.
type choice struct {
	data, meta, ctype, ts entry
	// obsolete files can be removed.
	obsolete []entry
	// stray files have no meaning as long as nothing else appears; they can be removed after the reclaim age.
	stray []entry
	// unexpected names are none of ours and are kept.
	unexpected []string
}

func (e *entry) chosen() bool { return e.name != "" }

// choose applies Swift's rules for which files of a hash directory count.
func choose(names []string) choice {
	var c choice
	var buf [8]entry
	files := buf[:0]
	for _, name := range names {
		if e, ok := parseName(name); ok {
			files = append(files, e)
		} else {
			c.unexpected = append(c.unexpected, name)
		}
	}
	if len(files) == 1 && files[0].kind == dataFile { // nearly every object
		c.data = files[0]
		return c
	}
	// Newest first; of files of one time and kind the last name, so that the order of the listing does not matter.
	slices.SortFunc(files, func(a, b entry) int {
		if n := b.at.Compare(a.at); n != 0 {
			return n
		}
		return strings.Compare(b.name, a.name)
	})
	var ts entry
	if i := slices.IndexFunc(files, func(e entry) bool { return e.kind == tombstone }); i >= 0 {
		ts = files[i]
		files = c.drop(files, func(e entry) bool { return e != ts && (e.kind == tombstone || !e.at.After(ts.at)) })
	}
	files = c.dropOldMeta(files)
	if i := slices.IndexFunc(files, func(e entry) bool { return e.kind == dataFile }); i >= 0 {
		c.data = files[i]
		files = c.drop(files, func(e entry) bool { return e != c.data && !e.at.After(c.data.at) })
	}
	c.settle(files, ts)
	return c
}

// drop moves the files for which obsolete holds to c.obsolete.
func (c *choice) drop(files []entry, obsolete func(entry) bool) []entry {
	kept := files[:0]
	for _, e := range files {
		if obsolete(e) {
			c.obsolete = append(c.obsolete, e)
		} else {
			kept = append(kept, e)
		}
	}
	return kept
}

// dropOldMeta keeps the newest .meta and, if its content type is newer than that of the newest, the one with the newest
// content type.
func (c *choice) dropOldMeta(files []entry) []entry {
	var newest, ctype entry
	for _, e := range files {
		switch {
		case e.kind != metaFile:
		case !newest.chosen():
			newest = e
		case !ctype.chosen() || e.ctype.After(ctype.ctype):
			ctype = e
		}
	}
	keepCtype := ctype.chosen() && ctype.ctype.After(newest.ctype)
	if keepCtype && ctype.at == newest.at {
		newest, keepCtype = ctype, false
	}
	return c.drop(files, func(e entry) bool {
		return e.kind == metaFile && e != newest && !(keepCtype && e == ctype)
	})
}

// settle fills in what the remaining files mean.
func (c *choice) settle(files []entry, ts entry) {
	var metas []entry
	for _, e := range files {
		if e.kind == metaFile {
			metas = append(metas, e)
		}
	}
	if !c.data.chosen() {
		// Metadata without data: the data may still arrive.
		c.stray = metas
		c.ts = ts
		return
	}
	if len(metas) == 0 {
		return
	}
	c.meta = metas[0]
	if last := metas[len(metas)-1]; last.ctype.After(c.data.at) {
		c.ctype = last
	}
}

// reclaimable tells whether something of time at is older than the reclaim age.
func reclaimable(at timestamp.Timestamp, now time.Time, age time.Duration) bool {
	return float64(now.UnixNano())/1e9-at.Seconds() > age.Seconds()
}
