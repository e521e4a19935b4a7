package attacks

import (
	"strings"
	"time"
)

func presigned() []Case {
	url := func(w World) *message { return request(w, "GET", key).presign(w, Owner, how{}) }
	upload := func(w World) *message { return request(w, "PUT", key).carry("hello").presign(w, Owner, how{}) }
	own := func(name, code string, h func(w World) how) Case {
		return Case{Name: "presigned: " + name, Code: code, make: func(w World) *message { return request(w, "GET", key).presign(w, Owner, h(w)) }}
	}
	is := func(h how) func(World) how { return func(World) how { return h } }
	ago := func(d time.Duration) func(World) how { return func(w World) how { return how{at: w.Now.Add(-d)} } }
	after := func(name, code string, from func(World) *message, change func(w World, m *message)) Case {
		return changed("presigned: "+name, code, from, change)
	}
	ask := func(name, code, query string) Case {
		return after(name, code, url, func(_ World, m *message) { m.ask(query) })
	}
	replace := func(name, code, old, new string) Case {
		return after(name, code, url, func(_ World, m *message) { m.query = strings.Replace(m.query, old, new, 1) })
	}
	return []Case{
		own("expired", forbidden, ago(time.Hour)),
		own("expired a second ago", forbidden, ago(301*time.Second)),
		own("from next week", forbidden, ago(-7*24*time.Hour)),
		own("for longer than a week", badQuery, is(how{expires: "604801"})),
		own("for a negative time", badQuery, is(how{expires: "-1"})),
		own("for ever", badQuery, is(how{expires: "9223372036854775807"})),
		own("for more than numbers hold", badQuery, is(how{expires: "99999999999999999999"})),
		own("for no number of seconds", badQuery, is(how{expires: "1e9"})),
		own("without an expiry", badQuery, is(how{noExpires: true})),
		own("for another region", badQuery, is(how{region: "xx-west-9"})),
		own("for another service", badQuery, is(how{service: "sts"})),
		own("by another hash", badQuery, is(how{algorithm: "AWS4-HMAC-MD5"})),
		own("of another day", badQuery, is(how{day: "20010101"})),
		own("without the host", forbidden, is(how{signed: []string{"range"}})),
		{Name: "presigned: expired, with an uploadId", Code: forbidden, make: func(w World) *message {
			return request(w, "PUT", key+"?partNumber=1&uploadId=u").carry("hello").presign(w, Owner, how{at: w.Now.Add(-time.Hour)})
		}},
		{Name: "presigned: expired, and an uploadId is added", Code: forbidden, make: func(w World) *message {
			return request(w, "PUT", key).carry("hello").presign(w, Owner, how{at: w.Now.Add(-time.Hour)}).ask("uploadId=")
		}},
		{Name: "presigned: an identity that has ended", Code: forbidden, make: func(w World) *message { return request(w, "GET", key).presign(w, Expired, how{}) }},
		{Name: "presigned: an unknown key", Code: "InvalidAccessKeyId", make: func(w World) *message { return request(w, "GET", key).presign(w, nobody, how{}) }},
		replace("the expiry is changed", mismatch, "X-Amz-Expires=300", "X-Amz-Expires=600000"),
		replace("the expiry is written in another way", mismatch, "X-Amz-Expires=300", "X-Amz-Expires=0300"),
		replace("the identity is changed", mismatch, Owner.Access, Reader.Access),
		replace("the signature is missing", badQuery, "X-Amz-Signature=", "X-Amz-Signed="),
		replace("the signature is in another case", badQuery, "X-Amz-Signature=", "x-amz-signature="),
		replace("the algorithm is missing", badQuery, "X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
		replace("the credential is missing", badQuery, "X-Amz-Credential=", "X-Amz-Cred="),
		ask("a second expiry", badQuery, "X-Amz-Expires=600000"),
		ask("a second expiry in another case", badQuery, "x-amz-expires=600000"),
		ask("a second expiry, encoded", badQuery, "X%2DAmz%2DExpires=600000"),
		ask("a second date", badQuery, "X-Amz-Date=20300101T000000Z"),
		ask("a second signature", badQuery, "X-Amz-Signature=0"),
		ask("a token", "InvalidToken", "X-Amz-Security-Token=t"),
		ask("a sub-resource is added", mismatch, "acl"),
		ask("an uploadId is added", mismatch, "uploadId=u"),
		ask("a version is added", mismatch, "versionId=1"),
		ask("an answer's header is added", mismatch, "response-content-type=text/html"),
		ask("something is added", mismatch, "x=1"),
		ask("an ACL is added", mismatch, "x-amz-acl=public-read"),
		after("a copy source is added to the query", mismatch, upload, func(_ World, m *message) { m.ask("x-amz-copy-source=" + Bucket + "/b") }),
		after("a copy source is added to the head", forbidden, upload, func(_ World, m *message) { m.with("x-amz-copy-source", Bucket+"/b") }),
		after("an ACL is added to the head", forbidden, upload, func(_ World, m *message) { m.with("x-amz-acl", "public-read") }),
		after("a grant is added to the head", forbidden, upload, func(_ World, m *message) { m.with("x-amz-grant-full-control", "id=x") }),
		after("tags are added to the head", forbidden, upload, func(_ World, m *message) { m.with("x-amz-tagging", "a=b") }),
		after("a hash is added to the head", forbidden, upload, func(_ World, m *message) { m.with("x-amz-content-sha256", sum("hello")) }),
		after("used to write", mismatch, url, func(_ World, m *message) { m.method = "PUT"; m.carry("hello") }),
		after("used to delete", mismatch, url, func(_ World, m *message) { m.method = "DELETE" }),
		after("used for another key", mismatch, url, func(_ World, m *message) { m.path += "b" }),
		after("used at another host", mismatch, url, func(_ World, m *message) { m.host = "other.example.com" }),
		after("a listing's prefix is changed", mismatch, func(w World) *message {
			return request(w, "GET", "/"+Bucket+"?prefix=2026/").presign(w, Owner, how{})
		}, func(_ World, m *message) { m.query = strings.Replace(m.query, "prefix=2026/", "prefix=", 1) }),
		{Name: "presigned: another body than was signed", Code: "XAmzContentSHA256Mismatch", Body: true, make: func(w World) *message {
			return request(w, "PUT", key+"?X-Amz-Content-Sha256="+sum("hello")).carry("jello").presign(w, Owner, how{payload: sum("hello")})
		}},
	}
}
