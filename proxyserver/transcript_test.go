package proxyserver_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/proxyserver"
)

// transcripts are conversations of a Swift proxy with its storage servers: for each operation of a client, the
// connections, each a list of what the client and the server of the connection said.
type transcripts map[string][]struct {
	Server   string
	Messages [][2]string
}

func loadTranscripts(t *testing.T) transcripts {
	data, err := os.ReadFile("testdata/backend_transcripts.json")
	fatal(t, err)
	var tr transcripts
	fatal(t, json.Unmarshal(data, &tr))
	return tr
}

// quirks are headers that Swift 2.30 sends and that mean nothing: connections are kept here, and 2.38 asks for
// containers' heads without them.
var quirks = map[string]bool{
	"Connection": true, "Accept-Encoding": true, "Content-Length": true, "X-Backend-Override-Shard-Name-Filter": true,
}

var (
	transID   = regexp.MustCompile(`^tx[0-9a-f]{21}-[0-9a-f]{10}`)
	timestamp = regexp.MustCompile(`^\d{10}\.\d{5}$`)
	agent     = regexp.MustCompile(`^proxy-server \d+$`)
)

// describe writes a request to a node in a form that can be compared: without what differs from run to run, and without
// the device, since nodes are shuffled.
func describe(server string, r *http.Request) string {
	lines := []string{server + " " + r.Method + " " + regexp.MustCompile(`^/[^/]+`).ReplaceAllString(r.URL.Path, "/DEV")}
	query := strings.Split(r.URL.RawQuery, "&")
	head := r.Method == http.MethodHead
	query = slices.DeleteFunc(query, func(p string) bool { return p == "" || head && p == "states=listing" })
	slices.Sort(query)
	lines = append(lines, "? "+strings.Join(query, "&"))
	for _, k := range slices.Sorted(maps.Keys(r.Header)) {
		v := strings.Join(r.Header[k], ",")
		if quirks[k] || k == "Host" || v == "" && (k == "Content-Type") || head && k == "X-Backend-Record-Type" {
			continue
		}
		switch {
		case transID.MatchString(v):
			v = "TXN"
		case timestamp.MatchString(v):
			v = "TIME"
		case agent.MatchString(v):
			v = "AGENT"
		case strings.HasSuffix(k, "-Host"):
			v = regexp.MustCompile(`:\d+`).ReplaceAllString(v, ":PORT")
		case k == "Referer" && head:
			v = strings.TrimSuffix(v, "&states=listing")
		case k == "X-Auth-Token":
			v = "TOKEN"
		}
		lines = append(lines, k+": "+v)
	}
	return strings.Join(lines, "\n")
}

// expected are the requests that Swift's proxy sent.
func (tr transcripts) expected(t *testing.T, op string, want func(*http.Request) bool) (out []string) {
	for _, c := range tr[op] {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(c.Messages[0][1])))
		fatal(t, err)
		if want(r) {
			out = append(out, describe(strings.TrimSuffix(c.Server, "-server"), r))
		}
	}
	slices.Sort(out)
	return out
}

// TestTranscripts compares what nodes are sent with what Swift's proxy sends for the same operation of a client.
func TestTranscripts(t *testing.T) {
	tr := loadTranscripts(t)
	const client = "Host: 127.0.0.1:7105|Accept: */*|X-Auth-Token: AUTH_tk"
	slo := "|X-Backend-Etag-Is-At: x-object-sysmeta-slo-etag|X-Backend-Ignore-Range-If-Metadata-Present: X-Static-Large-Object,X-Object-Manifest,x-object-sysmeta-symlink-target"
	for _, c := range []struct {
		name, op, method, path, body, headers string
		answer                                int
		entity                                string // requests for it are compared
	}{
		{"create an account on the way", "putcont", "PUT", "/v1/AUTH_test/c", "", "X-Container-Meta-Color: blue", 201, "/AUTH_test"},
		{"create a container", "putcont", "PUT", "/v1/AUTH_test/c", "", "X-Container-Meta-Color: blue", 201, "/AUTH_test/c"},
		{"create a container of a policy", "putcont1", "PUT", "/v1/AUTH_test/c1", "", "X-Storage-Policy: silver", 201, "/AUTH_test/c1"},
		{"store an object", "putobj", "PUT", "/v1/AUTH_test/c/o1", "hello world", "Content-Type: text/plain|X-Object-Meta-A: b", 201, "/AUTH_test/c/o1"},
		{"look up its container", "putobj", "PUT", "/v1/AUTH_test/c/o1", "hello world", "Content-Type: text/plain|X-Object-Meta-A: b", 201, "/AUTH_test/c"},
		{"store an object that expires", "putobj_delat", "PUT", "/v1/AUTH_test/c/exp", "expiring", "Content-Type: text/plain|X-Delete-At: 4000000000", 201, "/AUTH_test/c/exp"},
		{"read an object", "getobj", "GET", "/v1/AUTH_test/c/o1", "-", slo[1:], 200, "/AUTH_test/c/o1"},
		{"look at an object", "headobj", "HEAD", "/v1/AUTH_test/c/o1", "-", slo[1:], 200, "/AUTH_test/c/o1"},
		{"change an object", "postobj", "POST", "/v1/AUTH_test/c/o1", "", "X-Object-Meta-A: c|Content-Type: text/html", 202, "/AUTH_test/c/o1"},
		{"delete an object", "delobj", "DELETE", "/v1/AUTH_test/c/o1", "-", "", 204, "/AUTH_test/c/o1"},
		{"list a container", "listc", "GET", "/v1/AUTH_test/c?format=json&prefix=o", "-", "Accept: application/json", 200, "/AUTH_test/c"},
		{"list an account", "lista", "GET", "/v1/AUTH_test?format=json", "-", "Accept: application/json", 200, "/AUTH_test"},
		{"store a large object's manifest", "slo", "PUT", "/v1/AUTH_test/c/slo?multipart-manifest=put", "[]",
			"Content-Type: application/x-www-form-urlencoded;swift_bytes=7|X-Object-Sysmeta-Slo-Etag: 94b7dacd9e056d32b192b58cd6f76dd4|X-Object-Sysmeta-Slo-Size: 7|X-Static-Large-Object: True|Etag: dde4a9b12eeee6bb0f3196c83807d19c|X-Backend-Content-Type-Overridden: yes|" +
				"X-Object-Sysmeta-Container-Update-Override-Etag: dde4a9b12eeee6bb0f3196c83807d19c; slo_etag=94b7dacd9e056d32b192b58cd6f76dd4", 201, "/AUTH_test/c/slo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := transcriptCluster(t, c.op)
			f.say("object "+c.method+" /AUTH_test/c/"+lastSegment(c.path), nodeAnswer{code: c.answer})
			headers := strings.Split(client, "|")
			if c.headers != "" {
				for h := range strings.SplitSeq(c.headers, "|") {
					headers = slices.DeleteFunc(headers, func(old string) bool { return strings.HasPrefix(h, old[:strings.Index(old, ":")+1]) })
					headers = append(headers, h)
				}
			}
			if c.method == http.MethodPut {
				// Otherwise small bodies go to the nodes without 100-continue.
				headers = append(headers, "Expect: 100-continue")
			}
			if w := f.do(c.method, c.path, c.body, headers...); w.Code != c.answer {
				t.Fatalf("client got %d %s", w.Code, w.Body)
			}
			f.in.Close()
			var got []string
			for _, s := range f.calls {
				if s.entity() == c.entity {
					got = append(got, describe(s.server, s.Request))
				}
			}
			slices.Sort(got)
			want := tr.expected(t, c.op, func(r *http.Request) bool {
				return regexp.MustCompile(`^/[^/]+/\d+`).ReplaceAllString(r.URL.Path, "") == c.entity &&
					!strings.Contains(r.URL.RawQuery, "%00") && (c.op != "putcont1" || r.Method == c.method) // the rest is what filters asked
			})
			// Swift asks all nodes where this asks until it knows, and the other way round.
			got, want = slices.Compact(got), slices.Compact(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sent otherwise than Swift (-Swift +this):\n%s", diff)
			}
		})
	}
}

func lastSegment(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// transcriptCluster is the cluster of the transcripts: three devices, four bits of partition.
func transcriptCluster(t *testing.T, op string) *fakeCluster {
	cluster, err := swiftconf.ParseTOML("swift.toml", []byte(`
[swift-hash]
swift_hash_path_prefix = "goldpre"
swift_hash_path_suffix = "goldsuf"
[storage-policy.0]
name = "gold"
default = true
[storage-policy.1]
name = "silver"
`))
	fatal(t, err)
	f := newFakeCluster(t, 3, cluster, func(c *proxyserver.Config) { c.AccountAutocreate = true })
	f.state = func() *request.State {
		return &request.State{Infos: &request.Infos{}, Owner: true, TransID: "tx483717e48502469aa6ac3-006b01fe67"}
	}
	there := nodeAnswer{code: 204, header: map[string]string{"X-Timestamp": "1700000000.00000"}}
	f.say("account HEAD /AUTH_test", there)
	f.say("account GET /AUTH_test", nodeAnswer{code: 200, body: "[]"})
	f.say("account PUT /AUTH_test", nodeAnswer{code: 201})
	if op == "putcont" {
		missing := nodeAnswer{code: 404}
		f.say("account HEAD /AUTH_test", missing, missing, missing, there)
	}
	f.say("container HEAD /AUTH_test/c", there)
	f.say("container GET /AUTH_test/c", nodeAnswer{code: 200, body: "[]"})
	f.say("container PUT /AUTH_test/c", nodeAnswer{code: 201})
	f.say("container PUT /AUTH_test/c1", nodeAnswer{code: 201})
	return f
}
