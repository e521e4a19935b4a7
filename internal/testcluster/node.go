package testcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/apus-storage/apus/backend/account"
	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/backend/container"
	"github.com/apus-storage/apus/backend/containerupdater"
	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/backend/objectupdater"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/serve"
)

// A Node is one device with account, container and object servers of its own.
type Node struct {
	// Index counts from 0; Device is the device's name.
	Index  int
	Device string
	// Disk is where the object server keeps objects; faults are put there with its SetHook.
	Disk *disk.Faults

	c      *Cluster
	root   string // what an operator would call "devices"
	memory *disk.Memory
	addr   [3]string
	tcp    bool
	// listening are the servers of a node that is reached over TCP.
	listening []*http.Server

	mu   sync.Mutex // guards the rest
	life *life      // nil while the node is down
	away bool
}

// life is what a node has between start and stop.
type life struct {
	dead    chan struct{}
	direct  *nodes.Direct
	pool    *broker.Pool
	servers []interface {
		http.Handler
		Close() error
	}
	handlers [3]http.Handler
	calls    calls
}

// calls counts requests under way, of which none begins after the end.
type calls struct {
	mu    sync.Mutex
	idle  *sync.Cond
	n     int
	ended bool
}

func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.n++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	c.idle.Broadcast()
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

func (c *calls) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.n > 0 {
		c.idle.Wait()
	}
}

func (c *Cluster) newNode(i int) (*Node, error) {
	n := &Node{
		Index: i, Device: fmt.Sprintf("d%d", i+1), c: c, root: filepath.Join(c.dir, fmt.Sprintf("node%d", i+1)),
		tcp: c.options.Kind == TCP || c.options.Kind == Mixed && i%2 == 1,
	}
	if err := os.MkdirAll(filepath.Join(n.root, n.Device), 0o755); err != nil {
		return nil, err
	}
	var under disk.FS = disk.OS{}
	if c.options.Memory {
		n.memory = disk.NewMemory(disk.Space{Total: 1 << 40, Free: 1 << 39})
		under = journal{n.memory}
		if _, err := disk.MkdirAll(under, n.root+"/"+n.Device); err != nil {
			return nil, err
		}
		if err := under.SyncDir(n.root + "/" + n.Device); err != nil {
			return nil, err
		}
	}
	n.Disk = disk.NewFaults(under, nil)
	for s := range n.addr {
		n.addr[s] = net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+10*i+s)) // nobody listens there
		if n.tcp {
			if err := n.listen(s); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// journal syncs a directory's parents with it, as file systems with a journal do; see package diskfile.
type journal struct{ *disk.Memory }

func (j journal) SyncDir(name string) error {
	if err := j.Memory.SyncDir(name); err != nil {
		return err
	}
	for name != "/" {
		name = filepath.Dir(name)
		if err := j.Memory.SyncDir(name); err != nil {
			return err
		}
	}
	return nil
}

func splitAddr(addr string) (string, int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	p, err := strconv.Atoi(port)
	return host, p, err
}

// Start starts the node's servers. It must be down.
func (n *Node) Start() error {
	l := &life{dead: make(chan struct{}), direct: nodes.NewDirect(nil)}
	l.calls.idle = sync.NewCond(&l.calls.mu)
	if err := n.makeServers(l); err != nil {
		return err
	}
	for s, h := range l.servers {
		l.handlers[s] = counted(h, &l.calls)
		l.direct.Handle(n.addr[s], l.handlers[s])
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life = l
	return nil
}

func counted(h http.Handler, c *calls) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.enter() {
			panic(http.ErrAbortHandler)
		}
		defer c.leave()
		h.ServeHTTP(w, r)
	})
}

// makeServers makes the node's three servers on its own pool of databases.
func (n *Node) makeServers(l *life) error {
	c := n.c
	bo := broker.Options{Logger: c.options.Log, Clock: c.Clock}
	if c.options.Kind == Direct {
		// SQLite's readers wait for its writers by the kernel's clock, its writers for its readers by the bubble's, which
		// stands still meanwhile.
		bo.BusyTimeout = 100 * time.Millisecond
	}
	l.pool = broker.NewPool(bo)
	deps := dbserver.Deps{
		Logger: c.options.Log, Clock: c.Clock, Hasher: c.Conf.Hasher, Policies: c.Conf.Policies, Limits: c.Conf.Limits,
		Brokers: l.pool, Transport: c.Transport(),
	}
	ac := account.DefaultConfig()
	ac.Devices, ac.MountCheck, ac.LogRequests, ac.FallocateReserve = n.root, false, false, disk.Reserve{}
	accounts, err1 := account.New(ac, deps)
	cc := container.DefaultConfig()
	cc.Devices, cc.MountCheck, cc.LogRequests, cc.FallocateReserve = n.root, false, false, disk.Reserve{}
	cc.NodeTimeout = config.Duration{Duration: min(cc.NodeTimeout.Duration, c.options.NodeTimeout/2)}
	containers, err2 := container.New(cc, container.Deps{Deps: deps})
	oc := object.DefaultConfig()
	oc.Devices, oc.MountCheck, oc.LogRequests = n.root, false, false
	oc.NodeTimeout = config.Duration{Duration: min(oc.NodeTimeout.Duration, c.options.NodeTimeout/2)}
	oc.ContainerUpdateTimeout = config.Duration{Duration: min(oc.ContainerUpdateTimeout.Duration, c.options.NodeTimeout/4)}
	oc.SharedSyncs = n.Index%2 == 0 // some nodes of each kind
	if n.memory == nil {
		oc.FallocateReserve = disk.Reserve{}
	}
	objects, err3 := object.New(oc, object.Deps{
		Cluster: c.Conf, Logger: c.options.Log, Clock: c.Clock, FS: n.Disk, Transport: c.Transport(), Version: "test",
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		return errors.Join(err, l.pool.Close())
	}
	l.servers = append(l.servers, accounts, containers, objects)
	return nil
}

// alive returns the current life, nil if the node is down.
func (n *Node) alive() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// Up says whether the node's servers run.
func (n *Node) Up() bool { return n.alive() != nil }

// Stop stops the servers: connections are refused, and answers that are on their way break off. It returns when no
// request is under way any more; what of them has reached the disk stays there. Nothing happens if the node is down.
func (n *Node) Stop() error {
	n.mu.Lock()
	l := n.life
	n.life = nil
	n.mu.Unlock()
	if l == nil {
		return nil
	}
	l.calls.end()
	close(l.dead)
	l.calls.wait()
	var errs []error
	for _, s := range l.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, l.pool.Close())...)
}

// listen opens the address of a service. It stays open while the node is down, so that nobody else gets it: the transport
// refuses connections then.
func (n *Node) listen(service int) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n.addr[service] = l.Addr().String()
	as := serve.Defaults()
	if l, err = as.Wrap(l); err != nil {
		return err
	}
	s := as.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		life := n.alive()
		if life == nil {
			panic(http.ErrAbortHandler)
		}
		serve.Bound(n.c.Conf.Limits, life.handlers[service]).ServeHTTP(w, r)
	}), n.c.options.Log)
	n.listening = append(n.listening, s)
	go func() { _ = s.Serve(l) }() // ends with Close
	return nil
}

// unlisten gives the addresses back.
func (n *Node) unlisten() {
	for _, s := range n.listening {
		s.Close()
	}
}

// Crash cuts the node's power and leaves it down: of what was not synced, the seed keeps some. Without Memory it is a
// kill of the servers.
func (n *Node) Crash(seed uint64) error {
	n.Disk.PowerOff()
	err := n.Stop()
	if n.memory != nil {
		n.memory.Crash(seed)
		n.Disk = disk.NewFaults(journal{n.memory}, nil)
	} else {
		n.Disk = disk.NewFaults(disk.OS{}, nil)
	}
	return err
}

// Unmount takes the device's directory away while the servers run; Mount puts it back.
func (n *Node) Unmount() error { return n.move(true) }

// Mount undoes Unmount. Nothing happens if the device is there.
func (n *Node) Mount() error { return n.move(false) }

func (n *Node) move(away bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away == away {
		return nil
	}
	here, there := n.root+"/"+n.Device, n.root+"-"+n.Device
	if !away {
		here, there = there, here
	}
	if n.memory != nil {
		if err := n.memory.Rename(here, there); err != nil {
			return err
		}
		if err := (journal{n.memory}).SyncDir(n.root); err != nil {
			return err
		}
	}
	if err := os.Rename(here, there); err != nil {
		return err
	}
	n.away = away
	return nil
}

// RunUpdaters makes one pass of the node's updaters.
func (n *Node) RunUpdaters(ctx context.Context) error {
	l := n.alive()
	if l == nil {
		return fmt.Errorf("node %s is down", n.Device)
	}
	c := n.c
	timeout := config.Duration{Duration: c.options.NodeTimeout}
	oc := objectupdater.Defaults()
	oc.Devices, oc.MountCheck, oc.ObjectsPerSecond, oc.NodeTimeout = n.root, false, 0, timeout
	ou, err1 := objectupdater.New(oc, objectupdater.Deps{
		FS: n.Disk, Containers: c.Rings.Container(), Hasher: c.Conf.Hasher, Policies: c.Conf.Policies, Transport: c.Transport(), Clock: c.Clock,
	})
	cc := containerupdater.Defaults()
	cc.Devices, cc.MountCheck, cc.ContainersPerSecond, cc.NodeTimeout = n.root, false, 0, timeout
	cu, err2 := containerupdater.New(cc, containerupdater.Deps{
		Databases: l.pool, Accounts: c.Rings.Account(), Hasher: c.Conf.Hasher, Transport: c.Transport(), Clock: c.Clock,
	})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var errs []error
	for _, task := range []daemon.Task{ou, cu} {
		d, err := daemon.New(task, daemon.Options{Log: c.options.Log, Clock: c.Clock})
		if err == nil {
			err = d.Once(ctx)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// PendingUpdates counts the container updates that wait on the node.
func (n *Node) PendingUpdates() int {
	count := 0
	top := n.root + "/" + n.Device + "/async_pending"
	suffixes, _ := n.Disk.Names(top, nil) // none if it is not there
	for _, s := range suffixes {
		files, _ := n.Disk.Names(top+"/"+s, nil)
		count += len(files)
	}
	return count
}
