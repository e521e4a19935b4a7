package tempauth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
)

// The values of Config.StorageURLScheme.
const (
	schemeDefault = "default"
	schemeHTTP    = "http"
	schemeHTTPS   = "https"
)

// Config is the section of the filter.
type Config struct {
	// What the names of accounts begin with, an underscore added; tokens begin with the first. '' is no prefix.
	ResellerPrefix config.List `toml:"reseller_prefix"`
	// A group that a user needs, besides belonging to an account, to own what is in it.
	RequireGroup string `toml:"require_group"`
	// The same for the accounts of one reseller prefix: SERVICE_require_group = "service". An empty group lifts
	// require_group for that prefix.
	RequireGroups map[string]string `toml:"*_require_group"`
	// Where tokens are to be had.
	AuthPrefix string `toml:"auth_prefix"`
	// How long a token is good for.
	TokenLife config.Duration `toml:"token_life"`
	// Let filters to the left allow requests that they have checked themselves, as tempurl and formpost do.
	AllowOverrides bool `toml:"allow_overrides"`
	// Scheme of the storage URLs given to clients: "default" for that of the request, "http" or "https".
	StorageURLScheme string `toml:"storage_url_scheme"`
	// Users: user_ACCOUNT_USER = "key group ... [storage URL]". The storage URL may hold $HOST for scheme and host of the
	// request; without one it is $HOST/v1/PREFIX_ACCOUNT.
	Users map[string]string `toml:"user_*" secret:"true"`
	// Users whose account or name holds an underscore or what a key cannot: user64_ACCOUNT_USER, both in base64, without
	// the trailing equal signs if you like.
	Users64 map[string]string `toml:"user64_*" secret:"true"`
}

// A user is somebody who can get a token.
type user struct {
	account, key, url string
	groups            []string
}

// accountID is the account that the user's storage URL leads to.
func (u user) accountID() string { return u.url[strings.LastIndexByte(u.url, '/')+1:] }

// Validate names the options that cannot be used and what is accepted.
func (c *Config) Validate() error {
	var errs []error
	if c.TokenLife.Seconds() < 1 {
		errs = append(errs, config.Invalid("token_life", "must be at least 1 second"))
	}
	if strings.Trim(c.AuthPrefix, "/") == "" {
		errs = append(errs, config.Invalid("auth_prefix", "want a path such as /auth/, have %q", c.AuthPrefix))
	}
	if !slices.Contains([]string{schemeDefault, schemeHTTP, schemeHTTPS}, c.StorageURLScheme) {
		errs = append(errs, config.Invalid("storage_url_scheme", "want default, http or https, have %q", c.StorageURLScheme))
	}
	prefixes := c.prefixes()
	for name := range c.RequireGroups {
		if p := resellerPrefix(name); !slices.Contains(prefixes, p) {
			errs = append(errs, config.Invalid(name+"_require_group", "%s is not in reseller_prefix", name))
		}
	}
	_, err := c.users()
	return errors.Join(append(errs, err)...)
}

// resellerPrefix turns the spelling of the configuration into what names begin with.
func resellerPrefix(name string) string {
	if name == "''" || name == "" {
		return ""
	}
	return strings.TrimSuffix(name, "_") + "_"
}

// prefixes are the reseller prefixes, each once. No prefix at all is the empty one.
func (c *Config) prefixes() []string {
	var prefixes []string
	for _, name := range c.ResellerPrefix {
		if p := resellerPrefix(strings.TrimSpace(name)); !slices.Contains(prefixes, p) {
			prefixes = append(prefixes, p)
		}
	}
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	return prefixes
}

func (c *Config) requiredGroups(prefixes []string) map[string]string {
	required := map[string]string{}
	for _, p := range prefixes {
		required[p] = strings.TrimSpace(c.RequireGroup)
	}
	for name, group := range c.RequireGroups {
		required[resellerPrefix(name)] = strings.TrimSpace(group)
	}
	return required
}

func (c *Config) authPrefix() string { return "/" + strings.Trim(c.AuthPrefix, "/") + "/" }

// users reads the users, by account:user.
func (c *Config) users() (map[string]user, error) {
	users := map[string]user{}
	var errs []error
	add := func(key, account, name, value string) {
		id := account + ":" + name
		if _, twice := users[id]; twice {
			errs = append(errs, config.Invalid(key, "the user is there already, under its other spelling"))
			return
		}
		u, err := c.user(account, value)
		if err != nil {
			errs = append(errs, config.Invalid(key, "%v", err))
			return
		}
		users[id] = u
	}
	for rest, value := range c.Users {
		key := "user_" + rest
		account, name, ok := cutUser(rest)
		if !ok {
			errs = append(errs, config.Invalid(key, "want user_ACCOUNT_USER; for names with underscores there is user64_"))
			continue
		}
		add(key, account, name, value)
	}
	for rest, value := range c.Users64 {
		key := "user64_" + rest
		account64, name64, ok := cutUser(rest)
		account, okAccount := unbase64(account64)
		name, okName := unbase64(name64)
		if !ok || !okAccount || !okName {
			errs = append(errs, config.Invalid(key, "want user64_ACCOUNT_USER, both in base64 of UTF-8"))
			continue
		}
		add(key, account, name, value)
	}
	return users, errors.Join(errs...)
}

func cutUser(rest string) (account, name string, ok bool) {
	account, name, ok = strings.Cut(rest, "_")
	return account, name, ok && account != "" && name != "" && !strings.Contains(name, "_")
}

func unbase64(s string) (string, bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err == nil && len(b) > 0 && utf8.Valid(b)
}

var errNoKey = errors.New("has no key; want \"key group ... [storage URL]\"")

// user reads the value of a user's option.
func (c *Config) user(account, value string) (user, error) {
	fields := strings.Fields(value)
	if len(fields) == 0 {
		return user{}, errNoKey
	}
	u := user{account: account, key: fields[0], groups: fields[1:]}
	if n := len(u.groups); n > 0 && (strings.Contains(u.groups[n-1], "://") || strings.Contains(u.groups[n-1], hostVariable)) {
		u.url, u.groups = u.groups[n-1], u.groups[:n-1]
	} else {
		u.url = hostVariable + "/v1/" + c.prefixes()[0] + apipath.Quote(account)
	}
	return u, nil
}
