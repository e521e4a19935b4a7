package upstream

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// How buckets are addressed, where credentials come from, and how bodies are proved.
const (
	addressPath    = "path"
	addressVirtual = "virtual"

	fromStatic      = "static"
	fromEnvironment = "environment"
	fromFile        = "file"
	fromIdentity    = "identity"
	fromCallable    = "callable"
	fromAPIKey      = "api_key"

	payloadAuto     = "auto"
	payloadSigned   = "signed"
	payloadUnsigned = "unsigned"
	payloadChunked  = "chunked"

	noConstraint = "none"
)

// Config is the table of one store.
type Config struct {
	// Where the store is: http:// or https://, a host, perhaps a port and a path that stands before all buckets.
	Endpoint string `toml:"endpoint"`
	// The region that requests to the store are signed for.
	Region string `toml:"region"`
	// Where the store is told to make buckets, if it has another name for that than the region's (IBM: "eu-de-smart"). "none"
	// has it told nothing. Empty: the region, but nothing for us-east-1, as AWS wants it.
	LocationConstraint string `toml:"location_constraint"`
	// How the store finds the bucket: "path" (https://host/bucket/key) or "virtual" (https://bucket.host/key). Buckets
	// whose names do not fit into a host name are addressed by path in any case.
	Addressing string `toml:"addressing"`

	// Where the store's credentials come from: "static" (access_key and a secret), "environment" (AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), "file" (AWS' shared credentials file), "identity" (a key pair for each
	// of the gateway's identities), "callable" (a function of the operator's) or "api_key" (exchanged for a bearer token).
	Credentials string `toml:"credentials"`
	// For "static": the access key, and its secret: the secret itself, a file that holds it (read again when it changes),
	// a variable of the environment, or a command that prints it (run once, at the start). Or unsigned, for open data.
	KeyPair
	// For "file": the file, read again when it changes, and the profile in it.
	CredentialsFile string `toml:"credentials_file"`
	Profile         string `toml:"profile"`
	// For "identity": a key pair for each identity, in tables [...upstream.NAME.identity.IDENTITY].
	Identity map[string]KeyPair `toml:"identity"`
	// For "callable": the name of the callable whose credentials function is asked.
	Callable string `toml:"callable"`
	// For "api_key": the key, in the same four ways as a secret.
	APIKey        string   `toml:"api_key" secret:"true"`
	APIKeyFile    string   `toml:"api_key_file"`
	APIKeyEnv     string   `toml:"api_key_env"`
	APIKeyCommand []string `toml:"api_key_command"`
	// For "api_key", and for a callable that gives API keys: where they are exchanged for bearer tokens.
	TokenEndpoint string `toml:"token_endpoint"`
	// For bearer tokens: the value of ibm-service-instance-id, which IBM's store needs to list and to make buckets.
	ServiceInstanceID string `toml:"service_instance_id"`

	// How bodies are proved to the store: "signed" (by the SHA-256 that the client signed; bodies without one go in signed
	// chunks), "unsigned" (by the connection alone), "chunked" (in chunks that are signed again), or "auto": signed if
	// there is a SHA-256, otherwise unsigned over https and in signed chunks over http.
	Payload string `toml:"payload"`
	// Whether the store takes checksums in trailers, as AWS does since 2022. If not, those of clients are checked here and not passed on.
	TrailingChecksums bool `toml:"trailing_checksums"`
	// Whether the store takes bodies in signed chunks. OpenStack Swift does since 2.36.
	SignedChunks bool `toml:"signed_chunks"`
	// Bodies of this size and larger are sent only after the store has said that it wants them (Expect: 100-continue).
	ExpectAbove config.Size `toml:"expect_above"`
	// Time that a store has to say so, or to refuse. Then the body is sent all the same, since some stores never say it.
	ExpectTimeout config.Duration `toml:"expect_timeout"`
	// Domains that the store may redirect to, beside its own host and what is below it. To none but these is a redirect followed.
	RedirectDomains config.List `toml:"redirect_domains"`

	// A file with certificates of authorities to trust, beside the system's. It is read at the start.
	CAFile string `toml:"ca_file"`
	// The client's certificate and its key, for stores that ask for one. They are read again when they change.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// Whether any certificate is good. For development alone: whoever is on the way may read and change everything.
	InsecureSkipVerify bool `toml:"insecure_skip_verify"`
	// Whether HTTP/2 is tried. Most stores are faster over several connections.
	HTTP2 bool `toml:"http2"`
	// Time to get a connection, TLS included.
	ConnectTimeout config.Duration `toml:"connect_timeout"`
	// Time that the store has to begin its answer, once it has the whole request.
	ResponseTimeout config.Duration `toml:"response_timeout"`
	// Time that may pass without a byte, of a request's body that the store does not take or of an answer's that it does not send.
	StallTimeout config.Duration `toml:"stall_timeout"`
	// Time that a connection without a request is kept.
	IdleTimeout config.Duration `toml:"idle_timeout"`
	// Requests at one time; 0 for any number. More wait for as long as for a connection.
	MaxRequests int `toml:"max_requests"`
	// Connections without a request that are kept.
	MaxIdle int `toml:"max_idle"`

	// The path that is asked with HEAD whether the store is there: any answer below 500 says so. Empty for no checks.
	HealthPath string `toml:"health_path"`
	// How often, how long an answer may take, and how many in a row make it healthy or not.
	HealthInterval config.Duration `toml:"health_interval"`
	HealthTimeout  config.Duration `toml:"health_timeout"`
	HealthUp       int             `toml:"health_up"`
	HealthDown     int             `toml:"health_down"`
	// How many requests in a row must fail until no more are sent; 0 for never. And how long until one is tried.
	BreakerFailures int             `toml:"breaker_failures"`
	BreakerCooldown config.Duration `toml:"breaker_cooldown"`
}

// SetDefaults sets the defaults.
func (c *Config) SetDefaults() {
	seconds := func(n int) config.Duration { return config.Duration{Duration: time.Duration(n) * time.Second} }
	*c = Config{
		Region: "us-east-1", Addressing: addressPath, Credentials: fromStatic, Profile: "default",
		TokenEndpoint: "https://iam.cloud.ibm.com/identity/token",
		Payload:       payloadAuto, SignedChunks: true, TrailingChecksums: true, ExpectAbove: 1 << 20, ExpectTimeout: seconds(1),
		ConnectTimeout: seconds(5), ResponseTimeout: seconds(60), StallTimeout: seconds(60), IdleTimeout: seconds(30), MaxIdle: 100,
		HealthPath: "/", HealthInterval: seconds(5), HealthTimeout: seconds(3), HealthUp: 2, HealthDown: 3,
		BreakerFailures: 10, BreakerCooldown: seconds(10),
	}
}

// String names the store's address, and no secret.
func (c Config) String() string { return "store at " + c.Endpoint }

// GoString is String, so that no verb prints a secret.
func (c Config) GoString() string { return c.String() }

// Validate says what is wrong with a store's table.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.validateAddress, c.validateCredentials, c.validatePayload, c.validateTransport, c.validateHealth} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateAddress() error {
	if _, err := parseEndpoint(c.Endpoint); err != nil {
		return config.Invalid("endpoint", "%v", err)
	}
	if c.Region == "" || strings.ContainsAny(c.Region, "/ \t\r\n,") {
		return config.Invalid("region", "must be the name of a region, such as us-east-1")
	}
	if strings.ContainsAny(c.LocationConstraint, "/ \t\r\n,") {
		return config.Invalid("location_constraint", `must be the name of a place, such as eu-central-1, or "none"`)
	}
	return oneOf("addressing", c.Addressing, addressPath, addressVirtual)
}

func (c *Config) validatePayload() error {
	if c.ExpectAbove < 0 {
		return config.Invalid("expect_above", "must not be negative")
	}
	if c.Payload == payloadChunked && !c.SignedChunks {
		return config.Invalid("payload", `"chunked" needs signed_chunks = true, for a store that takes them`)
	}
	for _, d := range c.RedirectDomains {
		if d == "" || strings.ContainsAny(d, "/:*@ ") || strings.HasPrefix(d, ".") {
			return config.Invalid("redirect_domains", "%q is not a domain such as amazonaws.com", d)
		}
	}
	return oneOf("payload", c.Payload, payloadAuto, payloadSigned, payloadUnsigned, payloadChunked)
}

func (c *Config) validateTransport() error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return config.Invalid("cert_file", "cert_file and key_file belong together")
	}
	for _, d := range []struct {
		key   string
		value config.Duration
	}{
		{"connect_timeout", c.ConnectTimeout}, {"response_timeout", c.ResponseTimeout}, {"stall_timeout", c.StallTimeout},
		{"idle_timeout", c.IdleTimeout}, {"expect_timeout", c.ExpectTimeout}, {"health_interval", c.HealthInterval}, {"health_timeout", c.HealthTimeout},
		{"breaker_cooldown", c.BreakerCooldown},
	} {
		if d.value.Duration <= 0 {
			return config.Invalid(d.key, "must be longer than 0")
		}
	}
	if c.MaxRequests < 0 {
		return config.Invalid("max_requests", "must not be negative")
	}
	if c.MaxIdle < 1 {
		return config.Invalid("max_idle", "must be at least 1")
	}
	return nil
}

func (c *Config) validateHealth() error {
	if c.HealthPath != "" {
		if u, err := url.ParseRequestURI(c.HealthPath); err != nil || !strings.HasPrefix(c.HealthPath, "/") || u.Host != "" {
			return config.Invalid("health_path", `must be a path such as "/", or empty for no checks`)
		}
	}
	switch {
	case c.HealthUp < 1:
		return config.Invalid("health_up", "must be at least 1")
	case c.HealthDown < 1:
		return config.Invalid("health_down", "must be at least 1")
	case c.BreakerFailures < 0:
		return config.Invalid("breaker_failures", "must not be negative")
	}
	return nil
}

func oneOf(key, value string, accepted ...string) error {
	if !slices.Contains(accepted, value) {
		return config.Invalid(key, "must be %s, is %q", strings.Join(accepted, ", "), value)
	}
	return nil
}
