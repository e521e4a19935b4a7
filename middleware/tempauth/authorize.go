package tempauth

import (
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/acl"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
)

// Groups that grant more than membership.
const (
	accountAdmin   = ".admin"
	resellerAdmin  = ".reseller_admin"
	resellerReader = ".reseller_reader"
)

// An access is one request to decide on.
type access struct {
	*auth
	r                          *http.Request
	state                      *request.State
	account, container, object string
	prefix                     string
	groups                     []string
}

// authorize is State.Authorize: nil lets the request go on.
func (a *auth) authorize(r *http.Request) error {
	state := request.From(r.Context())
	// Who owned what the client asked for does not own what a subrequest of it asks for.
	state.Owner = false
	var names [4]string
	segments, err := apipath.SplitRest(names[:0], r.URL.Path, 1, 4)
	if err != nil {
		a.stats.Increment("errors")
		return reply.Status(http.StatusNotFound).Because(err)
	}
	copy(names[:], segments)
	x := access{auth: a, r: r, state: state, account: names[1], container: names[2], object: names[3], groups: state.Groups()}
	var mine bool
	if x.prefix, mine = a.accountPrefix(x.account); !mine {
		return a.deny(r)
	}
	if err := x.takeAccountACL(); err != nil {
		return err
	}
	owner, rule := x.decide()
	if rule == "" {
		return a.deny(r)
	}
	state.Owner = owner
	if a.log.Enabled(r.Context(), slog.LevelDebug) {
		a.log.LogAttrs(r.Context(), slog.LevelDebug, "allowed",
			slog.String("txn", state.TransID), slog.String("user", userName(x.groups)), slog.String("rule", rule))
	}
	return nil
}

// decide returns the rule that lets the request go on, "" if none does, and whether it makes the user an owner.
func (x *access) decide() (owner bool, rule string) {
	switch {
	case x.reseller(resellerAdmin):
		return true, "reseller admin"
	case x.reads() && x.reseller(resellerReader):
		return false, "reseller reader"
	case x.member():
		return true, "account"
	case x.syncs():
		return false, "container sync key"
	case x.r.Method == http.MethodOptions:
		return false, "options"
	}
	if x.containerACL() {
		return false, "container access list"
	}
	return x.accountACL()
}

func (x *access) reads() bool { return x.r.Method == http.MethodGet || x.r.Method == http.MethodHead }

// reseller says whether the user's group counts here: not for the bare prefix, nor for accounts that Swift keeps for
// itself, whose names begin with a dot.
func (x *access) reseller(group string) bool {
	return slices.Contains(x.groups, group) && !slices.Contains(x.prefixes, x.account) &&
		!strings.HasPrefix(x.account[len(x.prefix):], ".")
}

// member says whether the user belongs to the account. Accounts are made and deleted by resellers only.
func (x *access) member() bool {
	if !slices.Contains(x.groups, x.account) {
		return false
	}
	if x.container == "" && (x.r.Method == http.MethodPut || x.r.Method == http.MethodDelete) {
		return false
	}
	required := x.required[x.prefix]
	return required == "" || slices.Contains(x.groups, required)
}

// syncs says whether another cluster is writing an object with the container's key. That takes a time, so that what it
// writes cannot win over what is newer.
func (x *access) syncs() bool {
	key := x.r.Header.Get("X-Container-Sync-Key")
	if key == "" || x.object == "" || x.r.Header.Get("X-Timestamp") == "" ||
		(x.r.Method != http.MethodPut && x.r.Method != http.MethodDelete) {
		return false
	}
	info := lookup.GetContainer(x.r, lookup.Subrequest{Next: x.next, Source: source}, x.account, x.container)
	return info.SyncKey != "" && subtle.ConstantTimeCompare([]byte(info.SyncKey), []byte(key)) == 1
}

// containerACL asks the list that the proxy has found to be the one that counts.
func (x *access) containerACL() bool {
	if x.state.ACL == "" {
		return false
	}
	list := acl.Parse(x.state.ACL)
	if (x.object != "" || list.Listings()) && list.AllowsReferrer(x.r.Header.Get("Referer")) {
		return true
	}
	return intersect(x.groups, list.Groups)
}

// accountACL asks the account's list.
func (x *access) accountACL() (owner bool, rule string) {
	if len(x.groups) == 0 {
		return false, "" // it names users and groups only, so the account need not be looked up
	}
	info := lookup.GetAccount(x.r, lookup.Subrequest{Next: x.next, Source: source}, x.account)
	list, ok := acl.StoredAccount(info.Sysmeta["core-access-control"])
	switch {
	case !ok:
		return false, ""
	case intersect(x.groups, list.Admin):
		return true, "account access list (admin)"
	case intersect(x.groups, list.ReadWrite) && (x.container != "" || x.reads()):
		return false, "account access list (read-write)"
	case intersect(x.groups, list.ReadOnly) && x.reads():
		return false, "account access list (read-only)"
	}
	return false, ""
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// takeAccountACL checks a list that the client wants to set, and names it as what is stored. The decision comes later.
func (x *access) takeAccountACL() error {
	if _, ok := x.r.Header[acl.Header]; !ok {
		return nil
	}
	value := meta.Value(x.r.Header, acl.Header)
	if _, err := acl.ParseAccount(value); err != nil {
		if e, ok := errors.AsType[*acl.AccountError](err); ok {
			return reply.Text(http.StatusBadRequest, e.Text()).Because(err)
		}
		return err
	}
	x.r.Header.Del(acl.Header)
	x.r.Header[acl.SysmetaHeader] = []string{value}
	return nil
}

// deny is the answer to whom no rule lets in: 403 for those we know, 401 for the others.
func (a *auth) deny(r *http.Request) error {
	if request.From(r.Context()).User != "" {
		a.stats.Increment("forbidden")
		return reply.Status(http.StatusForbidden)
	}
	a.stats.Increment("unauthorized")
	return reply.Status(http.StatusUnauthorized)
}
