// Package postpolicy reads the policies that forms bring which post objects to S3, and says whether a form may.
//
//	{"expiration": "2030-12-01T12:00:00.000Z",
//	 "conditions": [
//	   {"bucket": "photos"},
//	   ["starts-with", "$key", "user/eric/"],
//	   ["eq", "$x-amz-meta-tag", "some value"],
//	   ["content-length-range", 1, 1048576]]}
//
// A policy is a list of what may be in the form. So a field that no condition names is refused, as one is that does not fit
// its condition, and one that a condition names and the form does not have. Names of fields and of matches are taken in any
// case; "expiration" and "conditions" are not, as with AWS.
//
// The caller has found the policy signed, reads no file before [Policy.Check], and holds it to [Policy.Size]. Errors are
// s3err's, with AWS's texts.
package postpolicy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/s3err"
)

// A Policy is what a form may say. It does not change.
type Policy struct {
	expires    time.Time
	conditions []condition
	min, max   int64
}

// A condition on the value of one field.
type condition struct {
	match string // "eq" or "starts-with"
	field string // in lower case
	value string
	text  string // as clients are told
}

const (
	equals     = "eq"
	startsWith = "starts-with"
	inRange    = "content-length-range"
)

// Parse reads a policy as the form has it, in base64.
func Parse(encoded string) (*Policy, error) {
	doc, err := base64.StdEncoding.DecodeString(encoded) // it skips line ends
	if err != nil {
		return nil, invalid("Invalid JSON: the policy is not in base64.").Because(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(unescape(doc), &members); err != nil || members == nil {
		return nil, invalid("Invalid JSON.").Because(err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "expiration" && name != "conditions" {
			return nil, invalid("Unexpected: '" + name + "'")
		}
	}
	p := &Policy{max: math.MaxInt64}
	if err := p.readExpiration(members["expiration"]); err != nil {
		return nil, err
	}
	return p, p.readConditions(members["conditions"])
}

func invalid(text string) *s3err.Error {
	return s3err.InvalidPolicyDocument.Say("Invalid Policy: " + text)
}

// unescape turns \$, which AWS has for a dollar sign and JSON does not, into one.
func unescape(doc []byte) []byte {
	if !bytes.Contains(doc, []byte(`\$`)) {
		return doc
	}
	out := make([]byte, 0, len(doc))
	for i := 0; i < len(doc); i++ {
		if doc[i] == '\\' && i+1 < len(doc) {
			if i++; doc[i] != '$' {
				out = append(out, '\\')
			}
		}
		out = append(out, doc[i])
	}
	return out
}

func (p *Policy) readExpiration(raw json.RawMessage) (err error) {
	if raw == nil {
		return invalid("Policy missing expiration.")
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if p.expires, err = time.Parse("2006-01-02T15:04:05Z", text); err == nil {
			return nil
		}
	}
	return invalid("Invalid 'expiration' value: '" + strings.Trim(string(raw), `"`) + "'")
}

func (p *Policy) readConditions(raw json.RawMessage) error {
	var list []json.RawMessage
	if raw == nil {
		return invalid("Policy missing conditions.")
	}
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return invalid("Invalid 'conditions' value: must be a List.").Because(err)
	}
	for _, c := range list {
		if err := p.readCondition(c); err != nil {
			return err
		}
	}
	return nil
}

// readCondition reads an object with one member, or a list of three values.
func (p *Policy) readCondition(raw json.RawMessage) error {
	var list []any
	if d := json.NewDecoder(bytes.NewReader(raw)); raw[0] == '[' {
		d.UseNumber()
		if err := d.Decode(&list); err != nil {
			return invalid("Invalid JSON.").Because(err)
		}
		return p.readMatch(list)
	}
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil {
		return invalid("Invalid Condition: must be a Simple-Condition or a list.").Because(err)
	}
	if len(object) != 1 {
		return invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for name, v := range object {
		value, ok := text(v)
		if !ok {
			return invalid("Invalid Simple-Condition: value must be a string.")
		}
		p.add(equals, name, value)
	}
	return nil
}

func (p *Policy) readMatch(list []any) error {
	match, ok := "", len(list) > 0
	if ok {
		match, ok = list[0].(string)
	}
	switch match = strings.ToLower(match); {
	case !ok || match != equals && match != startsWith && match != inRange:
		return invalid("Invalid Condition: unknown operation '" + match + "'.")
	case len(list) != 3:
		return invalid("Invalid Condition: wrong number of arguments to '" + match + "'.")
	case match == inRange:
		return p.readRange(list)
	}
	name, ok := list[1].(string)
	field, dollar := strings.CutPrefix(name, "$")
	value, isText := text(list[2])
	if !ok || !dollar || field == "" || !isText {
		return invalid("Invalid Condition: '" + match + "' takes $field and a string.")
	}
	p.add(match, field, value)
	return nil
}

func (p *Policy) readRange(list []any) error {
	least, ok := number(list[1])
	most, ok2 := number(list[2])
	if !ok || !ok2 || least > most {
		return invalid("Invalid content-length-range.")
	}
	p.min, p.max = max(p.min, least), min(p.max, most)
	return nil
}

// text is a string or number as a form would have it.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

func number(v any) (int64, bool) {
	s, _ := text(v)
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

func (p *Policy) add(match, field, value string) {
	quoted, _ := json.Marshal(value) // strings always can be written
	p.conditions = append(p.conditions, condition{match, strings.ToLower(field), value,
		`["` + match + `", "$` + field + `", ` + string(quoted) + `]`})
}

// Size is how many bytes the file must and may have.
func (p *Policy) Size() (least, most int64) { return p.min, p.max }

// Expires is when it ends.
func (p *Policy) Expires() time.Time { return p.expires }

// unnamed are fields that no condition has to name, with those that begin with x-ignore-.
var unnamed = map[string]bool{"policy": true, "file": true, "signature": true, "awsaccesskeyid": true, "x-amz-signature": true}

// Check says whether a form may post now. The fields have names in lower case; among them is the bucket.
func (p *Policy) Check(fields map[string]string, now time.Time) error {
	if !now.Before(p.expires) {
		return denied("Policy expired.")
	}
	named := map[string]bool{}
	for _, c := range p.conditions {
		value, ok := fields[c.field]
		if named[c.field] = true; !ok || !c.holds(value) {
			return denied("Policy Condition failed: " + c.text)
		}
	}
	var extra []string
	for name := range fields {
		if !named[name] && !unnamed[name] && !strings.HasPrefix(name, "x-ignore-") {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		slices.Sort(extra)
		return denied("Extra input fields: " + strings.Join(extra, ", "))
	}
	return nil
}

func denied(text string) error { return s3err.AccessDenied.Say("Invalid according to Policy: " + text) }

func (c condition) holds(value string) bool {
	if c.match == equals {
		return value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	// A browser may name several types for several files.
	for one := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimLeft(one, " "), c.value) {
			return false
		}
	}
	return true
}
