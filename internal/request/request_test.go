package request

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"testing"

	"github.com/apus-storage/apus/internal/cache"
)

type nopCache struct{ cache.Cache }

// anew are the fields that a subrequest starts without, each on purpose.
var anew = map[string]string{
	"Method":           "a subrequest's method is its own",
	"Log":              "its line is its own, but for the source",
	"ACL":              "the controllers set it for the resource they serve",
	"Ratelimited":      "a filter's subrequests are counted where they pass ratelimit",
	"AsStored":         "what a filter makes of the request is its own",
	"Manifest":         "it is about the large object that this request stores",
	"LookupSource":     "it is of one HEAD alone",
	"RelativeLocation": "the redirect is the client's answer",
	"Footers":          "they belong to the body that the client sent",
	"Copied":           "they are the bytes of this request's copy",
	"Segment":          "it is of the answer to this request",
	"LegacyVersioning": "each request is looked at anew; versioned_writes marks its own",
	"ObjectVersioning": "each request is looked at anew; versioned_writes marks its own",
	"RawListing":       "the client's listing is another",
}

func TestEveryFieldIsInheritedOrResetOnPurpose(t *testing.T) {
	var s State
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		fill(v.Field(i))
	}
	child := reflect.ValueOf(s.Child("SSC")).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		kept := !child.Field(i).IsZero()
		if _, reset := anew[name]; name != "Log" && kept == reset {
			t.Errorf("field %s: kept by Child: %v, listed as reset: %v; decide which it is", name, kept, reset)
		}
	}
	if got := s.Child("SSC").Log; got.Source != "SSC" || got.Done || got.Status != 0 || got.Info != nil {
		t.Errorf("log of a child: %+v", got)
	}
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Interface:
		for _, x := range []any{nopCache{}, http.NotFoundHandler(), io.Discard} {
			if reflect.TypeOf(x).Implements(v.Type()) {
				v.Set(reflect.ValueOf(x))
			}
		}
	}
}

func TestBeginMakesOneStatePerRequest(t *testing.T) {
	var seen []*State
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = append(seen, From(r.Context())) })
	outer := Begin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, From(r.Context()))
		Begin(h, nil).ServeHTTP(w, r)
	}), h)
	outer.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	outer.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if len(seen) != 4 || seen[0] != seen[1] || seen[2] != seen[3] || seen[0] == seen[2] {
		t.Errorf("states: %v", seen)
	}
	if seen[0].Lookups == nil {
		t.Error("the state does not have the handler for lookups")
	}
}

func TestPreAuthedChildMayDoAnything(t *testing.T) {
	c := (&State{User: "a:u,a", Infos: &Infos{}}).PreAuthedChild("TU")
	if !c.AuthOverride || c.User != PreAuthed || !c.Owner {
		t.Errorf("%+v", c)
	}
}

func TestInfosKeepTheLatest(t *testing.T) {
	var i Infos
	const keys = 10
	for round := range 3 {
		for k := range keys {
			i.Put(strconv.Itoa(k), round*keys+k)
		}
		for k := range keys {
			if got := i.Get(strconv.Itoa(k)); got != round*keys+k {
				t.Errorf("round %d: key %d: got %v, want %d", round, k, got, round*keys+k)
			}
		}
		// One that is forgotten makes room for another, whose older value must not come back.
		i.Put("1", nil)
		i.Put("9", "new")
		i.Put("9", nil)
		for _, k := range []string{"1", "9", "none"} {
			if got := i.Get(k); got != nil {
				t.Errorf("round %d: key %s is back: %v", round, k, got)
			}
		}
	}
}

func TestABegunRequestCanBeCancelled(t *testing.T) {
	type other struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), other{}, "kept"))
	Begin(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		child, stop := context.WithCancel(r.Context())
		defer stop()
		cancel()
		if r.Context().Err() == nil || child.Err() == nil {
			t.Errorf("after the client has gone: %v, and below %v", r.Context().Err(), child.Err())
		}
		if r.Context().Value(other{}) != "kept" || From(child) != From(r.Context()) {
			t.Error("a value is lost")
		}
	}), nil).ServeHTTP(nil, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
}

func TestAuthorizeAsksUnderTheList(t *testing.T) {
	r := With(httptest.NewRequest("PUT", "/v1/a/c/o", nil), &State{ACL: "before"})
	if err := Authorize(r, "list"); err != nil {
		t.Errorf("nobody guards: %v", err)
	}
	s := From(r.Context())
	denied := errors.New("denied")
	var asked string
	s.Authorize = func(*http.Request) error {
		asked = s.ACL
		return denied
	}
	if err := Authorize(r, "list"); err != denied || asked != "list" || s.ACL != "before" {
		t.Errorf("got %v, asked under %q, then %q; want denied, list, before", err, asked, s.ACL)
	}
}
