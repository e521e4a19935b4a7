// Package lookup answers what filters and controllers keep asking about accounts and containers: does it exist, what
// are its ACLs, policy, quotas, keys. An answer is found, in this order, in the request's own state, in the shared
// cache, or by a HEAD: to the app by way of the access log, if the pipeline has one, else to the rest of the pipeline.
//
// The cache's keys and JSON are Swift's, so proxies of both kinds share one memcached. The proxy's controllers fill it
// ([StoreAccount], [StoreContainer]) whenever they see a HEAD or GET pass, and clear it ([Forget]) after a write.
//
// Infos are shared between requests: do not change them.
package lookup

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
)

// A Text is a string that may be absent; in JSON null, and any scalar is accepted for a string, since releases of
// Swift differ in that.
type Text string

// MarshalJSON writes null for the empty text.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// UnmarshalJSON reads a string, a number, a boolean or null.
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	default:
		*t = Text(b)
	}
	return nil
}

// Int returns the text as a number, 0 if it is none.
func (t Text) Int() int64 {
	n, _ := strconv.ParseInt(string(t), 10, 64)
	return n
}

// Account is what is known of an account.
type Account struct {
	Status       int               `json:"status"`
	Containers   Text              `json:"container_count"`
	Objects      Text              `json:"total_object_count"`
	Bytes        Text              `json:"bytes"`
	Policies     map[string]Usage  `json:"storage_policies"`
	Meta         map[string]string `json:"meta"`    // names lower case, prefix cut
	Sysmeta      map[string]string `json:"sysmeta"` // likewise
	ReallyExists bool              `json:"account_really_exists,omitempty"`
}

// Usage is what an account has in one policy.
type Usage struct {
	Containers int64 `json:"container_count"`
	Objects    int64 `json:"object_count"`
	Bytes      int64 `json:"bytes"`
}

// Exists says whether the status is a success.
func (a *Account) Exists() bool { return a.Status >= 200 && a.Status < 300 }

// Container is what is known of a container.
type Container struct {
	Status          int               `json:"status"`
	ReadACL         Text              `json:"read_acl"`
	WriteACL        Text              `json:"write_acl"`
	SyncTo          Text              `json:"sync_to"`
	SyncKey         Text              `json:"sync_key"`
	Objects         Text              `json:"object_count"`
	Bytes           Text              `json:"bytes"`
	Versions        Text              `json:"versions"`
	Policy          Text              `json:"storage_policy"` // its index
	CORS            CORS              `json:"cors"`
	Meta            map[string]string `json:"meta"`
	Sysmeta         map[string]string `json:"sysmeta"`
	ShardingState   Text              `json:"sharding_state"`
	CreatedAt       Text              `json:"created_at"`
	PutTimestamp    Text              `json:"put_timestamp"`
	DeleteTimestamp Text              `json:"delete_timestamp"`
	StatusChangedAt Text              `json:"status_changed_at"`
}

// CORS is what a container's owner has said about cross-origin requests.
type CORS struct {
	AllowOrigin   Text `json:"allow_origin"`
	ExposeHeaders Text `json:"expose_headers"`
	MaxAge        Text `json:"max_age"`
}

// Exists says whether the status is a success.
func (c *Container) Exists() bool { return c.Status >= 200 && c.Status < 300 }

// SigningKeys returns the keys in the metadata of an account or container with which its owner signs URLs and forms. An
// empty one is none: anybody could sign with it.
func SigningKeys(meta map[string]string) []string {
	var keys []string
	for _, name := range []string{"temp-url-key", "temp-url-key-2"} {
		if key := meta[name]; key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// AccountKey is the cache's key of an account's info.
func AccountKey(account string) string { return "account/" + account }

// ContainerKey is the cache's key of a container's info.
func ContainerKey(account, container string) string { return "container/" + account + "/" + container }

// Subrequest is the HEAD that a lookup makes when nobody knows. Next is the rest of the pipeline as the asking filter
// sees it, for pipelines that have no access log; Source its code in the log.
type Subrequest struct {
	Next   http.Handler
	Source string
	// SkipCache makes the lookup ignore the shared cache, so that what is in it is renewed now and then.
	SkipCache bool
}

// GetAccount returns what is known of an account. A failed lookup is an info with the status of the failure.
func GetAccount(r *http.Request, sub Subrequest, account string) *Account {
	state := request.From(r.Context())
	key := AccountKey(account)
	if a := cached[Account](r.Context(), state, sub, key); a != nil {
		return a
	}
	resp := sub.head(r, apipath.Path{Version: "v1", Account: account}, "GET_ACCOUNT_INFO")
	if a, ok := state.Infos.Get(key).(*Account); ok {
		return a
	}
	a := AccountFromHeaders(resp.Code, resp.Header)
	state.Infos.Put(key, a)
	return a
}

// GetContainer returns what is known of a container. A container of a missing account does not exist. A failed lookup is
// an info with the status of the failure.
func GetContainer(r *http.Request, sub Subrequest, account, container string) *Container {
	state := request.From(r.Context())
	key := ContainerKey(account, container)
	if c := cached[Container](r.Context(), state, sub, key); c != nil {
		return c
	}
	resp := sub.head(r, apipath.Path{Version: "v1", Account: account, Container: container}, "GET_CONTAINER_INFO")
	if c, ok := state.Infos.Get(key).(*Container); ok {
		return c
	}
	c := ContainerFromHeaders(resp.Code, resp.Header)
	state.Infos.Put(key, c)
	return c
}

// UsedBytes returns the bytes in a container, given its info, with those of the versions of its objects: they are in
// another container, which its metadata names.
func UsedBytes(r *http.Request, sub Subrequest, account string, c *Container) int64 {
	n := c.Bytes.Int()
	hidden, _, _ := strings.Cut(apipath.Unquote(c.Sysmeta["versions-container"]), "/")
	if hidden != "" {
		n += GetContainer(r, sub, account, hidden).Bytes.Int()
	}
	return n
}

func (s Subrequest) head(r *http.Request, p apipath.Path, source string) *subreq.Response {
	state := request.From(r.Context())
	filter := cmp.Or(s.Source, state.LookupSource)
	source = cmp.Or(filter, source)
	h := http.Header{"User-Agent": {"Swift"}}
	h["X-Backend-Allow-Reserved-Names"] = []string{"true"} // it is on the caller to keep the result private
	head := subreq.New(r, subreq.Options{Method: http.MethodHead, Path: p.String(), Header: h, Source: source, PreAuthed: true})
	request.From(head.Context()).LookupSource = filter
	head.Header.Del("Origin") // a lookup is no cross-origin request; serving one takes a lookup
	next := s.Next
	if state.Lookups != nil {
		next = state.Lookups
	}
	resp, err := subreq.Small(next, head, 0)
	if err != nil {
		resp.Code = http.StatusServiceUnavailable
	}
	return resp
}

// cached looks in the request's state, then in the shared cache.
func cached[T Account | Container](ctx context.Context, state *request.State, sub Subrequest, key string) *T {
	if v, ok := state.Infos.Get(key).(*T); ok {
		return v
	}
	if state.Cache == nil || sub.SkipCache {
		return nil
	}
	v, err := cache.GetShared[T](ctx, state.Cache, key)
	if err != nil {
		return nil
	}
	state.Infos.Put(key, v)
	return v
}

// Lifetimes say how long infos stay in the shared cache: those of what exists. What does not is remembered for a tenth.
type Lifetimes struct {
	Account, Container time.Duration
}

// StoreAccount keeps the info in the request's state and, if it is worth it, in the shared cache.
func StoreAccount(ctx context.Context, l Lifetimes, account string, a *Account) {
	store(ctx, AccountKey(account), a, a.Status, l.Account)
}

// StoreContainer keeps the info in the request's state and, if it is worth it, in the shared cache.
func StoreContainer(ctx context.Context, l Lifetimes, account, container string, c *Container) {
	store(ctx, ContainerKey(account, container), c, c.Status, l.Container)
}

func store(ctx context.Context, key string, info any, status int, life time.Duration) {
	state := request.From(ctx)
	switch {
	case status >= 200 && status < 300:
	case status == http.StatusNotFound || status == http.StatusGone:
		life /= 10
	default:
		state.Infos.Put(key, info)
		return // a failure says nothing about the next request
	}
	state.Infos.Put(key, info)
	if state.Cache != nil && life > 0 {
		// A cache that fails costs a lookup later, no more.
		_ = cache.SetJSON(ctx, state.Cache, key, info, life)
	}
}

// Forget drops the info of an account, or of a container if its name is not empty, after a write.
func Forget(ctx context.Context, account, container string) {
	key := AccountKey(account)
	if container != "" {
		key = ContainerKey(account, container)
	}
	state := request.From(ctx)
	state.Infos.Put(key, nil)
	if state.Cache == nil {
		return
	}
	_ = state.Cache.Delete(ctx, key)
	if container != "" {
		_ = state.Cache.Delete(ctx, "shard-listing-v2/"+account+"/"+container)
	}
}

// AccountFromHeaders makes an info of the answer to a HEAD. The policies are those whose usage it is to hold.
func AccountFromHeaders(code int, h http.Header, policies ...policy.Policy) *Account {
	meta, sysmeta := metadata(h, "Account")
	a := &Account{
		Status:     code,
		Containers: Text(h.Get("X-Account-Container-Count")), Objects: Text(h.Get("X-Account-Object-Count")),
		Bytes: Text(h.Get("X-Account-Bytes-Used")), Policies: map[string]Usage{}, Meta: meta, Sysmeta: sysmeta,
		ReallyExists: code >= 200 && code < 300 && !config.Truthy(h.Get("X-Backend-Fake-Account-Listing")),
	}
	for _, p := range policies {
		n := func(what string) int64 { return Text(h.Get("X-Account-Storage-Policy-" + p.Name + "-" + what)).Int() }
		a.Policies[p.Index.String()] = Usage{
			Containers: n("Container-Count"), Objects: n("Object-Count"), Bytes: n("Bytes-Used"),
		}
	}
	return a
}

// ContainerFromHeaders makes an info of the answer to a HEAD.
func ContainerFromHeaders(code int, h http.Header) *Container {
	meta, sysmeta := metadata(h, "Container")
	text := func(k string) Text { return Text(h.Get(k)) }
	return &Container{
		Status: code, ReadACL: text("X-Container-Read"), WriteACL: text("X-Container-Write"),
		SyncTo: text("X-Container-Sync-To"), SyncKey: text("X-Container-Sync-Key"),
		Objects: text("X-Container-Object-Count"), Bytes: text("X-Container-Bytes-Used"), Versions: text("X-Versions-Location"),
		Policy: orElse(text("X-Backend-Storage-Policy-Index"), "0"),
		CORS: CORS{
			AllowOrigin:   Text(meta["access-control-allow-origin"]),
			ExposeHeaders: Text(meta["access-control-expose-headers"]),
			MaxAge:        Text(meta["access-control-max-age"]),
		},
		Meta: meta, Sysmeta: sysmeta,
		ShardingState: orElse(text("X-Backend-Sharding-State"), "unsharded"), CreatedAt: text("X-Backend-Timestamp"),
		PutTimestamp: text("X-Backend-Put-Timestamp"), DeleteTimestamp: text("X-Backend-Delete-Timestamp"),
		StatusChangedAt: text("X-Backend-Status-Changed-At"),
	}
}

func orElse(t, other Text) Text {
	if t == "" {
		return other
	}
	return t
}

func metadata(h http.Header, kind string) (meta, sysmeta map[string]string) {
	meta, sysmeta = map[string]string{}, map[string]string{}
	for k, v := range h {
		if name, ok := strings.CutPrefix(k, "X-"+kind+"-Meta-"); ok {
			meta[strings.ToLower(name)] = v[0]
		} else if name, ok := strings.CutPrefix(k, "X-"+kind+"-Sysmeta-"); ok {
			sysmeta[strings.ToLower(name)] = v[0]
		}
	}
	return meta, sysmeta
}
