package apipath

import "fmt"

// Backend is the path of a request to a storage node. Device and Partition are never empty; which of the names are
// there depends on the call. Partition is kept as text because Swift's nodes use it as a directory name and nothing
// else.
type Backend struct {
	Device, Partition          string
	Account, Container, Object string
}

// DeviceError is a device or partition that must not be used as a directory name.
type DeviceError struct {
	What, Name string // "device" or "partition", and the decoded segment
}

func (e *DeviceError) Error() string { return fmt.Sprintf("invalid %s %s", e.What, Quote(e.Name)) }

// Text returns what Swift tells the client of a storage node.
func (e *DeviceError) Text() string { return "Invalid " + e.What + ": " + Quote(e.Name) }

// ParseBackend splits the decoded path of a request to a storage node whose last name is at a level between least and
// most. The object name takes the rest of the path; after an account or container one trailing slash is allowed.
//
//	ParseBackend(path, LevelObject, LevelObject)       // object server
//	ParseBackend(path, LevelContainer, LevelObject)    // container server
//	ParseBackend(path, LevelAccount, LevelContainer)   // account server
func ParseBackend(path string, least, most Level) (Backend, error) {
	var buf [5]string
	segs, err := split(buf[:0], path, int(least)+2, int(most)+2, most == LevelObject)
	if err != nil {
		return Backend{}, err
	}
	for len(segs) < 5 {
		segs = append(segs, "")
	}
	b := Backend{segs[0], segs[1], segs[2], segs[3], segs[4]}
	if err := CheckDevicePartition(b.Device, b.Partition); err != nil {
		return Backend{}, err
	}
	return b, nil
}

// Level says what the path names.
func (b Backend) Level() Level { return level(b.Account, b.Container, b.Object) }

// String returns the decoded path, "/sdb1/42/a/c/o".
func (b Backend) String() string {
	return join(b.Device, b.Partition, b.Account, b.Container, b.Object)
}

// Quoted returns the path as it goes on the wire.
func (b Backend) Quoted() string { return Quote(b.String()) }

// Entity returns "/a/c/o", the form that is hashed.
func (b Backend) Entity() string { return join(b.Account, b.Container, b.Object) }

// CheckDevicePartition refuses names that would leave the directory they are joined to. The error is a
// [*DeviceError].
func CheckDevicePartition(device, partition string) error {
	if !safeSegment(device) {
		return &DeviceError{"device", device}
	}
	if !safeSegment(partition) {
		return &DeviceError{"partition", partition}
	}
	return nil
}

func safeSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		if s[i] == '/' {
			return false
		}
	}
	return true
}

// ValidDrive reports whether a device name may be looked for on disk: quoting must not change it. A node answers 507
// for any other, as it does for a device that is not mounted.
func ValidDrive(device string) bool {
	for i := range len(device) {
		if !unreserved(device[i]) {
			return false
		}
	}
	return device != "" && device != "." && device != ".."
}
