package tempurl

import (
	mathbits "math/bits"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/digest"
)

// params are the parameters of a signed URL.
type params struct {
	signed bool // there is a signature or a time of expiry: it means to be a signed URL
	valid  bool // they can be read, and the time has not come

	signature digest.Signature
	expires   int64 // seconds since 1970
	prefix    string
	hasPrefix bool
	ipRange   string
	filename  string
	inline    bool
}

// parse reads a query. Of a parameter that is repeated the first counts.
func parse(rawQuery string, now time.Time) params {
	values := map[string]string{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key = unplus(key)
		switch key {
		case "temp_url_sig", "temp_url_expires", "temp_url_prefix", "temp_url_ip_range", "filename", "inline":
			if _, ok := values[key]; !ok {
				values[key] = unplus(value)
			}
		}
	}
	var p params
	sig, hasSig := values["temp_url_sig"]
	expires, hasExpires := values["temp_url_expires"]
	p.signed = hasSig || hasExpires
	p.prefix, p.hasPrefix = values["temp_url_prefix"]
	p.ipRange, p.filename = values["temp_url_ip_range"], values["filename"]
	_, p.inline = values["inline"]
	var err error
	p.signature, err = digest.Parse(sig)
	until, ok := parseExpires(expires)
	p.expires = until
	p.valid = err == nil && ok && !time.Unix(until, 0).Before(now)
	return p
}

func unplus(s string) string { return apipath.Unquote(strings.ReplaceAll(s, "+", " ")) }

// maxExpires is the end of the year 9999, beyond which there is no date for the answer.
const maxExpires = 253402300799

// parseExpires reads seconds since 1970, or a time such as 2026-11-22T00:00:00Z.
func parseExpires(text string) (seconds int64, ok bool) {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
		return n, n > 0 && n <= maxExpires
	}
	if strings.ContainsAny(text, ".,") {
		return 0, false // Go would take fractions of a second
	}
	t, err := time.Parse("2006-1-2T15:4:5Z", text)
	return t.Unix(), err == nil && t.Unix() > 0
}

// text is what is signed.
func (p params) text(method, path string) string {
	text := method + "\n" + strconv.FormatInt(p.expires, 10) + "\n" + path
	if p.ipRange != "" {
		// It comes first, because a path may hold line ends.
		text = "ip=" + p.ipRange + "\n" + text
	}
	return text
}

// query is what the rest of the pipeline sees of the query: what is signed, or harmless.
func (p params) query() string {
	q := "temp_url_sig=" + apipath.QuotePlus(p.signature.Hex) + "&temp_url_expires=" + strconv.FormatInt(p.expires, 10)
	if p.hasPrefix {
		q += "&temp_url_prefix=" + apipath.QuotePlus(p.prefix)
	}
	if p.ipRange != "" {
		q += "&temp_url_ip_range=" + apipath.QuotePlus(p.ipRange)
	}
	if p.filename != "" {
		q += "&filename=" + apipath.QuotePlus(p.filename)
	}
	if p.inline {
		q += "&inline="
	}
	return q
}

// describe tells a browser how to save what it gets, and how long it may keep it.
func (p params) describe(h http.Header, path apipath.Path) {
	value := h.Get("Content-Disposition")
	inline := p.inline || isPage(h)
	switch {
	case inline && p.filename != "":
		value = disposition("inline", p.filename)
	case inline:
		value = "inline"
	case p.filename != "":
		value = disposition("attachment", p.filename)
	case value == "":
		name := strings.TrimRight(path.String(), "/")
		value = disposition("attachment", name[strings.LastIndexByte(name, '/')+1:])
	}
	h["Content-Disposition"] = []string{strings.ReplaceAll(value, "\n", "%0A")}
	h["Expires"] = []string{time.Unix(p.expires, 0).UTC().Format(http.TimeFormat)}
}

func disposition(kind, name string) string {
	quoted := apipath.Quote(strings.ToValidUTF8(name, "\ufffd"))
	return kind + `; filename="` + strings.ReplaceAll(quoted, "%20", " ") + `"; filename*=UTF-8''` + quoted
}

// parseRange reads an address or a network, with the number of its bits or, as once was usual, a mask.
func parseRange(text string) (netip.Prefix, bool) {
	address, bits, network := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	n := addr.BitLen()
	if network {
		var ok bool
		if n, ok = maskBits(bits, n); !ok {
			return netip.Prefix{}, false
		}
	}
	p := netip.PrefixFrom(addr, n)
	return p, p.IsValid() && p.Masked() == p // bits beyond the mask are a mistake
}

// maskBits reads a number of bits, or a mask: 255.0.0.0, or 0.255.255.255.
func maskBits(text string, most int) (bits int, ok bool) {
	if text != "" && strings.Trim(text, "0123456789") == "" {
		n, err := strconv.Atoi(text)
		return n, err == nil && n <= most
	}
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() || most != 32 {
		return 0, false
	}
	var v uint32
	for _, b := range mask.As4() {
		v = v<<8 | uint32(b)
	}
	// A netmask is ones and then zeros. Only what is none may be a host mask, or all ones would mean any address.
	for _, v := range []uint32{v, ^v} {
		if n := mathbits.LeadingZeros32(^v); mathbits.OnesCount32(v) == n {
			return n, true
		}
	}
	return 0, false
}
