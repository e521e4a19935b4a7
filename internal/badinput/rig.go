package badinput

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Creds are two users of the server, as tempauth (or anything that speaks its token request) knows them. The second has
// an account of its own and no rights on the first's.
type Creds struct {
	User, Key           string // account:user and its key
	OtherUser, OtherKey string
}

// DefaultCreds are users that Swift's functional tests expect.
func DefaultCreds() Creds {
	return Creds{User: "test6:tester6", Key: "testing6", OtherUser: "test2:tester2", OtherKey: "testing2"}
}

// rig is a server with the fixtures on it.
type rig struct {
	addr     string
	client   *http.Client
	vars     vars
	recorded bool // compare with the recorded answers even where they are replaced
}

// fixtures are the objects made before the first case: container suffix, name, content.
var fixtures = []struct{ container, name, content string }{
	{"", "ten", "0123456789"},
	{"", "empty", ""},
	{"-list", "a", "1"},
	{"-list", "b/1", "12"},
	{"-list", "b/2", "12"},
	{"-list", "b/c/3", "123"},
	{"-list", "b--x", "1"},
	{"-list", "<&>", "1"},
	{"-list", "%C3%BC", "1"},
	{"-list", "z%25", "1"},
	{"-cors", "ten", "0123456789"},
}

func newRig(t *testing.T, addr string, creds Creds) *rig {
	t.Helper()
	r := &rig{addr: addr, client: &http.Client{Timeout: answerBound}}
	var id [3]byte
	_, _ = rand.Read(id[:]) // never fails
	r.vars = vars{
		"host": addr, "user": creds.User, "key": creds.Key,
		"container": "badinput-" + hex.EncodeToString(id[:]),
	}
	r.vars["token"], r.vars["account"] = r.logIn(t, creds.User, creds.Key)
	r.vars["other-token"], r.vars["other-account"] = r.logIn(t, creds.OtherUser, creds.OtherKey)
	t.Cleanup(func() { r.remove(t) })
	for suffix, header := range map[string]string{
		"": "", "-list": "", "-cors": "X-Container-Meta-Access-Control-Allow-Origin: http://one.test http://two.test",
	} {
		r.must(t, http.MethodPut, suffix, "", header)
	}
	for _, f := range fixtures {
		header := "X-Object-Meta-Colour: blue"
		if f.container == "-list" {
			header = ""
		}
		r.must(t, http.MethodPut, f.container+"/"+f.name, f.content, header)
	}
	r.vars["policy"] = r.must(t, http.MethodHead, "", "", "").Get("X-Storage-Policy")
	return r
}

// varsOf are the placeholders' values for one case.
func (r *rig) varsOf(c *Case) vars {
	v := vars{"fresh": "new-" + slug(c.Name)}
	for name, value := range r.vars {
		v[name] = value
	}
	return v
}

func (r *rig) logIn(t *testing.T, user, key string) (token, account string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr+"/auth/v1.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-User", user)
	req.Header.Set("X-Auth-Key", key)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatalf("log in as %s: %v", user, err)
	}
	_ = resp.Body.Close()
	token, url := resp.Header.Get("X-Auth-Token"), resp.Header.Get("X-Storage-Url")
	if token == "" || url == "" {
		t.Fatalf("log in as %s: got %s, want a token and a storage URL", user, resp.Status)
	}
	return token, url[strings.LastIndex(url, "/")+1:]
}

// do sends a plain request for account/container+target.
func (r *rig) do(ctx context.Context, method, path, content, header string) (*http.Response, error) {
	url := "http://" + r.addr + "/v1/" + r.vars["account"] + path
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("X-Auth-Token", r.vars["token"])
	if method == http.MethodPut {
		req.Header.Set("Content-Type", "text/plain")
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
	}
	return r.client.Do(req)
}

func (r *rig) must(t *testing.T, method, target, content, header string) http.Header {
	t.Helper()
	resp, err := r.do(t.Context(), method, "/"+r.vars["container"]+target, content, header)
	if err != nil {
		t.Fatalf("fixture: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("fixture: %s %s: %s", method, target, resp.Status)
	}
	return resp.Header
}

// remove deletes every container whose name begins as the fixtures' do, with its objects.
func (r *rig) remove(t *testing.T) {
	ctx := context.Background() // the test's own context has ended when clean-up runs
	var err error
	for range cleanUps {
		if err = r.sweep(ctx); err == nil {
			return
		}
	}
	t.Logf("left behind: %v", err)
}

// cleanUps is how often removal is tried: listings lag behind.
const cleanUps = 3

func (r *rig) sweep(ctx context.Context) error {
	var errs []error
	for _, c := range r.names(ctx, "?prefix="+r.vars["container"]) {
		for _, o := range r.names(ctx, "/"+c+"?limit=10000") {
			errs = append(errs, r.discard(ctx, "/"+c+"/"+escapePath(o)))
		}
		errs = append(errs, r.discard(ctx, "/"+c))
	}
	return errors.Join(errs...)
}

func (r *rig) names(ctx context.Context, target string) []string {
	resp, err := r.do(ctx, http.MethodGet, target, "", "")
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	var names []string
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		names = append(names, lines.Text())
	}
	return names
}

func (r *rig) discard(ctx context.Context, target string) error {
	resp, err := r.do(ctx, http.MethodDelete, target, "", "")
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest && resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("delete %s: %s", target, resp.Status)
	}
	return nil
}

// escapePath quotes every byte that is not plainly safe, "/" included: dot segments stay as they are stored.
func escapePath(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// alive asks a plain question on a new connection.
func (r *rig) alive() error {
	conn, err := send(r.addr, []byte("GET /healthcheck HTTP/1.1\r\nHost: "+r.addr+"\r\n\r\n"), false)
	if err != nil {
		return fmt.Errorf("server does not accept connections: %w", err)
	}
	defer conn.close()
	resp, err := conn.next(10 * time.Second)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("server does not answer a plain request: %w", err)
	}
	if resp.status[0] == '5' {
		return fmt.Errorf("server answers a plain request with %s", resp.status)
	}
	return nil
}
