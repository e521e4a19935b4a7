// Package callable is the contract of the functions that an operator gives the S3 gateway: whose secret belongs to an
// access key, which credentials a store is to be asked with, and whether a request is allowed. They are written in
// Starlark (package callable/starlark), behind a URL (callable/webhook), or in Go, by a program that embeds Apus:
//
//	tokens := callable.Functions{
//		Secret: func(ctx context.Context, accessKey string) (string, error) {
//			if accessKey != "AKALICE" {
//				return "", callable.ErrUnknown
//			}
//			return vault.Secret(ctx, accessKey)
//		},
//		Authorize: func(ctx context.Context, token, bucket, method, path string) (bool, error) {
//			callable.HoldsFor(ctx, "") // what is said of one object of this bucket goes for all
//			return bucket == "photos", nil
//		},
//	}
//
// Invariants:
//
//   - A function that is nil is not there. One that fails has given no answer: nobody is let in on an error.
//   - [Cached] never uses an answer for a path that the function was not asked about, unless the function itself has said
//     that its answer holds there too.
//   - Credentials and secrets do not print: as text, in JSON and in logs they are nothing but "(secret)".
//
// Non-goals: what a request is, and what a store is. The gateway knows that.
package callable

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ErrUnknown says that a function knows no such access key, token or bucket. It is an answer, not a failure.
var ErrUnknown = errors.New("unknown")

// Credentials are what a store takes: a key pair, or an API key to exchange for a bearer token, or a bearer token.
type Credentials struct {
	// AccessKey and Secret sign requests. SessionToken goes with them, if they are temporary.
	AccessKey, Secret, SessionToken string
	// APIKey is exchanged for a bearer token, as IBM's stores have it.
	APIKey string
	// Bearer is sent as it is.
	Bearer string
	// Expires is when the credentials end; zero if they do not say.
	Expires time.Time
}

// Check says what is wrong with credentials that are not exactly one of the three kinds.
func (c Credentials) Check() error {
	kinds := 0
	for _, there := range []bool{c.AccessKey != "" || c.Secret != "", c.APIKey != "", c.Bearer != ""} {
		if there {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return errors.New("credentials: want access_key and secret_key, or api_key, or bearer; have none")
	case kinds > 1:
		return errors.New("credentials: want only one of access_key with secret_key, api_key, and bearer")
	case (c.AccessKey == "") != (c.Secret == ""):
		return errors.New("credentials: access_key and secret_key go together")
	case c.SessionToken != "" && c.AccessKey == "":
		return errors.New("credentials: session_token goes with access_key and secret_key")
	}
	return nil
}

const hidden = "(secret)"

// String hides the credentials, wherever they are printed.
func (Credentials) String() string { return hidden }

// GoString hides the credentials from %#v.
func (Credentials) GoString() string { return hidden }

// LogValue hides the credentials from logs.
func (Credentials) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the credentials from JSON and the like.
func (Credentials) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Functions are an operator's; nil ones are not there. The token is the client's access key, the path is the object's
// key, decoded, and "" for what concerns the bucket. They are called by many requests at once.
type Functions struct {
	// Secret returns the secret that belongs to a client's access key; [ErrUnknown] if there is no such key.
	Secret func(ctx context.Context, accessKey string) (string, error)
	// Credentials returns what a store is to be asked with on behalf of a client; [ErrUnknown] if the client has none.
	Credentials func(ctx context.Context, token, bucket string) (Credentials, error)
	// Authorize says whether the client may do what it asks for; [ErrUnknown] means no.
	Authorize func(ctx context.Context, token, bucket, method, path string) (bool, error)
	// Version changes when answers that were given before may be out of date, and is cheap to ask: [Cached] asks before
	// it uses what it knows. Nil: they only age.
	Version func() uint64
}
