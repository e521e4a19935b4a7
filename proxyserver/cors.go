package proxyserver

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/lookup"
)

// exposed are the response headers that scripts may see anyway.
var exposed = []string{
	"cache-control", "content-language", "content-type", "expires", "last-modified", "pragma", "etag", "x-timestamp",
	"x-trans-id", "x-openstack-request-id",
}

// withCORS serves a request that a browser made for a page from elsewhere.
func (x *exchange) withCORS(serve func(*exchange) (*response, error)) (*response, error) {
	cors := x.container().CORS
	resp, err := serve(x)
	if err != nil {
		resp = x.refusal(err)
	}
	origin := x.r.Header.Get("Origin")
	if x.config.StrictCORSMode && !x.originAllowed(cors, origin) {
		return resp, nil
	}
	if resp.header.Get("Access-Control-Expose-Headers") == "" {
		resp.header.Set("Access-Control-Expose-Headers", strings.Join(x.exposedHeaders(cors, resp.header), ", "))
	}
	if resp.header.Get("Access-Control-Allow-Origin") == "" {
		allowOrigin(resp.header, cors, origin)
	}
	return resp, nil
}

func (x *exchange) exposedHeaders(cors lookup.CORS, h http.Header) []string {
	names := map[string]bool{}
	for _, list := range [][]string{exposed, x.config.CORSExposeHeaders, strings.Fields(strings.ToLower(string(cors.ExposeHeaders)))} {
		for _, n := range list {
			names[n] = true
		}
	}
	for n := range h {
		if strings.HasPrefix(n, "X-Container-Meta") || strings.HasPrefix(n, "X-Object-Meta") {
			names[strings.ToLower(n)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func allowOrigin(h http.Header, cors lookup.CORS, origin string) {
	if strings.TrimSpace(string(cors.AllowOrigin)) == "*" {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	vary(h, "Origin")
}

func vary(h http.Header, name string) {
	if v := h.Get("Vary"); v != "" {
		name = v + ", " + name
	}
	h.Set("Vary", name)
}

func (x *exchange) originAllowed(cors lookup.CORS, origin string) bool {
	allowed := append(strings.Fields(string(cors.AllowOrigin)), x.config.CORSAllowOrigin...)
	return slices.Contains(allowed, origin) || slices.Contains(allowed, "*")
}

// plainOptions says which methods there are.
func (x *exchange) plainOptions() *response {
	return &response{status: http.StatusOK, header: http.Header{
		"Allow":        {strings.Join(x.noun.allowed(false), ", ")},
		"Content-Type": {"text/html; charset=UTF-8"}, "Content-Length": {"0"},
	}}
}

// options answers OPTIONS for containers and objects: a browser asks before it makes a request.
func (x *exchange) options() (*response, error) {
	resp := x.plainOptions()
	origin := x.r.Header.Get("Origin")
	if origin == "" {
		return resp, nil
	}
	cors := x.container().CORS
	methods := x.noun.allowed(false)
	if !x.originAllowed(cors, origin) || !slices.Contains(methods, x.r.Header.Get("Access-Control-Request-Method")) {
		refused := x.refusal(unauthorized)
		refused.header.Del("Www-Authenticate")
		refused.header.Set("Allow", resp.header.Get("Allow"))
		return refused, nil
	}
	h := resp.header
	h.Del("Content-Type")
	allowOrigin(h, cors, origin)
	if cors.MaxAge != "" {
		h.Set("Access-Control-Max-Age", string(cors.MaxAge))
	}
	h.Set("Access-Control-Allow-Methods", h.Get("Allow"))
	if names := config.SplitList(x.r.Header.Get("Access-Control-Request-Headers")); len(names) > 0 {
		slices.Sort(names)
		names = slices.Compact(names)
		h.Set("Access-Control-Allow-Headers", strings.Join(names, ", "))
		vary(h, "Access-Control-Request-Headers")
	}
	return resp, nil
}
