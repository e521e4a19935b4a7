package builder

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apus-storage/apus/internal/pickle"
	"github.com/apus-storage/apus/ring/internal/atomicfile"
)

// Load reads a builder file, whether OpenStack Swift's tool wrote it or this package did: the format is the same.
func Load(path string) (*Builder, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load builder: %w", err)
	}
	b, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("load builder %s: %w", path, err)
	}
	return b, nil
}

// Save writes b to path, in place of what is there. A builder that has no id yet gets one.
func (b *Builder) Save(path string) error {
	if b.id == "" {
		b.id = newID()
	}
	data, err := b.Encode()
	if err == nil {
		err = atomicfile.Replace(path, data)
	}
	if err != nil {
		return fmt.Errorf("save builder %s: %w", path, err)
	}
	return nil
}

// newID returns a random UUID in hex.
func newID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6] = u[6]&0x0f | 0x40 // version 4: random
	u[8] = u[8]&0x3f | 0x80
	return hex.EncodeToString(u[:])
}

// BackupDir returns the directory next to a builder or ring file that keeps copies of it, and makes it.
func BackupDir(path string) (string, error) {
	dir := filepath.Join(filepath.Dir(path), "backups")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make backup directory: %w", err)
	}
	return dir, nil
}

// Decode reads the content of a builder file. Errors match [ErrFormat].
func Decode(data []byte) (*Builder, error) {
	v, err := pickle.Decode(data)
	if global, ok := errors.AsType[*pickle.GlobalError](err); ok {
		return nil, fmt.Errorf("%w: it holds a Python object (%w); a builder this old has to be loaded and saved once by "+
			"swift-ring-builder of a release from before 3.0", ErrFormat, global)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	dict, ok := v.(*pickle.Dict)
	if !ok {
		return nil, fmt.Errorf("%w: it holds a %T, want a dictionary", ErrFormat, v)
	}
	u := unpickler{dict: dict, seen: make(map[string]bool)}
	b := u.builder()
	if u.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, u.err)
	}
	return b, nil
}

// Encode returns the content of a builder file: the pickle of a dictionary as swift-ring-builder reads it.
func (b *Builder) Encode() ([]byte, error) {
	var d pickle.Dict
	var err error
	set := func(key string, value any) {
		if err == nil {
			err = d.Set(key, value)
		}
	}
	set("part_power", int(b.partPower))
	set("next_part_power", nil)
	if b.nextPartPower >= 0 {
		set("next_part_power", b.nextPartPower)
	}
	set("replicas", b.replicas)
	set("min_part_hours", b.minPartHours)
	set("parts", b.Partitions())
	devs, removed := make([]any, len(b.devs)), []any{}
	for dev := range b.Devices() {
		m, err := pickleDevice(dev)
		if err != nil {
			return nil, err
		}
		devs[dev.ID] = m
		if dev.Removed {
			removed = append(removed, m)
		}
	}
	set("devs", devs)
	set("devs_changed", b.changed)
	set("version", b.version)
	set("overload", b.overload)
	set("_replica2part2dev", b.pickleRows())
	set("_last_part_moves_epoch", b.lastEpoch)
	set("_last_part_moves", nil)
	if b.lastMoves != nil {
		moves := make([]uint32, len(b.lastMoves))
		for i, h := range b.lastMoves {
			moves[i] = uint32(h)
		}
		set("_last_part_moves", pickle.Array{Typecode: 'B', Values: moves})
	}
	set("_last_part_gather_start", b.gatherStart)
	graph, gerr := pickleGraph(b.graph)
	set("_dispersion_graph", graph)
	set("dispersion", b.dispersion)
	set("_remove_devs", removed)
	if b.id != "" {
		set("id", b.id)
	}
	if b.idBytes != 0 {
		set("dev_id_bytes", b.idBytes)
	}
	if err = errors.Join(err, gerr); err != nil {
		return nil, err
	}
	return pickle.Encode(&d)
}

// pickleRows gives the table of assignments in arrays of two bytes an id, or of four if ids need it.
func (b *Builder) pickleRows() any {
	if !b.Rebalanced() {
		return nil
	}
	typecode := byte('H')
	if b.idBytes == 4 {
		typecode = 'I'
	}
	rows := make([]any, len(b.rows))
	for i, row := range b.rows {
		rows[i] = pickle.Array{Typecode: typecode, Values: row}
	}
	return rows
}

func pickleDevice(d *Device) (*pickle.Dict, error) {
	m := d.Map()
	m["parts"], m["parts_wanted"] = int64(d.Parts), int64(d.Wanted)
	v, err := toPickle(m)
	if err != nil {
		return nil, fmt.Errorf("device %d: %w", d.ID, err)
	}
	return v.(*pickle.Dict), nil
}

func pickleGraph(graph []TierCount) (*pickle.Dict, error) {
	var d pickle.Dict
	for _, t := range graph {
		key := pickle.Tuple{int64(t.Region)}
		if t.Zone >= 0 {
			key = append(key, int64(t.Zone))
			if t.IP != "" || t.ID >= 0 {
				key = append(key, t.IP)
			}
			if t.ID >= 0 {
				key = append(key, int64(t.ID))
			}
		}
		if err := d.Set(key, t.Counts); err != nil {
			return nil, err
		}
	}
	return &d, nil
}
