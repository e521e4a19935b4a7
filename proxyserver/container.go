package proxyserver

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/proxyserver/fanout"
	"github.com/apus-storage/apus/ring"
)

var containerController = controller{cors: true, handlers: []handler{
	{method: http.MethodGet, serve: (*exchange).getContainer, delayed: true},
	{method: http.MethodHead, serve: (*exchange).getContainer, delayed: true},
	{method: http.MethodPut, serve: (*exchange).putContainer},
	{method: http.MethodPost, serve: (*exchange).postContainer},
	{method: http.MethodDelete, serve: (*exchange).deleteContainer},
	{method: http.MethodOptions, serve: (*exchange).options},
	{method: "UPDATE", serve: (*exchange).updateContainer, private: true},
}}

// containerHeaders are stored with a container, besides its metadata.
var containerHeaders = []string{
	"X-Container-Read", "X-Container-Write", "X-Container-Sync-Key", "X-Container-Sync-To", "X-Versions-Location",
}

const (
	headerRecordType = "X-Backend-Record-Type"
	headerSharding   = "X-Container-Sharding"
	sysmetaSharding  = "X-Container-Sysmeta-Sharding"
	headerPolicy     = "X-Backend-Storage-Policy-Index"
)

func (x *exchange) getContainer() (*response, error) {
	q := parseQuery(x.r.URL.RawQuery)
	if x.r.Method == http.MethodGet {
		if err := q.checkListing(x.cluster.Limits.ContainerListingLimit); err != nil {
			// In Swift a node finds the fault, and who may not list learns nothing of it. No node has been asked for
			// the container's ACL here: what it would allow does not count.
			if denied := x.authorize(""); denied != nil {
				return nil, denied
			}
			return nil, err
		}
	}
	if !x.autoCreated() {
		if missing := x.checkAccount(); missing != nil {
			if err := x.authorize(""); err != nil {
				return nil, err
			}
			return nil, missing
		}
	}
	q = q.with("format", "json")
	h := x.clientHeaders()
	auto := false
	if x.r.Method == http.MethodGet && len(h[headerRecordType]) == 0 {
		// A sharded container answers this with its shards rather than with what is left in itself.
		h[headerRecordType] = []string{"auto"}
		q = q.with("states", "listing")
		auto = true
	}
	rawQuery := q.encode()
	resp := x.read(x.containerTarget(x.path.Account, x.path.Container, rawQuery), x.sign(h, rawQuery))
	info := lookup.ContainerFromHeaders(resp.status, resp.header)
	lookup.StoreContainer(x.r.Context(), x.lifetimes, x.path.Account, x.path.Container, info)
	if err := x.authorize(info.ReadACL); err != nil {
		resp.close()
		return nil, err
	}
	if auto && strings.EqualFold(resp.header.Get(headerRecordType), "shard") {
		resp.close()
		return nil, errNoShards("Listings of sharded containers are not implemented.")
	}
	if !x.state.Owner {
		resp.header = x.withoutOwners(resp.header)
	}
	if x.state.Reseller {
		resp.header.Set(headerSharding, pythonBool(meta.Truthy(resp.header.Get(sysmetaSharding))))
	}
	return resp, nil
}

func (resp *response) close() {
	if resp.body != nil {
		resp.body.Close()
	}
}

func errNoShards(text string) error {
	return plain(http.StatusNotImplemented, text).Because(errSharded)
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// checkContainerHeaders is what PUT and POST have in common.
func (x *exchange) checkContainerHeaders() (http.Header, error) {
	acls := http.Header{}
	if x.state.CleanACL != nil {
		for _, name := range []string{"X-Container-Read", "X-Container-Write"} {
			if _, ok := x.r.Header[name]; !ok {
				continue
			}
			clean, err := x.state.CleanACL(strings.ToLower(name), meta.Value(x.r.Header, name))
			if err != nil {
				return nil, reply.Raw(http.StatusBadRequest, err.Error())
			}
			acls[name] = []string{clean}
		}
	}
	if err := x.checkMeta(meta.Container); err != nil {
		return nil, err
	}
	return acls, nil
}

// containerWriteHeaders are the headers of a PUT or POST.
func (x *exchange) containerWriteHeaders(acls http.Header) http.Header {
	h := x.writeHeaders(meta.Container, containerHeaders)
	for name, v := range acls {
		if _, ok := h[name]; ok {
			h[name] = v
		}
	}
	if v, ok := x.r.Header[headerSharding]; ok && x.state.Reseller {
		h[sysmetaSharding] = []string{pythonBool(meta.Truthy(v[0]))}
	}
	return h
}

func (x *exchange) putContainer() (*response, error) {
	acls, err := x.checkContainerHeaders()
	if err != nil {
		return nil, err
	}
	index, given, err := x.wantedPolicy()
	if err != nil {
		return nil, err
	}
	if limit := x.nameLimit(x.cluster.Limits.MaxContainerNameLength); utf8.RuneCountInString(x.path.Container) > limit {
		return nil, tooLong("Container", x.path.Container, limit)
	}
	account := x.account()
	if !(account.Exists() && account.ReallyExists) && x.config.AccountAutocreate {
		if !x.createAccount() {
			return nil, reply.Status(http.StatusServiceUnavailable)
		}
		account = x.account()
	}
	if !(account.Exists() && account.ReallyExists) {
		return nil, reply.Status(http.StatusNotFound)
	}
	if most := x.config.MaxContainersPerAccount; most > 0 && account.Containers.Int() >= int64(most) &&
		!slices.Contains(x.config.MaxContainersWhitelist, x.path.Account) && !x.container().Exists() {
		return nil, reply.Raw(http.StatusForbidden, "Reached container limit of "+strconv.Itoa(most))
	}
	h := x.containerWriteHeaders(acls)
	h["X-Timestamp"] = []string{x.now().Internal()}
	if given {
		h[headerPolicy] = []string{index.String()}
	} else {
		h["X-Backend-Storage-Policy-Default"] = []string{x.cluster.Policies.Default().Index.String()}
	}
	t := x.containerTarget(x.path.Account, x.path.Container, "")
	resp := x.write(t, fanout.Write{Method: http.MethodPut, Headers: x.withAccountNodes(h, t.Replicas())})
	lookup.Forget(x.r.Context(), x.path.Account, x.path.Container)
	return resp, nil
}

// wantedPolicy is the policy that the client names, if any.
func (x *exchange) wantedPolicy() (i policy.Index, given bool, err error) {
	name := x.r.Header.Get("X-Storage-Policy")
	if name == "" {
		return 0, false, nil
	}
	p, ok := x.cluster.Policies.ByName(name)
	switch {
	case !ok:
		return 0, false, plain(http.StatusBadRequest, "Invalid X-Storage-Policy '"+meta.ToStored(name)+"'")
	case p.Deprecated:
		return 0, false, reply.Raw(http.StatusBadRequest, "Storage Policy '"+p.Name+"' is deprecated")
	}
	return p.Index, true, nil
}

// withAccountNodes makes the headers of n requests to container nodes, each of which is to tell some of the account's
// nodes about the container.
func (x *exchange) withAccountNodes(h http.Header, n int) []http.Header {
	t := x.accountTarget(x.path.Account, "")
	accounts := t.Ring.AppendPrimaries(nil, t.Part)
	hs := make([]http.Header, n)
	for i := range hs {
		hs[i] = h.Clone()
	}
	replication := meta.Truthy(h.Get("X-Backend-Use-Replication-Network"))
	for i, node := range accounts {
		spread(hs[i%n], "X-Account", t.Part, node, replication)
	}
	return hs
}

// spread adds a node to the lists of those that a storage node is to update.
func spread(h http.Header, prefix string, part uint32, n ring.Node, replication bool) {
	host := n.HostPort()
	if replication {
		host = n.ReplicationHostPort()
	}
	h[prefix+"-Partition"] = []string{strconv.FormatUint(uint64(part), 10)}
	appendList(h, prefix+"-Host", host)
	appendList(h, prefix+"-Device", n.Name)
}

func appendList(h http.Header, name, v string) {
	if old := h[name]; len(old) > 0 && old[0] != "" {
		v = old[0] + "," + v
	}
	h[name] = []string{v}
}

func (x *exchange) postContainer() (*response, error) {
	acls, err := x.checkContainerHeaders()
	if err != nil {
		return nil, err
	}
	if err := x.checkAccount(); err != nil {
		return nil, err
	}
	lookup.Forget(x.r.Context(), x.path.Account, x.path.Container)
	t := x.containerTarget(x.path.Account, x.path.Container, "")
	h := x.containerWriteHeaders(acls)
	return x.write(t, fanout.Write{Method: http.MethodPost, Headers: repeat(h, t.Replicas())}), nil
}

func (x *exchange) deleteContainer() (*response, error) {
	if err := x.checkAccount(); err != nil {
		return nil, err
	}
	lookup.Forget(x.r.Context(), x.path.Account, x.path.Container)
	t := x.containerTarget(x.path.Account, x.path.Container, "")
	h := x.writeHeaders(meta.Container, containerHeaders)
	h["X-Backend-Storage-Policy-Default"] = []string{x.cluster.Policies.Default().Index.String()}
	resp := x.write(t, fanout.Write{Method: http.MethodDelete, Headers: x.withAccountNodes(h, t.Replicas())})
	if resp.status == http.StatusAccepted { // no node had it
		return nil, reply.Status(http.StatusNotFound)
	}
	return resp, nil
}

// maxUpdateBody bounds the rows of one UPDATE. They come from within the cluster, in batches.
const maxUpdateBody = 64 << 20

// updateContainer passes rows from within the cluster on to the container's nodes.
func (x *exchange) updateContainer() (*response, error) {
	index, ok := policy.ParseIndex(x.r.Header.Get(headerPolicy))
	if !ok || x.r.Header.Get(headerPolicy) == "" {
		return nil, plain(http.StatusBadRequest, "Missing "+headerPolicy+" header")
	}
	rows := x.clientBody()
	rows.left = maxUpdateBody
	body, err := io.ReadAll(rows)
	rows.done()
	if err != nil {
		return nil, putError(err)
	}
	t := x.containerTarget(x.path.Account, x.path.Container, "")
	h := x.writeHeaders(meta.Container, containerHeaders)
	h[headerPolicy] = []string{index.String()}
	return x.write(t, fanout.Write{Method: "UPDATE", Headers: repeat(h, t.Replicas()), Body: body}), nil
}
