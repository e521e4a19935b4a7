package proxylogging_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/replay"
)

// TestServersAnswerAndLogAsSwift replays, in order, what testdata/http_record.py recorded of OpenStack Swift, and compares
// the lines that come to syslog meanwhile. The User-Agent of each request tells its line.
func TestServersAnswerAndLogAsSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/http_lines.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	syslog, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer syslog.Close()
	replay.Run(t, replay.Conversation{
		File:     "testdata/http.json",
		Pipeline: []string{"catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "listing_formats", "tempauth", "copy", "slo", "dlo", "proxy-logging"},
		Sections: fmt.Sprintf(`
[filter.proxy-logging]
access_log_udp_host = "127.0.0.1"
access_log_udp_port = %d
log_msg_template = "{client_ip} {remote_addr} {end_time.datetime} {method} {path} {protocol} {status_int} {referer} {user_agent} {auth_token} {bytes_recvd} {bytes_sent} {client_etag} {transaction_id} {headers} {request_time} {source} {log_info} {start_time} {end_time} {policy_index}"`,
			syslog.LocalAddr().(*net.UDPAddr).Port),
		AtLeast: 30,
		Ignore:  map[string]string{"X-Auth-Token-Expires": "counts down"},
	})
	got := map[string][]string{}
	buf := make([]byte, 64<<10)
	for len(got) < len(want) {
		// A line is sent when its answer has been, which may be after the next request.
		if err := syslog.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := syslog.Read(buf)
		if err != nil {
			t.Fatalf("%d lines came, want %d: %v", len(got), len(want), err)
		}
		_, line, _ := strings.Cut(string(buf[:n]), ": ")
		if f := steady(line); strings.HasPrefix(f[8], "row-") {
			got[f[8]] = f
		}
	}
	// Paths that are logged otherwise, on purpose.
	ours := map[string]string{
		// the client's own query, without what listing_formats adds to it
		"row-14": "/v1/AUTH_test/log-c%3Fprefix%3Do%26format%3Djson",
		// a signature is cut short, as newer releases do
		"row-17": "/v1/AUTH_test/log-c/o%3Ftemp_url_sig%3D0123456789abcdef...%26temp_url_expires%3D1",
	}
	for _, line := range want {
		f := steady(line)
		if path, ok := ours[f[8]]; ok {
			f[4] = path
		}
		// Swift's server calls all requests so; these came by another.
		if f[5] != "HTTP/1.0" {
			t.Errorf("%s\nhas not Swift's protocol: take the exception out", line)
		}
		f[5] = "HTTP/1.1"
		if diff := cmp.Diff(f, got[f[8]]); diff != "" {
			t.Errorf("%s\n-want +got\n%s", line, diff)
		}
	}
}

// steady are the fields of a line, without what varies.
func steady(line string) []string {
	f := strings.Split(line, " ")
	// Times, and the transaction's id.
	for _, i := range []int{2, 13, 15, 18, 19} {
		if i < len(f) && f[i] != "-" {
			f[i] = "x"
		}
	}
	if len(f) > 9 && strings.HasPrefix(f[9], "AUTH_tk") {
		f[9] = fmt.Sprintf("AUTH_tk, %d letters", len(f[9]))
	}
	return f
}
