package bulk

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/ascii"
	"github.com/apus-storage/apus/internal/meta"
)

// Attributes are what pax records, by their names, say of a file that becomes a header of its object.
type attributes map[string]string

// maxGlobal bounds what the attributes for all files of an archive may add up to, in bytes.
const maxGlobal = 64 << 10

// keep takes over the records that become headers.
func (a attributes) keep(records map[string]string) {
	for k, v := range records {
		if headerName(k) != "" {
			a[k] = v
		}
	}
}

func (a attributes) size() (n int) {
	for k, v := range a {
		n += len(k) + len(v)
	}
	return n
}

// set puts them into the header of a request. An error says that one of them cannot be there.
func (a attributes) set(h http.Header, longest int) error {
	// Both prefixes may say something of one header; as sorted here SCHILY, which tar itself writes, is the last.
	for _, k := range slices.Sorted(maps.Keys(a)) {
		name, v := headerName(k), a[k]
		if !ascii.IsToken(name) {
			return fmt.Errorf("attribute %.100q is no name of a header", k)
		}
		if len(name)+len(v) > longest || strings.ContainsFunc(v, isControl) {
			return fmt.Errorf("value of attribute %.100q cannot be that of a header", k)
		}
		h[http.CanonicalHeaderKey(name)] = []string{v}
	}
	return nil
}

// headerName is the header that a pax record becomes, "" if none.
func headerName(record string) string {
	attribute, ok := strings.CutPrefix(record, "SCHILY.xattr.user.")
	if !ok {
		attribute, ok = strings.CutPrefix(record, "LIBARCHIVE.xattr.user.")
	}
	if !ok {
		return ""
	}
	if attribute == "mime_type" {
		return "Content-Type"
	}
	if item, ok := strings.CutPrefix(attribute, "meta."); ok {
		return meta.FromClient(meta.Object.UserPrefix() + item)
	}
	return ""
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
