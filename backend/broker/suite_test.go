package broker_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/brokertest"
	"github.com/apus-storage/apus/internal/timestamp"
)

type containerUnderTest struct{ *broker.Container }

func (c containerUnderTest) Create(t timestamp.Timestamp) error { return c.Container.Create(t, 0) }

func (c containerUnderTest) PutRow(name string, t timestamp.Timestamp) error {
	return c.PutObject(broker.ObjectRow{Name: name, CreatedAt: t.Internal(), Size: 1, ContentType: "a/b", ETag: "e"})
}

func (c containerUnderTest) DeleteRow(name string, t timestamp.Timestamp) error {
	return c.PutObject(broker.Deletion(name, t, 0))
}

func (c containerUnderTest) Names(r broker.Reading) (names []string, err error) {
	entries, err := c.List(r, broker.ListOptions{Limit: 10000})
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, err
}

type accountUnderTest struct{ *broker.Account }

func (a accountUnderTest) PutRow(name string, t timestamp.Timestamp) error {
	return a.PutContainer(broker.ContainerRow{Name: name, PutTimestamp: t.Internal(), DeleteTimestamp: "0", ObjectCount: 1, BytesUsed: 1})
}

func (a accountUnderTest) DeleteRow(name string, t timestamp.Timestamp) error {
	return a.PutContainer(broker.ContainerRow{Name: name, PutTimestamp: "0", DeleteTimestamp: t.Internal()})
}

func (a accountUnderTest) Names(r broker.Reading) (names []string, err error) {
	entries, err := a.List(r, broker.ListOptions{Limit: 10000})
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, err
}

func TestContainerSuite(t *testing.T) {
	brokertest.Run(t, func(p *broker.Pool, at broker.Place) brokertest.Broker {
		return containerUnderTest{p.Container(at, "a", "c")}
	})
}

func TestAccountSuite(t *testing.T) {
	brokertest.Run(t, func(p *broker.Pool, at broker.Place) brokertest.Broker { return accountUnderTest{p.Account(at, "a")} })
}

// A database on the disk below a device that is out would be lost, and in the way, when the device comes back.
func TestAMissingDeviceIsNotMade(t *testing.T) {
	pool := broker.NewPool(broker.Options{})
	defer pool.Close()
	device := filepath.Join(t.TempDir(), "sda")
	c := pool.Container(broker.Place{Device: device, Partition: "1", Hash: "0123456789abcdef0123456789abcdef"}, "a", "c")
	if err := c.Create(timestamp.FromTime(time.Now()), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("create: %v", err)
	}
	if _, err := os.Stat(device); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the device has been made: %v", err)
	}
}
