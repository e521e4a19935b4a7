// Package store is the contract of an object store: what the object server needs of the thing that keeps its objects.
// Package diskfile keeps them as Swift does; package storetest is the suite that every implementation passes.
//
// An object has one state: data (a body with metadata), data with newer metadata, a tombstone, or nothing. Every change
// carries its timestamp and the newest wins, whatever the order in which changes arrive; a store accepts an older one
// and lets it have no effect. Whether a request with an older timestamp is refused is for the server to say.
//
// A change is durable when its call returns nil, and visible to readers only as a whole: after a power failure it is
// either there or not. A call that returns an error may still have taken effect.
//
// The package knows no HTTP. Metadata is what headers are to the server: keys as they are stored, such as
// "X-Object-Meta-Color", "ETag", "Content-Type", and values as the raw bytes that the client sent, valid UTF-8 or not.
// How they are encoded on a disk is the implementation's affair.
//
//	f, err := s.Open(ctx, store.Object{Device: "sda", Partition: "7", Account: "a", Container: "c", Name: "o"}, store.OpenOptions{})
//	if errors.Is(err, store.ErrNotFound) { ... store.TombstoneTime(err) ... }
//	defer f.Close()
//	body, err := f.Range(0, f.Info().Size)
package store

import (
	"context"
	"io"

	"github.com/apus-storage/apus/internal/pickle"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/timestamp"
)

// A Store keeps objects. Implementations are safe for concurrent use.
type Store interface {
	Opener
	Changer
	Hashes
}

// An Opener finds objects.
type Opener interface {
	// Open finds an object and holds it, so that it can be read to the end whatever happens to its name.
	//
	// Errors: ErrNotFound, as a *DeletedError if there is a tombstone and as an *ExpiredError if its time is over;
	// ErrQuarantined (which is ErrNotFound too) if what was there is damaged and has just been put aside;
	// ErrCollision, ErrChanged, ErrDeviceMissing, ErrNoAttributes.
	Open(ctx context.Context, o Object, opt OpenOptions) (File, error)
}

// A Changer changes objects.
type Changer interface {
	// Create begins an upload. size is the number of bytes to come, for which room is made, or -1. ErrNoSpace if there
	// is none, ErrDeviceMissing.
	Create(ctx context.Context, o Object, size int64) (Upload, error)
	// SetMetadata puts newer metadata over an object's data (Swift's POST). A content type that is newer than the
	// rest keeps its own time.
	SetMetadata(ctx context.Context, o Object, c MetadataChange) error
	// Delete writes a tombstone.
	Delete(ctx context.Context, o Object, at timestamp.Timestamp) error
	// DeleteIf writes a tombstone if the guard allows it.
	DeleteIf(ctx context.Context, o Object, at timestamp.Timestamp, guard Guard) error
}

// A Guard is asked right before a change becomes visible whether it may. It gets the object, or nil and the time of its
// tombstone, zero if there is none; an object that has expired by the time of the change counts as one that was deleted when
// it was last changed. Between its answer and the change no other change through the same store becomes visible. An error is
// what the call returns, wrapped, and then nothing has changed. Guards of one object wait for each other, and changes for
// guards: a guard must not wait for anything.
type Guard func(current *Info, deleted timestamp.Timestamp) error

// Hashes are the summaries by which replicas are compared. A suffix is the last three hex digits of the objects' hashes.
type Hashes interface {
	// SuffixHashes brings a partition's summaries up to date and returns them: suffix to hex digest. Suffixes in
	// recalculate are computed anew even if nothing is known to have changed. A partition that is not there has none.
	SuffixHashes(ctx context.Context, p Partition, recalculate []string) (map[string]string, error)
	// InvalidateSuffixes notes that something below the suffixes has changed.
	InvalidateSuffixes(ctx context.Context, p Partition, suffixes []string) error
}

// Partition is a place for objects.
type Partition struct {
	Device    string
	Policy    policy.Index
	Partition string // decimal
}

// Object names an object and its place.
type Object struct {
	Device                   string
	Policy                   policy.Index
	Partition                string // decimal
	Account, Container, Name string
	// NextPartPower is that of a ring which is being grown, 0 if none is: what is written then also appears in the
	// partition that the object will have.
	NextPartPower uint
}

// Path is the object's path as clients and metadata have it, without quoting.
func (o Object) Path() string { return "/" + o.Account + "/" + o.Container + "/" + o.Name }

// OpenOptions say how to open.
type OpenOptions struct {
	// Now decides whether an object has expired; the zero time stands for the store's clock.
	Now timestamp.Timestamp
	// Expired opens an object whose time is over as if it were not.
	Expired bool
	// Trust leaves the metadata's checksum alone: on the path of every GET it costs more than reading the metadata. A
	// change, and an audit, should not trust.
	Trust bool
}

// A File is an object that is open for reading. It is not for concurrent use.
type File interface {
	// Info describes the object. It is the File's own: read it, keep it, do not change it.
	Info() *Info
	// Range returns a reader of n bytes from off on. It ends the one before. If the kernel can send from the file to a
	// socket, and the part is so large that this pays, the reader is of a kind that net/http recognises.
	Range(off, n int64) (io.Reader, error)
	// Forget asks the system to keep the body out of its memory.
	Forget()
	// Quarantine puts the object aside as damaged. The File stays readable.
	Quarantine(ctx context.Context, reason string) error
	Close() error
}

// An Upload receives the body of an object. It is not for concurrent use.
type Upload interface {
	// Write takes the next bytes of the body. ErrNoSpace.
	io.Writer
	// Commit makes the object durable and visible. The metadata must hold Content-Length, ETag and Content-Type; the
	// store adds the name and X-Timestamp. ErrNoSpace, ErrNoAttributes.
	Commit(ctx context.Context, at timestamp.Timestamp, md Metadata) error
	// CommitIf does so if the guard allows it.
	CommitIf(ctx context.Context, at timestamp.Timestamp, md Metadata, guard Guard) error
	// Close releases the upload and, unless it was committed, drops it.
	Close() error
}

// MetadataChange is what SetMetadata writes.
type MetadataChange struct {
	// At is the time of the change: X-Timestamp.
	At timestamp.Timestamp
	// Metadata replaces all metadata that may change. The store adds the name and X-Timestamp.
	Metadata Metadata
	// ContentType is the object's new content type, as of ContentTypeAt; if it is empty the change says nothing of it.
	ContentType   string
	ContentTypeAt timestamp.Timestamp
}

// Info describes an open object.
type Info struct {
	Size        int64 // bytes of body
	ETag        string
	ContentType string
	// DeleteAt is when the object expires, in seconds since 1970; 0 for never.
	DeleteAt int64
	// Timestamp is that of the newest data or metadata: X-Timestamp.
	Timestamp timestamp.Timestamp
	// Data is when the body was written.
	Data timestamp.Timestamp
	// ContentTypeAt is when the content type was set.
	ContentTypeAt timestamp.Timestamp
	// Metadata is everything that holds now, the fields above included, the name excluded.
	Metadata Metadata
	// DataContentType is the content type that came with the body.
	DataContentType string
	// Changed is what the newest metadata change said, content type included; nil if there was none.
	Changed Metadata
}

// Metadata is a list of items with different keys.
type Metadata []Item

// Item is one item of metadata. It is the type that package pickle reads, so that a list of them need not be copied.
type Item = pickle.KV

// Get returns the value of a key, which must be spelt as it is stored.
func (m Metadata) Get(key string) string {
	v, _ := m.Lookup(key)
	return v
}

// Lookup returns the value of a key and whether it is there.
func (m Metadata) Lookup(key string) (string, bool) {
	for i := range m {
		if m[i].Key == key {
			return m[i].Value, true
		}
	}
	return "", false
}

// Set returns m with the key set. It may use m's array.
func (m Metadata) Set(key, value string) Metadata {
	for i := range m {
		if m[i].Key == key {
			m[i].Value = value
			return m
		}
	}
	return append(m, Item{Key: key, Value: value})
}

// Without returns m without some keys. It uses m's array.
func (m Metadata) Without(keys ...string) Metadata {
	out := m[:0]
items:
	for _, item := range m {
		for _, key := range keys {
			if item.Key == key {
				continue items
			}
		}
		out = append(out, item)
	}
	return out
}
