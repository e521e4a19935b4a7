package tempauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestUsers(t *testing.T) {
	c := Config{
		ResellerPrefix: config.List{"AUTH", "SERVICE"},
		Users: map[string]string{
			"test_plain": "key",
			"test_admin": "key .admin  group",
			"test_url":   "key .admin https://host/v1/AUTH_x",
			"test_host":  "key $HOST/v1/AUTH_y",
		},
		Users64: map[string]string{
			"dW5kZXJfc2NvcmU_YV9i": "key",
			"w6l0w6k=_YQ==":        "key",
		},
	}
	got, err := c.users()
	want := map[string]user{
		"test:plain":      {account: "test", key: "key", url: "$HOST/v1/AUTH_test", groups: []string{}},
		"test:admin":      {account: "test", key: "key", url: "$HOST/v1/AUTH_test", groups: []string{".admin", "group"}},
		"test:url":        {account: "test", key: "key", url: "https://host/v1/AUTH_x", groups: []string{".admin"}},
		"test:host":       {account: "test", key: "key", url: "$HOST/v1/AUTH_y", groups: []string{}},
		"under_score:a_b": {account: "under_score", key: "key", url: "$HOST/v1/AUTH_under_score", groups: []string{}},
		"été:a":           {account: "été", key: "key", url: "$HOST/v1/AUTH_%C3%A9t%C3%A9", groups: []string{}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(user{})); err != nil || diff != "" {
		t.Errorf("users: %v\n%s", err, diff)
	}
}

func TestPrefixesAndRequiredGroups(t *testing.T) {
	for _, test := range []struct {
		list     string
		prefixes []string
	}{
		{"AUTH", []string{"AUTH_"}},
		{"AUTH_, AUTH", []string{"AUTH_"}},
		{"SERVICE, AUTH", []string{"SERVICE_", "AUTH_"}},
		{"", []string{""}},
		{"''", []string{""}},
		{"AUTH, ''", []string{"AUTH_", ""}},
	} {
		c := Config{ResellerPrefix: config.SplitList(test.list)}
		if diff := cmp.Diff(test.prefixes, c.prefixes()); diff != "" {
			t.Errorf("%q: %s", test.list, diff)
		}
	}
	c := Config{RequireGroup: "all", RequireGroups: map[string]string{"SERVICE_": "service", "''": ""}}
	want := map[string]string{"AUTH_": "all", "SERVICE_": "service", "": ""}
	if diff := cmp.Diff(want, c.requiredGroups([]string{"AUTH_", "SERVICE_", ""})); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedOptions(t *testing.T) {
	for toml, want := range map[string]string{
		`user_test = "key"`:                          "test.toml:6: filter.tempauth.user_test: want user_ACCOUNT_USER",
		`user_a_b_c = "key"`:                         "filter.tempauth.user_a_b_c: want user_ACCOUNT_USER; for names with underscores there is user64_",
		`user_a_b = " "`:                             "filter.tempauth.user_a_b: has no key",
		`user64_a_b = "key"`:                         "filter.tempauth.user64_a_b: want user64_ACCOUNT_USER, both in base64",
		`user64_gICA_YQ = "key"`:                     "both in base64 of UTF-8",
		`token_life = 0`:                             "filter.tempauth.token_life: must be at least 1 second",
		`auth_prefix = "/"`:                          `filter.tempauth.auth_prefix: want a path such as /auth/, have "/"`,
		`storage_url_scheme = "ws"`:                  `want default, http or https, have "ws"`,
		`X_require_group = "g"`:                      "filter.tempauth.X_require_group: X is not in reseller_prefix",
		`fernet_key_1 = "abc"`:                       "filter.tempauth.fernet_key_1: unknown key",
		`allow_overrides = "maybe"`:                  "filter.tempauth.allow_overrides: want true or false",
		"user_a_b = \"key\"\nuser64_YQ_Yg = \"key\"": "filter.tempauth.user64_YQ_Yg: the user is there already",
	} {
		if _, err := middlewaretest.TryBuild(middlewaretest.Host(t), Filter, toml, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", toml, err, want)
		}
	}
}
