package proxylogging

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// labelling returns a host whose labelled metrics, without the beginning that all have and without times, go to the list.
func labelling(t *testing.T, got *[]string) middleware.Host {
	host := mt.Host(t)
	cfg := statsd.Defaults()
	cfg.LabelMode, cfg.EmitLegacy = "influxdb", false
	host.Stats = statsd.ToFunc(cfg, func(packet string) {
		packet = strings.TrimPrefix(packet, metricPrefix)
		if i := strings.LastIndexByte(packet, ':'); strings.HasSuffix(packet, "|ms") {
			packet = packet[:i]
		}
		*got = append(*got, packet)
	})
	return host
}

func TestLabelledMetrics(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Header: map[string]string{"X-Backend-Storage-Policy-Index": "1"}, Body: "content"})
	sign := mt.Header("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=0")
	for _, tc := range []struct {
		name, method, target string
		opts                 []mt.Option
		labels               string
		up, down             string
	}{
		{"an object", "GET", "/v1/AUTH_a/c/o", nil, "account=AUTH_a,api=swift,container=c,method=GET,policy=1,resource=object,status=200", "0", "7"},
		{"an upload", "PUT", "/v1/AUTH_a/c/o", nil, "account=AUTH_a,api=swift,container=c,method=PUT,policy=1,resource=object,status=200", "3", "7"},
		{"names that are not plain", "HEAD", "/v1/a%2C/c%3D", nil, "account=a%2C,api=swift,container=c%3D,method=HEAD,resource=container,status=200", "0", "0"},
		{"an account", "POST", "/v1/a", nil, "account=a,api=swift,method=POST,resource=account,status=200", "0", "7"},
		{"another method", "BREW", "/v1/a", nil, "account=a,api=swift,method=BAD_METHOD,resource=account,status=200", "0", "7"},
		{"something else", "GET", "/info", nil, "api=swift,method=GET,resource=UNKNOWN,status=200", "0", "7"},
		{"S3's buckets", "GET", "/", []mt.Option{sign}, "api=S3,method=GET,resource=account,status=200", "0", "7"},
		{"a bucket", "GET", "/b", []mt.Option{sign}, "api=S3,container=b,method=GET,resource=container,status=200", "0", "7"},
		{"a key", "GET", "/b/k/l", []mt.Option{sign}, "api=S3,container=b,method=GET,policy=1,resource=object,status=200", "0", "7"},
		{"a bucket in the host", "GET", "/v1/a/c", []mt.Option{sign, host("B1.s3.example.com:8080")},
			"api=S3,container=b1,method=GET,policy=1,resource=object,status=200", "0", "7"},
		{"such a bucket itself", "GET", "/", []mt.Option{sign, host("b1.s3.example.com")}, "api=S3,container=b1,method=GET,resource=container,status=200", "0", "7"},
		{"the domain itself", "GET", "/b", []mt.Option{sign, host("s3.example.com")}, "api=S3,container=b,method=GET,resource=container,status=200", "0", "7"},
		{"a signed URL", "GET", "/b?AWSAccessKeyId=k&Signature=s&Expires=1", nil, "api=S3,container=b,method=GET,resource=container,status=200", "0", "7"},
	} {
		var got []string
		h := mt.BuildOn(t, labelling(t, &got), s3Aware, `storage_domain = "s3.example.com"`, app)
		if tc.method == "PUT" {
			tc.opts = append(tc.opts, mt.Body("abc"))
		}
		mt.Do(t, h, tc.method, tc.target, tc.opts...)
		want := []string{
			"request_timing," + tc.labels, "request_body_bytes," + tc.labels + ":" + tc.up + "|c", "response_body_bytes," + tc.labels + ":" + tc.down + "|c",
		}
		if tc.method == "GET" {
			want = slices.Insert(want, 0, "request_ttfb,"+tc.labels)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, want)
		}
	}
}

func host(name string) mt.Option { return func(r *http.Request) { r.Host = name } }

// s3Aware is the filter in a pipeline that has s3api, as far as it can tell.
var s3Aware = middleware.Define("proxy_logging", defaults(), func(h middleware.Host, c Config) (middleware.Instance, error) {
	h.Pipeline = append(h.Pipeline, "s3api")
	return build(h, c)
})

// TestSignaturesMeanNothingWithoutS3 keeps clients from hiding their account.
func TestSignaturesMeanNothingWithoutS3(t *testing.T) {
	var got []string
	mt.Get(t, mt.BuildOn(t, labelling(t, &got), Filter, "", mt.NewApp()), "/v1/a/c", mt.Header("Authorization", "AWS k:s"))
	if len(got) != 4 || got[1] != "request_timing,account=a,api=swift,container=c,method=GET,resource=container,status=404" {
		t.Errorf("got %q", got)
	}
}

func TestBytesAreCountedWhileTheyPass(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		want         []string
	}{
		{"never", "", nil},
		{"each piece", "statsd_emit_buffer_xfer_bytes_seconds = 0", []string{
			"request_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,resource=object:4|c",
			"request_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,resource=object:4|c",
			"request_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,resource=object:2|c",
			"response_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,policy=1,resource=object,status=201:3|c",
			"response_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,policy=1,resource=object,status=201:4|c",
		}},
		// Each reading of the clock takes a second.
		{"from time to time", "statsd_emit_buffer_xfer_bytes_seconds = 2", []string{
			"request_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,resource=object:8|c",
			"response_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,policy=1,resource=object,status=201:3|c",
			"request_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,resource=object:2|c",
			"response_body_streaming_bytes,account=a,api=swift,container=c,method=PUT,policy=1,resource=object,status=201:4|c",
		}},
	} {
		var got []string
		host := labelling(t, &got)
		now := time.Unix(1_700_000_000, 0)
		host.Clock = clock.Func(func() time.Time { now = now.Add(time.Second); return now })
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 4)
			for {
				if _, err := r.Body.Read(buf); err != nil {
					break
				}
			}
			w.Header().Set("X-Backend-Storage-Policy-Index", "1")
			w.WriteHeader(201)
			io.WriteString(w, "one")
			io.WriteString(w, "more")
		})
		mt.Do(t, mt.BuildOn(t, host, Filter, tc.config, app), "PUT", "/v1/a/c/o", mt.Body("0123456789"))
		got = slices.DeleteFunc(got, func(s string) bool { return !strings.Contains(s, "_streaming_bytes") })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

// TestLabelsOfItsOwn has labels configured for this log, in its section or for all.
func TestLabelsOfItsOwn(t *testing.T) {
	c := collect(t, "udp", "127.0.0.1:0")
	mt.Get(t, mt.Build(t, Filter, "log_statsd_host = \"127.0.0.1\"\nlog_statsd_port = "+c.port()+`
statsd_label_mode = "dogstatsd"
statsd_emit_legacy = false
statsd_user_label_dc = "eu.1"`, mt.NewApp()), "/v1/a")
	if got := c.next(t); !strings.HasPrefix(got, "swift_proxy_server_request_ttfb:") ||
		!strings.HasSuffix(got, "|ms|#account:a,api:swift,method:GET,resource:account,status:404,user_dc:eu.1") {
		t.Errorf("got %q", got)
	}
}
