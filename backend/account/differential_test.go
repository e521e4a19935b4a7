package account

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/broker/dbserver/dbservertest"
)

// swiftVariable names a running account server of OpenStack Swift, with one of its devices, such as
// http://127.0.0.1:6202/sdb1, to be asked the same as ours. It should have policies 0, gold, and 1, silver.
const swiftVariable = "APUS_TEST_SWIFT_ACCOUNT_SERVER"

// TestSwiftAnswersTheSame sends the same requests to a running server of Swift and to ours.
func TestSwiftAnswersTheSame(t *testing.T) {
	base := os.Getenv(swiftVariable)
	if base == "" {
		t.Skipf("%s is not set", swiftVariable)
	}
	s := newServer(t, nil)
	account := fmt.Sprintf("BRKD%d", time.Now().UnixNano())
	const row = "X-Put-Timestamp=1700000001.00000 X-Delete-Timestamp=0 X-Object-Count=1 X-Bytes-Used=2"
	for line := range strings.SplitSeq(strings.TrimSpace(strings.ReplaceAll(requests, "ROW", row)), "\n") {
		words := strings.Fields(line)
		path := "/1/" + account + words[1]
		if dot, ok := strings.CutPrefix(words[1], "."); ok {
			path = "/1/." + account + dot
		}
		var headers []string
		for _, w := range words[2:] {
			name, value, _ := strings.Cut(w, "=")
			if name == "TS" {
				name, value = "X-Timestamp", fmt.Sprintf("17000000%02s.00000", value)
			}
			headers = append(headers, name+": "+value)
		}
		r, err := http.NewRequest(words[0], base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		theirs, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		dbservertest.Same(t, line, theirs, dbservertest.Do(t, s, words[0], "/sdb1"+path, "", headers...))
	}
}

// requests are one a line: method, path below the account, headers. TS=n stands for an X-Timestamp. A path that starts
// with a dot is that of an account of the cluster's own.
const requests = `
GET /
HEAD /
GET /?format=json
GET /c/o
POST / TS=1
DELETE / TS=1
DELETE /
PUT /
PUT / TS=x
PUT /c ROW TS=1
PUT /c ROW TS=1 X-Account-Override-Deleted=yes
PUT / TS=1 X-Account-Meta-A1b=y X-Account-Sysmeta-X=z X-Other=o
HEAD /
GET /
GET /?format=json
GET /?format=xml
GET / Accept=a/b
HEAD / Accept=a/b
HEAD /?format=xml
HEAD /?limit=10001
GET /?limit=10001
GET /?limit=0
GET /?marker=%FF
PUT / TS=2
PUT / TS=1
HEAD /
POST / TS=3 X-Account-Meta-A1b= X-Account-Meta-B=2
HEAD /
PUT /c ROW TS=1
PUT /c ROW
PUT /d%C3%A9/ ROW
PUT /d1 ROW X-Backend-Storage-Policy-Index=1
PUT /d2 ROW X-Backend-Storage-Policy-Index=9
PUT /%00v%00x ROW
PUT /x%00y ROW
PUT /gone X-Put-Timestamp=1700000001.00000 X-Delete-Timestamp=1700000002.00000 X-Object-Count=0 X-Bytes-Used=0
PUT /full X-Put-Timestamp=1700000001.00000 X-Delete-Timestamp=1700000002.00000 X-Object-Count=4 X-Bytes-Used=7
GET /
GET /?format=json
GET /?format=xml
GET /?format=json X-Backend-Allow-Reserved-Names=1
GET /?delimiter=d
GET /?delimiter=d&format=xml
GET /?delimiter=1&prefix=d&format=json
GET /?prefix=d&reverse=true&format=json
GET /?marker=c&end_marker=d2
GET /?limit=2
HEAD /
PUT /c X-Put-Timestamp=1700000001.00000 X-Delete-Timestamp=1700000003.00000 X-Object-Count=0 X-Bytes-Used=0
GET /?format=json
POST /c TS=4
DELETE /c TS=4
GET /c
HEAD /c
FOO /
OPTIONS /
DELETE / TS=5
HEAD /
GET /?format=json
POST / TS=6
DELETE / TS=6
PUT /late ROW
PUT /late ROW X-Account-Override-Deleted=yes
PUT / TS=7
PUT ./c ROW TS=5
HEAD ./
PUT ./ TS=6
GET ./?format=json
`
