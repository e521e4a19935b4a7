package upstream

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/closedport"
	"github.com/apus-storage/apus/internal/postform"
	"github.com/apus-storage/apus/internal/postpolicy"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

const formTail = "\r\n--b 1\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nSend\r\n--b 1--\r\n"

func formCall(file string) Call {
	body := file + formTail
	return Call{
		Method: "POST", Bucket: "bucket", Body: strings.NewReader(body), Length: int64(len(body)),
		Header: http.Header{"Origin": {"https://page"}, "Content-Type": {"of the client"}, "X-Forwarded-For": {"1.2.3.4"}},
		Form: &Form{
			Fields:   map[string]string{"key": `a "b"\c <&>` + "\u00fc", "content-type": "text/plain, x", "x-amz-meta-a": "$5", "acl": ""},
			Boundary: "b 1", Most: math.MaxInt64,
		},
	}
}

// TestForm has a store read and check a form as the client of one would, with and without a session token.
func TestForm(t *testing.T) {
	for _, token := range []string{"", "session"} {
		var got *postform.Form
		var file string
		var header http.Header
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.RequestURI != "/bucket" || r.ContentLength <= 0 {
				t.Errorf("got %s %s with %d bytes", r.Method, r.RequestURI, r.ContentLength)
			}
			header = r.Header
			boundary, err := postform.Boundary(r.Header.Get("Content-Type"))
			if err != nil {
				t.Error(err)
			}
			if got, err = postform.Read(r.Body, boundary); err != nil {
				t.Error(err)
				return
			}
			b, err := io.ReadAll(got.Rest(0, math.MaxInt64))
			if err != nil {
				t.Error(err)
			}
			file = string(b)
			w.WriteHeader(http.StatusNoContent)
		}))
		t.Cleanup(server.Close)
		config := base(server.URL)
		config.SessionToken = token
		u := open(t, config, Deps{})
		for _, c := range []struct {
			least, most int64
			life        time.Duration
		}{{0, math.MaxInt64, 0}, {1, 10, time.Minute}, {2, math.MaxInt64, 8 * time.Hour}} {
			call := formCall("file")
			call.Form.Least, call.Form.Most = c.least, c.most
			end := time.Now().Add(formLife)
			if c.life > 0 {
				end = time.Now().Add(c.life)
				call.Form.Expires = end
			}
			send(t, u, call)
			if file != "file"+formTail || header.Get("Authorization") != "" || header.Get("Origin") != "https://page" || header.Get("X-Forwarded-For") != "" {
				t.Fatalf("got %q, %v", file, header)
			}
			signed, err := sigv4.ParseForm(got.Field, sigv4.Rules{Region: u.config.Region})
			if err != nil {
				t.Fatal(err)
			}
			if err := signed.Verify(sigv4.Derive(testSecret, signed.Scope)); err != nil || signed.AccessKey != testKey || signed.SecurityToken != token {
				t.Errorf("signed as %+v: %v", signed, err)
			}
			policy, err := postpolicy.Parse(got.Field("policy"))
			if err != nil {
				t.Fatal(err)
			}
			got.Fields["bucket"] = "bucket"
			if err := policy.Check(got.Fields, time.Now()); err != nil {
				t.Error(err)
			}
			least, most := policy.Size()
			if least != c.least || most != c.most || policy.Expires().After(end.Add(time.Second)) || policy.Expires().Before(end.Add(-time.Minute)) {
				t.Errorf("the policy is for %d to %d bytes until %v", least, most, policy.Expires())
			}
			for name, value := range call.Form.Fields {
				if got.Fields[name] != value {
					t.Errorf("%s is %q, want %q", name, got.Fields[name], value)
				}
				got.Fields[name] = value + "x"
				if policy.Check(got.Fields, time.Now()) == nil {
					t.Errorf("the policy lets another %s through", name)
				}
				got.Fields[name] = value
			}
		}
	}
}

// TestFormsAreSentOnce has a form that one store has a part of go to no other.
func TestFormsAreSentOnce(t *testing.T) {
	asked := 0
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(second.Close)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 10)
		io.ReadFull(r.Body, b)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(first.Close)
	group := NewGroup(route.Failover, []*Upstream{open(t, base(first.URL), Deps{}), open(t, base(second.URL), Deps{})})
	resp, from, err := group.Do(context.Background(), formCall(strings.Repeat("f", 100)))
	// The first may have hung up before the rest of the form was sent, and then its answer is lost.
	if err == nil && (resp.StatusCode != http.StatusBadGateway || from != group.all[0]) || asked != 0 {
		t.Fatalf("got %v, %v, the second store was asked %d times", resp, err, asked)
	}
	if err == nil {
		resp.Body.Close()
	}
	first.CloseClientConnections()
	first.Listener.Close()
	closedport.Keep(t, first.Listener.Addr().String())
	// Without a connection that had been idle, which would be found broken only when a part of the form had been sent.
	group = NewGroup(route.Failover, []*Upstream{open(t, base(first.URL), Deps{}), open(t, base(second.URL), Deps{})})
	resp, from, err = group.Do(context.Background(), formCall("file"))
	if err != nil || resp.StatusCode != http.StatusOK || from != group.all[1] || asked != 1 {
		t.Fatalf("got %v, %v, the second store was asked %d times", resp, err, asked)
	}
	resp.Body.Close()
}
