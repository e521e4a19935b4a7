package sigv4_test

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/sigv4"
)

// TestForm takes forms that botocore signed; testdata/record.py recorded them.
func TestForm(t *testing.T) {
	raw, err := os.ReadFile("testdata/forms.json")
	if err != nil {
		t.Fatal(err)
	}
	var forms []map[string]string
	if err := json.Unmarshal(raw, &forms); err != nil || len(forms) != 2 {
		t.Fatal(err, len(forms))
	}
	for _, c := range []struct {
		name, field, value string
		want               awserr.Code
	}{
		{"as signed", "", "", ""},
		{"another field", "key", "x", ""}, // the policy's to forbid
		{"another policy", "policy", "e30=", awserr.SignatureDoesNotMatch},
		{"no policy", "policy", "", awserr.InvalidArgument},
		{"no signature", "x-amz-signature", "", awserr.InvalidArgument},
		{"another signature", "x-amz-signature", "0", awserr.SignatureDoesNotMatch},
		{"another algorithm", "x-amz-algorithm", "AWS4-ECDSA-P256-SHA256", awserr.InvalidArgument},
		{"a bad date", "x-amz-date", "today", awserr.InvalidArgument},
		{"another day", "x-amz-date", "20010101T000000Z", awserr.InvalidArgument},
		{"another region", "x-amz-credential", "AKIAEXAMPLE/20261201/x/s3/aws4_request", awserr.InvalidArgument},
		{"no credential", "x-amz-credential", "AKIAEXAMPLE", awserr.InvalidArgument},
	} {
		for _, form := range forms {
			fields := maps.Clone(form)
			if c.field != "" {
				fields[c.field] = c.value
			}
			f, err := sigv4.ParseForm(func(name string) string { return fields[name] }, sigv4.Rules{Region: region})
			if err == nil {
				err = f.Verify(sigv4.Derive(secret, f.Scope))
			}
			if !is(err, c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
			if err == nil && (f.AccessKey != "AKIAEXAMPLE" || f.SecurityToken != form["x-amz-security-token"]) {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
	}
}

// TestSignedForm takes a form that a signer signed.
func TestSignedForm(t *testing.T) {
	at := time.Date(2026, 7, 9, 12, 0, 0, 0, time.UTC)
	for _, token := range []string{"", "a token"} {
		s := sigv4.NewSigner("AK", secret, token, region)
		fields := s.FormFields(at)
		fields["policy"] = "e30="
		fields["x-amz-signature"] = s.SignPolicy("e30=", at)
		f, err := sigv4.ParseForm(func(name string) string { return fields[name] }, sigv4.Rules{Region: region})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(sigv4.Derive(secret, f.Scope)); err != nil || f.AccessKey != "AK" || !f.Time.Equal(at) || f.SecurityToken != token {
			t.Errorf("%+v: %v", f, err)
		}
		if f.Verify(sigv4.Derive("another", f.Scope)) == nil {
			t.Error("another secret is as good")
		}
	}
}
