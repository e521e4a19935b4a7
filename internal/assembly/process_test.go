package assembly

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A process is a running `apus serve`.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string // of the server
	store string // of the account
	token string
}

// startProcess starts the sample's pipeline. Edits are old and new lines of the sample.
func startProcess(t *testing.T, binary string, edits ...string) *process {
	t.Helper()
	dir := t.TempDir()
	text := readSample(t).text
	edits = append(edits, "[filter.tempauth]", "[filter.tempauth]\nuser_test_tester = \"testing .admin\"")
	for i := 0; i < len(edits); i += 2 {
		if strings.Count(text, "\n"+edits[i]+"\n") != 1 {
			t.Fatalf("the sample does not have %q once", edits[i])
		}
		text = strings.Replace(text, "\n"+edits[i]+"\n", "\n"+edits[i+1]+"\n", 1)
	}
	path := filepath.Join(dir, "proxy-server.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t}
	p.cmd = exec.Command(binary, "serve", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--config", path)
	var diag bytes.Buffer
	p.cmd.Stderr = &diag
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		if t.Failed() {
			t.Logf("what the server had to say:\n%s", tail(diag.String()))
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), " at ")
	if err != nil || !ok {
		t.Fatalf("start: %q, %v", line, err)
	}
	p.url = url
	h := p.send("GET", url+"/auth/v1.0", nil, "X-Auth-User", "test:tester", "X-Auth-Key", "testing").Header
	p.token, p.store = h.Get("X-Auth-Token"), h.Get("X-Storage-Url")
	return p
}

// request makes a request for what is below the account, or for a whole URL.
func (p *process) request(ctx context.Context, method, path string, body io.Reader, header ...string) *http.Request {
	p.t.Helper()
	if !strings.HasPrefix(path, "http://") {
		path = p.store + "/" + path
	}
	r, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", p.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// An outcome is an answer, and the body if it is short.
type outcome struct {
	*http.Response
	sum   string // of the body
	bytes int64
	text  string
}

// send makes a request that must succeed.
func (p *process) send(method, path string, body io.Reader, header ...string) outcome {
	p.t.Helper()
	o, err := p.try(method, path, body, header...)
	if err != nil || o.StatusCode > 299 {
		p.t.Fatalf("%s %s: %v, %v %s", method, path, err, o.Response, o.text)
	}
	return o
}

func (p *process) try(method, path string, body io.Reader, header ...string) (outcome, error) {
	p.t.Helper()
	res, err := http.DefaultClient.Do(p.request(p.t.Context(), method, path, body, header...))
	if err != nil {
		return outcome{}, err
	}
	defer res.Body.Close()
	sum, text := md5.New(), &bytes.Buffer{}
	n, err := io.Copy(io.MultiWriter(sum, &first{text, 256 << 10}), res.Body)
	return outcome{res, hex.EncodeToString(sum.Sum(nil)), n, text.String()}, err
}

// first keeps so many bytes and drops the rest.
type first struct {
	buf  *bytes.Buffer
	left int
}

func (f *first) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.buf.Write(p[:n])
	f.left -= n
	return len(p), nil
}

// memory is the most that the process has had resident, in bytes.
func (p *process) memory() int64 {
	p.t.Helper()
	return mostMemory(p.t, p.cmd.Process.Pid)
}

func mostMemory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Skip("the kernel does not say how much memory a process has had")
	return 0
}

// put uploads n bytes, with their number: without it they would be sent in chunks.
func (p *process) put(path string, n int64) {
	p.t.Helper()
	r := p.request(p.t.Context(), "PUT", path, flow(n))
	r.ContentLength = n
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		p.t.Fatalf("PUT %s: %s", path, res.Status)
	}
}

// running is how many requests the process is serving.
func (p *process) running() int {
	p.t.Helper()
	text := p.send("GET", p.url+"/metrics", nil)
	for line := range strings.Lines(text.text) {
		if strings.HasPrefix(line, "apus_http_requests_in_flight{") && strings.Contains(line, `server="proxy"`) {
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
			if err != nil {
				p.t.Fatal(err)
			}
			return n
		}
	}
	p.t.Fatalf("no number of requests in\n%s", text.text)
	return 0
}

// wait waits until the process is serving so many requests.
func (p *process) wait(n int, patience time.Duration) bool {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if p.running() == n {
			return true
		}
	}
	return false
}
