package bulkreport_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/reply"
)

func report() (r bulkreport.Report) {
	r.Add("Response Status", bulkreport.StatusLine(400))
	r.Add("Response Body", "<&>")
	r.Count("Number Deleted", 3)
	r.Fail("c/a%20b", `404 "x"`)
	r.Fail("d<", "é")
	return r
}

func TestForms(t *testing.T) {
	const plain = "Number Deleted: 3\nResponse Body: <&>\nResponse Status: 400 Bad Request\nErrors:\nc/a%20b, 404 \"x\"\nd<, é\n"
	const xml = "<root>\n<number_deleted>3</number_deleted>\n<response_body>&lt;&amp;&gt;</response_body>\n<response_status>400 Bad Request</response_status>\n" +
		"<errors>\n<object><name>c/a%20b</name><status>404 \"x\"</status></object>\n<object><name>d&lt;</name><status>é</status></object>\n</errors>\n</root>\n"
	for accept, want := range map[string][2]string{
		"":                                   {"text/plain", plain},
		"text/*":                             {"text/plain", plain},
		"application/json":                   {"application/json", `{"Response Status": "400 Bad Request", "Response Body": "<&>", "Number Deleted": 3, "Errors": [["c/a%20b", "404 \"x\""], ["d<", "\u00e9"]]}`},
		"application/xml, text/plain;q=0.5":  {"application/xml", xml},
		"text/xml":                           {"text/xml", xml},
		"image/png":                          {reply.TypeHTML, plain},
		"application/json;q=x, no type here": {reply.TypeHTML, plain},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		bulkreport.Serve(w, r, time.Minute, "root", func(_ context.Context, refused *reply.Error) bulkreport.Report {
			if (refused != nil) != (want[0] == reply.TypeHTML) {
				t.Errorf("%s: refused is %v", accept, refused)
			}
			return report()
		})
		if w.Code != 200 || w.Body.String() != want[1] || w.Header().Get("Content-Type") != want[0] {
			t.Errorf("%s: %d %v\n%s\nwant %s", accept, w.Code, w.Header(), w.Body, want[1])
		}
	}
}

func TestSignsOfLife(t *testing.T) {
	for accept, want := range map[string]string{"": "  \r\n\r\nNumber", "text/xml": "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n \r\n\r\n<root>"} {
		synctest.Test(t, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			bulkreport.Serve(w, r, 10*time.Second, "root", func(context.Context, *reply.Error) bulkreport.Report {
				time.Sleep(25 * time.Second)
				return report()
			})
			if !strings.HasPrefix(w.Body.String(), want) || w.Header().Get("Content-Length") != "" || !w.Flushed {
				t.Errorf("%s: %q %v", accept, w.Body, w.Header())
			}
		})
	}
}

func TestPulseEndsTheWorkOfAClientThatHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ended := false
		err := bulkreport.Pulse(t.Context(), time.Second, func() error { return gone }, func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Minute)
			ended = true
		})
		if err != gone || !ended {
			t.Errorf("%v, the work was waited for: %t", err, ended)
		}
	})
}

func TestPanicsGoOn(t *testing.T) {
	for _, v := range []any{http.ErrAbortHandler, "why"} {
		func() {
			defer func() {
				got := recover()
				if text, _ := got.(string); got != v && !strings.HasPrefix(text, "why, in a goroutine") {
					t.Errorf("%v: %v", v, got)
				}
			}()
			_ = bulkreport.Pulse(t.Context(), time.Minute, func() error { return nil }, func(context.Context) { panic(v) })
			t.Errorf("%v did not go on", v)
		}()
	}
}
