package postpolicy

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/s3err"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func encode(doc string) string { return base64.StdEncoding.EncodeToString([]byte(doc)) }

// policy is a good one with these conditions.
func policy(conditions string) string {
	return encode(`{"expiration": "2026-07-01T12:00:01.000Z", "conditions": [` + conditions + `]}`)
}

func TestWhatFormsMay(t *testing.T) {
	const key = `{"bucket": "b"}, ["starts-with", "$key", "user/"]`
	for name, c := range map[string]struct {
		conditions string
		fields     map[string]string // besides bucket and key
		want       string            // "" if it may
	}{
		"all fits":                           {key, nil, ""},
		"names in any case":                  {`{"bUcKeT": "b"}, ["StArTs-WiTh", "$KeY", "user/"]`, nil, ""},
		"what needs no condition":            {key, map[string]string{"x-ignore-me": "1", "policy": "p", "signature": "s", "awsaccesskeyid": "a", "x-amz-signature": "s"}, ""},
		"anything":                           {key + `, ["starts-with", "$content-type", ""]`, map[string]string{"content-type": "image/png"}, ""},
		"anything, but not nothing":          {key + `, ["starts-with", "$Content-Type", ""]`, nil, `Policy Condition failed: ["starts-with", "$Content-Type", ""]`},
		"every type of a list":               {key + `, ["starts-with", "$Content-Type", "image/"]`, map[string]string{"content-type": "image/png, image/gif"}, ""},
		"one type of a list is wrong":        {key + `, ["starts-with", "$Content-Type", "image/"]`, map[string]string{"content-type": "image/png,text/html"}, `Policy Condition failed: ["starts-with", "$Content-Type", "image/"]`},
		"another bucket":                     {`{"bucket": "c"}, ["starts-with", "$key", ""]`, nil, `Policy Condition failed: ["eq", "$bucket", "c"]`},
		"another key":                        {`{"bucket": "b"}, ["eq", "$key", "user/eric/"]`, nil, `Policy Condition failed: ["eq", "$key", "user/eric/"]`},
		"case of a value":                    {`{"bucket": "b"}, {"key": "USER/eric"}`, nil, `Policy Condition failed: ["eq", "$key", "USER/eric"]`},
		"no condition for the bucket":        {`["starts-with", "$key", ""]`, nil, "Extra input fields: bucket"},
		"no conditions at all":               {``, map[string]string{"acl": "private"}, "Extra input fields: acl, bucket, key"},
		"both of two conditions must hold":   {key + `, ["eq", "$key", "user/eric"], ["eq", "$key", "user/other"]`, nil, `Policy Condition failed: ["eq", "$key", "user/other"]`},
		"a number is its text":               {key + `, {"success_action_status": 201}`, map[string]string{"success_action_status": "201"}, ""},
		"a dollar that is escaped":           {key + `, ["eq", "$x-amz-meta-a", "\$5 \\$ \n"]`, map[string]string{"x-amz-meta-a": "$5 \\$ \n"}, ""},
		"a size is no field":                 {key + `, ["content-length-range", 1, 10]`, nil, ""},
		"metadata that nobody has spoken of": {key, map[string]string{"x-amz-meta-a": ""}, "Extra input fields: x-amz-meta-a"},
	} {
		fields := map[string]string{"bucket": "b", "key": "user/eric"}
		for k, v := range c.fields {
			fields[k] = v
		}
		p, err := Parse(policy(c.conditions))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		err = p.Check(fields, now)
		if got := message(err); got != c.want && got != "Invalid according to Policy: "+c.want || err != nil && !errors.Is(err, s3err.AccessDenied) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return s3err.From(err).Message
}

func TestPoliciesExpire(t *testing.T) {
	p, err := Parse(policy(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(nil, now.Add(time.Second-1)); err != nil {
		t.Errorf("a moment before: %v", err)
	}
	if err := p.Check(nil, now.Add(time.Second)); message(err) != "Invalid according to Policy: Policy expired." {
		t.Errorf("at the moment: %v", err)
	}
}

func TestSizes(t *testing.T) {
	p, err := Parse(policy(`["content-length-range", 1, "10"], ["content-length-range", 0, 7]`))
	if err != nil {
		t.Fatal(err)
	}
	if least, most := p.Size(); least != 1 || most != 7 {
		t.Errorf("got %d to %d, want 1 to 7", least, most)
	}
}

func TestInvalidPolicies(t *testing.T) {
	for doc, want := range map[string]string{
		``:                         "Invalid JSON.",
		`null`:                     "Invalid JSON.",
		`[]`:                       "Invalid JSON.",
		`{"conditions": []`:        "Invalid JSON.",
		`{"conditions": []} extra`: "Invalid JSON.",
		`{"conditions": []}`:       "Policy missing expiration.",
		`{"EXPIRATION": "2030-01-01T00:00:00Z", "conditions": []}`:         "Unexpected: 'EXPIRATION'",
		`{"expiration": "2030-01-01T00:00:00Z", "CONDITIONS": []}`:         "Unexpected: 'CONDITIONS'",
		`{"expiration": "2030-01-01T00:00:00Z"}`:                           "Policy missing conditions.",
		`{"expiration": "2030-01-01 00:00:00", "conditions": []}`:          "Invalid 'expiration' value: '2030-01-01 00:00:00'",
		`{"expiration": 12, "conditions": []}`:                             "Invalid 'expiration' value: '12'",
		`{"expiration": null, "conditions": []}`:                           "Invalid 'expiration' value: 'null'",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": {}}`:         "Invalid 'conditions' value: must be a List.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": null}`:       "Invalid 'conditions' value: must be a List.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": ["a"]}`:      "Invalid Condition: must be a Simple-Condition or a list.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": [null]}`:     "Invalid Condition: must be a Simple-Condition or a list.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": [[]]}`:       "Invalid Condition: unknown operation ''.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": [[1]]}`:      "Invalid Condition: unknown operation ''.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": [{}]}`:       "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
		`{"expiration": "2030-01-01T00:00:00Z", "conditions": [{"a":[]}]}`: "Invalid Simple-Condition: value must be a string.",
	} {
		_, err := Parse(encode(doc))
		if !errors.Is(err, s3err.InvalidPolicyDocument) || message(err) != "Invalid Policy: "+want {
			t.Errorf("%s: got %v, want %q", doc, err, want)
		}
	}
	for conditions, want := range map[string]string{
		`{"a": "1", "b": "2"}`:                                          "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
		`["ne", "$key", "a"]`:                                           "Invalid Condition: unknown operation 'ne'.",
		`["eq", "$key"]`:                                                "Invalid Condition: wrong number of arguments to 'eq'.",
		`["eq", "$key", "a", "b"]`:                                      "Invalid Condition: wrong number of arguments to 'eq'.",
		`["eq", "key", "a"]`:                                            "Invalid Condition: 'eq' takes $field and a string.",
		`["eq", "$", "a"]`:                                              "Invalid Condition: 'eq' takes $field and a string.",
		`["starts-with", "$key", ["a"]]`:                                "Invalid Condition: 'starts-with' takes $field and a string.",
		`["starts-with", 1, "a"]`:                                       "Invalid Condition: 'starts-with' takes $field and a string.",
		`["content-length-range", 0]`:                                   "Invalid Condition: wrong number of arguments to 'content-length-range'.",
		`["content-length-range", -1, 0]`:                               "Invalid content-length-range.",
		`["content-length-range", 2, 1]`:                                "Invalid content-length-range.",
		`["content-length-range", 0, 1.5]`:                              "Invalid content-length-range.",
		`["content-length-range", 0, 1e3]`:                              "Invalid content-length-range.",
		`["content-length-range", 0, true]`:                             "Invalid content-length-range.",
		`["content-length-range", 0, 1` + strings.Repeat("0", 30) + `]`: "Invalid content-length-range.",
	} {
		_, err := Parse(policy(conditions))
		if !errors.Is(err, s3err.InvalidPolicyDocument) || message(err) != "Invalid Policy: "+want {
			t.Errorf("%s: got %v, want %q", conditions, err, want)
		}
	}
	if _, err := Parse("{not base64"); !errors.Is(err, s3err.InvalidPolicyDocument) {
		t.Errorf("not base64: got %v", err)
	}
}

// FuzzParse gives the reader anything: it may not panic, and a policy never lets a field through that it does not name.
func FuzzParse(f *testing.F) {
	f.Add(`{"expiration": "2026-07-01T12:00:01.000Z", "conditions": [{"bucket": "b"}, ["eq", "$key", "\$"], ["content-length-range", 1, 2]]}`)
	f.Add(`{"expiration": "2026-07-01T12:00:01Z", "conditions": [[]]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := Parse(encode(doc))
		if err != nil {
			if !errors.Is(err, s3err.InvalidPolicyDocument) {
				t.Errorf("%q: %v", doc, err)
			}
			return
		}
		const name = "no policy names this"
		if p.Check(map[string]string{name: ""}, now) == nil && !strings.Contains(doc, "\\") && !strings.Contains(strings.ToLower(doc), name) {
			t.Errorf("%q lets a field through that it does not name", doc)
		}
		if least, most := p.Size(); least < 0 || most < 0 {
			t.Errorf("%q: sizes %d to %d", doc, least, most)
		}
	})
}
