package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/ring"
)

// Heal lifts all faults: devices are put back, nodes started, and so much time passes that the proxy asks all of them
// again.
func (c *Cluster) Heal() error {
	c.SetFaults(nil)
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Heal())
	}
	c.Clock.Advance(2 * time.Minute) // more than error_suppression_interval and the caches' times
	return errors.Join(errs...)
}

// Heal lifts the node's own faults: the device is put back, its disk is whole, and the servers run.
func (n *Node) Heal() error {
	if err := n.Mount(); err != nil {
		return err
	}
	n.Disk.SetHook(nil)
	if n.Up() {
		return nil
	}
	return n.Start()
}

// Primaries returns the nodes where a name belongs: an account, container or object.
func (c *Cluster) Primaries(account string, rest ...string) []*Node {
	live := []*ring.Live{c.Rings.Account(), c.Rings.Container(), nil}[len(rest)]
	if len(rest) == 2 {
		var err error
		if live, err = c.Rings.Object(0); err != nil {
			c.t.Fatal(err)
		}
	}
	r := live.Ring()
	var out []*Node
	for _, n := range r.AppendPrimaries(nil, r.Partition(c.Conf.Hasher.Sum(account, rest...))) {
		out = append(out, c.byHost[n.HostPort()])
	}
	return out
}

// RunUpdaters makes passes of all nodes' updaters until nothing changes any more. All nodes must be up.
func (c *Cluster) RunUpdaters(ctx context.Context) error {
	for last := -1; ; {
		pending := 0
		for _, n := range c.Nodes {
			if err := n.RunUpdaters(ctx); err != nil {
				return fmt.Errorf("updaters of %s: %w", n.Device, err)
			}
			pending += n.PendingUpdates()
		}
		if pending == last {
			return nil
		}
		last = pending
		c.Clock.Advance(5 * time.Minute)
	}
}

// place is where a node has a database.
func (n *Node) place(sum hashpath.Sum, part uint32) broker.Place {
	return broker.Place{Device: filepath.Join(n.root, n.Device), Partition: strconv.FormatUint(uint64(part), 10), Hash: sum.Hex()}
}

// containers returns the databases that a container's primaries have.
func (c *Cluster) containers(account, container string) []*broker.Container {
	sum := c.Conf.Hasher.Sum(account, container)
	r := c.Rings.Container().Ring()
	part := r.Partition(sum)
	var dbs []*broker.Container
	for _, rn := range r.AppendPrimaries(nil, part) {
		n := c.byHost[rn.HostPort()]
		db := n.alive().pool.Container(n.place(sum, part), account, container)
		if ok, err := db.Exists(); ok && err == nil {
			dbs = append(dbs, db)
		}
	}
	return dbs
}

// ReplicateContainer gives every replica of a container the rows of all others, which is what a replicator does in the end.
func (c *Cluster) ReplicateContainer(account, container string) error {
	dbs := c.containers(account, container)
	for _, from := range dbs {
		rows, err := from.ItemsSince(-1, 1_000_000)
		if err != nil {
			return err
		}
		for _, to := range dbs {
			if to == from {
				continue
			}
			for i := range rows {
				rows[i].ROWID = 0
			}
			if err := to.MergeItems(rows, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// A Replica is what a primary has of an object; Status is 404 if it has none.
type Replica struct {
	Node   *Node
	Status int
	Body   []byte
	// At is when the object was written or deleted, "" if the node knows of neither.
	At string
}

// Replicas asks each primary of an object for what it has. They must be up.
func (c *Cluster) Replicas(ctx context.Context, account, container, object string) ([]Replica, error) {
	var out []Replica
	for _, n := range c.Primaries(account, container, object) {
		resp, err := c.askNode(ctx, n, http.MethodGet, apipath.Path{Account: account, Container: container, Object: object}.Entity(), nil, nil)
		if err != nil {
			return nil, fmt.Errorf("replica on %s: %w", n.Device, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("replica on %s: %w", n.Device, err)
		}
		at := resp.Header.Get("X-Backend-Data-Timestamp")
		if at == "" {
			at = resp.Header.Get("X-Backend-Timestamp")
		}
		out = append(out, Replica{n, resp.StatusCode, body, at})
	}
	return out, nil
}

// ReplicateObject gives every primary of an object the newest version that one of them has, which is what a replicator does.
func (c *Cluster) ReplicateObject(ctx context.Context, account, container, object string) error {
	replicas, err := c.Replicas(ctx, account, container, object)
	if err != nil {
		return err
	}
	newest := slices.MaxFunc(replicas, func(a, b Replica) int { return strings.Compare(a.At, b.At) })
	for _, r := range replicas {
		if r.At == newest.At {
			continue
		}
		h, method := http.Header{"X-Timestamp": {newest.At}, "Content-Type": {"application/octet-stream"}, "X-Backend-Replication": {"true"}}, http.MethodPut
		if newest.Status == http.StatusNotFound {
			method = http.MethodDelete
		}
		resp, err := c.askNode(ctx, r.Node, method, apipath.Path{Account: account, Container: container, Object: object}.Entity(), h, newest.Body)
		if err != nil {
			return fmt.Errorf("replicate to %s: %w", r.Node.Device, err)
		}
		resp.Body.Close()
	}
	return nil
}

// askNode sends a request to an object server, again if a busy machine lets time-outs run out.
func (c *Cluster) askNode(ctx context.Context, n *Node, method, path string, h http.Header, body []byte) (resp *http.Response, err error) {
	for range 10 {
		if resp, err = c.askNodeOnce(ctx, n, method, path, h, body); err == nil {
			break
		}
	}
	return resp, err
}

func (c *Cluster) askNodeOnce(ctx context.Context, n *Node, method, path string, h http.Header, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.addr[2], bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	live, err := c.Rings.Object(0)
	if err != nil {
		return nil, err
	}
	part := live.Ring().Partition(c.Conf.Hasher.SumPath(path))
	r.URL.Path = fmt.Sprintf("/%s/%d%s", n.Device, part, path)
	for k, v := range h {
		r.Header[k] = v
	}
	r.Header.Set("X-Backend-Storage-Policy-Index", "0")
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return c.Transport().RoundTrip(r)
}

// Totals returns what each replica of an account says of a container: its objects and bytes.
func (c *Cluster) Totals(account, container string) ([][2]int64, error) {
	sum := c.Conf.Hasher.Sum(account)
	r := c.Rings.Account().Ring()
	part := r.Partition(sum)
	var out [][2]int64
	for _, n := range c.Primaries(account) {
		rows, err := n.alive().pool.Account(n.place(sum, part), account).ItemsSince(-1, 1_000_000)
		if err != nil {
			return nil, fmt.Errorf("account %s on %s: %w", account, n.Device, err)
		}
		for _, row := range rows {
			if row.Name == container {
				out = append(out, [2]int64{row.ObjectCount, row.BytesUsed})
			}
		}
	}
	return out, nil
}
