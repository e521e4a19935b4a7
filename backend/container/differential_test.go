package container

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/broker/dbserver/dbservertest"
)

// swiftVariable names a running container server of OpenStack Swift, with one of its devices, such as
// http://127.0.0.1:6201/sdb1, to be asked the same as ours. It should have policies 0 and 1.
const swiftVariable = "APUS_TEST_SWIFT_CONTAINER_SERVER"

// TestSwiftAnswersTheSame sends the same requests to a running server of Swift and to ours.
func TestSwiftAnswersTheSame(t *testing.T) {
	base := os.Getenv(swiftVariable)
	if base == "" {
		t.Skipf("%s is not set", swiftVariable)
	}
	s := newServer(t, func(c *Config, _ *Deps) { c.AllowVersions = true })
	account := fmt.Sprintf("BRKD%d", time.Now().UnixNano())
	for _, q := range differentialRequests() {
		method, path, body, headers := q.split(account)
		r, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range headers {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		theirs, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		ours := do(t, s, method, "/sdb1"+path, body, headers...)
		dbservertest.Same(t, string(q), theirs, ours)
	}
}

// A request is one line: method, path below the device and account, headers in brackets, body after a bar. TS:n stands
// for an X-Timestamp.
type request string

func (q request) split(account string) (method, path, body string, headers []string) {
	line, body, _ := strings.Cut(string(q), " | ")
	words := strings.Fields(line)
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		if name == "TS" {
			name, value = "X-Timestamp", fmt.Sprintf("17000000%02s.00000", value)
		}
		headers = append(headers, name+": "+strings.ReplaceAll(value, "+", " "))
	}
	return words[0], "/1/" + account + words[1], body, headers
}

func differentialRequests() []request {
	const row = " X-Size=7 X-Content-Type=a/b X-Etag=e"
	var list []request
	add := func(lines string) {
		for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
			list = append(list, request(strings.ReplaceAll(strings.TrimSpace(line), "ROW", strings.TrimSpace(row))))
		}
	}
	add(`
PUT /c
PUT /c TS=x
GET /c
HEAD /c
POST /c TS=1
DELETE /c TS=1
DELETE /c/o TS=1
PUT /c/o TS=1 ROW
UPDATE /c TS=1 | []
PUT /c TS=1 X-Backend-Storage-Policy-Index=7
PUT /c TS=1 X-Backend-Storage-Policy-Index=x
PUT /c TS=1 X-Container-Sync-To=http://nope/v1/a/c
PUT /c TS=1 X-Container-Sync-To=//r/c/a/c
PUT /c TS=1 X-Container-Sync-To=//r/c
PUT /c TS=1 X-Container-Sync-To=ftp://127.0.0.1/v1/a/c
PUT /c TS=1 X-Container-Sync-To=http://127.0.0.1
PUT /c TS=1 X-Container-Sync-To=http://127.0.0.1/a/c?x
PUT /c TS=2 X-Container-Meta-Foo1bar=1 X-Container-Sysmeta-X=y X-Container-Read=.r:* X-Versions-Location=v X-Other=z
HEAD /c
HEAD /c Accept=a/b
HEAD /c?format=xml
HEAD /c?limit=99999
HEAD /c?marker=%FF
PUT /c TS=1 X-Container-Meta-Foo1bar=older
HEAD /c
PUT /c TS=3 X-Backend-Storage-Policy-Index=1
PUT /c TS=3 X-Backend-Storage-Policy-Index=0
POST /c TS=4 X-Container-Meta-Foo1bar= X-Container-Meta-New=%
POST /c TS=5 X-Container-Sync-To=http://127.0.0.1/v1/a/c X-Container-Sync-Key=k
HEAD /c
PUT /c/d/a TS=6 ROW
PUT /c/d/b TS=6 ROW X-Content-Type-Timestamp=1700000007.00000 X-Meta-Timestamp=1700000008.00000
PUT /c/d/e/f TS=6 ROW
PUT /c/e%20%C3%A9 TS=6 X-Size=3 X-Content-Type=a/b;swift_bytes=88;c=d X-Etag=x
PUT /c/%00res TS=6 ROW
PUT /%00c%00d/o TS=6 ROW
PUT /%00c%00d TS=6
PUT /%00c%00d/%00o%00p TS=6 ROW
GET /%00c%00d?format=json
GET /%00c%00d?format=json X-Backend-Allow-Reserved-Names=true
PUT /%00c TS=6
PUT /c%00d TS=6
PUT /c/p1 TS=6 ROW X-Backend-Storage-Policy-Index=1
PUT /c/off TS=6 ROW
DELETE /c/off TS=9
PUT /c/off TS=8 ROW
GET /c
GET /c?format=json
GET /c?format=xml
GET /c?format=json X-Backend-Storage-Policy-Index=1
GET /c?format=json X-Backend-Allow-Reserved-Names=true
GET /c?delimiter=/
GET /c?delimiter=/&format=json
GET /c?delimiter=/&format=xml
GET /c?prefix=d/&delimiter=/&format=json
GET /c?path=d&format=json
GET /c?path=&format=json
GET /c?path=d/e&format=json
GET /c?marker=d/b
GET /c?end_marker=d/b
GET /c?reverse=true
GET /c?reverse=on&marker=e&end_marker=d/a
GET /c?limit=2
GET /c?limit=0
GET /c?limit=0&format=json
GET /c?limit=10001
GET /c?limit=x
GET /c?limit=-1
GET /c?marker=%FF
GET /c?path=%FF
GET /c?states=%FF
GET /c?format=foo
GET /c Accept=application/json
GET /c Accept=text/xml
GET /c Accept=application/*
GET /c Accept=*/*
GET /c Accept=image/png
GET /c Accept=application/json;q=0.1,text/xml;q=0.5
GET /c Accept=;;
GET /c?format=json Accept=image/png
GET /c X-Backend-Storage-Policy-Index=5
GET /c?format=json X-Backend-Record-Type=bogus
GET /c?format=json X-Backend-Record-Type=auto
GET /c?format=json&states=bad X-Backend-Record-Type=shard
GET /c?format=json&states=listing X-Backend-Record-Type=shard
GET /c?format=json&states=auditing X-Backend-Record-Type=shard
PUT /c TS=10 X-Backend-Storage-Policy-Index=9 X-Backend-Record-Type=shard | []
DELETE /c TS=10
UPDATE /c TS=10 | [{"name":"u","created_at":"1700000010.00000","size":5,"content_type":"a/b","etag":"e","deleted":0,"storage_policy_index":0}]
GET /c?prefix=u&format=json
GET /c/
FOO /c
COPY /c
OPTIONS /c
GET /
GET /%FF
POST /c/o TS=1
UPDATE /c/o TS=1
DELETE /c/o X-Backend-Storage-Policy-Index=9 TS=1
PUT /c/o TS=1 ROW X-Backend-Storage-Policy-Index=9
`)
	for _, name := range []string{"d/a", "d/b", "d/e/f", "e%20%C3%A9", "%00res", "u"} {
		add("DELETE /c/" + name + " TS=20")
	}
	add(`
DELETE /c TS=21
DELETE /c/p1 TS=20 X-Backend-Storage-Policy-Index=1
GET /c
GET /c?format=json
GET /c?format=xml
DELETE /c TS=3
HEAD /c
DELETE /c TS=21
HEAD /c
GET /c
GET /c?format=json X-Backend-Override-Deleted=true
GET /c?format=json X-Backend-Override-Deleted=true X-Backend-Record-Type=shard
POST /c TS=22
DELETE /c TS=22
PUT /c TS=22
PUT /c TS=20
PUT /c/late TS=20 ROW
GET /c X-Backend-Override-Deleted=true
HEAD /c
PUT /c TS=30 X-Backend-Storage-Policy-Index=1 X-Container-Meta-Back=1
HEAD /c
PUT /c TS=31
PUT /d TS=1 X-Backend-Storage-Policy-Default=1
PUT /d TS=1 X-Account-Host=127.0.0.1:1,127.0.0.1:2 X-Account-Device=sdb1 X-Account-Partition=1
PUT /new/o TS=1 ROW X-Backend-Auto-Create=true X-Backend-Storage-Policy-Index=1
HEAD /new
PUT /new2/o TS=1 ROW X-Backend-Auto-Create=no
UPDATE /new3 TS=1 X-Backend-Auto-Create=yes | []
HEAD /new3
DELETE /new4/o TS=1 X-Backend-Auto-Create=yes
HEAD /new4
PUT /new5 TS=1 X-Backend-Auto-Create=yes X-Backend-Record-Type=shard | []
HEAD /new5
PUT /new6 TS=1 X-Backend-Auto-Create=yes X-Backend-Record-Type=shard X-Backend-Storage-Policy-Index=1 | []
HEAD /new6
UPDATE /new7 TS=1 X-Backend-Auto-Create=yes X-Backend-Storage-Policy-Index=1 | []
HEAD /new7
UPDATE /new7 TS=2 X-Backend-Auto-Create=yes | []
PUT /s TS=1
`)
	var ranges []string
	for i, r := range []struct {
		lower, upper string
		state        int
	}{{"", "f", 40}, {"f", "m", 20}, {"m", "t", 60}} {
		ranges = append(ranges, fmt.Sprintf(`{"name":".shards_a/s-%d","timestamp":"1700000002.00000","lower":"%s","upper":"%s","object_count":1,"bytes_used":2,`+
			`"meta_timestamp":"1700000002.00000","deleted":0,"state":%d,"state_timestamp":"1700000002.00000","epoch":null,"reported":0,"tombstones":-1}`, i, r.lower, r.upper, r.state))
	}
	add("PUT /s TS=2 X-Backend-Record-Type=shard | [" + strings.Join(ranges, ",") + "]")
	for _, q := range []string{
		"states=listing", "states=updating", "states=auditing", "states=active", "states=listing,created", "states=40", "states=found", "states=",
		"includes=g", "includes=z", "includes=z&states=updating", "includes=g&states=listing", "includes=f", "marker=g&states=updating",
		"end_marker=g&states=updating", "marker=g&end_marker=u&states=updating", "marker=x&states=updating", "marker=f&states=updating",
		"end_marker=f&states=updating", "reverse=true&states=updating", "marker=n&reverse=true&states=updating",
		"end_marker=n&reverse=true&states=updating", "marker=a&end_marker=b&states=listing", "marker=g&end_marker=h&states=listing",
		"marker=z&end_marker=zz&states=listing&reverse=true",
	} {
		add("GET /s?format=json&" + q + " X-Backend-Record-Type=shard")
	}
	add(`
GET /s?states=listing X-Backend-Record-Type=shard
PUT /s/go TS=3 ROW X-Backend-Accept-Redirect=true
PUT /s/g%20o TS=3 ROW X-Backend-Accept-Redirect=true
PUT /s/g%20o TS=3 ROW X-Backend-Accept-Redirect=true X-Backend-Accept-Quoted-Location=true
DELETE /s/g%C3%A9 TS=3 X-Backend-Accept-Redirect=true X-Backend-Accept-Quoted-Location=true
PUT /s/zz TS=3 ROW X-Backend-Accept-Redirect=true
DELETE /s TS=9
HEAD /s
GET /s?format=json
PUT /s TS=4 X-Backend-Record-Type=shard | [` + strings.NewReplacer(`"timestamp":"1700000002.00000"`, `"timestamp":"1700000001.00000"`).Replace(ranges[0]) + `]
PUT /s TS=4 X-Backend-Record-Type=shard | [` + strings.NewReplacer(`"object_count":1`, `"object_count":9`, `"meta_timestamp":"1700000002`, `"meta_timestamp":"1700000003`, `"reported":0`, `"reported":1`).Replace(ranges[0]) + `]
GET /s?format=json&states=listing X-Backend-Record-Type=shard
PUT /s TS=4 X-Backend-Record-Type=shard | [` + strings.NewReplacer(`"state":20`, `"state":30`).Replace(ranges[1]) + `]
PUT /s TS=4 X-Backend-Record-Type=shard | [` + strings.NewReplacer(`"deleted":0`, `"deleted":1`).Replace(ranges[2]) + `]
GET /s?format=json&states=listing X-Backend-Record-Type=shard
PUT /s TS=4 X-Backend-Record-Type=shard | [` + strings.NewReplacer(`"deleted":0`, `"deleted":1`, `"timestamp":"1700000002.00000"`, `"timestamp":"1700000005.00000"`).Replace(ranges[2]) + `]
GET /s?format=json&states=listing X-Backend-Record-Type=shard
GET /s?format=json X-Backend-Record-Type=shard X-Backend-Include-Deleted=true
`)
	return list
}
