package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/secret"
)

// keys are what one request is signed with, or its bearer token. They do not print.
type keys struct {
	accessKey, secret, token string
	bearer                   string
	unsigned                 bool   // none at all
	exchanged                string // the API key that the bearer token was exchanged for
}

func (keys) String() string   { return "(secret)" }
func (keys) GoString() string { return "(secret)" }

// A source gives the credentials of a request.
type source func(ctx context.Context, c Call) (keys, error)

func (c *Config) validateCredentials() error {
	if err := oneOf("credentials", c.Credentials, fromStatic, fromEnvironment, fromFile, fromIdentity, fromCallable, fromAPIKey); err != nil {
		return err
	}
	// What belongs to another kind would be read and ignored.
	for _, o := range []struct {
		kind, key string
		there     bool
	}{
		{fromStatic, "access_key", !c.KeyPair.empty()},
		{fromFile, "credentials_file", c.CredentialsFile != ""},
		{fromIdentity, "identity", len(c.Identity) > 0},
		{fromCallable, "callable", c.Callable != ""},
		{fromAPIKey, "api_key", c.apiKey().ways() > 0},
	} {
		if o.kind == c.Credentials && !o.there {
			return config.Invalid(o.key, "is missing, for credentials = %q", o.kind)
		}
		if o.kind != c.Credentials && o.there {
			return config.Invalid(o.key, "is for credentials = %q, which is %q", o.kind, c.Credentials)
		}
	}
	defaults := new(Config)
	defaults.SetDefaults()
	tokens := c.Credentials == fromAPIKey || c.Credentials == fromCallable
	switch {
	case c.Profile != defaults.Profile && c.Credentials != fromFile:
		return config.Invalid("profile", "is for credentials = %q, which is %q", fromFile, c.Credentials)
	case c.TokenEndpoint != defaults.TokenEndpoint && !tokens:
		return config.Invalid("token_endpoint", "is for credentials = %q and %q, which is %q", fromAPIKey, fromCallable, c.Credentials)
	case c.ServiceInstanceID != "" && !tokens:
		return config.Invalid("service_instance_id", "is for credentials = %q and %q, which is %q", fromAPIKey, fromCallable, c.Credentials)
	}
	if u, err := url.Parse(c.TokenEndpoint); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return config.Invalid("token_endpoint", "must be a URL without credentials in it")
	}
	if strings.ContainsAny(c.ServiceInstanceID, "\r\n\x00") {
		return config.Invalid("service_instance_id", "has control characters")
	}
	switch c.Credentials {
	case fromStatic:
		return c.KeyPair.validate("")
	case fromIdentity:
		for _, name := range slices.Sorted(maps.Keys(c.Identity)) {
			if err := c.Identity[name].validate("identity." + name + "."); err != nil {
				return err
			}
		}
	case fromAPIKey:
		return c.apiKey().validate("")
	}
	return nil
}

func (c *Config) apiKey() secretConfig {
	return secretConfig{"api_key", c.APIKey, c.APIKeyFile, c.APIKeyEnv, c.APIKeyCommand}
}

// openSource makes the source that the configuration names.
func (u *Upstream) openSource(deps Deps) (source, error) {
	c := u.config
	u.asks = c.Credentials == fromAPIKey || c.Credentials == fromCallable
	switch c.Credentials {
	case fromStatic:
		return pairSource(c.KeyPair, deps)
	case fromEnvironment:
		k := keys{accessKey: deps.Getenv("AWS_ACCESS_KEY_ID"), secret: deps.Getenv("AWS_SECRET_ACCESS_KEY"), token: deps.Getenv("AWS_SESSION_TOKEN")}
		if k.accessKey == "" || k.secret == "" {
			return nil, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment")
		}
		return func(context.Context, Call) (keys, error) { return k, nil }, nil
	case fromFile:
		f := &secret.File[keys]{Path: c.CredentialsFile, Clock: deps.Clock, Keep: true, Log: deps.Log, Parse: func(text []byte) (keys, error) {
			return parseProfile(text, c.Profile)
		}}
		_, err := f.Get()
		return func(context.Context, Call) (keys, error) { return f.Get() }, err
	case fromIdentity:
		return identitySource(c.Identity, deps)
	case fromAPIKey:
		get, err := c.apiKey().open(deps)
		return func(ctx context.Context, _ Call) (keys, error) {
			key, err := get()
			if err != nil {
				return keys{}, err
			}
			return u.exchange(ctx, key)
		}, err
	}
	f, ok := deps.Functions[c.Callable]
	if !ok || f.Credentials == nil {
		return nil, fmt.Errorf("callable %q has no function credentials", c.Callable)
	}
	return u.callableSource(f.Credentials), nil
}

func pairSource(pair KeyPair, deps Deps) (source, error) {
	if pair.Unsigned {
		return func(context.Context, Call) (keys, error) { return keys{unsigned: true}, nil }, nil
	}
	secret, err := pair.secret().open(deps)
	if err != nil {
		return nil, err
	}
	return func(context.Context, Call) (keys, error) {
		s, err := secret()
		return keys{accessKey: pair.AccessKey, secret: s, token: pair.SessionToken}, err
	}, nil
}

func identitySource(pairs map[string]KeyPair, deps Deps) (source, error) {
	sources := map[string]source{}
	for name, pair := range pairs {
		s, err := pairSource(pair, deps)
		if err != nil {
			return nil, fmt.Errorf("identity %s: %w", name, err)
		}
		sources[name] = s
	}
	return func(ctx context.Context, c Call) (keys, error) {
		s := sources[c.Identity]
		if s == nil {
			return keys{}, errNoCredentials(nil)
		}
		return s(ctx, c)
	}, nil
}

// errNoCredentials is for clients that have nothing to be asked with at this store, which is a matter of rights.
func errNoCredentials(err error) error {
	return awserr.New(awserr.AccessDenied, "Access Denied.").Because(err)
}

var errExpired = errors.New("the credentials have expired")

func (u *Upstream) callableSource(ask func(ctx context.Context, token, bucket string) (callable.Credentials, error)) source {
	return func(ctx context.Context, c Call) (keys, error) {
		bucket := c.ClientBucket
		if bucket == "" {
			bucket = c.Bucket
		}
		got, err := ask(ctx, c.Token, bucket)
		if errors.Is(err, callable.ErrUnknown) {
			return keys{}, errNoCredentials(err)
		}
		if err != nil {
			return keys{}, err
		}
		if err := got.Check(); err != nil {
			return keys{}, err
		}
		if !got.Expires.IsZero() && !u.clock.Now().Before(got.Expires) {
			return keys{}, errExpired
		}
		switch {
		case got.APIKey != "":
			return u.exchange(ctx, got.APIKey)
		case got.Bearer != "":
			if strings.ContainsAny(got.Bearer, "\r\n\x00") {
				return keys{}, errors.New("the bearer token has control characters")
			}
			return keys{bearer: got.Bearer}, nil
		}
		return keys{accessKey: got.AccessKey, secret: got.Secret, token: got.SessionToken}, nil
	}
}

// maxSigners bounds the signers that are remembered; a table of identities or a callable may give any number of keys.
const maxSigners = 1024

// signers remembers signers: each knows the keys derived for the day.
type signers struct {
	mu  sync.Mutex // guards all
	all map[signerKey]*sigv4.Signer
}

type signerKey struct {
	keys
	region string
}

func (s *signers) get(k keys, region string) *sigv4.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := signerKey{k, region}
	if found := s.all[key]; found != nil {
		return found
	}
	if s.all == nil || len(s.all) >= maxSigners {
		s.all = make(map[signerKey]*sigv4.Signer)
	}
	made := sigv4.NewSigner(k.accessKey, k.secret, k.token, region)
	s.all[key] = made
	return made
}
