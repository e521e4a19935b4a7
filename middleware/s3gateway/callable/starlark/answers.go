package starlark

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

func (s *Script) secret(ctx context.Context, accessKey string) (string, error) {
	v, f, err := s.call(ctx, "secret", accessKey)
	if err != nil {
		return "", err
	}
	text, err := toSecret(v)
	return text, at(f, err)
}

func (s *Script) credentials(ctx context.Context, token, bucket string) (callable.Credentials, error) {
	v, f, err := s.call(ctx, "credentials", token, bucket)
	if err != nil {
		return callable.Credentials{}, err
	}
	c, err := toCredentials(v)
	return c, at(f, err)
}

func (s *Script) authorize(ctx context.Context, token, bucket, method, path string) (bool, error) {
	v, f, err := s.call(ctx, "authorize", token, bucket, method, path)
	if err != nil {
		return false, err
	}
	yes, prefix, err := toDecision(v, path)
	if err != nil {
		return false, at(f, err)
	}
	if prefix != nil {
		callable.HoldsFor(ctx, *prefix)
	}
	return yes, nil
}

// at says which function has given the wrong answer.
func at(f *starlark.Function, err error) error {
	if err == nil || err == callable.ErrUnknown {
		return err
	}
	return fmt.Errorf("%v: %s %w", f.Position(), f.Name(), err)
}

func toSecret(v starlark.Value) (string, error) {
	switch v := v.(type) {
	case starlark.NoneType:
		return "", callable.ErrUnknown
	case starlark.String:
		if v == "" {
			return "", fmt.Errorf("returned an empty string, want a secret, or None if there is no such key")
		}
		return string(v), nil
	}
	return "", fmt.Errorf("returned a value of type %s, want a string or None", v.Type())
}

func toCredentials(v starlark.Value) (callable.Credentials, error) {
	var c callable.Credentials
	if v == starlark.None {
		return c, callable.ErrUnknown
	}
	d, ok := v.(*starlark.Dict)
	if !ok {
		return c, fmt.Errorf("returned a value of type %s, want a dictionary or None", v.Type())
	}
	texts := map[string]*string{
		"access_key": &c.AccessKey, "secret_key": &c.Secret, "session_token": &c.SessionToken, "api_key": &c.APIKey, "bearer": &c.Bearer,
	}
	err := eachKey(d, []string{"access_key", "secret_key", "session_token", "api_key", "bearer", "expires"}, func(key string, v starlark.Value) error {
		if key == "expires" {
			var err error
			c.Expires, err = toTime(v)
			return err
		}
		text, ok := v.(starlark.String)
		if !ok && v != starlark.None {
			return fmt.Errorf("returned %s of type %s, want a string", key, v.Type())
		}
		*texts[key] = string(text)
		return nil
	})
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return callable.Credentials{}, err
	}
	return c, nil
}

// toDecision reads what authorize has returned; prefix is what the decision holds for, if that was said.
func toDecision(v starlark.Value, path string) (yes bool, prefix *string, err error) {
	if b, ok := v.(starlark.Bool); ok {
		return bool(b), nil, nil
	}
	d, ok := v.(*starlark.Dict)
	if !ok {
		return false, nil, fmt.Errorf("returned a value of type %s, want True, False, or a dictionary with allow and prefix", v.Type())
	}
	var allow *bool
	err = eachKey(d, []string{"allow", "prefix"}, func(key string, v starlark.Value) error {
		switch v := v.(type) {
		case starlark.Bool:
			if key == "allow" {
				allow = new(bool(v))
				return nil
			}
		case starlark.String:
			if key == "prefix" {
				prefix = new(string(v))
				return nil
			}
		}
		return fmt.Errorf("returned %s of type %s, want True or False for allow and a string for prefix", key, v.Type())
	})
	switch {
	case err != nil:
	case allow == nil:
		err = fmt.Errorf("returned a dictionary without allow")
	case prefix != nil && !callable.Covers(*prefix, path):
		err = fmt.Errorf("returned a prefix that is not a folder of the path it was asked about, with its slash, nor empty for the bucket")
	}
	if err != nil {
		return false, nil, err
	}
	return *allow, prefix, nil
}

// eachKey goes through a dictionary that has known keys only.
func eachKey(d *starlark.Dict, known []string, use func(key string, v starlark.Value) error) error {
	for _, kv := range d.Items() {
		key, ok := starlark.AsString(kv[0])
		if !ok {
			return fmt.Errorf("returned a key of type %s, want a string", kv[0].Type())
		}
		if !slices.Contains(known, key) {
			hint := ""
			if n := config.Nearest(key, known); n != "" {
				hint = fmt.Sprintf("; did you mean %s?", n)
			}
			return fmt.Errorf("returned the unknown key %s%s", brief(kv[0]), hint)
		}
		if err := use(key, kv[1]); err != nil {
			return err
		}
	}
	return nil
}

func toTime(v starlark.Value) (time.Time, error) {
	switch v := v.(type) {
	case starlark.NoneType:
		return time.Time{}, nil
	case startime.Time:
		return time.Time(v), nil
	case starlark.Int, starlark.Float:
		if f, ok := starlark.AsFloat(v); ok && f > 0 && f < 1<<40 {
			whole, part := math.Modf(f)
			return time.Unix(int64(whole), int64(part*1e9)), nil
		}
		return time.Time{}, fmt.Errorf("returned expires that is not a time in seconds since 1970")
	case starlark.String:
		if t, err := time.Parse(time.RFC3339, string(v)); err == nil {
			return t, nil
		}
		return time.Time{}, fmt.Errorf("returned expires %s, want text as of RFC 3339 (2027-01-01T00:00:00Z)", brief(v))
	}
	return time.Time{}, fmt.Errorf("returned expires of type %s, want a time, seconds, or a string", v.Type())
}
