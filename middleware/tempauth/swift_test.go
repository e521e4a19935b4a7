package tempauth

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache/memcached"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// swiftAuth asks OpenStack Swift's tempauth, with the memcached given, for a token (no argument), or what status it gives
// a request with the token.
const swiftAuth = `
import sys
from swift.common.memcached import MemcacheRing
from swift.common.middleware.tempauth import filter_factory
from swift.common.swob import Request, Response

def app(env, start_response):
    req = Request(env)
    denied = env['swift.authorize'](req)
    return (denied or Response(status=204))(env, start_response)

conf = {'reseller_prefix': 'AUTH, SERVICE', 'SERVICE_require_group': 'service', 'user_test_tester': 'testing .admin'}
auth = filter_factory(conf)(app)
env = {'swift.cache': MemcacheRing([sys.argv[1]])}
if len(sys.argv) > 2:
    req = Request.blank('/v1/AUTH_test/c', environ=env, headers={'X-Auth-Token': sys.argv[2]})
    print(req.get_response(auth).status_int)
else:
    req = Request.blank('/auth/v1.0', environ=env, headers={'X-Auth-User': 'test:tester', 'X-Auth-Key': 'testing'})
    print(req.get_response(auth).headers['X-Auth-Token'])
`

func swift(t *testing.T, args ...string) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import swift.common.middleware.tempauth").Run() != nil {
		t.Skip("OpenStack Swift is not installed")
	}
	out, err := exec.Command(python, append([]string{"-c", swiftAuth}, args...)...).Output()
	if err != nil {
		t.Fatalf("ask Swift: %v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	return strings.TrimSpace(string(out))
}

// startMemcached starts a memcached on loopback and returns its address.
func startMemcached(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Skip("memcached is not installed")
	}
	// A port that was free a moment ago can be taken by somebody else, so the start may need repeating.
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr)
		l.Close()
		args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(addr.Port), "-U", "0", "-m", "16"}
		if os.Geteuid() == 0 {
			args = append(args, "-u", "nobody")
		}
		cmd := exec.Command(path, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		if listening(addr.String(), ended) {
			t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
			return addr.String()
		}
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Fatal("memcached does not start")
	return ""
}

// listening waits until addr accepts connections, or ended.
func listening(addr string, ended <-chan struct{}) bool {
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for range 400 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-retry.C:
		}
	}
	return false
}

func TestTokensAreSharedWithSwift(t *testing.T) {
	addr := startMemcached(t)
	theirs := swift(t, addr)
	cfg := memcached.Defaults()
	cfg.Servers = config.List{addr}
	client, err := memcached.New(cfg, memcached.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p := middlewaretest.Build(t, Filter, section, &proxy{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, request.With(r, &request.State{Infos: &request.Infos{}, Cache: client}))
	})
	if got := middlewaretest.Get(t, h, "/v1/AUTH_test/c", middlewaretest.Header("X-Auth-Token", theirs)).Code; got != http.StatusNoContent {
		t.Errorf("a token of Swift's: got %d, want 204", got)
	}
	if again := login(t, h, "test:tester", "testing"); again != theirs {
		t.Errorf("Swift's token %s is not reused: got %s", theirs, again)
	}
	if err := client.Delete(t.Context(), "AUTH_/user/test:tester"); err != nil {
		t.Fatal(err)
	}
	ours := login(t, h, "test:tester", "testing")
	if ours == theirs {
		t.Fatal("no new token")
	}
	if got := swift(t, addr, ours); got != "204" {
		t.Errorf("our token at Swift's: got %s, want 204", got)
	}
	if again := swift(t, addr); again != ours {
		t.Errorf("our token %s is not reused by Swift: got %s", ours, again)
	}
	if got := swift(t, addr, "AUTH_tkbogus"); got != "401" {
		t.Errorf("a bogus token at Swift's: got %s, want 401", got)
	}
}
