package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// decode reads one JSON value that fills the whole answer. null is callable.ErrUnknown. Errors do not quote.
func decode(data []byte, into any) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return callable.ErrUnknown
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		return errors.New("answered more than one JSON value")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		value, _, _ := strings.Cut(wrong.Value, " ") // a number would follow
		want := wrong.Type.String()
		if wrong.Type.Kind() == reflect.Struct {
			want = "object"
		}
		return fmt.Errorf("answered a JSON %s where %s was wanted, at byte %d", value, want, wrong.Offset)
	}
	if err == io.EOF {
		return errors.New("answered nothing")
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("answered what is not JSON, at byte %d", wrong.Offset)
	}
	if err == io.ErrUnexpectedEOF {
		return errors.New("answered half a JSON value")
	}
	// Of an unknown field, the name; of a time, what was wrong with it.
	return fmt.Errorf("answered wrong JSON: %w", err)
}

func toSecret(data []byte) (string, error) {
	var s string
	if err := decode(data, &s); err != nil {
		return "", err
	}
	if s == "" {
		return "", errors.New("answered an empty secret")
	}
	return s, nil
}

// moment is a time in seconds since 1970, or as text.
type moment struct{ time.Time }

// UnmarshalJSON reads a number or a string. JSON knows no other numbers than finite ones.
func (m *moment) UnmarshalJSON(data []byte) error {
	var f float64
	if json.Unmarshal(data, &f) == nil {
		if f < 0 || f > 1<<40 {
			return errors.New("expires is out of range")
		}
		whole, part := math.Modf(f)
		if whole != 0 || part != 0 { // null leaves it as it is
			m.Time = time.Unix(int64(whole), int64(part*1e9))
		}
		return nil
	}
	var s string
	if json.Unmarshal(data, &s) == nil {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			m.Time = t
			return nil
		}
	}
	return errors.New("want expires in seconds since 1970 or as text of RFC 3339")
}

func toCredentials(data []byte) (callable.Credentials, error) {
	var a struct {
		AccessKey    string `json:"access_key"`
		SecretKey    string `json:"secret_key"`
		SessionToken string `json:"session_token"`
		APIKey       string `json:"api_key"`
		Bearer       string `json:"bearer"`
		Expires      moment `json:"expires"`
	}
	if err := decode(data, &a); err != nil {
		return callable.Credentials{}, err
	}
	c := callable.Credentials{
		AccessKey: a.AccessKey, Secret: a.SecretKey, SessionToken: a.SessionToken, APIKey: a.APIKey, Bearer: a.Bearer, Expires: a.Expires.Time,
	}
	if err := c.Check(); err != nil {
		return callable.Credentials{}, err
	}
	return c, nil
}

// toDecision reads true, false, or an object with allow and the prefix that it holds for.
func toDecision(data []byte, path string) (yes bool, prefix *string, err error) {
	if b := bytes.TrimLeft(data, " \t\r\n"); len(b) == 0 || b[0] != '{' {
		err = decode(data, &yes)
		return yes && err == nil, nil, err
	}
	var a struct {
		Allow  *bool   `json:"allow"`
		Prefix *string `json:"prefix"`
	}
	switch err = decode(data, &a); {
	case err != nil:
	case a.Allow == nil:
		err = errors.New("answered an object without allow")
	case a.Prefix != nil && !callable.Covers(*a.Prefix, path):
		err = errors.New("answered a prefix that is not a folder of the path it was asked about, with its slash, nor empty for the bucket")
	}
	if err != nil {
		return false, nil, err
	}
	return *a.Allow, a.Prefix, nil
}
