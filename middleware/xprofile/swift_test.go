package xprofile

import (
	"encoding/json"
	"mime"
	"os"
	"strconv"
	"strings"
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// otherwise are the answers that differ from Swift's on purpose: what is sent instead, and why.
var otherwise = map[string]struct {
	status int
	kind   string
	why    string
}{
	"an unknown order":  {400, "text/plain", "it is the client's mistake"},
	"an unknown limit":  {400, "text/plain", "Swift evaluates it as Python if there is a number to compare with, else ignores it"},
	"an unknown format": {400, "text/plain", "it is the client's mistake"},
	"a spreadsheet":     {400, "text/plain", "there is none"},
}

// TestSwiftAnswersTheSame compares statuses, types and the texts of refusals with what testdata/record.py has recorded.
func TestSwiftAnswersTheSame(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name, Method, Target, Body, Type, Text string
		Status                                 int
	}
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 30 {
		t.Fatalf("only %d rows", len(rows))
	}
	h := profiled(t, everyRequest)
	for _, row := range rows {
		target := strings.ReplaceAll(row.Target, "{id}", strconv.Itoa(os.Getpid()))
		got := mt.Do(t, h, row.Method, target, local, mt.Body(row.Body), mt.Header("Content-Type", "application/x-www-form-urlencoded"))
		status, kind, text := row.Status, row.Type, row.Text
		if o, ok := otherwise[row.Name]; ok {
			if o.status == row.Status && o.kind == row.Type {
				t.Errorf("%s: Swift does the same; take it off the list", row.Name)
			}
			status, kind, text = o.status, o.kind, ""
		}
		// Refusals have no type in Swift, and those of Apus name a charset.
		media, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
		if got.Code != status || kind != "" && media != kind || text != "" && got.Body != text {
			t.Errorf("%s: %s %s %s: got %d %s %.200q, want %d %s %q; %s",
				row.Name, row.Method, target, row.Body, got.Code, media, got.Body, status, kind, text, otherwise[row.Name].why)
		}
	}
}
