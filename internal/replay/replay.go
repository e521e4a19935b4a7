package replay

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// A Conversation says what is replayed, and to what.
type Conversation struct {
	// File is the recording: testdata/swift.json by default.
	File string
	// Addr is where a server listens that is asked in place of a cluster; what follows about its files does not count then.
	Addr string
	// Pipeline replaces the kinds in the pipeline of etc/functional-test.toml, without the app, if it is given.
	Pipeline []string
	// Sections is TOML whose tables replace those of etc/functional-test.toml.
	Sections string
	// Files are put beside the cluster's: names and what is in them.
	Files map[string]string
	// Ignore are headers that are not compared, each with the reason why. A name may end in "*".
	Ignore map[string]string
	// Reduce, if it is given, makes of the headers and the body of every answer, Swift's and ours, what is compared: of a
	// page of HTML, say, what it shows. It may change the headers.
	Reduce func(header map[string]string, text string) string
	// AtLeast is how many rows there must be: 20 by default.
	AtLeast int
}

// A recording is what record.py writes.
type recording struct {
	Also []string
	Rows []row
}

// A row is one request with what is wanted. See the package comment.
type row struct {
	Name, User, Method, Path string
	Header                   map[string]string
	Body                     string
	Base64                   []byte
	Chunked                  bool
	S3                       bool
	Status                   int
	Answer                   map[string]string
	Text                     string
	Text64                   []byte
	Cut                      bool
	Capture                  map[string]string
	Apus                     *override
}

// An override is what Apus answers otherwise.
type override struct {
	Why    string
	Status *int
	Answer map[string]*string
	Text   *string
	Cut    *bool
}

// An answer is what is compared.
type answer struct {
	Status int
	Header map[string]string
	Text   string
	Cut    bool
}

// Run replays a conversation.
func Run(t *testing.T, c Conversation) {
	t.Helper()
	golden := c.read(t)
	addr := c.Addr
	if addr == "" {
		addr = start(t, c)
	}
	p := newPlayer(addr)
	p.also = golden.Also
	for _, r := range golden.Rows {
		got, err := p.play(r)
		if err != nil {
			t.Fatalf("%s: %s %s as %q: %v", r.Name, r.Method, r.Path, r.User, err)
		}
		if problem := c.compare(r, got); problem != "" {
			t.Errorf("%s: %s %s %v as %q: %s", r.Name, r.Method, r.Path, r.Header, r.User, problem)
		}
	}
}

func (c Conversation) read(t *testing.T) (golden recording) {
	t.Helper()
	data, err := os.ReadFile(cmp.Or(c.File, "testdata/swift.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&golden); err != nil {
		t.Fatal(err)
	}
	if n := cmp.Or(c.AtLeast, 20); len(golden.Rows) < n {
		t.Fatalf("only %d requests were recorded, want %d or more", len(golden.Rows), n)
	}
	return golden
}

// compare tells how an answer differs from what is wanted.
func (c Conversation) compare(r row, got answer) string {
	theirs := answer{Status: r.Status, Header: c.compared(r.Answer), Text: cmp.Or(string(r.Text64), r.Text), Cut: r.Cut}
	got.Header = c.compared(got.Header)
	if _, framed := theirs.Header["Content-Length"]; !framed && r.Method != http.MethodHead && !got.Cut {
		delete(got.Header, "Content-Length") // Swift had not made the whole answer yet
	}
	if c.Reduce != nil {
		theirs.Text, got.Text = c.Reduce(theirs.Header, theirs.Text), c.Reduce(got.Header, got.Text)
	}
	want := theirs
	if r.Apus != nil {
		want = r.Apus.apply(theirs)
		switch {
		case r.Apus.Why == "":
			return "another answer is wanted, and no reason is given"
		case gocmp.Equal(theirs, got):
			return "the answer is Swift's: take out the other one"
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return "-want +got\n" + diff
	}
	return ""
}

// compared are the headers that are not ignored.
func (c Conversation) compared(header map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range header {
		if name = http.CanonicalHeaderKey(name); !c.ignored(name) {
			out[name] = value
		}
	}
	return out
}

func (o *override) apply(a answer) answer {
	a.Header = maps.Clone(a.Header)
	if o.Status != nil {
		a.Status = *o.Status
	}
	for name, value := range o.Answer {
		name = http.CanonicalHeaderKey(name)
		if delete(a.Header, name); value != nil {
			a.Header[name] = *value
		}
	}
	if o.Text != nil {
		a.Text = *o.Text
	}
	if o.Cut != nil {
		a.Cut = *o.Cut
	}
	return a
}

func (c Conversation) ignored(name string) bool {
	for pattern := range c.Ignore {
		prefix, open := strings.CutSuffix(pattern, "*")
		if pattern == name || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
