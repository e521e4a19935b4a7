package store

import (
	"errors"
	"fmt"

	"github.com/apus-storage/apus/internal/timestamp"
)

var (
	// ErrNotFound says that there is no object. See TombstoneTime.
	ErrNotFound = errors.New("object not found")
	// ErrExpired says that the object's time is over. An error that is ErrExpired is ErrNotFound, too.
	ErrExpired = errors.New("object expired")
	// ErrQuarantined says that the object was damaged and has been put aside. An error that is ErrQuarantined is
	// ErrNotFound, too.
	ErrQuarantined = errors.New("object quarantined")
	// ErrCollision says that another object is where this one should be.
	ErrCollision = errors.New("another object has this hash")
	// ErrChanged says that the object kept changing while it was being opened; try again.
	ErrChanged = errors.New("object changed while it was opened")
	// ErrDeviceMissing says that the device is not there or not mounted.
	ErrDeviceMissing = errors.New("device missing")
	// ErrNoSpace says that the device is full, or so nearly that nothing more may be written.
	ErrNoSpace = errors.New("no space on device")
	// ErrNoAttributes says that the device's file system cannot keep metadata.
	ErrNoAttributes = errors.New("no extended attributes on device")
)

// DeletedError is the ErrNotFound of an object that has a tombstone.
type DeletedError struct{ At timestamp.Timestamp }

// Error names the time.
func (e *DeletedError) Error() string { return fmt.Sprintf("object deleted at %s", e.At.Internal()) }

// Is makes the error ErrNotFound.
func (e *DeletedError) Is(target error) bool { return target == ErrNotFound }

// ExpiredError is the ErrNotFound of an object whose time is over.
type ExpiredError struct{ Info *Info }

// Error names the time.
func (e *ExpiredError) Error() string { return fmt.Sprintf("object expired at %d", e.Info.DeleteAt) }

// Is makes the error ErrNotFound and ErrExpired.
func (e *ExpiredError) Is(target error) bool { return target == ErrNotFound || target == ErrExpired }

// QuarantinedError is the ErrNotFound of an object that was damaged.
type QuarantinedError struct {
	Reason string
	// Dir is where the files are now.
	Dir string
}

// Error says why and where.
func (e *QuarantinedError) Error() string {
	return fmt.Sprintf("object quarantined to %s: %s", e.Dir, e.Reason)
}

// Is makes the error ErrNotFound and ErrQuarantined.
func (e *QuarantinedError) Is(target error) bool {
	return target == ErrNotFound || target == ErrQuarantined
}

// TombstoneTime tells when the object of an ErrNotFound was deleted or, if it has expired, last changed. It is false
// if the object never was here.
func TombstoneTime(err error) (timestamp.Timestamp, bool) {
	if e, ok := errors.AsType[*DeletedError](err); ok {
		return e.At, true
	}
	if e, ok := errors.AsType[*ExpiredError](err); ok {
		return e.Info.Timestamp, true
	}
	return timestamp.Timestamp{}, false
}
