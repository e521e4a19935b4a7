package broker

import (
	"fmt"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/timestamp"
)

// deletedType and noETag fill the columns of a row that says an object is gone.
const (
	deletedType = "application/deleted"
	noETag      = "noetag"
)

// An ObjectRow is what a container knows of one object. CreatedAt holds up to three times, delta encoded: when the data,
// the content type and the other metadata were set. Senders may give the latter two separately.
type ObjectRow struct {
	ROWID       int64  `json:"ROWID"`
	Name        string `json:"name"`
	CreatedAt   string `json:"created_at"`
	Size        int64  `json:"size"`
	ContentType string `json:"content_type"`
	ETag        string `json:"etag"`
	Deleted     int    `json:"deleted"`
	Policy      int    `json:"storage_policy_index"`

	// ContentTypeTimestamp and MetaTimestamp replace the times in CreatedAt unless empty.
	ContentTypeTimestamp string `json:"ctype_timestamp,omitempty"`
	MetaTimestamp        string `json:"meta_timestamp,omitempty"`
}

// Deletion returns the row that says an object was deleted at t.
func Deletion(name string, t timestamp.Timestamp, policy int) ObjectRow {
	return ObjectRow{Name: name, CreatedAt: t.Internal(), ContentType: deletedType, ETag: noETag, Deleted: 1, Policy: policy}
}

// times reads the three times of a row.
func (r *ObjectRow) times() (t timestamp.Triple, err error) {
	if t, err = timestamp.DecodeTriple(r.CreatedAt); err != nil {
		return t, fmt.Errorf("object row %q: %w: %w", r.Name, ErrInvalidRow, err)
	}
	// A content-type time on its own stands for the metadata too: Swift changes a type only together with it.
	if r.ContentTypeTimestamp == "" && r.MetaTimestamp == "" {
		return t, nil
	}
	for _, part := range []struct {
		text string
		dst  []*timestamp.Timestamp
	}{
		{r.ContentTypeTimestamp, []*timestamp.Timestamp{&t.ContentType, &t.Meta}},
		{r.MetaTimestamp, []*timestamp.Timestamp{&t.Meta}},
	} {
		if part.text == "" {
			continue
		}
		v, err := timestamp.Parse(part.text)
		if err != nil {
			return t, fmt.Errorf("object row %q: %w: %w", r.Name, ErrInvalidRow, err)
		}
		for _, dst := range part.dst {
			*dst = v
		}
	}
	return t, nil
}

// validate refuses rows that could not be merged or listed.
func (r *ObjectRow) validate() error {
	if r.Name == "" {
		return fmt.Errorf("object row without a name: %w", ErrInvalidRow)
	}
	_, err := r.times()
	return err
}

// mergeObject works out what becomes of a row when another one of the same name and policy is there already; old may be
// nil. Each of data, content type and metadata is taken from the row that has the newer time for it, the existing one
// if they are equal. changed is false if all three came from the existing row.
func mergeObject(item ObjectRow, old *ObjectRow) (merged ObjectRow, changed bool, err error) {
	t, err := item.times()
	if err != nil {
		return item, false, err
	}
	merged = item
	merged.ContentTypeTimestamp, merged.MetaTimestamp = "", ""
	if old == nil {
		merged.CreatedAt = t.Encode()
		return merged, true, nil
	}
	o, err := old.times()
	if err != nil {
		// A row that came from a broken writer must not stay for ever.
		merged.CreatedAt = t.Encode()
		return merged, true, nil
	}
	newer := 3
	typ, bytes, hasBytes := splitSwiftBytes(item.ContentType)
	oldType, oldBytes, oldHasBytes := splitSwiftBytes(old.ContentType)
	if !t.Data.After(o.Data) {
		newer--
		t.Data = o.Data
		merged.Size, merged.ETag, merged.Deleted = old.Size, old.ETag, old.Deleted
		bytes, hasBytes = oldBytes, oldHasBytes
	}
	if !t.ContentType.After(o.ContentType) {
		newer--
		t.ContentType = o.ContentType
		typ = oldType
	}
	if !t.Meta.After(o.Meta) {
		newer--
		t.Meta = o.Meta
	}
	if newer == 0 {
		return *old, false, nil
	}
	merged.CreatedAt = t.Encode()
	merged.ContentType = typ
	if hasBytes {
		merged.ContentType += ";swift_bytes=" + bytes
	}
	return merged, true, nil
}

// PutObject accepts a row. It is in the pending file when this returns nil; see the package documentation.
func (c *Container) PutObject(row ObjectRow) error {
	if err := row.validate(); err != nil {
		return err
	}
	return c.appendRecord([]any{
		row.Name, row.CreatedAt, row.Size, row.ContentType, row.ETag, int64(row.Deleted), int64(row.Policy),
		textOrNone(row.ContentTypeTimestamp), textOrNone(row.MetaTimestamp),
	}, c.p.o.LockTimeout)
}

func textOrNone(s string) any {
	if s == "" {
		return none{}
	}
	return s
}

func objectFromTuple(t []any) (r ObjectRow, err error) {
	if len(t) < 6 {
		return r, fmt.Errorf("object record of %d elements: %w", len(t), ErrInvalidRow)
	}
	for i, dst := range [...]*string{0: &r.Name, 1: &r.CreatedAt, 3: &r.ContentType, 4: &r.ETag, 7: &r.ContentTypeTimestamp, 8: &r.MetaTimestamp} {
		if i < len(t) && dst != nil {
			*dst, _ = textOf(t[i])
		}
	}
	var deleted, pol int64
	for i, dst := range [...]*int64{2: &r.Size, 5: &deleted, 6: &pol} {
		if i >= len(t) || dst == nil || t[i] == nil {
			continue
		}
		if *dst, err = numberOf(t[i]); err != nil {
			return r, fmt.Errorf("object record %q: %w", r.Name, err)
		}
	}
	r.Deleted, r.Policy = int(deleted), int(pol)
	return r, r.validate()
}

// mergeTuples merges rows of the pending file.
func (c *Container) mergeTuples(file string, tuples [][]any, wait time.Duration) error {
	rows := make([]ObjectRow, 0, len(tuples))
	for _, t := range tuples {
		row, err := objectFromTuple(t)
		if err != nil {
			c.p.o.Logger.Warn("skipping a pending row", "path", c.pendingFile(), "err", err)
			continue
		}
		rows = append(rows, row)
	}
	return c.mergeItems(file, rows, "", wait)
}

// MergeItems merges rows from another replica, or from an UPDATE. With a source, the id of the sender's database, the
// last ROWID is remembered as the point up to which this replica has its rows. An invalid row fails the whole batch.
func (c *Container) MergeItems(rows []ObjectRow, source string) error {
	for i := range rows {
		if err := rows[i].validate(); err != nil {
			return err
		}
	}
	file, err := c.live()
	if err != nil {
		return err
	}
	return c.mergeItems(file, rows, source, c.p.o.BusyTimeout)
}

// objectKey identifies a row: rows of one name in different policies coexist until the reconciler has moved them.
type objectKey struct {
	name   string
	policy int
}

// objectMerge is a batch on its way into the table.
type objectMerge struct {
	state map[objectKey]*mergeState
	order []objectKey
}

type mergeState struct {
	row     ObjectRow
	stored  bool // a row of this key is in the table
	present bool // row is meaningful
	changed bool
}

func (c *Container) mergeItems(file string, rows []ObjectRow, source string, wait time.Duration) error {
	return c.p.write(file, wait, func(h *handle) error {
		if err := migrateContainer(h); err != nil {
			return err
		}
		m := objectMerge{state: make(map[objectKey]*mergeState, len(rows))}
		last := int64(-1)
		for i := range rows {
			if err := m.add(h, rows[i]); err != nil {
				return err
			}
			last = max(last, rows[i].ROWID)
		}
		if err := m.store(h); err != nil {
			return err
		}
		if source != "" {
			return raiseSyncPoint(h, "incoming_sync", source, last)
		}
		return nil
	})
}

// add folds one item into what the batch and the table know of its key.
func (m *objectMerge) add(h *handle, item ObjectRow) error {
	key := objectKey{item.Name, item.Policy}
	s := m.state[key]
	if s == nil {
		row, found, err := readObject(h, key)
		if err != nil {
			return err
		}
		s = &mergeState{row: row, stored: found, present: found}
		m.state[key] = s
		m.order = append(m.order, key)
	}
	var old *ObjectRow
	if s.present {
		old = &s.row
	}
	merged, changed, err := mergeObject(item, old)
	if err != nil {
		return err
	}
	if changed {
		s.row, s.present, s.changed = merged, true, true
	}
	return nil
}

// store replaces the rows that changed. Rows are never updated in place: a new ROWID makes replication send them on.
func (m *objectMerge) store(h *handle) error {
	for _, key := range m.order {
		if s := m.state[key]; s.changed && s.stored {
			if _, err := h.exec("DELETE FROM object WHERE deleted IN (0, 1) AND name = ? AND storage_policy_index = ?", key.name, key.policy); err != nil {
				return err
			}
		}
	}
	var rows []*ObjectRow
	for _, key := range m.order {
		if s := m.state[key]; s.changed {
			rows = append(rows, &s.row)
		}
	}
	for len(rows) >= insertRows {
		if err := insertObjects(h, insertMany, rows[:insertRows]); err != nil {
			return err
		}
		rows = rows[insertRows:]
	}
	for i := range rows {
		if err := insertObjects(h, insertOne, rows[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// insertRows is how many rows one statement adds where there are that many. SQLite keeps a copy of each page that a statement
// changes, its triggers included, so that it can take back the statement: for each row anew, if each has a statement of its own.
const insertRows = 32

const (
	insertOne = "INSERT INTO object (name, created_at, size, content_type, etag, deleted, storage_policy_index)\n\tVALUES " + insertRow
	insertRow = "(?, ?, ?, ?, ?, ?, ?)"
)

var insertMany = insertOne + strings.Repeat(", "+insertRow, insertRows-1)

func insertObjects(h *handle, query string, rows []*ObjectRow) error {
	args := make([]any, 0, 7*len(rows))
	for _, r := range rows {
		args = append(args, r.Name, r.CreatedAt, r.Size, r.ContentType, r.ETag, r.Deleted, r.Policy)
	}
	_, err := h.exec(query, args...)
	return err
}

const selectObject = "SELECT ROWID, name, created_at, size, content_type, etag, deleted, storage_policy_index FROM object "

func readObject(h *handle, key objectKey) (row ObjectRow, found bool, err error) {
	// Two searches of the index: with "deleted IN (0, 1)" SQLite builds a temporary table for the list each time.
	const match = " AND name = ?1 AND storage_policy_index = ?2"
	err = h.query(selectObject+"WHERE deleted = 0"+match+" UNION ALL "+selectObject+"WHERE deleted = 1"+match, []any{key.name, key.policy},
		func(v []value) error {
			row, found = objectFromValues(v), true
			return errStop
		})
	return row, found, err
}

func objectFromValues(v []value) ObjectRow {
	return ObjectRow{
		ROWID: integer(v[0]), Name: text(v[1]), CreatedAt: text(v[2]), Size: integer(v[3]), ContentType: text(v[4]),
		ETag: text(v[5]), Deleted: int(integer(v[6])), Policy: int(integer(v[7])),
	}
}
