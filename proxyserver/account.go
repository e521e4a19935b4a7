package proxyserver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/proxyserver/fanout"
)

const (
	headerAccountACL  = "X-Account-Access-Control"
	sysmetaAccountACL = "X-Account-Sysmeta-Core-Access-Control"
	headerFakeAccount = "X-Backend-Fake-Account-Listing"
)

// accountController serves accounts where clients may create and delete them.
var accountController = controller{handlers: []handler{
	{method: http.MethodGet, serve: (*exchange).getAccount},
	{method: http.MethodHead, serve: (*exchange).getAccount},
	{method: http.MethodPut, serve: (*exchange).putAccount},
	{method: http.MethodPost, serve: (*exchange).postAccount},
	{method: http.MethodDelete, serve: (*exchange).deleteAccount},
	{method: http.MethodOptions, serve: (*exchange).accountOptions},
}}

// managedAccountController serves accounts where only the cluster creates them.
var managedAccountController = controller{handlers: []handler{
	{method: http.MethodGet, serve: (*exchange).getAccount},
	{method: http.MethodHead, serve: (*exchange).getAccount},
	{method: http.MethodPost, serve: (*exchange).postAccount},
	{method: http.MethodOptions, serve: (*exchange).accountOptions},
}}

func (x *exchange) checkAccountName() error {
	if limit := x.cluster.Limits.MaxAccountNameLength; utf8.RuneCountInString(x.path.Account) > x.nameLimit(limit) {
		return tooLong("Account", x.path.Account, x.nameLimit(limit))
	}
	return nil
}

func (x *exchange) getAccount() (*response, error) {
	if err := x.checkAccountName(); err != nil {
		return nil, err
	}
	rawQuery := parseQuery(x.r.URL.RawQuery).with("format", "json").encode()
	resp := x.read(x.accountTarget(x.path.Account, rawQuery), x.sign(x.clientHeaders(), rawQuery))
	if resp.status == http.StatusNotFound {
		if strings.EqualFold(resp.header.Get("X-Account-Status"), "deleted") {
			resp.become(x, http.StatusGone)
		} else if x.config.AccountAutocreate {
			resp = x.emptyAccount()
		}
	}
	info := lookup.AccountFromHeaders(resp.status, resp.header, x.cluster.Policies.All()...)
	lookup.StoreAccount(x.r.Context(), x.lifetimes, x.path.Account, info)
	if x.state.Owner {
		x.showACL(resp.header)
	} else {
		resp.header = x.withoutOwners(resp.header)
	}
	return resp, nil
}

// become changes the status but keeps the headers.
func (resp *response) become(x *exchange, code int) {
	other := x.refusal(reply.Status(code))
	for k, v := range resp.header {
		if k != "Content-Type" && k != "Content-Length" {
			other.header[k] = v
		}
	}
	*resp = *other
}

// emptyAccount pretends that an account is there which the first write to it will create. A header tells the app's
// own lookups the truth.
func (x *exchange) emptyAccount() *response {
	now := x.now()
	const body = "[]"
	return &response{status: http.StatusOK, body: fanout.TextBody(body), header: http.Header{
		"Content-Type":              {"application/json; charset=utf-8"},
		"Content-Length":            {itoa(len(body))},
		"X-Account-Container-Count": {"0"}, "X-Account-Object-Count": {"0"}, "X-Account-Bytes-Used": {"0"},
		"X-Timestamp": {now.Normal()}, "X-Put-Timestamp": {now.Normal()}, headerFakeAccount: {"yes"},
	}}
}

func (x *exchange) putAccount() (*response, error) {
	if err := x.checkMeta(meta.Account); err != nil {
		return nil, err
	}
	if err := x.checkAccountName(); err != nil {
		return nil, err
	}
	return x.writeAccount(http.MethodPut), nil
}

func (x *exchange) postAccount() (*response, error) {
	if err := x.checkAccountName(); err != nil {
		return nil, err
	}
	if err := x.checkMeta(meta.Account); err != nil {
		return nil, err
	}
	resp := x.writeAccount(http.MethodPost)
	if resp.status == http.StatusNotFound && x.config.AccountAutocreate {
		if !x.createAccount() {
			return nil, reply.Status(http.StatusServiceUnavailable)
		}
		resp = x.writeAccount(http.MethodPost)
	}
	return resp, nil
}

func (x *exchange) deleteAccount() (*response, error) {
	// Any query is a mistyped request for some filter; deleting an account for that would be too much.
	if x.r.URL.RawQuery != "" {
		return nil, reply.Status(http.StatusBadRequest)
	}
	return x.writeAccount(http.MethodDelete), nil
}

func (x *exchange) writeAccount(method string) *response {
	lookup.Forget(x.r.Context(), x.path.Account, "")
	t := x.accountTarget(x.path.Account, "")
	h := x.writeHeaders(meta.Account, nil)
	resp := x.write(t, fanout.Write{Method: method, Headers: repeat(h, t.Replicas())})
	if method != http.MethodDelete {
		x.showACL(resp.header)
	}
	return resp
}

// repeat makes one set of headers the set of several requests, none of which changes it.
func repeat(h http.Header, n int) []http.Header {
	hs := make([]http.Header, n)
	for i := range hs {
		hs[i] = h
	}
	return hs
}

// createAccount creates the account on the first write to it.
func (x *exchange) createAccount() bool {
	h := http.Header{
		"X-Timestamp": {x.now().Internal()}, "X-Trans-Id": {x.state.TransID}, "X-Openstack-Request-Id": {x.state.TransID},
	}
	for name, v := range x.r.Header {
		if meta.IsSysmeta(meta.Account, name) {
			h[name] = v
		}
	}
	t := x.accountTarget(x.path.Account, "")
	ans := x.nodes.Write(x.r.Context(), t, fanout.Write{Method: http.MethodPut, Headers: repeat(h, t.Replicas())})
	if ans.Status < 200 || ans.Status > 299 {
		x.log.Warn("could not create account", "account", x.path.Account, "status", ans.Status)
		return false
	}
	lookup.Forget(x.r.Context(), x.path.Account, "")
	return true
}

func itoa(n int) string { return strconv.Itoa(n) }

func (x *exchange) accountOptions() (*response, error) { return x.plainOptions(), nil }

// showACL turns the account's ACL from what is stored into what its owner sees.
func (x *exchange) showACL(h http.Header) {
	stored := h.Get(sysmetaAccountACL)
	h.Del(sysmetaAccountACL)
	var acl map[string]any
	// To Swift each byte of a header is a character, so what is not ASCII looks odd, but the same everywhere.
	if json.Unmarshal([]byte(meta.ToStored(stored)), &acl) != nil || len(acl) == 0 {
		return
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(acl) == nil {
		h.Set(headerAccountACL, ascii(strings.TrimSuffix(b.String(), "\n")))
	}
}

// ascii escapes what is not ASCII in a JSON text.
func ascii(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c < 0x80:
			b.WriteRune(c)
		case c < 0x10000:
			writeEscape(&b, c)
		default:
			hi, lo := utf16.EncodeRune(c)
			writeEscape(&b, hi)
			writeEscape(&b, lo)
		}
	}
	return b.String()
}

func writeEscape(b *strings.Builder, c rune) {
	const hex = "0123456789abcdef"
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hex[c>>shift&15])
	}
}
