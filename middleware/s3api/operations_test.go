package s3api

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

var update = flag.Bool("update", false, "write the table in docs/s3.md anew")

// An awsOperation is one that AWS has: see testdata/aws.py.
type awsOperation struct {
	Name, Method, Level string
	Fixed               map[string]string
	Query, Headers      []string
}

func awsOperations(t *testing.T) []awsOperation {
	t.Helper()
	data, err := os.ReadFile("testdata/aws.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Operations []awsOperation }
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Operations) < 100 {
		t.Fatalf("only %d operations", len(list.Operations))
	}
	return list.Operations
}

// elsewhere are AWS's operations that have no row of their own, each with the name of the row that answers them, or the
// reason why none does.
var elsewhere = map[string]string{
	"CopyObject":                               "PutObject",
	"UploadPartCopy":                           "UploadPart",
	"GetBucketLifecycle":                       "GetBucketLifecycleConfiguration",
	"PutBucketLifecycle":                       "PutBucketLifecycleConfiguration",
	"GetBucketNotification":                    "GetBucketNotificationConfiguration",
	"PutBucketNotification":                    "PutBucketNotificationConfiguration",
	"GetBucketAnalyticsConfiguration":          "ListBucketAnalyticsConfigurations",
	"GetBucketIntelligentTieringConfiguration": "ListBucketIntelligentTieringConfigurations",
	"GetBucketInventoryConfiguration":          "ListBucketInventoryConfigurations",
	"GetBucketMetricsConfiguration":            "ListBucketMetricsConfigurations",
	"ListDirectoryBuckets":                     "ListBuckets",
	"WriteGetObjectResponse":                   "is sent to another host",
}

// sub is the sub-resource of an operation.
func (o awsOperation) sub() string {
	for name := range o.Fixed {
		if name != "select-type" {
			return name
		}
	}
	if slices.Contains(o.Query, "uploadId") {
		return "uploadId"
	}
	return ""
}

func TestEveryOperationOfAWSIsInTheTable(t *testing.T) {
	for _, o := range awsOperations(t) {
		want := o.Name
		if other, ok := elsewhere[o.Name]; ok {
			if strings.Contains(other, " ") {
				continue
			}
			want = other
		}
		l := slices.Index([]string{"SERVICE", "BUCKET", "OBJECT"}, o.Level)
		row := routes[route{level(l), o.Method, o.sub()}]
		if row == nil || row.name != want {
			t.Errorf("%s is %s of the %s, sub-resource %q: it must be row %s, which is %v", o.Name, o.Method, o.Level, o.sub(), want, row)
		}
	}
}

func TestEveryHeaderAndParameterOfAWSIsDecidedOn(t *testing.T) {
	for _, o := range awsOperations(t) {
		if o.Name == "WriteGetObjectResponse" {
			continue
		}
		for _, name := range o.Headers {
			if r, ok := headerRule(strings.TrimSuffix(name, "*") + map[bool]string{true: "x"}[strings.HasSuffix(name, "*")]); !ok {
				t.Errorf("%s has the header %s, which is in no row", o.Name, name)
			} else if r.verdict != implemented && r.why == "" {
				t.Errorf("%s is %s without a reason", name, r.verdict)
			}
		}
		for _, name := range o.Query {
			if _, ok := parameters[name]; !ok && !subResources[name] && row(o).status != refused && row(o).name != "ListBuckets" {
				t.Errorf("%s has the parameter %s, which is in no row", o.Name, name)
			}
		}
	}
}

func row(o awsOperation) *operation {
	l := slices.Index([]string{"SERVICE", "BUCKET", "OBJECT"}, o.Level)
	return routes[route{level(l), o.Method, o.sub()}]
}

// everywhere is an app in which everything exists: what is refused is so for its own sake.
func everywhere(t testing.TB) *bench {
	b := newBench(t, "")
	b.Otherwise(middlewaretest.Answer{Code: 200, Header: map[string]string{"Etag": "0123456789abcdef0123456789abcdef"}})
	return b
}

// TestWhatIsRefusedIsNotDone sends each operation that is not there: it is told so, and Swift sees nothing but questions.
func TestWhatIsRefusedIsNotDone(t *testing.T) {
	b := everywhere(t)
	for _, o := range operations {
		if o.status == supported || o.name == "PostObject" {
			continue
		}
		b.Forget()
		target := map[level]string{bucket: "/bucket", object: "/bucket/key"}[o.level]
		r := b.do(o.method, target+"?"+o.sub, middlewaretest.Body("<x/>"))
		switch {
		case o.status == refused && (r.Code != 501 || code(r) != "NotImplemented"):
			t.Errorf("%s: got %d %s, want 501 NotImplemented", o.name, r.Code, r.Body)
		case o.status == none && strings.HasPrefix(o.note, "an empty") && (r.Code != 200 || !strings.Contains(r.Body, "2006-03-01")):
			t.Errorf("%s: got %d %s, want a document", o.name, r.Code, r.Body)
		case o.status == none && !strings.HasPrefix(o.note, "an empty") && (r.Code != 404 || code(r) != o.note):
			t.Errorf("%s: got %d %s, want 404 %s", o.name, r.Code, r.Body, o.note)
		}
		for _, c := range b.Calls() {
			if c.Method != "HEAD" {
				t.Errorf("%s: Swift was sent %s %s", o.name, c.Method, c.URI)
			}
		}
	}
}

func TestWhatIsUnknownIsNotDone(t *testing.T) {
	b := everywhere(t)
	for _, test := range []struct {
		method, target string
		header         string // to be sent with "1"
		status         int
		code           string
	}{
		{"PUT", "/bucket/key?legalHold", "", 501, "NotImplemented"},
		{"PUT", "/bucket/key?annotation=", "", 501, "NotImplemented"},
		{"GET", "/bucket?future", "", 501, "NotImplemented"},
		{"DELETE", "/bucket?future", "", 501, "NotImplemented"},
		{"PUT", "/bucket/key?acl&tagging", "", 400, "InvalidArgument"},
		{"PUT", "/bucket/key?cors", "", 501, "NotImplemented"},
		{"PUT", "/bucket/key?versioning", "", 501, "NotImplemented"},
		{"DELETE", "/bucket/key?acl", "", 405, "MethodNotAllowed"},
		{"DELETE", "/bucket?acl", "", 405, "MethodNotAllowed"},
		{"PATCH", "/bucket/key", "", 405, "MethodNotAllowed"},
		{"POST", "/bucket/key", "", 405, "MethodNotAllowed"},
		{"PUT", "/", "", 405, "MethodNotAllowed"},
		{"PUT", "/bucket/key?versionId=1", "", 400, "InvalidArgument"},
		{"PUT", "/bucket/key?partNumber=1", "", 400, "InvalidArgument"},
		{"DELETE", "/bucket/key?partNumber=1", "", 400, "InvalidArgument"},
		{"PUT", "/bucket/key", "x-amz-something-new", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-tagging", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-object-lock-mode", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-server-side-encryption-customer-key", 501, "NotImplemented"},
		{"GET", "/bucket/key", "x-amz-server-side-encryption-customer-key", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-storage-class", 400, "InvalidStorageClass"},
		{"PUT", "/bucket/key", "x-amz-server-side-encryption", 400, "InvalidArgument"},
		{"PUT", "/bucket/key", "x-amz-write-offset-bytes", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-website-redirect-location", 501, "NotImplemented"},
		{"DELETE", "/bucket/key", "x-amz-mfa", 501, "NotImplemented"},
		{"DELETE", "/bucket/key", "x-amz-bypass-governance-retention", 501, "NotImplemented"},
		{"PUT", "/bucket", "x-amz-bucket-object-lock-enabled", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-grant-read", 501, "NotImplemented"},
		{"PUT", "/bucket/key", "x-amz-checksum-md4", 501, "NotImplemented"},
	} {
		b.Forget()
		var options []middlewaretest.Option
		if test.header != "" {
			options = append(options, middlewaretest.Header(test.header, "1"))
		}
		r := b.do(test.method, test.target, options...)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s %s with %q: got %d %s, want %d %s", test.method, test.target, test.header, r.Code, r.Body, test.status, test.code)
		}
		if calls := b.URIs(); len(calls) > 0 {
			t.Errorf("%s %s with %q: Swift was sent %q", test.method, test.target, test.header, calls)
		}
	}
	// What has a value and is not known is ignored by AWS too.
	if r := b.do("GET", "/bucket/key?x-id=GetObject&utm_source=x"); r.Code != 200 {
		t.Errorf("an unknown parameter with a value: got %d %s", r.Code, r.Body)
	}
}

// TestDocumentation compares the tables of docs/s3.md with those of the code. With -update it writes them.
func TestDocumentation(t *testing.T) {
	const path, begin, end = "../../docs/s3.md", "<!-- operations: written by go test -update -->\n", "<!-- end -->"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no lines %q and %q", path, begin, end)
	}
	want := tables()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: run this test with -update\n%s", path, want)
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tables are those of docs/s3.md.
func tables() string {
	var b strings.Builder
	b.WriteString("\n| operation | request | | |\n| --- | --- | --- | --- |\n")
	sorted := slices.Clone(operations)
	order := map[status]int{supported: 0, none: 1, refused: 2}
	slices.SortStableFunc(sorted, func(a, b operation) int { return order[a.status] - order[b.status] })
	for _, o := range sorted {
		target := map[level]string{service: "/", bucket: "/BUCKET", object: "/BUCKET/KEY"}[o.level]
		if o.sub == "list-type" {
			target += "?list-type=2"
		} else if o.sub != "" {
			target += "?" + o.sub
		}
		fmt.Fprintf(&b, "| %s | `%s %s` | %s | %s |\n", o.name, o.method, target, o.status, o.note)
	}
	b.WriteString("\n| header of requests | | |\n| --- | --- | --- |\n")
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, headers[name].verdict, headers[name].why)
	}
	b.WriteString("\n")
	return b.String()
}

var _ http.Handler = (*filter)(nil)
