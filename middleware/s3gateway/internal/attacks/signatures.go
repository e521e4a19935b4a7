package attacks

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const key = "/" + Bucket + "/2026/a"

// get is a good request to read an object.
func get(w World) *message { return request(w, "GET", key).sign(w, Owner, how{}) }

// put is a good request to write one.
func put(w World) *message { return request(w, "PUT", key).carry("hello").sign(w, Owner, how{}) }

// signed makes a case of a request that is signed in its own way.
func signed(name, code string, h how) Case {
	return Case{Name: name, Code: code, make: func(w World) *message { return request(w, "GET", key).sign(w, Owner, h) }}
}

// changed makes a case of a good request that is changed afterwards.
func changed(name, code string, from func(World) *message, change func(World, *message)) Case {
	return Case{Name: name, Code: code, make: func(w World) *message {
		m := from(w)
		change(w, m)
		return m
	}}
}

const (
	mismatch  = "SignatureDoesNotMatch"
	malformed = "AuthorizationHeaderMalformed"
	badQuery  = "AuthorizationQueryParametersError"
	forbidden = "AccessDenied"
	invalid   = "InvalidArgument"
	badReq    = "InvalidRequest"
)

func signatures() []Case {
	auth := func(name, code, old, new string) Case {
		return changed(name, code, get, func(_ World, m *message) { m.swap("Authorization", old, new) })
	}
	return []Case{
		changed("a digit of the signature is changed", mismatch, get, func(_ World, m *message) {
			a := m.get("Authorization")
			last := byte('0')
			if a[len(a)-1] == '0' {
				last = '1'
			}
			m.set("Authorization", a[:len(a)-1]+string(last))
		}),
		changed("the signature is cut", mismatch, get, func(_ World, m *message) {
			m.set("Authorization", m.get("Authorization")[:len(m.get("Authorization"))-1])
		}),
		changed("the signature is in upper case", mismatch, get, func(_ World, m *message) {
			a, signature, _ := strings.Cut(m.get("Authorization"), "Signature=")
			m.set("Authorization", a+"Signature="+strings.ToUpper(signature))
		}),
		changed("the signature is empty", malformed, get, func(_ World, m *message) {
			a, _, _ := strings.Cut(m.get("Authorization"), "Signature=")
			m.set("Authorization", a+"Signature=")
		}),
		changed("replayed with another method", mismatch, get, func(_ World, m *message) { m.method = "DELETE" }),
		changed("replayed as HEAD", mismatch, get, func(_ World, m *message) { m.method = "HEAD" }),
		changed("replayed on another key", mismatch, get, func(_ World, m *message) { m.path += "b" }),
		changed("replayed on another bucket", mismatch, get, func(_ World, m *message) { m.path = "/photos-2/2026/a" }),
		changed("replayed on another host", mismatch, get, func(_ World, m *message) { m.host = "other.example.com" }),
		changed("replayed on another port", mismatch, get, func(_ World, m *message) { m.host = "localhost:1" }),
		changed("a parameter is added", mismatch, get, func(_ World, m *message) { m.ask("versionId=1") }),
		changed("a sub-resource is added", mismatch, put, func(_ World, m *message) { m.ask("acl") }),
		changed("a header that was signed is changed", mismatch, withMeta, func(_ World, m *message) { m.set("X-Amz-Meta-A", "2") }),
		changed("a header that was signed is gone", mismatch, withMeta, func(_ World, m *message) { m.drop("X-Amz-Meta-A") }),
		changed("a header that was signed is there twice", mismatch, withMeta, func(_ World, m *message) { m.with("X-Amz-Meta-A", "2") }),
		changed("the payload is said to be unsigned afterwards", mismatch, func(w World) *message {
			return request(w, "PUT", key).carry("hello").sign(w, Owner, how{payload: sum("hello")})
		}, func(_ World, m *message) { m.set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }),
		changed("the wrong secret", mismatch, func(w World) *message {
			return request(w, "GET", key).sign(w, Key{Owner.Access, nobody.Secret}, how{})
		}, nothing),
		changed("the empty secret", mismatch, func(w World) *message { return request(w, "GET", key).sign(w, Key{Owner.Access, ""}, how{}) }, nothing),
		changed("another's access key", mismatch, func(w World) *message {
			return request(w, "GET", key).sign(w, Key{Owner.Access, Reader.Secret}, how{})
		}, nothing),
		changed("an unknown access key", "InvalidAccessKeyId", func(w World) *message { return request(w, "GET", key).sign(w, nobody, how{}) }, nothing),
		changed("an access key in another case", "InvalidAccessKeyId", func(w World) *message {
			return request(w, "GET", key).sign(w, Key{strings.ToLower(Owner.Access), Owner.Secret}, how{})
		}, nothing),
		signed("another region", malformed, how{region: "xx-west-9"}),
		signed("another service", malformed, how{service: "ec2"}),
		signed("another end of the scope", malformed, how{end: "aws5_request"}),
		signed("another hash", badReq, how{algorithm: "AWS4-HMAC-SHA1"}),
		signed("signed by version 4a", badReq, how{algorithm: "AWS4-ECDSA-P256-SHA256"}),
		auth("a scope with a piece too many", malformed, "/s3/", "/s3/x/"),
		auth("the credential is named twice", malformed, ",SignedHeaders=", ",Credential=AKREADER/x,SignedHeaders="),
		auth("there is no credential", malformed, "Credential=", "Nothing="),
		auth("there are no signed headers", malformed, "SignedHeaders=", "Headers="),
		auth("signed headers are named twice", malformed, "SignedHeaders=host;", "SignedHeaders=host;host;"),
		auth("signed headers in upper case", malformed, "SignedHeaders=host;", "SignedHeaders=Host;"),
		auth("signed headers that are not there", mismatch, "SignedHeaders=host;", "SignedHeaders=host;x-amz-acl;"),
		signed("the host is not signed", forbidden, how{signed: []string{"x-amz-content-sha256", "x-amz-date"}}),
		signed("the date is not signed", forbidden, how{signed: []string{"host", "x-amz-content-sha256"}}),
		signed("the payload's hash is not signed", forbidden, how{signed: []string{"host", "x-amz-date"}}),
		changed("the payload's hash is missing", badReq, get, func(w World, m *message) { m.drop("X-Amz-Content-Sha256") }),
		signed("a payload of a kind that there is not", invalid, how{payload: "STREAMING-NOTHING"}),
		signed("a payload that is skipped", invalid, how{payload: "UNSIGNED"}),
		changed("an unsigned copy source", forbidden, put, func(_ World, m *message) { m.with("X-Amz-Copy-Source", "/"+Bucket+"/b").carry("") }),
		changed("an unsigned ACL", forbidden, put, func(_ World, m *message) { m.with("x-amz-acl", "public-read") }),
		changed("unsigned metadata", forbidden, put, func(_ World, m *message) { m.with("x-amz-meta-a", "1") }),
		changed("an unsigned header in a mixed case", forbidden, put, func(_ World, m *message) { m.with("x-AMZ-aCl", "public-read") }),
		changed("an unsigned header in disguise", forbidden, put, func(_ World, m *message) { m.with("X_Amz_Copy_Source", "/"+Bucket+"/b") }),
		changed("an unsigned header in half a disguise", forbidden, put, func(_ World, m *message) { m.with("x-amz_acl", "public-read") }),
		changed("a token of temporary credentials", "InvalidToken", func(w World) *message {
			return request(w, "GET", key).with("X-Amz-Security-Token", "token").sign(w, Owner, how{})
		}, nothing),
		changed("another's host, forwarded", mismatch, get, func(w World, m *message) {
			m.host = "other.example.com"
			m.with("X-Forwarded-Host", w.Host).with("X-Host", w.Host).with("Forwarded", "host="+w.Host)
		}),
		changed("another's host in the request's line", mismatch, get, func(_ World, m *message) { m.absolute = "http://other.example.com" }),
		changed("an identity that has ended", forbidden, func(w World) *message { return request(w, "GET", key).sign(w, Expired, how{}) }, nothing),
	}
}

func nothing(World, *message) {}

func withMeta(w World) *message {
	return request(w, "PUT", key).carry("hello").with("X-Amz-Meta-A", "1").sign(w, Owner, how{})
}

func times() []Case {
	before := func(d time.Duration) func(w World) how { return func(w World) how { return how{at: w.Now.Add(d)} } }
	at := func(name, method, target string, h func(w World) how) Case {
		return Case{Name: name, Code: "RequestTimeTooSkewed", make: func(w World) *message { return request(w, method, target).sign(w, Owner, h(w)) }}
	}
	return []Case{
		at("signed yesterday", "GET", key, before(-24*time.Hour)),
		at("signed 16 minutes ago", "GET", key, before(-16*time.Minute)),
		at("signed in 16 minutes", "GET", key, before(16*time.Minute)),
		at("signed next year", "GET", key, before(365*24*time.Hour)),
		at("signed an hour ago, with an uploadId", "PUT", key+"?partNumber=1&uploadId=u", before(-time.Hour)),
		at("signed an hour ago, to begin an upload", "POST", key+"?uploads", before(-time.Hour)),
		changed("the date is moved by a minute", mismatch, get, func(w World, m *message) {
			// Within one day, whatever the time.
			t, _ := time.Parse(stamp, m.get("X-Amz-Date"))
			moved := t.Add(time.Minute)
			if moved.Day() != t.Day() {
				moved = t.Add(-time.Minute)
			}
			m.set("X-Amz-Date", moved.Format(stamp))
		}),
		changed("the date is moved by a day", malformed, get, func(w World, m *message) { m.set("X-Amz-Date", w.Now.UTC().Add(24*time.Hour).Format(stamp)) }),
		changed("there is no date", forbidden, func(w World) *message { return request(w, "GET", key).sign(w, Owner, how{noDate: true}) }, nothing),
		changed("the date is none", forbidden, get, func(w World, m *message) { m.set("X-Amz-Date", "now") }),
		changed("the date is long ago", forbidden, get, func(w World, m *message) { m.set("X-Amz-Date", "00010101T000000Z") }),
		changed("a second date says now", "RequestTimeTooSkewed", func(w World) *message {
			return request(w, "GET", key).sign(w, Owner, how{at: w.Now.Add(-time.Hour)})
		}, func(w World, m *message) {
			m.with("Date", w.Now.UTC().Format(http.TimeFormat)).with("X-Amz-Date", w.Now.UTC().Format(stamp))
		}),
	}
}

func v2(w World, k Key, method, path, date string) string {
	m := hmac.New(sha1.New, []byte(k.Secret))
	fmt.Fprintf(m, "%s\n\n\n%s\n%s", method, date, path)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func ambiguities() []Case {
	v2Query := func(w World, until time.Time) string {
		e := fmt.Sprint(until.Unix())
		return "AWSAccessKeyId=" + Owner.Access + "&Expires=" + e + "&Signature=" + encode(v2(w, Owner, "GET", key, e), "")
	}
	unsigned := func(name, code, value string) Case {
		return Case{Name: name, Code: code, make: func(w World) *message { return request(w, "GET", key).with("Authorization", value) }}
	}
	return []Case{
		{Name: "no signature", Code: forbidden, make: func(w World) *message { return request(w, "GET", key) }},
		{Name: "no signature, to write", Code: forbidden, make: func(w World) *message { return request(w, "PUT", key).carry("hello") }},
		{Name: "no signature, but an uploadId", Code: forbidden, make: func(w World) *message { return request(w, "PUT", key+"?partNumber=1&uploadId=u").carry("hello") }},
		{Name: "no signature, but a wish", Code: forbidden, make: func(w World) *message {
			return request(w, "GET", key+"?skip_signature_validation=true").with("X-Skip-Signature-Validation", "true").with("X-Apus-Identity", "owner")
		}},
		{Name: "no signature, but the algorithm none", Code: badQuery, make: func(w World) *message {
			return request(w, "GET", key+"?X-Amz-Algorithm=none&X-Amz-Credential="+Owner.Access)
		}},
		unsigned("a password", invalid, "Basic b3duZXI6b3duZXI="),
		unsigned("a bearer token", invalid, "Bearer "+Owner.Access),
		unsigned("an empty authorization", invalid, ""),
		unsigned("half an authorization", malformed, "AWS4-HMAC-SHA256"),
		unsigned("the algorithm in another case", invalid, "aws4-hmac-sha256 Credential=AKOWNER/20260101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0"),
		changed("two authorizations", malformed, get, func(_ World, m *message) { m.with("Authorization", m.get("Authorization")) }),
		changed("a password before the authorization", invalid, get, func(_ World, m *message) {
			m.fields = append([]field{{"Authorization", "Basic b3duZXI6b3duZXI="}}, m.fields...)
		}),
		changed("signed in header and query", invalid, func(w World) *message { return request(w, "GET", key).presign(w, Owner, how{}) },
			func(w World, m *message) { m.sign(w, Owner, how{}) }),
		changed("a good header beside a bad query", invalid, get, func(_ World, m *message) { m.ask("X-Amz-Signature=0") }),
		changed("a good header beside a query of version 2", invalid, get, func(w World, m *message) { m.ask(v2Query(w, w.Now.Add(time.Hour))) }),
		changed("presigned by both versions", invalid, func(w World) *message { return request(w, "GET", key).presign(w, Owner, how{}) },
			func(w World, m *message) { m.ask(v2Query(w, w.Now.Add(time.Hour))) }),
		{Name: "version 2 where it is not allowed", Code: badReq, make: func(w World) *message {
			date := w.Now.UTC().Format(http.TimeFormat)
			return request(w, "GET", key).with("Date", date).with("Authorization", "AWS "+Owner.Access+":"+v2(w, Owner, "GET", key, date))
		}},
		{Name: "presigned by version 2 where it is not allowed", Code: badReq, make: func(w World) *message {
			return request(w, "GET", key+"?"+v2Query(w, w.Now.Add(time.Hour)))
		}},
		{Name: "presigned by version 2, expired", Code: forbidden, make: func(w World) *message {
			return request(w, "GET", key+"?"+v2Query(w, w.Now.Add(-time.Hour)))
		}},
		{Name: "version 2 of last week", Code: "RequestTimeTooSkewed", make: func(w World) *message {
			date := w.Now.UTC().Add(-7 * 24 * time.Hour).Format(http.TimeFormat)
			return request(w, "GET", key).with("Date", date).with("Authorization", "AWS "+Owner.Access+":"+v2(w, Owner, "GET", key, date))
		}},
	}
}
