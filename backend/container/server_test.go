package container

import (
	"strings"
	"testing"

	"github.com/apus-storage/apus/backend/broker/dbserver/dbservertest"
)

var (
	do   = dbservertest.Do
	read = dbservertest.Read
)

// newServer makes a server with one device, sdb1, and the policies of the fixtures.
func newServer(t testing.TB, change func(*Config, *Deps)) *Server {
	t.Helper()
	c, d := DefaultConfig(), Deps{Deps: dbservertest.Deps(t)}
	c.Devices, c.MountCheck = dbservertest.Devices(t), false
	if change != nil {
		change(&c, &d)
	}
	s, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCasesOfSwift(t *testing.T) { dbservertest.Cases(t, newServer(t, nil)) }

func TestHeadTellsItsLength(t *testing.T) {
	dbservertest.HeadTellsItsLength(t, newServer(t, nil), "/sdb1/1/AUTH_test/c")
}

// TestConversationsOfSwift has one server play those of three nodes.
func TestConversationsOfSwift(t *testing.T) {
	told := &accounts{status: map[string]int{}}
	s := newServer(t, func(_ *Config, d *Deps) { d.Transport = told })
	dbservertest.AddDevices(t, s.config.Devices, "sdb2", "sdb3")
	dbservertest.Conversations(t, s)
	if len(told.seen) != 9 {
		t.Errorf("accounts were told %d times, want 9: three containers on three nodes\n%s", len(told.seen), strings.Join(told.seen, "\n"))
	}
}
