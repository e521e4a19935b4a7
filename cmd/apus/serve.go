package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
)

// serveFlags are the flags of `apus serve`.
type serveFlags struct {
	data, listen, config string
	devices, replicas    int
	policies             []string
	quiet                bool
}

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run everything in one process, with nothing to set up",
		Long: `Run a whole object store in one process: the proxy, the account, container and object servers and their daemons, on
one directory. A new directory gets a cluster of its own, with a user and a key that are printed. It serves the Swift API and
the S3 API on the same containers.

What is stored is laid out as OpenStack Swift lays it out, one directory for each device under DATA/devices; the rings and the
other files of the cluster are in DATA/etc.

SIGTERM, SIGHUP and ctrl-C stop the server when the requests under way are done; a second signal stops it at once.`,
		Example: `  apus serve --data /srv/apus
  apus serve --data /srv/apus --listen :8080 --devices 4 --replicas 3
  apus serve --data /srv/apus --config my-proxy-server.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveAll(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", envOr("APUS_DATA", "apus-data"), "directory of the store; made if it does not exist (environment: APUS_DATA)")
	fl.StringVar(&f.listen, "listen", os.Getenv("APUS_LISTEN"), "address to listen on, in place of the configuration's bind_ip and bind_port (environment: APUS_LISTEN)")
	fl.StringVar(&f.config, "config", "", "proxy configuration (default DATA/etc/proxy-server.toml)")
	fl.IntVar(&f.devices, "devices", 0, "devices of a new store (default 1)")
	fl.IntVar(&f.replicas, "replicas", 0, "replicas of everything in a new store (default 1)")
	fl.StringSliceVar(&f.policies, "policies", nil, "storage policies of a new store, separated by commas, the first the default (default Policy-0)")
	fl.BoolVar(&f.quiet, "quiet", false, "do not print how to use the store")
	return cmd
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func serveAll(cmd *cobra.Command, f serveFlags) error {
	ctx := cmd.Context()
	for name, n := range map[string]int{"devices": f.devices, "replicas": f.replicas} {
		if cmd.Flags().Changed(name) && n < 1 {
			return usageError{cmd, fmt.Errorf("--%s: want 1 or more, have %d", name, n)}
		}
	}
	// The file that says how to log is not read yet; what goes wrong before that is returned.
	log := newLateLogger(os.Stderr)
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{
		Data: f.data, Devices: f.devices, Replicas: f.replicas, Policies: f.policies, Config: f.config, Log: log.Logger, Clock: clock.System,
		FS: disk.OS{}, Version: version,
	})
	if err != nil {
		return err
	}
	flush := func() {}
	defer func() { flush() }()
	defer func() {
		if err := e.Close(); err != nil {
			log.Error("closing failed", "err", err)
		}
	}()
	c := &e.Setup.Server
	c.Workers.Limit()
	logger, flushLog := c.Logger(os.Stderr)
	flush = flushLog
	log.use(logger)
	if f.listen != "" {
		if err := setListen(&c.BindIP, &c.BindPort, f.listen); err != nil {
			return usageError{cmd, err}
		}
	}
	l, err := c.Listen(ctx)
	if err != nil {
		return err
	}
	if !f.quiet {
		greet(cmd.OutOrStdout(), l.Addr(), e, f)
	}
	return e.Serve(ctx, l)
}

// setListen takes HOST:PORT apart.
func setListen(ip *string, port *int, addr string) error {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--listen: want HOST:PORT or :PORT, have %q", addr)
	}
	n, err := strconv.Atoi(p)
	if err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("--listen: want a port from 0 to 65535, have %q", p)
	}
	*ip, *port = host, n
	return nil
}

// greet tells how to use the store.
func greet(w io.Writer, addr net.Addr, e *assembly.Embedded, f serveFlags) {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	url := "http://" + net.JoinHostPort(host, port)
	if e.Setup.Server.TLS() {
		url = "https" + strings.TrimPrefix(url, "http")
	}
	fmt.Fprintf(w, "Apus is serving %s at %s\n", f.data, url)
	user, key := login(e.Users())
	if user == "" {
		return
	}
	auth := url + "/auth/v1.0"
	fmt.Fprintf(w, `
  user  %[1]s
  key   %[2]s
  auth  %[3]s
`, user, key, auth)
	region, s3 := e.S3()
	if s3 {
		fmt.Fprintf(w, "  S3    %s, region %s; the user is the access key, the key its secret\n", url, region)
	}
	fmt.Fprintf(w, `
Try one of these:

  curl -i -H 'X-Auth-User: %[1]s' -H 'X-Auth-Key: %[2]s' %[3]s   # then: curl -H 'X-Auth-Token: ...' STORAGE-URL
  swift -A %[3]s -U %[1]s -K %[2]s stat
  rclone lsd --swift-auth %[3]s --swift-user %[1]s --swift-key %[2]s :swift:
`, user, key, auth)
	if s3 {
		fmt.Fprintf(w, "  AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_DEFAULT_REGION=%s aws --endpoint-url %s s3 ls\n", user, key, region, url)
	}
	fmt.Fprintln(w)
}

// login picks the first administrator, by name.
func login(users map[string]string) (user, key string) {
	names := make([]string, 0, len(users))
	for n := range users {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fields := strings.Fields(users[n])
		if len(fields) > 0 && slices.Contains(fields[1:], ".admin") {
			return strings.Replace(n, "_", ":", 1), fields[0]
		}
	}
	return "", ""
}
