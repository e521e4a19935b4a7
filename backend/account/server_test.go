package account

import (
	"testing"

	"github.com/apus-storage/apus/backend/broker/dbserver/dbservertest"
)

// newServer makes a server with one device, sdb1, and the policies of the fixtures.
func newServer(t testing.TB, change func(*Config, *Deps)) *Server {
	t.Helper()
	c, d := DefaultConfig(), dbservertest.Deps(t)
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
	dbservertest.HeadTellsItsLength(t, newServer(t, nil), "/sdb1/1/AUTH_test")
}

// TestConversationsOfSwift has one server play those of three nodes.
func TestConversationsOfSwift(t *testing.T) {
	s := newServer(t, nil)
	dbservertest.AddDevices(t, s.Config.Devices, "sdb2", "sdb3")
	dbservertest.Conversations(t, s)
}
