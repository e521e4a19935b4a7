package recon

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/disk"
)

// entries are the names in the directory of devices.
func (n *node) entries() ([]string, error) {
	list, err := os.ReadDir(n.config.Devices)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names, nil
}

// devices shows the names of devices, mounted or not.
func (n *node) devices() (any, error) {
	names, err := n.entries()
	if err != nil {
		return map[string]any{n.config.Devices: nil}, nil
	}
	return map[string]any{n.config.Devices: names}, nil
}

// A device is a directory for a disk.
type device struct {
	name string
	// state is true, false, or the text of the error.
	state any
}

// all finds the devices and whether they are mounted.
func (n *node) all() ([]device, error) {
	names, err := n.entries()
	if err != nil {
		return nil, err
	}
	var out []device
	for _, name := range names {
		path := filepath.Join(n.config.Devices, name)
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		d := device{name: name, state: false}
		if apipath.ValidDrive(name) {
			switch ok, err := isMount(path); {
			case err != nil:
				d.state = err.Error()
			default:
				d.state = ok
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// isMount says whether a directory is to be used: it is a mount, or has Swift's mark for containers, where none is.
func isMount(path string) (bool, error) {
	ok, err := disk.IsMount(disk.OS{}, path)
	if err != nil || ok {
		return ok, err
	}
	mark, err := os.Stat(filepath.Join(path, ".ismount"))
	return err == nil && mark.Mode().IsRegular(), nil
}

// unmounted shows the devices that are not mounted.
func (n *node) unmounted() (any, error) {
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, d := range all {
		if d.state != true {
			out = append(out, map[string]any{"device": d.name, "mounted": d.state})
		}
	}
	return out, nil
}

// diskUsage shows how full the devices are, in bytes.
func (n *node) diskUsage() (any, error) {
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, d := range all {
		shown := map[string]any{"device": d.name, "mounted": d.state, "size": "", "used": "", "avail": ""}
		if d.state == true {
			var st unix.Statfs_t
			if err := unix.Statfs(filepath.Join(n.config.Devices, d.name), &st); err != nil {
				return nil, &fs.PathError{Op: "statfs", Path: d.name, Err: err}
			}
			block := uint64(st.Bsize)
			shown["size"], shown["used"], shown["avail"] = block*st.Blocks, block*(st.Blocks-st.Bfree), block*st.Bavail
		}
		out = append(out, shown)
	}
	return out, nil
}

// quarantined counts what auditors and servers have set aside, by the links of the directories it is in.
func (n *node) quarantined() (any, error) {
	names, err := n.entries()
	if err != nil {
		return nil, err
	}
	counts := map[string]uint64{"objects": 0, "containers": 0, "accounts": 0}
	policies := map[string]map[string]uint64{}
	for _, name := range names {
		dir := filepath.Join(n.config.Devices, name, "quarantined")
		kinds, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(dir, k.Name()), &st); err != nil || st.Nlink <= 2 {
				continue
			}
			found := uint64(st.Nlink) - 2
			kind := k.Name()
			if strings.HasPrefix(kind, "objects") {
				_, index, ok := strings.Cut(kind, "-")
				if !ok {
					index = "0"
				}
				if policies[index] == nil {
					policies[index] = map[string]uint64{}
				}
				policies[index]["objects"] += found
				kind = "objects"
			}
			if _, known := counts[kind]; known {
				counts[kind] += found
			}
		}
	}
	out := map[string]any{"policies": policies}
	for k, v := range counts {
		out[k] = v
	}
	return out, nil
}

// ringSums shows the MD5 sums of the ring files that exist; null for one that cannot be read.
func (n *node) ringSums() (any, error) {
	out := map[string]any{}
	for _, ring := range n.rings {
		if _, err := os.Stat(ring); err == nil {
			out[ring] = sum(ring)
		}
	}
	return out, nil
}

// clusterSum shows the MD5 sum of the cluster-wide file.
func (n *node) clusterSum() (any, error) {
	return map[string]any{n.clusterFile: sum(n.clusterFile)}, nil
}

// sum returns the MD5 sum of a file, nil if it cannot be read.
func sum(path string) any {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil
	}
	return hex.EncodeToString(h.Sum(nil))
}
