package s3gateway

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// listing is ListAllMyBucketsResult, as stores send it and as clients get it.
type listing struct {
	XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner             owner    `xml:"Owner"`
	Buckets           []listed `xml:"Buckets>Bucket"`
	ContinuationToken string   `xml:"ContinuationToken,omitempty"`
	Prefix            string   `xml:"Prefix,omitempty"`
}

type owner struct {
	ID          string `xml:"ID"`
	DisplayName string `xml:"DisplayName,omitempty"`
}

type listed struct {
	Name         string `xml:"Name"`
	CreationDate string `xml:"CreationDate"`
}

const (
	longestListing = 64 << 20 // of one page of a store, in bytes
	mostPages      = 1000
	mostBuckets    = 10000 // on one page for a client; AWS' bound
)

// listBuckets lists the buckets of all stores that a client can get at by some route, as the client calls them.
func (x *exchange) listBuckets() error {
	if x.r.Method != http.MethodGet {
		return s3err.MethodNotAllowed.With("Method", x.r.Method, "ResourceType", "SERVICE")
	}
	for name := range x.query {
		if !slices.Contains([]string{"max-buckets", "continuation-token", "prefix", "bucket-region", "x-id"}, name) {
			return s3err.NotImplemented.Say("This listing of buckets is not implemented.", "Parameter", name)
		}
	}
	most, after, err := x.page()
	if err != nil {
		return err
	}
	page := listing{Owner: owner{x.caller.Identity.Name, x.caller.Identity.Name}, Prefix: x.query.Get("prefix")}
	all := make(map[string]string)
	if region := x.query.Get("bucket-region"); region == "" || region == x.config.Region {
		groups := x.groups()
		for _, group := range groups {
			o, err := x.collect(group, all)
			if err != nil {
				return err
			}
			// What a single store calls the client is what its ACLs are about.
			if len(groups) == 1 && len(group.Upstreams()) == 1 && o.ID != "" {
				page.Owner = o
			}
		}
	}
	for name, created := range all {
		if name > after && strings.HasPrefix(name, page.Prefix) {
			page.Buckets = append(page.Buckets, listed{name, created})
		}
	}
	slices.SortFunc(page.Buckets, func(a, b listed) int { return strings.Compare(a.Name, b.Name) })
	if len(page.Buckets) > most {
		page.Buckets = page.Buckets[:most]
		page.ContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(page.Buckets[most-1].Name))
	}
	document, err := xml.Marshal(page)
	if err != nil {
		return err
	}
	x.write(http.StatusOK, append([]byte(xmlHead), document...))
	return nil
}

// page reads how many buckets the client wants, and after which.
func (x *exchange) page() (most int, after string, err error) {
	most = mostBuckets
	if text := x.query.Get("max-buckets"); text != "" {
		if most, err = strconv.Atoi(text); err != nil || most < 1 || most > mostBuckets {
			return 0, "", s3err.InvalidArgument.Say("max-buckets must be between 1 and 10000.", "ArgumentName", "max-buckets", "ArgumentValue", text)
		}
	}
	token := x.query.Get("continuation-token")
	name, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, "", s3err.InvalidArgument.Say("The continuation token provided is incorrect.", "ArgumentName", "continuation-token", "ArgumentValue", token)
	}
	return most, string(name), nil
}

// groups are the groups of stores that routes lead to, each once. All stores of a mirror count.
func (x *exchange) groups() []*upstream.Group {
	seen := make(map[string]bool)
	var groups []*upstream.Group
	add := func(g *upstream.Group) {
		var names []string
		for _, u := range g.Upstreams() {
			names = append(names, u.Name())
		}
		if key := strings.Join(names, ","); !seen[key] {
			seen[key] = true
			groups = append(groups, g)
		}
	}
	for _, r := range x.routes.Routes() {
		w := x.ways[r]
		if r.Policy == route.Mirror {
			add(w.group.Primary())
			add(w.group.Secondary())
			continue
		}
		add(w.group)
	}
	return groups
}

// collect adds the buckets of a group of stores, with the dates of their making, and returns what the store calls their owner.
// Stores at which the client may not list are left out.
func (x *exchange) collect(group *upstream.Group, all map[string]string) (owner, error) {
	var who owner
	token := ""
	for range mostPages {
		c := upstream.Call{Method: http.MethodGet, Header: make(http.Header), Token: x.caller.Token, Identity: x.caller.Identity.Name}
		if token != "" {
			c.Query = url.Values{"continuation-token": {token}}.Encode()
		}
		resp, from, err := x.ask(x.r.Context(), group, c)
		if err != nil {
			return who, x.unanswered(err)
		}
		group = upstream.Only(from) // whose token the next page is asked with
		x.asked = from.Name()
		page, err := readListing(resp)
		if errors.Is(err, s3err.AccessDenied) {
			x.log.Info("a store does not list its buckets", "upstream", from.Name(), "identity", x.caller.Identity.Name)
			return who, nil
		}
		if err != nil {
			return who, err
		}
		who = page.Owner
		for _, b := range page.Buckets {
			for _, name := range x.mine(from, b.Name) {
				if _, there := all[name]; !there {
					all[name] = b.CreationDate
				}
			}
		}
		if token = page.ContinuationToken; token == "" {
			return who, nil
		}
	}
	return who, s3err.InternalError.With().Because(fmt.Errorf("a store's list of buckets has no end after %d pages", mostPages))
}

func readListing(resp *http.Response) (*listing, error) {
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized:
		return nil, s3err.AccessDenied.With()
	case resp.StatusCode != http.StatusOK:
		return nil, storeError(resp)
	}
	var raw struct {
		Owner             owner    `xml:"Owner"`
		Buckets           []listed `xml:"Buckets>Bucket"`
		ContinuationToken string   `xml:"ContinuationToken"`
	}
	if err := xml.NewDecoder(io.LimitReader(resp.Body, longestListing)).Decode(&raw); err != nil {
		return nil, s3err.InternalError.With().WithStatus(http.StatusBadGateway).Because(fmt.Errorf("read a store's list of buckets: %w", err))
	}
	return &listing{Owner: raw.Owner, Buckets: raw.Buckets, ContinuationToken: raw.ContinuationToken}, nil
}

// mine are the names by which the client gets at a store's bucket: none, if no route leads there.
func (x *exchange) mine(store *upstream.Upstream, theirs string) []string {
	var names []string
	for _, r := range x.routes.Routes() {
		name, ok := r.Client(theirs)
		if !ok || !slices.Contains(r.Upstreams, store.Name()) || !x.caller.Identity.Sees(name) || x.caller.Version == 2 && !r.AllowV2 {
			continue
		}
		// An earlier route may lead elsewhere.
		if w := x.find(route.Target{Bucket: name, Key: r.Prefix}, http.MethodGet, x.caller.Identity.Name); w == nil || w.route != r {
			continue
		}
		names = append(names, name)
	}
	return names
}

// storeError is what a store says is wrong, as an error of the gateway's.
func storeError(resp *http.Response) error {
	var said struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	// What is no document has no code.
	_ = xml.NewDecoder(io.LimitReader(resp.Body, small)).Decode(&said)
	if said.Code == "" {
		said.Code = string(s3err.InternalError)
		if resp.StatusCode == http.StatusServiceUnavailable {
			said.Code = string(s3err.ServiceUnavailable)
		}
	}
	return s3err.Code(said.Code).Say(said.Message).WithStatus(resp.StatusCode)
}
