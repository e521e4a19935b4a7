// Package updates keeps container updates that could not be delivered, in the files that OpenStack Swift calls async
// pendings, for an updater to deliver later:
//
//	<devices>/<device>/async_pending[-N]/<suffix>/<hash>-<time>
//
// The hash is that of the object (or row of the expiry queue) that the update is about, the time that of the change, so
// several failures to deliver one update are one file. A file holds a pickled dictionary. Swift writes protocol 0 with a
// class of its own for the headers; this package writes protocol 2 with a plain dictionary, which every release of Swift
// reads, and reads both.
//
// Delivering is not done here.
//
//	q := updates.NewQueue(fsys, "/srv/node", hasher)
//	err := q.Save("sda", 0, updates.Update{Op: "PUT", Account: "a", Container: "c", Object: "o", Headers: headers})
package updates

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"

	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/pickle"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/timestamp"
)

// ErrInvalid says that a file does not hold an update.
var ErrInvalid = errors.New("invalid update")

// An Update is a row for a container server.
type Update struct {
	// Op is PUT or DELETE.
	Op string
	// Account and Container are the root container's names, Object that of the row.
	Account, Container, Object string
	// Headers go with the request. Values are raw header bytes.
	Headers []Header
	// DBState is the state of the root container's database as the proxy saw it; empty if it did not tell.
	DBState string
	// ContainerPath is "account/container" of the shard to send to; empty for the root.
	ContainerPath string
	// Successes are the ids of nodes that have the update.
	Successes []int64
	// RedirectHistory are the ContainerPaths that were tried.
	RedirectHistory []string
}

// Header is one header.
type Header struct{ Name, Value string }

// Header returns a header's value, "" if there is none. Names count whatever their case.
func (u *Update) Header(name string) string {
	for _, h := range u.Headers {
		if meta.Title(h.Name) == meta.Title(name) {
			return h.Value
		}
	}
	return ""
}

// Time is that of the newest change that the update tells of, which is part of its file's name.
func (u *Update) Time() (timestamp.Timestamp, error) {
	text := u.Header("X-Meta-Timestamp")
	if text == "" {
		text = u.Header("X-Timestamp")
	}
	at, err := timestamp.Parse(text)
	if err != nil {
		return at, fmt.Errorf("time of update: %w", err)
	}
	return at, nil
}

// Encode returns the content of the update's file.
func (u *Update) Encode() ([]byte, error) {
	headers := make(pickle.Items, 0, len(u.Headers))
	for _, h := range u.Headers {
		// As object metadata: one character per byte.
		headers = append(headers, pickle.Item{Key: meta.ToStored(h.Name), Value: meta.ToStored(h.Value)})
	}
	items := pickle.Items{
		{Key: "op", Value: u.Op},
		{Key: "account", Value: u.Account},
		{Key: "container", Value: u.Container},
		{Key: "obj", Value: u.Object},
		{Key: "headers", Value: headers},
		{Key: "db_state", Value: textOrNil(u.DBState)},
	}
	if u.ContainerPath != "" {
		items = append(items, pickle.Item{Key: "container_path", Value: u.ContainerPath})
	}
	if len(u.Successes) > 0 {
		items = append(items, pickle.Item{Key: "successes", Value: listOf(u.Successes)})
	}
	if len(u.RedirectHistory) > 0 {
		items = append(items, pickle.Item{Key: "redirect_history", Value: listOf(u.RedirectHistory)})
	}
	return pickle.Encode(items)
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func listOf[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}

// Decode reads the content of an update's file. Errors match ErrInvalid or pickle.ErrInvalid.
func Decode(data []byte) (Update, error) {
	v, err := pickle.Decode(data)
	if err != nil {
		return Update{}, fmt.Errorf("decode update: %w", err)
	}
	d, ok := v.(*pickle.Dict)
	if !ok {
		return Update{}, fmt.Errorf("decode update: %w: %T instead of a dictionary", ErrInvalid, v)
	}
	var u Update
	for _, field := range []struct {
		key      string
		to       *string
		required bool
	}{
		{"op", &u.Op, true}, {"account", &u.Account, true}, {"container", &u.Container, true}, {"obj", &u.Object, true},
		{"db_state", &u.DBState, false}, {"container_path", &u.ContainerPath, false},
	} {
		v, _ := d.Get(field.key)
		text, ok := pickle.Text(v)
		if !ok && (field.required || v != nil) {
			return Update{}, fmt.Errorf("decode update: %w: %s is %T", ErrInvalid, field.key, v)
		}
		*field.to = text
	}
	if u.Op != "PUT" && u.Op != "DELETE" {
		return Update{}, fmt.Errorf("decode update: %w: op %q", ErrInvalid, u.Op)
	}
	return u, u.decodeRest(d)
}

func (u *Update) decodeRest(d *pickle.Dict) error {
	v, _ := d.Get("headers")
	headers, ok := v.(*pickle.Dict)
	if !ok {
		return fmt.Errorf("decode update: %w: headers are %T", ErrInvalid, v)
	}
	for k, v := range headers.All() {
		name, ok := pickle.Text(k)
		value, okValue := pickle.Text(v)
		if n, isInt := v.(int64); isInt {
			value, okValue = strconv.FormatInt(n, 10), true
		}
		if !ok || !okValue {
			return fmt.Errorf("decode update: %w: header %v is %T", ErrInvalid, k, v)
		}
		// Text that is not one byte per character is kept as it is.
		name, _ = meta.FromStored(name)
		value, _ = meta.FromStored(value)
		u.Headers = append(u.Headers, Header{name, value})
	}
	v, _ = d.Get("successes")
	ids, ok := v.([]any)
	if !ok && v != nil {
		return fmt.Errorf("decode update: %w: successes are %T", ErrInvalid, v)
	}
	for _, id := range ids {
		n, ok := id.(int64)
		if !ok {
			return fmt.Errorf("decode update: %w: node id %v", ErrInvalid, id)
		}
		u.Successes = append(u.Successes, n)
	}
	v, _ = d.Get("redirect_history")
	paths, ok := v.([]any)
	if !ok && v != nil {
		return fmt.Errorf("decode update: %w: redirect history is %T", ErrInvalid, v)
	}
	for _, p := range paths {
		text, ok := pickle.Text(p)
		if !ok {
			return fmt.Errorf("decode update: %w: redirect to %v", ErrInvalid, p)
		}
		u.RedirectHistory = append(u.RedirectHistory, text)
	}
	return nil
}

// A Queue is the updates on the devices of a node. It is safe for concurrent use.
type Queue struct {
	fs      disk.FS
	devices string
	hasher  hashpath.Hasher
}

// NewQueue returns the queue on the devices in a directory.
func NewQueue(fsys disk.FS, devices string, hasher hashpath.Hasher) *Queue {
	return &Queue{fsys, devices, hasher}
}

// Save makes an update durable on a device, in place of one of the same object and time.
func (q *Queue) Save(device string, p policy.Index, u Update) error {
	if err := q.save(device, p, &u); err != nil {
		return fmt.Errorf("save update of /%s/%s/%s on %s: %w", u.Account, u.Container, u.Object, device, err)
	}
	return nil
}

func (q *Queue) save(device string, p policy.Index, u *Update) error {
	at, err := u.Time()
	if err != nil {
		return err
	}
	data, err := u.Encode()
	if err != nil {
		return err
	}
	sum := q.hasher.Sum(u.Account, u.Container, u.Object)
	root := q.devices + "/" + device
	temp, err := q.writeTemp(root, p, data)
	if err != nil {
		return err
	}
	dir := root + "/" + p.DirName("async_pending") + "/" + sum.Suffix()
	target := dir + "/" + sum.Hex() + "-" + at.Internal()
	made := 0
	for range 5 {
		var n int
		n, err = disk.MkdirUnder(q.fs, root, dir)
		made += n
		if err == nil {
			err = q.fs.Rename(temp, target)
		}
		if !errors.Is(err, fs.ErrNotExist) { // the updater removes empty directories
			break
		}
	}
	if err != nil {
		return errors.Join(err, q.fs.Unlink(temp))
	}
	return disk.SyncDirs(q.fs, dir, made)
}

// writeTemp writes a durable file without its final name.
func (q *Queue) writeTemp(root string, p policy.Index, data []byte) (string, error) {
	// Not MkdirAll: a device that is not there must not come to be.
	dir := root + "/" + p.DirName("tmp")
	if err := q.fs.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	temp := dir + "/" + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	f, err := q.fs.Open(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, q.fs.Unlink(temp))
	}
	return temp, nil
}
