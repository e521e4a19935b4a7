package s3gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A formWay is how a form comes to the gateway, or goes to the store.
type formWay struct{ tls, http2, virtual bool }

func (w formWay) String() string {
	return fmt.Sprintf("TLS %v, HTTP/2 %v, by host %v", w.tls, w.http2, w.virtual)
}

func (w formWay) proto() string {
	if w.http2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// url is where the way begins.
func (w formWay) url(host, port, securePort string) string {
	if w.tls {
		return "https://" + host + ":" + securePort
	}
	return "http://" + host + ":" + port
}

var formWays = []formWay{
	{false, false, false}, {false, false, true}, {true, false, false}, {true, false, true}, {true, true, false}, {true, true, true},
}

// TestFormsComeAndGoInAllWays posts over TLS and without, by HTTP/1.1 and HTTP/2, to buckets in the path and in the host, on both sides.
func TestFormsComeAndGoInAllWays(t *testing.T) {
	resolveHere(t)
	ca := newAuthority(t)
	far := newStore(t)
	securePort := ca.serve(t, far.server.Config.Handler)
	met := make([]atomic.Value, len(formWays)) // how the store was asked for each bucket
	far.meet(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			asked := r.Host + r.URL.Path
			for i := range met {
				if strings.Contains(asked, fmt.Sprintf("archive-%d", i)) { // what was broken off may come late
					met[i].Store(fmt.Sprintf("%s %v %s", r.Proto, r.TLS != nil, asked))
				}
			}
		}
		return false
	})
	tables := []string{"[filter.s3gateway]\nstorage_domain = '" + domain + "'\n", clients}
	for i, theirs := range formWays {
		host, addressing := "127.0.0.1", "path"
		if theirs.virtual {
			host, addressing = domain, "virtual"
		}
		tables = append(tables, fmt.Sprintf("[filter.s3gateway.upstream.u%d]\nendpoint = '%s'\naddressing = '%s'\nhttp2 = %v\nca_file = '%s'\naccess_key = '%s'\nsecret = '%s'\n"+
			"[[filter.s3gateway.route]]\nbucket = 'photos-%d'\nupstreams = ['u%d']\nupstream_bucket = 'archive-%d'\n",
			i, theirs.url(host, portOf(far.server.URL), securePort), addressing, theirs.http2, ca.file, storeKey, storeSecret, i, i, i))
		far.want(200, "PUT", fmt.Sprintf("/archive-%d", i), "")
	}
	g := newGateway(t, tables...)
	ourPort := ca.serve(t, g.http.Config.Handler)
	for _, mine := range formWays {
		var over http.RoundTripper
		if mine.tls {
			over = ca.transport(t, mine.http2)
		}
		for i, theirs := range formWays {
			t.Run(mine.String()+" to "+theirs.String(), func(t *testing.T) {
				bucket, archive := fmt.Sprintf("photos-%d", i), fmt.Sprintf("archive-%d", i)
				host, path := "127.0.0.1", "/"+bucket
				if mine.virtual {
					host, path = bucket+"."+domain, ""
				}
				client := &s3{t, mine.url(host, portOf(g.url), ourPort), alice, over}
				asked := "127.0.0.1:" + portOf(theirs.url("", portOf(far.server.URL), securePort)) + "/" + archive
				if theirs.virtual {
					asked = archive + "." + domain + ":" + portOf(asked[:strings.IndexByte(asked, '/')]) + "/"
				}
				met[i].Store("")
				p := page{fields: []pair{userKey, {"success_action_status", "201"}, {"Content-Type", "image/png"}}, file: "the picture", limits: []any{[]any{"content-length-range", 1, 100}}}
				a := client.posts(201, bucket, p)
				if want := client.url + path + "/user/photo.png"; a.header.Get("Location") != want || between(a.body, "<Location>", "<") != want || a.proto != mine.proto() {
					t.Errorf("answered %s %v, want %s %s", a.proto, a, mine.proto(), want)
				}
				if got, want := met[i].Load(), fmt.Sprintf("%s %v %s", theirs.proto(), theirs.tls, asked); got != want {
					t.Errorf("the store was asked by %s, want %s", got, want)
				}
				if b := far.want(200, "GET", "/"+archive+"/user/photo.png", ""); b.body != p.file || b.header.Get("Content-Type") != "image/png" {
					t.Errorf("the store has %v", b)
				}
				far.want(204, "DELETE", "/"+archive+"/user/photo.png", "")

				// What is too large, signed by another, or breaks off is not stored.
				p.file = strings.Repeat("x", 101)
				client.posts("EntityTooLarge", bucket, p)
				p.change = func(fields []pair) { fields[len(fields)-1].value = strings.Repeat("0", 64) }
				client.posts("SignatureDoesNotMatch", bucket, p)
				p.change, p.file = nil, "the picture"
				body, w := p.head(alice, bucket)
				r := client.request(http.MethodPost, client.pathOf(bucket), "", "Content-Type", w.FormDataContentType())
				r.ContentLength = int64(body.Len()) + 100
				r.Body = io.NopCloser(io.MultiReader(body, strings.NewReader(p.file), failing{}))
				if a, err := sendOver(over, r); err == nil && a.status < 400 {
					t.Errorf("half a form was answered %v", a)
				}
				g.settle()
				far.want(404, "HEAD", "/"+archive+"/user/photo.png", "")
			})
		}
	}
}
