package cnamelookup

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// nameservers is there because the machine of the test may have none.
const nameservers = "nameservers = \"127.0.0.1:9\"\n"

func TestConform(t *testing.T) {
	mt.ConformWith(t, mt.Host(t), Filter, nameservers, nil, mt.MaxAllocs(0))
}

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, nameservers, nil) }

// A shared cache keeps what is set, and for how long.
type shared struct {
	cache.Cache
	items map[string]cache.Value
	set   map[string]item
}

type item struct {
	Value any
	TTL   float64
}

func newShared(known map[string]any) *shared {
	s := &shared{items: map[string]cache.Value{}, set: map[string]item{}}
	for k, v := range known {
		data, err := cache.EncodeJSON(v)
		if err != nil {
			panic(err)
		}
		s.items[k] = cache.Value{Data: data, JSON: true}
	}
	return s
}

func (s *shared) Get(_ context.Context, key string) (cache.Value, error) {
	if v, ok := s.items[key]; ok {
		return v, nil
	}
	return cache.Value{}, cache.ErrMiss
}

func (s *shared) Set(_ context.Context, key string, v cache.Value, ttl time.Duration) error {
	var value any
	if err := v.Decode(&value); err != nil {
		return err
	}
	s.items[key], s.set[key] = v, item{value, ttl.Seconds()}
	return nil
}

// with gives requests a host and a cache.
func with(host string, c cache.Cache) mt.Option {
	return func(r *http.Request) {
		r.Host = host
		*r = *request.With(r, &request.State{Infos: &request.Infos{}, Cache: c})
	}
}

// echo tells which host it was asked for, as the app of record.py does.
func echo() *mt.App {
	return mt.NewApp().Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, k := range []string{"Location", "Content-Location"} {
			if v, ok := r.Header["X-"+k]; ok {
				h[k] = v
			}
		}
		h.Set("Content-Type", "text/html; charset=UTF-8")
		h.Set("Content-Length", strconv.Itoa(len(r.Host)))
		io.WriteString(w, r.Host)
	}})
}

// result is what is compared.
type result struct {
	Status int
	Text   string
	Answer map[string]string
	Set    map[string]item
}

// TestHostsBecomeWhatSwiftMakesOfThem replays what testdata/record.py recorded, with a name server that knows the same.
func TestHostsBecomeWhatSwiftMakesOfThem(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			result
			Name, Host, Method string
			Config, Header     map[string]string
			Cached             map[string]any
			Apus               *struct {
				Why, Text string
				Status    int
				Answer    map[string]string
				Set       map[string]item
			}
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 60 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	dns := serve(t, knows(zone(t)))
	for _, row := range golden.Rows {
		want := row.result
		if o := row.Apus; o != nil {
			want.Set = o.Set
			if o.Text != "" {
				want.Text = o.Text
			}
			if o.Status != 0 {
				want.Status, want.Answer = o.Status, o.Answer
			}
			if cmp.Equal(want, row.result) {
				t.Errorf("%s: the answer is Swift's: take out the other one", row.Name)
			}
		}
		config := fmt.Sprintf("nameservers = %q\n", dns.addr)
		for k, v := range row.Config {
			if k != "lookup_depth" {
				v = strconv.Quote(v)
			}
			config += k + " = " + v + "\n"
		}
		h := mt.Build(t, Filter, config, echo())
		s := newShared(row.Cached)
		res := mt.Do(t, h, row.Method, "/v1/a", with(row.Host, s), func(r *http.Request) {
			for k, v := range row.Header {
				r.Header.Set(k, v)
			}
		})
		got := result{res.Code, res.Body, map[string]string{}, s.set}
		for k := range res.Header {
			if k != "Content-Length" {
				got.Answer[k] = res.Header.Get(k)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s of %q with %v: -want +got\n%s", row.Name, row.Method, row.Host, row.Config, diff)
		}
	}
}

func TestTheNameServerIsAskedOnce(t *testing.T) {
	dns := serve(t, knows(zone(t)))
	h := mt.Build(t, Filter, fmt.Sprintf("lookup_depth = 2\nnameservers = %q", dns.addr), echo())
	for host, questions := range map[string]int{
		"two.customer.test": 2, "missing.customer.test": 1, "zero.customer.test": 3, "www.customer.test": 0, "c.AUTH-a.example.com": 0,
	} {
		s := newShared(map[string]any{"cname-www.customer.test": "c.AUTH-a.example.com"})
		if host == "two.customer.test" {
			s = newShared(nil)
		}
		before := dns.questions()
		for range 3 {
			mt.Get(t, h, "/v1/a", with(host, s))
		}
		if n := dns.questions() - before; n != questions {
			t.Errorf("%s: %d questions to the name server, want %d", host, n, questions)
		}
	}
}

func TestWithoutACache(t *testing.T) {
	dns := serve(t, knows(zone(t)))
	h := mt.Build(t, Filter, fmt.Sprintf("nameservers = %q", dns.addr), echo())
	for _, c := range []cache.Cache{nil, newShared(map[string]any{"cname-www.customer.test": 17})} {
		if got := mt.Get(t, h, "/v1/a", with("www.customer.test", c)); got.Body != "c.AUTH-a.example.com" {
			t.Errorf("got %d %s", got.Code, got.Body)
		}
	}
}

func TestTheRequestItselfStaysAsItWas(t *testing.T) {
	dns := serve(t, knows(zone(t)))
	h := mt.Build(t, Filter, fmt.Sprintf("nameservers = %q", dns.addr), echo())
	var sent *http.Request
	mt.Get(t, h, "/v1/a", with("www.customer.test", nil), func(r *http.Request) { sent = r })
	if sent.Host != "www.customer.test" {
		t.Errorf("filters to the left see the host %s", sent.Host)
	}
}

func TestInfo(t *testing.T) {
	p := mt.BuildOn(t, mt.Host(t), Filter, nameservers+"lookup_depth = 5", echo())
	if diff := cmp.Diff(map[string]any{"lookup_depth": 5}, p.Info().Public["cname_lookup"]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, config := range []string{
		`nameservers = "localhost"`, `nameservers = "127.0.0.1:x"`, `nameservers = "127.0.0.1:0"`, `nameservers = "::1"`, `nameservers = "[127.0.0.1]"`,
		`nameservers = "127.0.0.1, [::1"`, nameservers + "lookup_depth = 0", nameservers + "lookup_depth = -1", nameservers + "lookup_depth = 1000",
	} {
		if p, err := mt.TryBuild(mt.Host(t), Filter, config, echo()); err == nil {
			p.Close()
			t.Errorf("%s: accepted", config)
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"www.customer.test:80", "[::1]", "a:b:c", "", ":", "]", "[", "example.com", "x.example.com.:1"} {
		f.Add(s)
	}
	filter := &filter{domains: []string{".example.com"}}
	f.Fuzz(func(t *testing.T, host string) {
		domain, port := split(host)
		if domain+port != host {
			t.Errorf("%q is cut into %q and %q", host, domain, port)
		}
		isAddress(domain)
		filter.ours(domain)
	})
}
