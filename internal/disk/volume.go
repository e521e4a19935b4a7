package disk

import (
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// osVolume is a directory of the file system that it stands for. Errors of writing back are told once to each open file
// (errseq_t in the kernel), so it has to be open for as long as they are to be noticed.
type osVolume struct {
	fd    int
	dir   string
	dev   uint64
	flush bool
}

// Volume opens a directory for syncfs. sync(2) says that this is as good as fsync of every file; but only since Linux 5.8 it
// tells of errors, and only of these file systems it is known (and has been tried) to be no dearer than the fsyncs that it
// replaces.
func (OS) Volume(dir string) (Volume, error) {
	if !syncfsTellsErrors() {
		return nil, ErrNoVolume
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	v := &osVolume{fd: fd, dir: dir}
	var st unix.Stat_t
	var sf unix.Statfs_t
	_, err = retry(func() (int, error) { return 0, unix.Fstat(fd, &st) })
	if err == nil {
		_, err = retry(func() (int, error) { return 0, unix.Fstatfs(fd, &sf) })
	}
	switch {
	case err != nil:
		err = &fs.PathError{Op: "stat", Path: dir, Err: err}
	case sf.Type == unix.EXT4_SUPER_MAGIC:
		// Without a journal ext4 tells the disk to empty its cache before it has written the last blocks.
		v.flush = true
	case sf.Type != unix.XFS_SUPER_MAGIC:
		err = ErrNoVolume
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	v.dev = st.Dev
	return v, nil
}

func (v *osVolume) Dev() uint64 { return v.dev }

func (v *osVolume) Sync() error {
	_, err := retry(func() (int, error) { return 0, unix.Syncfs(v.fd) })
	if err != nil {
		return &fs.PathError{Op: "syncfs", Path: v.dir, Err: err}
	}
	if v.flush {
		if _, err := retry(func() (int, error) { return 0, unix.Fsync(v.fd) }); err != nil {
			return &fs.PathError{Op: "fsync", Path: v.dir, Err: err}
		}
	}
	return nil
}

func (v *osVolume) Close() error { return unix.Close(v.fd) }

var syncfsTellsErrors = sync.OnceValue(func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return atLeast(unix.ByteSliceToString(u.Release[:]), 5, 8)
})

// atLeast compares the kernel's version.
func atLeast(release string, major, minor int) bool {
	var have [2]int
	part := 0
	for _, c := range []byte(release) {
		switch {
		case c >= '0' && c <= '9':
			have[part] = have[part]*10 + int(c-'0')
		case c == '.' && part == 0:
			part = 1
		default:
			return have[0] > major || have[0] == major && have[1] >= minor
		}
	}
	return have[0] > major || have[0] == major && have[1] >= minor
}
