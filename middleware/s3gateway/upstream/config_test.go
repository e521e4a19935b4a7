package upstream

import (
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// section is what the gateway has: stores by name.
type section struct {
	Upstream map[string]Config `toml:"upstream"`
}

func decodeConfig(text string) (section, config.Report, error) {
	var s section
	f, err := config.Parse("gateway.toml", []byte(text))
	if err != nil {
		return s, config.Report{}, err
	}
	sec, _ := f.Section("filter", "s3gateway")
	report, err := sec.Decode(&s, config.Section{})
	return s, report, err
}

func TestConfig(t *testing.T) {
	s, report, err := decodeConfig(`
[filter.s3gateway.upstream.ceph]
endpoint = "http://10.0.0.1:7480/"
access_key = "AK"
secret = "hush-hush"
health_interval = 2
connect_timeout = "500ms"
expect_above = "64 KiB"
redirect_domains = ["store.test"]
[filter.s3gateway.upstream.cos]
endpoint = "https://s3.eu-de.test"
credentials = "identity"
health_path = ""
[filter.s3gateway.upstream.cos.identity.alice]
access_key = "AKALICE"
secret_command = ["pass", "show", "alice"]
`)
	if err != nil {
		t.Fatal(err)
	}
	ceph, cos := s.Upstream["ceph"], s.Upstream["cos"]
	if ceph.HealthInterval.Duration != 2*time.Second || ceph.ConnectTimeout.Duration != time.Second/2 || ceph.ExpectAbove != 64<<10 ||
		ceph.HealthDown != 3 || ceph.HealthPath != "/" || ceph.Secret != "hush-hush" || ceph.Payload != "auto" {
		t.Errorf("got %+v", ceph)
	}
	if cos.HealthPath != "" || len(cos.Identity["alice"].SecretCommand) != 3 || cos.Region != "us-east-1" {
		t.Errorf("got %+v", cos)
	}
	for _, o := range report.Options {
		if strings.Contains(o.Value, "hush") {
			t.Errorf("%s is shown as %s", o.Key, o.Value)
		}
	}
}

func TestBadConfig(t *testing.T) {
	const good = "endpoint = \"https://s3.test\"\naccess_key = \"AK\"\nsecret = \"s\"\n"
	for text, want := range map[string]string{
		"":                                                     "endpoint: must be http:// or https://",
		"endpoint = \"ftp://x\"":                               "endpoint: must be http:// or https://",
		"endpoint = \"https://\"":                              "endpoint: must be http:// or https://",
		"endpoint = \"https://a:b@x\"":                         "endpoint: must hold no credentials",
		"endpoint = \"https://x?a\"":                           "endpoint: must have no query",
		"endpoint = \"https://x\"":                             "access_key: is missing",
		good + "region = \"\"":                                 "region: must be the name",
		good + "region = \"a/b\"":                              "region: must be the name",
		good + "addressing = \"dns\"":                          `addressing: must be path, virtual, is "dns"`,
		good + "credentials = \"guess\"":                       "credentials: must be static, environment,",
		good + "secret_env = \"S\"":                            "secret: give one of secret, secret_file, secret_env and secret_command",
		good + "credentials = \"file\"":                        `access_key: is for credentials = "static", which is "file"`,
		good + "callable = \"f\"":                              `callable: is for credentials = "callable"`,
		good + "api_key_env = \"f\"":                           `api_key: is for credentials = "api_key"`,
		good + "credentials_file = \"f\"":                      `credentials_file: is for credentials = "file"`,
		"endpoint = \"https://x\"\ncredentials = \"file\"":     "credentials_file: is missing",
		"endpoint = \"https://x\"\ncredentials = \"identity\"": "identity: is missing",
		"endpoint = \"https://x\"\ncredentials = \"callable\"": "callable: is missing",
		"endpoint = \"https://x\"\ncredentials = \"api_key\"":  "api_key: is missing",
		"endpoint = \"https://x\"\ncredentials = \"api_key\"\napi_key = \"a\"\ntoken_endpoint = \"iam\"": "token_endpoint: must be a URL",
		"endpoint = \"https://x\"\ncredentials = \"api_key\"\napi_key = \"a\"\napi_key_env = \"b\"":      "api_key: give one of",
		"endpoint = \"https://x\"\naccess_key = \"AK\"":                                                  "secret: give one of",
		"endpoint = \"https://x\"\nsecret = \"s\"":                                                       "access_key: is missing",
		"endpoint = \"https://x\"\naccess_key = \"a/b\"\nsecret = \"s\"":                                 "access_key: has characters",
		"endpoint = \"https://x\"\ncredentials = \"identity\"\nidentity.alice.secret = \"s\"":            "alice.access_key: is missing",
		good + "payload = \"plain\"":                                                                     "payload: must be auto, signed, unsigned, chunked",
		good + "payload = \"chunked\"\nsigned_chunks = false":                                            `payload: "chunked" needs signed_chunks`,
		good + "expect_above = -1":                                                                       "expect_above: must not be negative",
		good + "redirect_domains = [\"a:1\"]":                                                            "redirect_domains: \"a:1\" is not a domain",
		good + "cert_file = \"c\"":                                                                       "cert_file: cert_file and key_file belong together",
		good + "connect_timeout = 0":                                                                     "connect_timeout: must be longer than 0",
		good + "stall_timeout = -1":                                                                      "stall_timeout: must be longer than 0",
		good + "max_requests = -1":                                                                       "max_requests: must not be negative",
		good + "max_idle = 0":                                                                            "max_idle: must be at least 1",
		good + "health_path = \"x\"":                                                                     "health_path: must be a path",
		good + "health_up = 0":                                                                           "health_up: must be at least 1",
		good + "health_down = 0":                                                                         "health_down: must be at least 1",
		good + "breaker_failures = -1":                                                                   "breaker_failures: must not be negative",
		good + "service_instance_id = \"a\"":                                                             "service_instance_id: is for credentials",
		good + "profile = \"other\"":                                                                     "profile: is for credentials",
		good + "token_endpoint = \"https://tokens.test\"":                                                "token_endpoint: is for credentials",
		"endpoint = \"https://s3.test\"\ncredentials = \"api_key\"\napi_key = \"k\"\nservice_instance_id = \"a\\nb\"": "service_instance_id: has control characters",
		good + "secrets = \"x\"": "secrets",
	} {
		_, _, err := decodeConfig("[filter.s3gateway.upstream.x]\n" + text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "gateway.toml:") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestWarnings looks for what an operator must be told.
func TestWarnings(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"no check of certificates": {func(c *Config) { c.InsecureSkipVerify = true }, "CERTIFICATE IS NOT CHECKED"},
		"bodies in the open":       {func(c *Config) { c.Endpoint, c.Payload = "http://x.test", payloadUnsigned }, "without TLS and without a signature"},
		"API keys in the open": {func(c *Config) {
			c.KeyPair, c.Credentials, c.APIKey, c.TokenEndpoint = KeyPair{}, fromAPIKey, "k", "http://iam.test"
		}, "API keys go to the token endpoint without TLS"},
		"nothing": {func(*Config) {}, ""},
	} {
		c := base("https://x.test")
		test.edit(&c)
		log, text := logged()
		open(t, c, Deps{Log: log})
		if test.want == "" && text.Len() > 0 || !strings.Contains(text.String(), test.want) || test.want != "" && !strings.Contains(text.String(), "WARN") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
