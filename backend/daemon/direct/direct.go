// Package direct sends the small requests of daemons to storage nodes: no body in either direction that matters, one
// time limit, no retries and no memory of errors. Requests go to the nodes' replication addresses, away from the
// clients' network.
//
// Nodes are reached through an http.RoundTripper (see package nodes). A node in this process cannot be interrupted, so
// each request runs on a goroutine of its own, which is left behind when its time is up and ends when the node does.
//
//	client := direct.Client{Transport: transport, Timeout: 3 * time.Second, UserAgent: "container-updater 123"}
//	for _, a := range client.All(ctx, nodes, direct.Request{Method: "PUT", Partition: part, Path: "/AUTH_test/photos", Header: h}) {
//		...
//	}
package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/ring"
)

// ErrTimeout means that a node did not answer in time. Whether it did what it was asked to is not known.
var ErrTimeout = errors.New("node did not answer in time")

// maxBody bounds what is read of an answer's body, so that its connection can be used again.
const maxBody = 64 << 10

// A Client sends requests. It is safe for concurrent use if its Transport is.
type Client struct {
	Transport http.RoundTripper
	// Timeout bounds each request.
	Timeout time.Duration
	// UserAgent is sent with each request.
	UserAgent string
}

// A Request is what a node, or each of several, is asked.
type Request struct {
	Method    string
	Partition uint32
	// Path is what follows device and partition, decoded: "/a/c/o".
	Path string
	// Header is copied.
	Header http.Header
}

// An Answer is what became of a request to one node.
type Answer struct {
	Node ring.Node
	// Code is the status, 0 if there is none because of Err.
	Code   int
	Header http.Header
	// Err is why there is no status.
	Err error
}

// OK reports a status of success.
func (a Answer) OK() bool { return a.Code >= 200 && a.Code < 300 }

// All sends the request to all nodes at once and returns their answers in the same order.
func (c *Client) All(ctx context.Context, nodes []ring.Node, r Request) []Answer {
	answers := make([]Answer, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { answers[i] = c.Send(ctx, n, r) })
	}
	wg.Wait()
	return answers
}

// Send sends the request to one node.
func (c *Client) Send(ctx context.Context, n ring.Node, r Request) Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, ErrTimeout)
	defer cancel()
	done := make(chan Answer, 1)
	req := c.request(ctx, n, r)
	go func() { done <- c.exchange(n, req) }()
	select {
	case a := <-done:
		if a.Err != nil && ctx.Err() != nil {
			a.Err = context.Cause(ctx)
		}
		if a.Err != nil {
			a.Err = fmt.Errorf("%s %s at %s/%s: %w", r.Method, r.Path, n.ReplicationHostPort(), n.Name, a.Err)
		}
		return a
	case <-ctx.Done():
		return Answer{Node: n, Err: fmt.Errorf("%s %s at %s/%s: %w", r.Method, r.Path, n.ReplicationHostPort(), n.Name, context.Cause(ctx))}
	}
}

func (c *Client) request(ctx context.Context, n ring.Node, r Request) *http.Request {
	path := "/" + n.Name + "/" + strconv.FormatUint(uint64(r.Partition), 10) + r.Path
	h := maps.Clone(r.Header)
	if h == nil {
		h = http.Header{}
	}
	h.Set("User-Agent", c.UserAgent)
	req := &http.Request{
		Method: r.Method, Host: n.ReplicationHostPort(), Header: h, Body: http.NoBody,
		URL:   &url.URL{Scheme: "http", Host: n.ReplicationHostPort(), Path: path, RawPath: apipath.Quote(path)},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return req.WithContext(ctx)
}

func (c *Client) exchange(n ring.Node, req *http.Request) Answer {
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return Answer{Node: n, Err: err}
	}
	// The status has decided; a body that breaks off only costs the connection.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	resp.Body.Close()
	return Answer{Node: n, Code: resp.StatusCode, Header: resp.Header}
}
