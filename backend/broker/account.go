package broker

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apus-storage/apus/internal/timestamp"
)

// An Account is a broker of one account's database. See the package documentation for what it promises.
type Account struct {
	database
	account string
}

// accountKind is read only.
func accountKind() *kind {
	return &kind{datadir: "accounts", schema: accountSchema, stat: "account_stat", rows: "container", tombstone: "delete_timestamp"}
}

// Account returns a broker of the account at the given place, which need not exist.
func (p *Pool) Account(at Place, account string) *Account {
	a := &Account{database: newDatabase(p, p.accounts, at), account: account}
	a.merge = a.mergeTuples
	return a
}

// A ContainerRow is what an account knows of one container.
type ContainerRow struct {
	ROWID           int64  `json:"ROWID"`
	Name            string `json:"name"`
	PutTimestamp    string `json:"put_timestamp"`
	DeleteTimestamp string `json:"delete_timestamp"`
	ObjectCount     int64  `json:"object_count"`
	BytesUsed       int64  `json:"bytes_used"`
	Deleted         int    `json:"deleted"`
	Policy          int    `json:"storage_policy_index"`
}

// AccountInfo is the one row about an account. Times are the texts of the database: '0' or an internal form.
type AccountInfo struct {
	Account         string `json:"account"`
	CreatedAt       string `json:"created_at"`
	PutTimestamp    string `json:"put_timestamp"`
	DeleteTimestamp string `json:"delete_timestamp"`
	StatusChangedAt string `json:"status_changed_at"`
	ContainerCount  int64  `json:"container_count"`
	ObjectCount     int64  `json:"object_count"`
	BytesUsed       int64  `json:"bytes_used"`
	Hash            string `json:"hash"`
	ID              string `json:"id"`
	Status          string `json:"-"`

	metadata string
}

// Metadata returns everything that is remembered of request headers, deleted names too.
func (i AccountInfo) Metadata() (Metadata, error) { return ParseMetadata(i.metadata) }

// Deleted reports whether the account counts as deleted: by its status, or because it was deleted after the last PUT
// and has no containers.
func (i AccountInfo) Deleted() bool {
	return i.Status == statusDeleted || i.ContainerCount == 0 && deletedByTimes(i.PutTimestamp, i.DeleteTimestamp)
}

// Create makes the database, with the time of the PUT that caused it. It returns ErrExist if there is one.
func (a *Account) Create(put timestamp.Timestamp) error {
	return a.create(func(h *handle) error {
		_, err := h.exec(`INSERT INTO account_stat (account, created_at, id, put_timestamp, status_changed_at, container_count)
			VALUES (?, ?, ?, ?, ?, 0)`, a.account, a.now().Normal(), a.newID(), put.Internal(), put.Internal())
		return err
	})
}

// Info returns the row about the account.
func (a *Account) Info(r Reading) (info AccountInfo, err error) {
	err = a.view(r, func(h *handle) error {
		info, err = readAccountInfo(h)
		return err
	})
	return info, err
}

func readAccountInfo(h *handle) (i AccountInfo, err error) {
	i, found := AccountInfo{}, false
	err = h.query(`SELECT account, created_at, put_timestamp, delete_timestamp, status_changed_at, container_count,
		object_count, bytes_used, hash, id, status, metadata FROM account_stat`, nil, func(v []driver.Value) error {
		found = true
		i = AccountInfo{
			Account: text(v[0]), CreatedAt: text(v[1]), PutTimestamp: text(v[2]), DeleteTimestamp: text(v[3]), StatusChangedAt: text(v[4]),
			ContainerCount: integer(v[5]), ObjectCount: integer(v[6]), BytesUsed: integer(v[7]), Hash: text(v[8]), ID: text(v[9]), Status: text(v[10]), metadata: text(v[11]),
		}
		return errStop
	})
	if err == nil && !found {
		err = fmt.Errorf("%s: account_stat is empty: %w", h.file, ErrCorrupt)
	}
	return i, err
}

// IsDeleted reports whether the account is missing or deleted.
func (a *Account) IsDeleted(r Reading) (bool, error) {
	info, err := a.Info(r)
	if errors.Is(err, ErrNotExist) {
		return true, nil
	}
	return info.Deleted(), err
}

// Empty reports whether the account has no containers.
func (a *Account) Empty() (bool, error) {
	info, err := a.Info(Fresh)
	return info.ContainerCount == 0, err
}

// StatusDeleted reports whether the account has been deleted by status, which the reaper acts on, and not just by its times.
func (a *Account) StatusDeleted() (bool, error) {
	file, err := a.live()
	if err != nil {
		return false, err
	}
	var info AccountInfo
	err = a.p.read(file, func(h *handle) error {
		info, err = readAccountInfo(h)
		return err
	})
	return info.Status == statusDeleted, err
}

// Delete marks the account deleted at t, containers or not, and blanks its metadata.
func (a *Account) Delete(t timestamp.Timestamp) error {
	return a.deleteDB(t, func(string) bool { return false })
}

// An AccountPolicyStat is what an account holds in one storage policy.
type AccountPolicyStat struct {
	ContainerCount int64
	ObjectCount    int64
	BytesUsed      int64
}

// PolicyStats returns the counts by policy index. Policies without rows are missing.
func (a *Account) PolicyStats(r Reading) (map[int]AccountPolicyStat, error) {
	stats := make(map[int]AccountPolicyStat)
	err := a.view(r, func(h *handle) error {
		err := h.query("SELECT storage_policy_index, container_count, object_count, bytes_used FROM policy_stat", nil,
			func(v []driver.Value) error {
				stats[int(integer(v[0]))] = AccountPolicyStat{integer(v[1]), integer(v[2]), integer(v[3])}
				return nil
			})
		if errors.Is(err, errOldSchema) {
			return oldAccountPolicyStats(h, stats)
		}
		return err
	})
	return stats, err
}

// PutContainer accepts a row. It is in the pending file when this returns nil.
func (a *Account) PutContainer(row ContainerRow) error {
	if row.Name == "" {
		return fmt.Errorf("container row without a name: %w", ErrInvalidRow)
	}
	row.Deleted = 0
	if deletedByTimes(row.PutTimestamp, row.DeleteTimestamp) && row.ObjectCount == 0 {
		row.Deleted = 1
	}
	return a.appendRecord([]any{
		row.Name, row.PutTimestamp, row.DeleteTimestamp, row.ObjectCount, row.BytesUsed, int64(row.Deleted), int64(row.Policy),
	}, a.p.o.LockTimeout)
}

// mergeTuples merges rows of the pending file.
func (a *Account) mergeTuples(file string, tuples [][]any, wait time.Duration) error {
	rows := make([]containerItem, 0, len(tuples))
	for _, t := range tuples {
		row, err := containerFromTuple(t)
		if err != nil {
			a.p.o.Logger.Warn("skipping a pending row", "path", a.pendingFile(), "err", err)
			continue
		}
		rows = append(rows, row)
	}
	return a.mergeItems(file, rows, "", wait)
}

// containerItem is a row as senders give it: times and counts may be missing.
type containerItem struct {
	ContainerRow
	noPut, noDelete, noCount, noBytes bool
}

func containerFromTuple(t []any) (c containerItem, err error) {
	if len(t) < 6 {
		return c, fmt.Errorf("container record of %d elements: %w", len(t), ErrInvalidRow)
	}
	var ok bool
	if c.Name, ok = t[0].(string); !ok || c.Name == "" {
		return c, fmt.Errorf("container record without a name: %w", ErrInvalidRow)
	}
	c.PutTimestamp, c.noPut = textOf(t[1])
	c.DeleteTimestamp, c.noDelete = textOf(t[2])
	var deleted, pol int64
	for i, dst := range map[int]*int64{3: &c.ObjectCount, 4: &c.BytesUsed, 5: &deleted, 6: &pol} {
		if i >= len(t) || t[i] == nil {
			continue
		}
		if *dst, err = numberOf(t[i]); err != nil {
			return c, fmt.Errorf("container record %q: %w", c.Name, err)
		}
	}
	c.noCount, c.noBytes = t[3] == nil, t[4] == nil
	c.Deleted, c.Policy = int(deleted), int(pol)
	return c, nil
}

// textOf reads a text that may be None or, from HTTP headers passed on, a number.
func textOf(v any) (s string, missing bool) {
	switch v := v.(type) {
	case string:
		return v, false
	case int64:
		return strconv.FormatInt(v, 10), false
	default:
		return "", true
	}
}

// numberOf reads a number that may have come from an HTTP header as text.
func numberOf(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case string:
		if v == "" {
			return 0, nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no number: %w", v, ErrInvalidRow)
		}
		return n, nil
	default:
		return 0, fmt.Errorf("%v is no number: %w", v, ErrInvalidRow)
	}
}

// MergeItems merges rows from another replica, or from an UPDATE. With a source, the id of the sender's database, the
// last ROWID is remembered as the point up to which this replica has its rows.
func (a *Account) MergeItems(rows []ContainerRow, source string) error {
	file, err := a.live()
	if err != nil {
		return err
	}
	items := make([]containerItem, len(rows))
	for i, r := range rows {
		items[i].ContainerRow = r
	}
	return a.mergeItems(file, items, source, a.p.o.BusyTimeout)
}

func (a *Account) mergeItems(file string, items []containerItem, source string, wait time.Duration) error {
	return a.p.write(file, wait, func(h *handle) error {
		if err := migrateAccount(h); err != nil {
			return err
		}
		last := int64(-1)
		for _, item := range items {
			if err := mergeContainer(h, item); err != nil {
				return err
			}
			last = max(last, item.ROWID)
		}
		if source != "" {
			return raiseSyncPoint(h, "incoming_sync", source, last)
		}
		return nil
	})
}

// mergeContainer folds one row into the table. Unlike objects the row is replaced even if nothing changed, as Swift
// does: the new ROWID makes replication pass it on.
func mergeContainer(h *handle, item containerItem) error {
	row := item.ContainerRow
	var found bool
	const old = "SELECT put_timestamp, delete_timestamp, object_count, bytes_used FROM container WHERE name = ?1 AND deleted = "
	err := h.query(old+"0 UNION ALL "+old+"1", []any{row.Name}, func(v []driver.Value) error {
		found = true
		row.PutTimestamp = newest(row.PutTimestamp, text(v[0]), item.noPut)
		row.DeleteTimestamp = newest(row.DeleteTimestamp, text(v[1]), item.noDelete)
		if item.noCount {
			row.ObjectCount = integer(v[2])
		}
		if item.noBytes {
			row.BytesUsed = integer(v[3])
		}
		return errStop
	})
	if err != nil {
		return err
	}
	// The sender's word on a new row, as in Swift; from the second time on the times and the count decide.
	deleted := row.Deleted != 0
	if found {
		deleted = deletedByTimes(row.PutTimestamp, row.DeleteTimestamp) && row.ObjectCount == 0
		if _, err := h.exec("DELETE FROM container WHERE name = ? AND deleted IN (0, 1)", row.Name); err != nil {
			return err
		}
	}
	_, err = h.exec(`INSERT INTO container (name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted,
		storage_policy_index) VALUES (?, ?, ?, ?, ?, ?, ?)`, row.Name, row.PutTimestamp, row.DeleteTimestamp,
		row.ObjectCount, row.BytesUsed, boolInt(deleted), row.Policy)
	return err
}

// newest returns the later of two times; a missing one loses.
func newest(a, b string, aMissing bool) string {
	if aMissing || parseTime(b).After(parseTime(a)) {
		return b
	}
	return a
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
