package broker

import "errors"

var (
	// ErrNotExist means that there is no database in the directory.
	ErrNotExist = errors.New("database does not exist")
	// ErrExist means that a database was there already.
	ErrExist = errors.New("database exists already")
	// ErrLocked means that another process or request held a lock for longer than the caller may wait.
	ErrLocked = errors.New("database is locked")
	// ErrCorrupt means that SQLite cannot make sense of the file.
	ErrCorrupt = errors.New("database is damaged")
	// ErrFull means that the device has no room.
	ErrFull = errors.New("device is full")
	// ErrInvalidRow means that a row lacks what it needs or holds a time that does not parse.
	ErrInvalidRow = errors.New("invalid row")

	// errOldSchema is met when a query names a column or table that the file does not have yet.
	errOldSchema = errors.New("schema is older than the query")
)
