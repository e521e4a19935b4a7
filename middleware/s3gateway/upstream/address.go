package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/awserr"
)

// parseEndpoint reads where a store is.
func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("must be http:// or https:// with a host, such as https://s3.example.net")
	case u.User != nil:
		return nil, errors.New("must hold no credentials")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("must have no query")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// A Place is where a store wants a request to be sent, if not to its endpoint.
type Place struct {
	Region   string
	Endpoint *url.URL // nil for the same; its path is none, the bucket is not in it
	Virtual  bool     // the host names the bucket already
}

// address makes the URL of a request.
func (u *Upstream) address(c Call) (*url.URL, error) {
	if c.Bucket == "" && c.Key != "" {
		return nil, awserr.New(awserr.InvalidRequest, "A key needs a bucket.")
	}
	if c.Bucket == "." || c.Bucket == ".." || strings.Contains(c.Bucket, "/") {
		return nil, awserr.New("InvalidBucketName", "The specified bucket is not valid.", "BucketName", c.Bucket)
	}
	query, err := encodeQuery(c.Query)
	if err != nil {
		return nil, err
	}
	base, virtual, given := u.endpoint, u.virtual, false
	if c.Place != nil && c.Place.Endpoint != nil {
		base, virtual, given = c.Place.Endpoint, c.Place.Virtual, c.Place.Virtual
	}
	out := &url.URL{Scheme: base.Scheme, Host: base.Host, RawQuery: query}
	path := base.Path
	switch {
	case c.Bucket == "":
		path += "/"
	case virtual && (given || u.fitsHost(c.Bucket)):
		if !given {
			out.Host = c.Bucket + "." + base.Host
		}
		path += "/" + c.Key
	default:
		path += "/" + c.Bucket
		if c.Key != "" {
			path += "/" + c.Key
		}
	}
	out.Path, out.RawPath = path, apipath.Quote(path)
	return out, nil
}

// fitsHost says whether a bucket can stand in a host name: certificates are for one label, an address has none, and a bucket that
// looks like one is refused by its name, not for want of a host.
func (u *Upstream) fitsHost(bucket string) bool {
	if len(bucket) < 3 || len(bucket) > 63 || net.ParseIP(u.endpoint.Hostname()) != nil || net.ParseIP(bucket) != nil {
		return false
	}
	for i := range len(bucket) {
		c := bucket[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(bucket)-1:
		case c == '.' && !u.tls && i > 0 && i < len(bucket)-1 && bucket[i-1] != '.' && bucket[i-1] != '-' && bucket[i+1] != '-':
		default:
			return false
		}
	}
	return true
}

// encodeQuery writes a query anew. The order of the parameters stays, and whether there is a = after a name: both are nothing to
// the signature, but may be something to a store.
func encodeQuery(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	var b strings.Builder
	b.Grow(len(raw) + 16)
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		name, value, equals := strings.Cut(piece, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err := errors.Join(err1, err2); err != nil {
			return "", awserr.New(awserr.InvalidURI, "Couldn't parse the specified URI.").Because(err)
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(apipath.QuoteAll(n))
		if equals {
			b.WriteByte('=')
			b.WriteString(apipath.QuoteAll(v))
		}
	}
	return b.String(), nil
}

// Redirection says where a store wants a request to be sent that it has answered with a redirect or with the name of
// another region, for the Place of a second Call. It says so only of places that belong to the store: its own host,
// what is below it, and its redirect domains, and never to http from https.
func (u *Upstream) Redirection(resp *http.Response, c Call) (Place, bool) {
	var p Place
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusBadRequest:
	default:
		return p, false
	}
	if region := resp.Header.Get("X-Amz-Bucket-Region"); validRegion(region) && region != u.regionOf(c) {
		p.Region = region
	}
	if resp.StatusCode != http.StatusBadRequest {
		if location := resp.Header.Get("Location"); location != "" {
			at, err := u.follow(resp, location)
			if err != nil {
				return Place{}, false
			}
			if at.Host != resp.Request.URL.Host || at.Scheme != resp.Request.URL.Scheme {
				p.Virtual = c.Bucket != "" && strings.HasPrefix(at.Host, c.Bucket+".")
				p.Endpoint = &url.URL{Scheme: at.Scheme, Host: at.Host}
			}
		}
	}
	return p, p.Region != "" || p.Endpoint != nil
}

var errElsewhere = errors.New("the redirect leads out of the store")

func (u *Upstream) follow(resp *http.Response, location string) (*url.URL, error) {
	at, err := resp.Request.URL.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("read a redirect: %w", err)
	}
	if at.Scheme != "https" && (at.Scheme != "http" || u.tls) || at.User != nil {
		return nil, errElsewhere
	}
	host := strings.ToLower(at.Hostname())
	if port := at.Port(); port != "" && port != u.endpoint.Port() {
		return nil, errElsewhere
	}
	for _, d := range append([]string{u.endpoint.Hostname()}, u.config.RedirectDomains...) {
		if d = strings.ToLower(d); host == d || strings.HasSuffix(host, "."+d) {
			return at, nil
		}
	}
	return nil, errElsewhere
}

func validRegion(region string) bool {
	return region != "" && len(region) <= 64 && strings.Trim(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// regionOf is what a call is signed for.
func (u *Upstream) regionOf(c Call) string {
	if c.Place != nil && c.Place.Region != "" {
		return c.Place.Region
	}
	return u.config.Region
}
