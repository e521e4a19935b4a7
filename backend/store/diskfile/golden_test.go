package diskfile_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/timestamp"
)

// extract puts the golden device tree under dir.
func extract(t *testing.T, fsys disk.FS, dir string) {
	f, err := os.Open("testdata/sdb1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := dir + "/" + strings.TrimSuffix(h.Name, "/")
		if h.Typeflag == tar.TypeDir {
			if _, err := disk.MkdirAll(fsys, name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		out, err := fsys.Open(name, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, r); err != nil {
			t.Fatal(err)
		}
		for k, v := range h.PAXRecords {
			if attr, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
				if err := out.SetXattr(attr, []byte(v)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// golden is what the fixtures must decode to.
type golden struct {
	Files []struct {
		Path   string            `json:"path"`
		Body   string            `json:"body_hex"`
		Xattrs map[string]string `json:"xattrs_hex"`
	} `json:"files"`
	Opened []struct {
		Path, Exception      string
		Policy               policy.Index
		Timestamp            *string
		Metadata             map[string]string
		ContentType          string `json:"content_type"`
		ContentTypeTimestamp string `json:"content_type_timestamp"`
		DataTimestamp        string `json:"data_timestamp"`
	} `json:"opened"`
	Partitions []struct {
		Partition string          `json:"partition"`
		Policy    policy.Index    `json:"policy"`
		Response  json.RawMessage `json:"replicate_response"`
	} `json:"partitions"`
}

// ecPolicy is the erasure coded policy of the fixtures, which this package does not do.
const ecPolicy = 2

func load(t *testing.T) golden {
	data, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func goldenTree(t *testing.T) (*disk.Memory, golden) {
	m := disk.NewMemory(disk.Space{Total: 1 << 40, Free: 1 << 39})
	if _, err := disk.MkdirAll(m, "/srv/node"); err != nil {
		t.Fatal(err)
	}
	extract(t, m, "/srv/node")
	return m, load(t)
}

// place finds an object in the golden tree: the partition is in the files' paths.
func place(t *testing.T, g golden, p string, pol policy.Index) store.Object {
	parts := strings.SplitN(p, "/", 4)
	o := store.Object{Device: "sdb1", Policy: pol, Account: parts[1], Container: parts[2], Name: parts[3]}
	sum := hasher(t).Sum(o.Account, o.Container, o.Name)
	for _, f := range g.Files {
		dirs := strings.Split(f.Path, "/")
		if dirs[3] == sum.Hex() && dirs[0] == pol.DirName("objects") {
			o.Partition = dirs[1]
		}
	}
	return o
}

func TestGoldenObjectsOpenAsSwiftDoes(t *testing.T) {
	m, g := goldenTree(t)
	s := newStore(t, m, "/srv/node")
	for _, want := range g.Opened {
		if want.Policy == ecPolicy {
			continue
		}
		t.Run(want.Path, func(t *testing.T) {
			f, err := s.Open(context.Background(), place(t, g, want.Path, want.Policy), store.OpenOptions{})
			if want.Exception == "DiskFileDeleted" {
				if at, ok := store.TombstoneTime(err); !ok || at.Internal() != *want.Timestamp {
					t.Fatalf("open: %v, want deleted at %s", err, *want.Timestamp)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info := f.Info()
			got := [...]string{info.ContentType, info.ContentTypeAt.Internal(), info.Data.Internal(), info.Timestamp.Internal()}
			if expect := [...]string{want.ContentType, want.ContentTypeTimestamp, want.DataTimestamp, *want.Timestamp}; got != expect {
				t.Errorf("type and times %q, want %q", got, expect)
			}
			have := map[string]string{"name": want.Path}
			for _, item := range info.Metadata {
				have[meta.ToStored(item.Key)] = meta.ToStored(item.Value)
			}
			if !maps.Equal(have, want.Metadata) {
				t.Errorf("metadata\n got %q\nwant %q", have, want.Metadata)
			}
		})
	}
}

func TestGoldenBodies(t *testing.T) {
	m, g := goldenTree(t)
	for _, want := range g.Files {
		body, err := disk.ReadFile(m, "/srv/node/sdb1/"+want.Path)
		if err != nil || hex.EncodeToString(body) != want.Body {
			t.Errorf("%s holds %x, %v; want %s", want.Path, body, err, want.Body)
		}
	}
}

func TestGoldenSuffixHashes(t *testing.T) {
	for _, from := range []string{"as they are", "from hashes.invalid", "from nothing"} {
		t.Run(from, func(t *testing.T) {
			m, g := goldenTree(t)
			s := newStore(t, m, "/srv/node")
			ctx := context.Background()
			for _, want := range g.Partitions {
				if want.Policy == ecPolicy {
					continue
				}
				var sums map[string]string
				if err := json.Unmarshal(want.Response, &sums); err != nil {
					t.Fatal(err)
				}
				p := store.Partition{Device: "sdb1", Policy: want.Policy, Partition: want.Partition}
				dir := path.Join("/srv/node/sdb1", want.Policy.DirName("objects"), want.Partition)
				switch from {
				case "from hashes.invalid":
					for suffix := range sums {
						if err := s.InvalidateSuffixes(ctx, p, []string{suffix, suffix}); err != nil {
							t.Fatal(err)
						}
					}
				case "from nothing":
					if err := m.Unlink(dir + "/hashes.pkl"); err != nil {
						t.Fatal(err)
					}
				}
				got, err := s.SuffixHashes(ctx, p, nil)
				if err != nil || !maps.Equal(got, sums) {
					t.Errorf("%s: %v, %v; want %v", dir, got, err, sums)
				}
				if left, err := disk.ReadFile(m, dir+"/hashes.invalid"); err != nil || len(left) > 0 {
					t.Errorf("%s/hashes.invalid holds %q afterwards, %v", dir, left, err)
				}
			}
		})
	}
}

// TestGoldenMetadataIsWrittenAlike writes the metadata of every file and compares the attributes byte for byte.
func TestGoldenMetadataIsWrittenAlike(t *testing.T) {
	m, g := goldenTree(t)
	s := newStore(t, m, "/srv/node")
	ctx := context.Background()
	for _, want := range g.Files {
		if !strings.HasSuffix(want.Path, ".data") || strings.HasPrefix(want.Path, "objects-2") || strings.Contains(want.Path, "bigmeta") {
			continue
		}
		if _, chunked := want.Xattrs["user.swift.metadata1"]; chunked {
			continue
		}
		md, name := rawMetadata(t, want.Xattrs["user.swift.metadata"])
		parts := strings.SplitN(name, "/", 4)
		o := store.Object{Device: "sdb1", Partition: "99", Account: parts[1], Container: parts[2], Name: parts[3]}
		body, _ := hex.DecodeString(want.Body)
		u, err := s.Create(ctx, o, int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(body); err != nil {
			t.Fatal(err)
		}
		at := strings.TrimSuffix(path.Base(want.Path), ".data")
		if err := u.Commit(ctx, parse(t, at), md); err != nil {
			t.Fatal(err)
		}
		u.Close()
		sum := hasher(t).Sum(parts[1], parts[2], parts[3])
		f, err := m.Open("/srv/node/sdb1/objects/99/"+sum.Suffix()+"/"+sum.Hex()+"/"+at+".data", os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for attr, hexValue := range want.Xattrs {
			buf := make([]byte, 65536)
			n, err := f.Xattr(attr, buf)
			if err != nil || hex.EncodeToString(buf[:n]) != hexValue {
				t.Errorf("%s of %s:\n got %x, %v\nwant %s", attr, want.Path, buf[:n], err, hexValue)
			}
		}
		f.Close()
	}
}

func TestDamageIsQuarantined(t *testing.T) {
	const dir = "/srv/node/sdb1/objects/13/113/d575ab15bbd6f0c3e3663a53d7a78113"
	const data = dir + "/1700000000.00000.data"
	o := store.Object{Device: "sdb1", Partition: "13", Account: "AUTH_test", Container: "c", Name: "o1"}
	for _, tc := range []struct {
		name   string
		damage func(m *disk.Memory, f disk.File) error
		want   error
	}{
		{"nothing", func(*disk.Memory, disk.File) error { return nil }, nil},
		{"body too short", func(_ *disk.Memory, f disk.File) error { return f.Truncate(5) }, store.ErrQuarantined},
		{"metadata is no pickle", func(_ *disk.Memory, f disk.File) error {
			return f.SetXattr("user.swift.metadata", []byte("garbage"))
		}, store.ErrQuarantined},
		{"checksum is wrong", func(_ *disk.Memory, f disk.File) error {
			return f.SetXattr("user.swift.metadata_checksum", []byte(strings.Repeat("0", 32)))
		}, store.ErrQuarantined},
		{"directory is a file", func(m *disk.Memory, f disk.File) error {
			if err := errors.Join(m.Unlink(data), m.Rmdir(dir)); err != nil {
				return err
			}
			g, err := m.Open(dir, os.O_CREATE|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return g.Close()
		}, store.ErrQuarantined},
		{"another object's file", func(m *disk.Memory, f disk.File) error {
			if err := m.Unlink(data); err != nil {
				return err
			}
			return m.HardLink("/srv/node/sdb1/objects/12/e4a/c3a52f59fab7eb7a12b349ad09014e4a/1700000007.00000.data", data)
		}, store.ErrCollision},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, _ := goldenTree(t)
			f, err := m.Open(data, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.damage(m, f); err != nil {
				t.Fatal(err)
			}
			r, err := newStore(t, m, "/srv/node").Open(context.Background(), o, store.OpenOptions{})
			if !errors.Is(err, tc.want) {
				t.Fatalf("open: %v, want %v", err, tc.want)
			}
			if err == nil {
				r.Close()
				return
			}
			names, err := m.Names("/srv/node/sdb1/quarantined/objects", nil)
			if tc.want == store.ErrQuarantined && (err != nil || len(names) != 1 || names[0] != path.Base(dir)) {
				t.Errorf("quarantine holds %q, %v; want %s", names, err, path.Base(dir))
			}
			invalid, err := disk.ReadFile(m, "/srv/node/sdb1/objects/13/hashes.invalid")
			if tc.want == store.ErrQuarantined && (err != nil || string(invalid) != "113\n") {
				t.Errorf("hashes.invalid holds %q, %v; want 113", invalid, err)
			}
		})
	}
}

func TestTrustLeavesTheChecksumAlone(t *testing.T) {
	m, _ := goldenTree(t)
	f, err := m.Open("/srv/node/sdb1/objects/13/113/d575ab15bbd6f0c3e3663a53d7a78113/1700000000.00000.data", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetXattr("user.swift.metadata_checksum", []byte(strings.Repeat("0", 32))); err != nil {
		t.Fatal(err)
	}
	o := store.Object{Device: "sdb1", Partition: "13", Account: "AUTH_test", Container: "c", Name: "o1"}
	s := newStore(t, m, "/srv/node")
	r, err := s.Open(context.Background(), o, store.OpenOptions{Trust: true})
	if err != nil {
		t.Fatalf("open with trust: %v", err)
	}
	r.Close()
	if _, err := s.Open(context.Background(), o, store.OpenOptions{}); !errors.Is(err, store.ErrQuarantined) {
		t.Errorf("open without trust: %v, want ErrQuarantined", err)
	}
}

func parse(t *testing.T, s string) timestamp.Timestamp {
	t.Helper()
	at, err := timestamp.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
