package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memcached"
)

// TestCache looks at what the two proxies keep in memcached: each writes the same entries, and goes by those of the other
// without asking anybody else. To show that they are read, entries are changed in memcached alone.
func TestCache(t *testing.T) {
	wanted(t)
	r := newRig(t)
	c := &chronicle{rig: r}
	r.nodes(t, swift, swift)
	r.serve(t, swift, "proxy-swift")
	r.serve(t, apus, "proxy-apus")
	config := memcached.Defaults()
	config.Servers = []string{fmt.Sprint("127.0.0.1:", r.ports["memcached"])}
	shared, err := memcached.New(config, memcached.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shared.Close() })
	for _, make := range []impl{swift, apus} {
		e := &entries{t: t, cache: shared, writer: c.newTalker(t, make), reader: c.newTalker2(t, other(make))}
		t.Run(fmt.Sprintf("%s writes, %s reads", make, other(make)), func(t *testing.T) {
			e.t, e.writer.t, e.reader.t = t, t, t
			e.infos()
			e.believedContainer()
			e.believedAccount()
			e.believedTokens()
		})
	}
}

// entries are those of one account in memcached.
type entries struct {
	t              *testing.T
	cache          *memcached.Client
	writer, reader *talker // proxies of different makes
}

// get returns an entry, which must be there and be JSON.
func (e *entries) get(key string) map[string]any {
	e.t.Helper()
	var v map[string]any
	if err := cache.GetJSON(e.t.Context(), e.cache, key, &v); err != nil {
		e.t.Fatalf("%s: %v", key, err)
	}
	return v
}

func (e *entries) set(key string, v any) {
	e.t.Helper()
	if err := cache.SetJSON(e.t.Context(), e.cache, key, v, time.Minute); err != nil {
		e.t.Fatal(err)
	}
}

func (e *entries) forget(keys ...string) {
	e.t.Helper()
	for _, key := range keys {
		if err := e.cache.Delete(e.t.Context(), key); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *entries) account() string { return "account/" + e.writer.account }

func (e *entries) container(name string) string { return "container/" + e.writer.account + "/" + name }

// infos compares what the makes store of an account and of containers: there, missing, with everything that has a place.
func (e *entries) infos() {
	e.writer.must(request{method: "POST", head: "X-Account-Meta-Colour: bl\u00fce\nX-Account-Meta-Temp-URL-Key: k"})
	e.writer.must(request{method: "PUT", path: "/full", head: "X-Storage-Policy: silver\nX-Container-Read: .r:*,{a}:guest\nX-Container-Write: {a}:guest\n" +
		"X-Container-Meta-Shape: r\u00f6und\nX-Container-Meta-Access-Control-Allow-Origin: http://a.test\nX-Container-Meta-Access-Control-Max-Age: 5\n" +
		"X-Container-Meta-Quota-Count: 7"})
	e.writer.must(request{method: "PUT", path: "/" + q("\u00fcber \u20ac")})
	keys := []string{e.account(), e.container("full"), e.container("\u00fcber \u20ac"), e.container("none")}
	seen := func(by *talker) map[string]map[string]any {
		out := map[string]map[string]any{}
		e.forget(keys...)
		// An upload looks up the container, and that the account; a missing one is remembered too.
		for _, path := range []string{"/full/o", "/" + q("\u00fcber \u20ac") + "/o"} {
			by.must(request{method: "HEAD", path: path[:len(path)-2]})
			by.send(request{method: "GET", path: path})
		}
		by.send(request{method: "GET", path: "/none/o"})
		for _, key := range keys {
			out[key] = e.get(key)
		}
		return out
	}
	theirs, ours := seen(e.writer), seen(e.reader)
	for _, info := range slices.Concat(slices.Collect(maps.Values(theirs)), slices.Collect(maps.Values(ours))) {
		delete(info, "created_at") // each replica was made at a time of its own
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		e.t.Errorf("what the makes keep, -%s +%s:\n%s", e.writer.base, e.reader.base, diff)
	}
	if kept := theirs[e.container("full")]; kept["storage_policy"] != "1" || kept["read_acl"] == nil || kept["status"] != 204.0 {
		e.t.Errorf("the container's entry has not what was set: %v", kept)
	}
	if kept := theirs[e.container("none")]; kept["status"] != 404.0 {
		e.t.Errorf("the entry of a missing container: %v", kept)
	}
}

// believedContainer changes what the writer has kept of a container.
func (e *entries) believedContainer() {
	e.writer.must(request{method: "PUT", path: "/c"})
	e.writer.must(request{method: "PUT", path: "/c/o", body: "x"})
	ask := request{method: "GET", path: "/c/o", guest: true}
	e.expect(ask, 403)
	info := e.get(e.container("c"))
	if info["read_acl"] != nil {
		e.t.Errorf("read_acl is %v, want null", info["read_acl"])
	}
	info["read_acl"] = e.reader.account[len("AUTH_"):] + ":guest"
	e.set(e.container("c"), info)
	e.expect(ask, 200)
	info["status"] = 404
	e.set(e.container("c"), info)
	e.expect(request{method: "PUT", path: "/c/o", body: "y"}, 404)
	e.forget(e.container("c"))
	e.expect(ask, 403)
	e.expect(request{method: "PUT", path: "/c/o", body: "y"}, 201)
}

// believedAccount changes what the writer has kept of the account.
func (e *entries) believedAccount() {
	ask := request{method: "GET", path: "/c"}
	e.forget(e.account(), e.container("c"))
	e.expectOf(e.writer, ask, 200)
	info := e.get(e.account())
	info["status"] = 404
	info["account_really_exists"] = false
	e.set(e.account(), info)
	e.forget(e.container("c"))
	e.expect(ask, 404)
	e.forget(e.account(), e.container("c"))
	e.expect(ask, 200)
}

// believedTokens changes what the writer has kept of the guest's token.
func (e *entries) believedTokens() {
	user := "AUTH_/user/" + e.writer.account[len("AUTH_"):] + ":guest"
	e.forget(user)
	e.writer.guest = e.writer.logIn(user[len("AUTH_/user/"):])
	key := "AUTH_/token/" + e.writer.guest
	var token string
	if err := cache.GetJSON(e.t.Context(), e.cache, user, &token); err != nil || token != e.writer.guest {
		e.t.Errorf("%s is %q, %v, want %q", user, token, err, e.writer.guest)
	}
	if again := e.reader.logIn(user[len("AUTH_/user/"):]); again != e.writer.guest {
		e.t.Errorf("the reader gives %s, want the writer's %s", again, e.writer.guest)
	}
	e.reader.guest = e.writer.guest
	ask := request{method: "GET", path: "/c/o", guest: true}
	e.expect(ask, 403)
	var grant []any // expiry, groups
	if err := cache.GetJSON(e.t.Context(), e.cache, key, &grant); err != nil || len(grant) != 2 {
		e.t.Fatalf("%s: %v, %v", key, grant, err)
	}
	e.set(key, []any{grant[0], fmt.Sprint(grant[1], ",", e.writer.account)}) // the owner's group
	e.expect(ask, 200)
	e.set(key, []any{1, grant[1]})
	e.expect(ask, 401)
	e.set(key, grant)
	e.expect(ask, 403)
	e.forget(key)
	e.expect(ask, 401)
	written := map[string]any{}
	for _, by := range []*talker{e.writer, e.reader} {
		e.forget(user)
		token := by.logIn(user[len("AUTH_/user/"):])
		var grant []any
		if err := cache.GetJSON(e.t.Context(), e.cache, "AUTH_/token/"+token, &grant); err != nil {
			e.t.Fatal(err)
		}
		expires, ok := grant[0].(float64)
		if in := expires - float64(time.Now().Unix()); !ok || in < 80000 || in > 90000 {
			e.t.Errorf("%s: a token expires at %v, want in a day", by.base, grant[0])
		}
		written[by.base] = grant[1:]
	}
	if got := slices.Collect(maps.Values(written)); !cmp.Equal(got[0], got[1]) {
		text, _ := json.Marshal(written)
		e.t.Errorf("the makes keep of a token: %s", text)
	}
}

// expect asks the reader.
func (e *entries) expect(r request, want int) {
	e.t.Helper()
	e.expectOf(e.reader, r, want)
}

func (e *entries) expectOf(k *talker, r request, want int) {
	e.t.Helper()
	if a := k.send(r); a.status != want {
		e.t.Errorf("%s %s at %s: %d, want %d", r.method, r.path, k.base, a.status, want)
	}
}
