package memcached

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/cachetest"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stepClock moves only when told to.
type stepClock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *stepClock { return &stepClock{now: time.Unix(1_795_292_775, 0)} }

// open returns a Client of the given servers with the defaults and what change makes of them.
func open(t *testing.T, servers []string, change func(*Config, *Options)) *Client {
	t.Helper()
	cfg, opts := Defaults(), Options{Clock: newClock()}
	cfg.Servers = servers
	if change != nil {
		change(&cfg, &opts)
	}
	c, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConformance(t *testing.T) {
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			cachetest.Run(t, func(t *testing.T) cachetest.Subject {
				clk := newClock()
				var servers []string
				for range n {
					f := newFake(t)
					f.now = clk.Now
					servers = append(servers, f.addr())
				}
				c := open(t, servers, func(_ *Config, o *Options) { o.Clock = clk })
				return cachetest.Subject{Cache: c, Advance: clk.Advance, MaxItem: 1<<20 + 1}
			})
		})
	}
}

// asSwift is a command of this client in Swift's words.
func asSwift(command string) string {
	if rest, ok := strings.CutPrefix(command, "gets "); ok {
		return "get " + rest
	}
	return command
}

// TestTranscript repeats a conversation that a proxy of OpenStack Swift had with memcached.
func TestTranscript(t *testing.T) {
	var transcript [][2]string
	readJSON(t, "memcache_transcript.json", &transcript)
	keys := map[string]string{}
	for _, key := range []string{"AUTH_/user/test:tester", "AUTH_/token/AUTH_tk19fa276ae43a4b63ac28873438e73f3e",
		"account/AUTH_test", "container/AUTH_test/c", "container/AUTH_test/c1", "container/AUTH_test/ec",
		"shard-listing/AUTH_test/c", "shard-listing/AUTH_test/c1", "ratelimit/AUTH_test"} {
		keys[sumKey(key).wire()] = key
	}
	var want, replies []string
	for _, m := range transcript {
		if m[0] == "C" {
			want = append(want, m[1])
		} else {
			replies = append(replies, m[1])
		}
	}

	f := newFake(t)
	next := 0
	f.answerWith(func(string) string { next++; return replies[next-1] })
	c := open(t, []string{f.addr()}, nil)
	for i, command := range want {
		words := strings.Fields(strings.SplitN(command, "\r\n", 2)[0])
		key, known := keys[words[1]]
		if !known {
			t.Fatalf("command %d is about an unknown key: %q", i, command)
		}
		if err := repeat(t, c, key, words, command); err != nil {
			t.Errorf("command %d, %q: %v", i, command, err)
		}
	}
	got := f.commands()
	for i := range got {
		got[i] = asSwift(got[i])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conversation (-Swift +Apus):\n%s", diff)
	}
}

// repeat calls for what makes Swift send command.
func repeat(t *testing.T, c *Client, key string, words []string, command string) error {
	switch words[0] {
	case "get":
		if _, err := c.Get(t.Context(), key); err != nil && err != cache.ErrMiss {
			return err
		}
	case "set":
		_, data, _ := strings.Cut(command, "\r\n")
		v := cache.Value{Data: []byte(strings.TrimSuffix(data, "\r\n")), JSON: words[2] == "2"}
		ttl, err := time.ParseDuration(words[3] + "s")
		return errors.Join(err, c.Set(t.Context(), key, v, ttl))
	case "delete":
		return c.Delete(t.Context(), key)
	case "incr":
		_, err := c.Incr(t.Context(), key, 10, 0)
		return err
	case "add": // follows from incr
	default:
		return errors.New("not known to the test")
	}
	return nil
}

// TestJSONIsWhatSwiftWrites stores values of the transcript from Go types.
func TestJSONIsWhatSwiftWrites(t *testing.T) {
	type counts struct {
		ContainerCount int `json:"container_count"`
		ObjectCount    int `json:"object_count"`
		Bytes          int `json:"bytes"`
	}
	type account struct {
		Status           int               `json:"status"`
		ContainerCount   string            `json:"container_count"`
		TotalObjectCount string            `json:"total_object_count"`
		Bytes            string            `json:"bytes"`
		StoragePolicies  map[string]counts `json:"storage_policies"`
		Meta             map[string]string `json:"meta"`
		Sysmeta          map[string]string `json:"sysmeta"`
		ReallyExists     bool              `json:"account_really_exists"`
	}
	none := map[string]string{}
	values := map[string]any{
		"AUTH_/token/AUTH_tk19fa276ae43a4b63ac28873438e73f3e": []any{
			cache.Float(1795379175.1756926), "test,test:tester,AUTH_test"},
		"AUTH_/user/test:tester": "AUTH_tk19fa276ae43a4b63ac28873438e73f3e",
		"account/AUTH_test":      account{204, "0", "0", "0", map[string]counts{"0": {}, "1": {}, "2": {}}, none, none, true},
	}
	var transcript [][2]string
	readJSON(t, "memcache_transcript.json", &transcript)
	f := newFake(t)
	c := open(t, []string{f.addr()}, nil)
	for key, v := range values {
		ttl := 86399 * time.Second
		if strings.HasPrefix(key, "account/") {
			ttl = time.Minute
		}
		if err := cache.SetJSON(t.Context(), c, key, v, ttl); err != nil {
			t.Fatal(err)
		}
		got := f.commands()
		if !slices.ContainsFunc(transcript, func(m [2]string) bool { return m[1] == got[0] }) {
			t.Errorf("SetJSON(%q) sent what Swift never did: %q", key, got[0])
		}
	}
}

func TestExpiryOnTheWire(t *testing.T) {
	f := newFake(t)
	c := open(t, []string{f.addr()}, nil)
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		ttl  time.Duration
		want string
	}{
		{"for ever", 0, "0"},
		{"expired", -time.Hour, "-1"},
		{"fractions are cut", 6900 * time.Millisecond, "6"},
		{"but not to nothing", 600 * time.Millisecond, "1"},
		{"thirty days are relative", 30 * day, "2592000"},
		{"beyond thirty days is absolute", 30*day + time.Second, "1797884776"},
		{"beyond what the library can send", 36500 * day, "2147483647"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := c.Set(t.Context(), "k", cache.Text("v"), tt.ttl); err != nil {
				t.Fatal(err)
			}
			want := []string{"set " + sumKey("k").wire() + " 0 " + tt.want + " 1\r\nv\r\n"}
			if got := f.commands(); !slices.Equal(got, want) {
				t.Errorf("Set for %v sent %q, want %q", tt.ttl, got, want)
			}
		})
	}
}

func TestPickledItemsAreMisses(t *testing.T) {
	f := newFake(t)
	c := open(t, []string{f.addr()}, nil)
	for _, flags := range []string{"1", "3"} {
		f.items[sumKey("k").wire()] = fakeItem{flags: flags, data: "I1\n."}
		if v, err := c.Get(t.Context(), "k"); err != cache.ErrMiss {
			t.Errorf("Get with flags %s: got %q, %v, want ErrMiss", flags, v.Data, err)
		}
		if got, err := c.GetMulti(t.Context(), "k", []string{"k"}); err != nil || len(got) != 0 {
			t.Errorf("GetMulti with flags %s: got %v, %v, want nothing", flags, got, err)
		}
	}
}
