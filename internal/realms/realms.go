// Package realms reads container-sync-realms.conf, by which operators of clusters agree to copy containers between them:
//
//	[DEFAULT]
//	mtime_check_interval = 300
//
//	[US]
//	key = secret
//	key2 = the next secret
//	cluster_DFW = https://dfw.example.com/v1/
//	cluster_ORD = https://ord.example.com/v1/
//
// A realm is a secret that clusters share, and their names and URLs. The file is Swift's, and all servers of a cluster have
// the same one. It is looked at again while a server runs; one with a fault does not take the place of what is known. No
// file is no realm.
//
// The filter container_sync checks by it what other clusters send ([Signature]), the container server where a container may
// be copied to ([Realms.Destination]).
//
//	rs, err := realms.Follow("/etc/swift/container-sync-realms.conf", realms.FollowOptions{})
//	us, ok := rs.Realm("us")
package realms

import (
	"crypto/hmac"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/ini"
)

// FileName is what the file is called in the directory of the cluster's files.
const FileName = "container-sync-realms.conf"

// defaultInterval is how often the file is looked at unless it says otherwise.
const defaultInterval = 300 * time.Second

// A Realm is a group of clusters. Names are in upper case.
type Realm struct {
	Name string
	// Key is the secret that the clusters share; empty means that nobody can sign. Key2 is one that counts too, while
	// the key is being changed; may be empty.
	Key, Key2 string
	// Clusters are the URLs of clusters by their names, such as https://dfw.example.com/v1/.
	Clusters map[string]string
}

// FollowOptions say how Realms follow their file. The zero value is usable.
type FollowOptions struct {
	// Log is told about files that were loaded or refused; nil means [slog.Default].
	Log *slog.Logger
	// Clock tells when to look again; nil means [clock.System].
	Clock clock.Clock
}

// Realms are the realms of a file that may change while the process runs. They have no goroutine of their own: whoever
// asks after the interval looks at the file. They are safe for concurrent use; a nil *Realms has no realms.
type Realms struct {
	path    string
	options FollowOptions
	current atomic.Pointer[content]
	due     atomic.Int64 // when to look at the file again, in nanoseconds of Unix time

	// mu guards mtime and serialises loading.
	mu    sync.Mutex
	mtime time.Time // of the file that was read last, good or not
}

// content is a file. It does not change.
type content struct {
	realms   map[string]Realm
	interval time.Duration
}

// Follow reads the file at path and follows it from then on. It need not be there, but if it is, it must be right.
func Follow(path string, options FollowOptions) (*Realms, error) {
	if options.Log == nil {
		options.Log = slog.Default()
	}
	if options.Clock == nil {
		options.Clock = clock.System
	}
	r := &Realms{path: path, options: options}
	r.current.Store(&content{interval: defaultInterval})
	if err := r.load(); err != nil {
		return nil, err
	}
	r.due.Store(options.Clock.Now().Add(r.current.Load().interval).UnixNano())
	return r, nil
}

// Realm returns the realm of a name in any case.
func (r *Realms) Realm(name string) (Realm, bool) {
	realm, ok := r.All()[strings.ToUpper(name)]
	return realm, ok
}

// All returns the realms by name. Do not change them.
func (r *Realms) All() map[string]Realm {
	if r == nil {
		return nil
	}
	now, due := r.options.Clock.Now(), r.due.Load()
	// One caller takes the turn; the others go on with what there is.
	if now.UnixNano() >= due && r.due.CompareAndSwap(due, math.MaxInt64) {
		if err := r.load(); err != nil {
			r.options.Log.Error("realms of container sync not reloaded, the old ones stay", "path", r.path, "err", err)
		}
		r.due.Store(now.Add(r.current.Load().interval).UnixNano())
	}
	return r.current.Load().realms
}

// load reads the file if it is another one than last time. That it is missing is an error only if it was there.
func (r *Realms) load() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && len(r.current.Load().realms) == 0 {
			return nil
		}
		r.mtime = time.Time{} // what comes back may have the old one's
		return fmt.Errorf("read the realms of container sync: %w", err)
	}
	if info.ModTime().Equal(r.mtime) {
		return nil
	}
	r.mtime = info.ModTime()
	data, err := os.ReadFile(r.path)
	if err != nil {
		return fmt.Errorf("read the realms of container sync: %w", err)
	}
	c, err := parse(r.path, data)
	if err != nil {
		return err
	}
	r.current.Store(c)
	r.options.Log.Info("realms of container sync loaded", "path", r.path, "realms", len(c.realms))
	return nil
}

const (
	keyInterval   = "mtime_check_interval"
	clusterPrefix = "cluster_"
)

// parse reads a file. Every fault is a [*config.Error], all joined.
func parse(path string, data []byte) (*content, error) {
	file, err := ini.Parse(path, data, ini.Rules{})
	if err != nil {
		return nil, err
	}
	c := &content{realms: map[string]Realm{}, interval: defaultInterval}
	var faults []error
	fault := func(o *ini.Option, section, problem string) {
		faults = append(faults, &config.Error{File: path, Line: o.Line, Key: section + "." + o.Key, Problem: problem})
	}
	shared := file.Section(ini.Default)
	if o := shared.Find(keyInterval); o != nil {
		if c.interval, err = seconds(o.Value); err != nil {
			fault(o, ini.Default, err.Error())
		}
	}
	for _, s := range file.Sections {
		if s.Name == ini.Default {
			continue
		}
		realm := Realm{Name: strings.ToUpper(s.Name), Clusters: map[string]string{}}
		if shared != nil {
			for _, o := range shared.Options {
				realm.set(o) // others are there to be referred to
			}
		}
		for _, o := range s.Options {
			if !realm.set(o) && o.Key != keyInterval {
				fault(o, s.Name, "unknown option; a realm has key, key2 and cluster_NAME")
			}
		}
		c.realms[realm.Name] = realm
	}
	return c, errors.Join(faults...)
}

func seconds(text string) (time.Duration, error) {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(s) || s < 0 {
		return defaultInterval, fmt.Errorf("must be a number of seconds, not negative, have %q", text)
	}
	return time.Duration(min(s, 1e9) * float64(time.Second)), nil
}

// set takes over an option; ok says whether realms have such a one.
func (r *Realm) set(o *ini.Option) (ok bool) {
	name, cluster := strings.CutPrefix(o.Key, clusterPrefix)
	switch {
	case o.Key == "key":
		r.Key = o.Value
	case o.Key == "key2":
		r.Key2 = o.Value
	case cluster:
		r.Clusters[strings.ToUpper(name)] = o.Value
	default:
		return false
	}
	return true
}

// Signature is what a cluster proves with that it belongs to a realm, for one request and for a container that has the
// user's key. The path is quoted.
func Signature(realmKey, userKey, method, path, timestamp, nonce string) []byte {
	mac := hmac.New(sha1.New, []byte(realmKey))
	mac.Write([]byte(method + "\n" + path + "\n" + timestamp + "\n" + nonce + "\n" + userKey))
	return mac.Sum(nil)
}
