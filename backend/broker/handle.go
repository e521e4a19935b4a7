package broker

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// value is what a column holds: nil, string, int64, float64 or []byte.
type value = driver.Value

// A handle is one open SQLite connection with its prepared statements. It is used by one goroutine at a time.
//
// It speaks to the driver directly: database/sql would add a lock, a goroutine per context and reflection to every
// row, and would hide which connection is used, which transactions by hand and the idle list need to know.
type handle struct {
	conn  driver.Conn
	file  string
	id    fileID
	stmts map[string]driver.Stmt
	named []driver.NamedValue
	used  time.Time
	// broken handles are closed instead of being kept: a transaction could not be ended.
	broken bool
	// current handles have been seen to have the newest schema.
	current bool
}

// openHandle opens an existing database, or with create a new one.
func openHandle(d *sqlite.Driver, file string, id fileID, busy time.Duration, create bool) (*handle, error) {
	mode := "rw"
	if create {
		mode = "rwc"
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: "mode=" + mode}).String()
	conn, err := d.Open(dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, classify(err))
	}
	h := &handle{conn: conn, file: file, id: id, stmts: make(map[string]driver.Stmt)}
	sync := "NORMAL"
	if create {
		// A database under construction is synced once, as a file, before it gets its name.
		sync = "OFF"
	}
	pragmas := fmt.Sprintf("PRAGMA busy_timeout=%d; PRAGMA synchronous=%s; PRAGMA temp_store=MEMORY; PRAGMA journal_mode=DELETE",
		busy.Milliseconds(), sync)
	if err := h.script(pragmas); err != nil {
		h.close()
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	return h, nil
}

func (h *handle) close() {
	for _, s := range h.stmts {
		s.Close()
	}
	h.conn.Close()
}

// script runs several statements without parameters.
func (h *handle) script(text string) error {
	_, err := h.conn.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return classify(err)
}

func (h *handle) prepare(query string) (driver.Stmt, error) {
	if s, ok := h.stmts[query]; ok {
		return s, nil
	}
	s, err := h.conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", classify(err), firstWords(query))
	}
	// Queries are a fixed few dozen texts, listings included, so the map is bounded; see listQuery.
	h.stmts[query] = s
	return s, nil
}

func (h *handle) bind(args []any) []driver.NamedValue {
	h.named = h.named[:0]
	for i, a := range args {
		if n, ok := a.(int); ok {
			a = int64(n)
		}
		h.named = append(h.named, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return h.named
}

// exec runs one statement and returns the number of rows it changed.
func (h *handle) exec(query string, args ...any) (int64, error) {
	s, err := h.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), h.bind(args))
	if err != nil {
		return 0, fmt.Errorf("%w: %s", classify(err), firstWords(query))
	}
	return r.RowsAffected()
}

// errStop ends a query early without an error.
var errStop = errors.New("stop")

// query calls row for every row of the result. The slice is reused between calls, the values are not.
func (h *handle) query(query string, args []any, row func([]driver.Value) error) (err error) {
	s, err := h.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), h.bind(args))
	if err != nil {
		return fmt.Errorf("%w: %s", classify(err), firstWords(query))
	}
	defer rows.Close()
	dest := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(dest); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %s", classify(err), firstWords(query))
		}
		switch err := row(dest); {
		case errors.Is(err, errStop):
			return nil
		case err != nil:
			return err
		}
	}
}

// begin starts a transaction that may write. It waits for the lock for at most wait.
func (h *handle) begin(wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, err := h.conn.(driver.ExecerContext).ExecContext(ctx, "BEGIN IMMEDIATE", nil)
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("begin: %w", ErrLocked)
	}
	return classify(err)
}

func (h *handle) commit() error {
	_, err := h.exec("COMMIT")
	return err
}

// rollback gives a failed transaction up. Some errors have already ended it, so failing to is no error in itself, but
// the handle is not used again.
func (h *handle) rollback() {
	h.current = false
	if _, err := h.exec("ROLLBACK"); err != nil {
		h.broken = true
	}
}

// sqlError is an error of the SQLite library with the sentinel that it means, if any.
type sqlError struct {
	kind error
	err  error
}

func (e *sqlError) Error() string   { return e.err.Error() }
func (e *sqlError) Unwrap() []error { return []error{e.kind, e.err} }

// classify maps the library's result codes to this package's sentinels.
func classify(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	var kind error
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		kind = ErrLocked
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		kind = ErrCorrupt
	case sqlite3.SQLITE_FULL:
		kind = ErrFull
	case sqlite3.SQLITE_ERROR:
		// The library has no code for these two, which is how an old schema shows itself.
		if strings.Contains(e.Error(), "no such column") || strings.Contains(e.Error(), "no such table") ||
			strings.Contains(e.Error(), "has no column") {
			kind = errOldSchema
		}
	}
	if kind == nil {
		return err
	}
	return &sqlError{kind: kind, err: err}
}

func firstWords(query string) string {
	words := strings.Fields(query)
	return strings.Join(words[:min(len(words), 4)], " ")
}

// text reads a TEXT column; NULL is the empty string. Columns without a fixed type in old files may hold numbers.
func text(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

// integer reads an INTEGER column. SQLite keeps a text that is no number as it is; like NULL it counts as 0.
func integer(v driver.Value) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	default:
		return 0
	}
}
