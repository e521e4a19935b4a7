// Package healthcheck is the filter that answers load balancers:
//
//	[filter.healthcheck]
//	disable_path = "/etc/apus/down"
//
// A request for /healthcheck, with any method, gets 200 and "OK"; while the file at disable_path exists, it gets 503 and
// "DISABLED BY FILE", which takes a server out of a balancer's rotation before it is stopped. All else goes on. It is used
// on proxies and storage nodes alike, to the left of whatever would ask for credentials.
package healthcheck

import (
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("healthcheck", Config{}, build)

// Config is the section of the filter.
type Config struct {
	// While a file of this name exists, the check fails. Empty: it never does.
	DisablePath string `toml:"disable_path"`
}

func build(_ middleware.Host, c Config) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return &filter{c, next} }}, nil
}

type filter struct {
	config Config
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/healthcheck" {
		f.next.ServeHTTP(w, r)
		return
	}
	code, text := http.StatusOK, "OK"
	if f.disabled() {
		code, text = http.StatusServiceUnavailable, "DISABLED BY FILE"
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		io.WriteString(w, text)
	}
}

// disabled looks for the file each time: that is what makes it work without a reload.
func (f *filter) disabled() bool {
	if f.config.DisablePath == "" {
		return false
	}
	_, err := os.Stat(f.config.DisablePath)
	return err == nil
}
