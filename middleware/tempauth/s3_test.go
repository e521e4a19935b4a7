package tempauth

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/apus-storage/apus/internal/request"
)

// signed asks who has signed with a key that was made with the secret.
func signed(t *testing.T, h http.Handler, key, secret string) (int, *request.State) {
	t.Helper()
	state := &request.State{Infos: &request.Infos{}, S3: &request.S3{AccessKey: key, Check: func(s string) bool { return s == secret }}}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, request.With(httptest.NewRequest("GET", "/v1", nil), state))
	return rec.Code, state
}

func TestSignedForS3(t *testing.T) {
	passed := 0
	app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { passed++; w.WriteHeader(http.StatusTeapot) })
	a := &auth{users: map[string]user{
		"test:tester":  {account: "test", key: "testing", url: "$HOST/v1/AUTH_test", groups: []string{".admin"}},
		"test:reader":  {account: "test", key: "reading", url: "https://host/v1/AUTH_other", groups: []string{"readers"}},
		"admin:admin":  {account: "admin", key: "admin", url: "$HOST/v1/AUTH_admin", groups: []string{".admin", ".reseller_admin"}},
		"été:user":     {account: "été", key: "key", url: "$HOST/v1/AUTH_%C3%A9t%C3%A9"},
		"emptykey:key": {account: "emptykey", key: noKey, url: "$HOST/v1/AUTH_emptykey"},
	}, prefixes: []string{"AUTH_"}, log: slog.New(slog.DiscardHandler), next: app}
	a.decide = a.authorize
	for _, test := range []struct {
		name, key, secret string
		code              int
		known             bool
		account, user     string
	}{
		{"the right key", "test:tester", "testing", 204, true, "AUTH_test", "test,test:tester,AUTH_test"},
		{"the storage URL's account", "test:reader", "reading", 204, true, "AUTH_other", "test,test:reader,readers"},
		{"a reseller", "admin:admin", "admin", 204, true, "AUTH_admin", "admin,admin:admin,.reseller_admin,AUTH_admin"},
		{"a name that is not ASCII", "été:user", "key", 204, true, "AUTH_été", "été,été:user"},
		{"the wrong key", "test:tester", "reading", 403, true, "", ""},
		{"another user's name", "test:reader", "testing", 403, true, "", ""},
		{"nobody", "nobody:x", "testing", 403, false, "", ""},
		{"nobody, with what nobody's key is", "nobody:x", noKey, 403, false, "", ""},
		{"no name", "", "", 403, false, "", ""},
	} {
		code, state := signed(t, a, test.key, test.secret)
		if code != test.code || state.S3.Known != test.known || state.S3.Account != test.account || state.User != test.user {
			t.Errorf("%s: got %d, known %v, account %q, user %q", test.name, code, state.S3.Known, state.S3.Account, state.User)
		}
		if (state.Authorize != nil) != (test.code == 204) || state.Reseller != (test.name == "a reseller") {
			t.Errorf("%s: state %+v", test.name, state)
		}
	}
	if passed > 0 {
		t.Errorf("%d requests for an identity went on", passed)
	}
}

// TestWhatFollowsIsTheSameUsers sends what s3api sends once it is known who has signed.
func TestWhatFollowsIsTheSameUsers(t *testing.T) {
	var seen *request.State
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = request.From(r.Context()) })
	a := &auth{users: map[string]user{}, prefixes: []string{"AUTH_"}, log: slog.New(slog.DiscardHandler), next: app}
	a.decide = a.authorize
	state := &request.State{User: "test,test:tester", S3: &request.S3{Account: "AUTH_test", AccessKey: "test:tester"}, Authorize: a.authorize}
	r := httptest.NewRequest("GET", "/v1/AUTH_test/c", nil)
	r.Header.Set("X-Auth-Token", "AUTH_tkunknown")
	a.ServeHTTP(httptest.NewRecorder(), request.With(r, state))
	if seen != state || seen.User != "test,test:tester" || seen.Authorize == nil {
		t.Errorf("state %+v", seen)
	}
}

func TestKeysOfOtherFilters(t *testing.T) {
	passed := false
	app := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })
	a := &auth{users: map[string]user{}, prefixes: []string{""}, log: slog.New(slog.DiscardHandler), next: app}
	a.decide = a.authorize
	if signed(t, a, "nobody:x", "x"); !passed {
		t.Error("without a prefix, an unknown key is not passed on")
	}
}
