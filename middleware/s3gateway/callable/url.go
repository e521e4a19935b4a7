package callable

import (
	"errors"
	"net"
	"net/url"
)

// CheckURL says what is wrong with a webhook's URL.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The text of the error would repeat the URL.
		return errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("want a URL that begins with http:// or https:// and a host")
	case u.User != nil:
		return errors.New("want a URL without user and password; there is bearer_file and bearer_env")
	}
	return nil
}

// Plain says whether what is asked at the URL, and the secrets of the answers, can be read on their way.
func Plain(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}
