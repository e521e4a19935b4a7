package assembly

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/sigv4"
)

var (
	listingKeys = flag.Int("listing.keys", 20_000, "keys in the bucket that BenchmarkListing lists")
	listingData = flag.String("listing.data", "", "data directory where that bucket stays, for apus serve")
)

// BenchmarkListing is a page of 1,000 keys of a large bucket, as JSON of the Swift API and by ListObjectsV2, through the whole
// server but for connections. The bucket has directories of 1,000 keys each: dir0042/object-0007. With a directory of data to
// keep, apus serve can be run on it afterwards.
//
//	go test -run '^$' -bench Listing ./internal/assembly -listing.keys 1000000
func BenchmarkListing(b *testing.B) {
	data := *listingData
	if data == "" {
		data = b.TempDir()
	}
	e, _ := start(b, EmbeddedOptions{Data: data, Config: "../../etc/functional-test.toml", Policies: []string{"gold", "silver"}})
	c := lister{b, e.Proxy, sigv4.NewSigner("test:tester", "testing", "", "us-east-1"), ""}
	login := httptest.NewRequest(http.MethodGet, "/auth/v1.0", nil)
	login.Header = http.Header{"X-Auth-User": {"test:tester"}, "X-Auth-Key": {"testing"}}
	c.token = c.do(login).Get("X-Auth-Token")
	c.s3(http.MethodPut, "/listing", "")
	fillContainer(b, data, *listingKeys)
	middle, last := *listingKeys/2000, *listingKeys/1000-1
	half := fmt.Sprintf("dir%04d/object-0500", middle)
	for _, p := range []struct{ name, marker, prefix, delimiter string }{
		{name: "first"}, {name: "middle", marker: half}, {name: "last", marker: fmt.Sprintf("dir%04d/", last)},
		{name: "prefix", prefix: half[:8]}, {name: "prefix and marker", prefix: half[:8], marker: half},
		{name: "delimiter", delimiter: "/"}, {name: "prefix and delimiter", prefix: half[:8], delimiter: "/"},
	} {
		both := url.Values{}
		for name, value := range map[string]string{"prefix": p.prefix, "delimiter": p.delimiter} {
			if value != "" {
				both.Set(name, value)
			}
		}
		b.Run("Swift "+p.name, func(b *testing.B) {
			q := maps.Clone(both)
			q["format"], q["limit"], q["marker"] = []string{"json"}, []string{"1000"}, []string{p.marker}
			b.ReportAllocs()
			for b.Loop() {
				c.swift("/v1/AUTH_test/listing", q.Encode())
			}
		})
		b.Run("S3 "+p.name, func(b *testing.B) {
			q := maps.Clone(both)
			q["list-type"], q["max-keys"], q["start-after"] = []string{"2"}, []string{"1000"}, []string{p.marker}
			b.ReportAllocs()
			for b.Loop() {
				c.s3(http.MethodGet, "/listing", q.Encode())
			}
		})
	}
}

// fillContainer puts rows into the database of the only container.
func fillContainer(b *testing.B, data string, keys int) {
	files, err := filepath.Glob(filepath.Join(data, "devices/*/containers/*/*/*/*.db"))
	if err != nil {
		b.Fatal(err)
	}
	pool := broker.NewPool(broker.Options{Clock: clock.System})
	defer pool.Close()
	for _, file := range files {
		hash := filepath.Dir(file)
		part := filepath.Dir(filepath.Dir(hash))
		place := broker.Place{Device: filepath.Dir(filepath.Dir(part)), Partition: filepath.Base(part), Hash: filepath.Base(hash)}
		db := pool.Container(place, "AUTH_test", "listing")
		if info, err := db.Info(broker.Fresh); err != nil || info.Container != "listing" || info.ObjectCount >= int64(keys) {
			continue // another container, or one that is full since an earlier run
		}
		rows := make([]broker.ObjectRow, 0, 10_000)
		for i := range keys {
			rows = append(rows, broker.ObjectRow{
				Name: fmt.Sprintf("dir%04d/object-%04d", i/1000, i%1000), CreatedAt: "1700000001.00000", Size: int64(i),
				ContentType: "application/octet-stream", ETag: fmt.Sprintf("%032x", i),
			})
			if len(rows) == cap(rows) || i == keys-1 {
				if err := db.MergeItems(rows, ""); err != nil {
					b.Fatal(err)
				}
				rows = rows[:0]
			}
		}
	}
}

// lister sends requests for listings.
type lister struct {
	*testing.B
	h      http.Handler
	signer *sigv4.Signer
	token  string
}

func (c *lister) swift(path, query string) {
	r := httptest.NewRequest(http.MethodGet, path+"?"+query, nil)
	r.Header.Set("X-Auth-Token", c.token)
	c.do(r)
}

func (c *lister) s3(method, path, query string) {
	r := httptest.NewRequest(method, path+"?"+query, nil)
	if _, err := c.signer.Sign(r, sigv4.EmptyPayload, time.Now()); err != nil {
		c.Fatal(err)
	}
	r.RequestURI = r.URL.RequestURI()
	c.do(r)
}

// do returns the headers of the answer. A bucket may be there already.
func (c *lister) do(r *http.Request) http.Header {
	w := httptest.NewRecorder()
	if c.h.ServeHTTP(w, r); w.Code != http.StatusOK && w.Code != http.StatusConflict {
		c.Fatalf("%s %s: %d %.300s", r.Method, r.URL, w.Code, w.Body)
	}
	return w.Header()
}
