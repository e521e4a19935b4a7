package killtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds the program once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "killtest")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "apus")
	out, err := exec.Command("go", "build", "-o", path, "github.com/apus-storage/apus/cmd/apus").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

const proxyTOML = `[DEFAULT]
bind_ip = "127.0.0.1"
bind_port = 8080
[pipeline.main]
pipeline = ["catch_errors", "gatekeeper", "healthcheck", "cache", "listing_formats", "proxy-server"]
[filter.catch_errors]
[filter.gatekeeper]
[filter.healthcheck]
[filter.listing_formats]
[filter.cache]
backend = "memory"
[app.proxy-server]
account_autocreate = true
`

// server is a store that is killed and started again.
type server struct {
	t      *testing.T
	data   string
	args   []string
	cmd    *exec.Cmd
	stderr bytes.Buffer
	url    string
	client *http.Client
}

func newServer(t *testing.T, devices, replicas int) *server {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "proxy-server.toml")
	if err := os.WriteFile(config, []byte(proxyTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, data: filepath.Join(dir, "data"), client: &http.Client{Transport: &http.Transport{}}}
	s.args = []string{"serve", "--data", s.data, "--listen", "127.0.0.1:0", "--config", config,
		"--devices", strconv.Itoa(devices), "--replicas", strconv.Itoa(replicas)}
	t.Cleanup(s.kill)
	s.start()
	return s
}

// start starts the program and waits until it says where it listens.
func (s *server) start() {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.stderr.Reset()
	s.cmd = exec.Command(path, s.args...)
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), " at ")
	if err != nil || !ok {
		s.kill()
		s.t.Fatalf("start: %q, %v; %s", line, err, s.stderr.String())
	}
	s.url = url
}

// kill ends the program with SIGKILL, if it runs.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	err := s.cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Errorf("the program ended by itself: %v; %s", err, s.stderr.String())
	}
	s.cmd = nil
	s.client.CloseIdleConnections()
}

// do makes a request. An answer that is not whole is an error.
func (s *server) do(method, path string, body []byte) (int, http.Header, []byte, error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("X-Newest", "true")
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, data, err
}

// eventually tries until there is no error or the time is over, and returns the last error.
func eventually(d time.Duration, try func() error) error {
	for end := time.Now().Add(d); ; time.Sleep(200 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
