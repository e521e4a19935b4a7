package proxyserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/proxyserver/fanout"
)

// unauthorized is the answer to a preflight that is not allowed and to a bad signature.
var unauthorized = reply.Status(http.StatusUnauthorized)

var infoMethods = []string{http.MethodHead, http.MethodGet, http.MethodOptions}

// serveInfo serves /info.
func (a *App) serveInfo(w http.ResponseWriter, r *http.Request) {
	x := &exchange{App: a, w: w, r: r, state: request.From(r.Context())}
	resp, err := x.infoResponse()
	if err != nil {
		resp = x.refusal(err)
	}
	x.send(resp)
}

func (x *exchange) infoResponse() (*response, error) {
	if x.hostDenied(x.r.Host) {
		return nil, reply.Raw(http.StatusForbidden, "Invalid host header")
	}
	switch x.r.Method {
	case http.MethodOptions:
		return &response{status: http.StatusOK, header: http.Header{
			"Allow": {strings.Join(infoMethods, ", ")}, "Content-Type": {reply.TypeHTML}, "Content-Length": {"0"},
		}}, nil
	case http.MethodGet, http.MethodHead:
	default:
		return nil, methodNotAllowed(infoMethods)
	}
	if !x.config.ExposeInfo {
		return nil, reply.Status(http.StatusForbidden)
	}
	admin, err := x.adminInfo()
	if err != nil {
		return nil, err
	}
	body, err := x.infoBody(admin)
	if err != nil {
		return nil, err
	}
	h := http.Header{"Content-Type": {"application/json; charset=UTF-8"}, "Content-Length": {strconv.Itoa(len(body))}}
	if origin := x.r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "x-trans-id")
	}
	return &response{status: http.StatusOK, header: h, body: fanout.TextBody(body)}, nil
}

// adminInfo says whether the request is signed by an administrator. A bad signature is an error, not a public view.
func (x *exchange) adminInfo() (bool, error) {
	q := parseQuery(x.r.URL.RawQuery)
	sig, expires := q.get("swiftinfo_sig"), q.get("swiftinfo_expires")
	if sig == "" && expires == "" {
		return false, nil
	}
	if x.config.AdminKey == "" {
		return false, reply.Status(http.StatusForbidden)
	}
	at, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || at < x.clock.Now().Unix() {
		return false, unauthorized
	}
	methods := []string{http.MethodGet}
	if x.r.Method == http.MethodHead {
		methods = append(methods, http.MethodHead)
	}
	for _, m := range methods {
		mac := hmac.New(sha1.New, []byte(x.config.AdminKey))
		mac.Write([]byte(m + "\n" + strconv.FormatInt(at, 10) + "\n/info"))
		if hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(sig)) {
			return true, nil
		}
	}
	return false, unauthorized
}

// infoBody collects what the pipeline's parts have to say about themselves.
func (x *exchange) infoBody(admin bool) (string, error) {
	infos := x.info()
	public := maps.Clone(infos.Public)
	for _, hidden := range x.config.DisallowedSections {
		section, key, nested := strings.Cut(hidden, ".")
		if !nested {
			delete(public, section)
			continue
		}
		if m, ok := public[section].(map[string]any); ok {
			m = maps.Clone(m)
			hide(m, key)
			public[section] = m
		}
	}
	if admin {
		sections := maps.Clone(infos.Admin)
		if sections == nil {
			sections = map[string]any{}
		}
		sections["disallowed_sections"] = slices.Clone(x.config.DisallowedSections)
		public["admin"] = sections
	}
	b, err := json.Marshal(public)
	return string(b), err
}

// hide removes a key, or with dots one further down, from a map that nobody else has.
func hide(m map[string]any, key string) {
	first, rest, nested := strings.Cut(key, ".")
	if inner, ok := m[first].(map[string]any); nested && ok {
		inner = maps.Clone(inner)
		hide(inner, rest)
		m[first] = inner
		return
	}
	delete(m, key)
}

// swiftInfo is the section about the app itself.
func (a *App) swiftInfo() map[string]any {
	info := map[string]any{}
	b, _ := json.Marshal(a.cluster.Limits)
	_ = json.Unmarshal(b, &info) // the limits' JSON names are those of /info
	var policies []map[string]any
	for _, p := range a.cluster.Policies.All() {
		if p.Deprecated {
			continue
		}
		entry := map[string]any{"name": p.Name, "aliases": strings.Join(p.Aliases, ", ")}
		if p.Default {
			entry["default"] = true
		}
		policies = append(policies, entry)
	}
	maps.Copy(info, map[string]any{
		"version": a.version, "policies": policies, "strict_cors_mode": a.config.StrictCORSMode,
		"allow_account_management": a.config.AllowAccountManagement, "account_autocreate": a.config.AccountAutocreate,
		"allow_open_expired": a.config.AllowOpenExpired,
	})
	return info
}
