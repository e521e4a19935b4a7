package upstream

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// scopeKey is this process's own: what is named with it can be compared here, and says nothing anywhere else.
var scopeKey = func() (key [32]byte) {
	rand.Read(key[:]) // never fails
	return key
}()

// Scope names the credentials that a call would be sent with, without giving them away. What the store has said to one scope holds for
// whoever else comes with it. The error is as that of Send.
func (u *Upstream) Scope(ctx context.Context, c Call) (string, error) {
	k, err := u.keysOf(ctx, c)
	if err != nil {
		return "", err
	}
	return k.scope(), nil
}

// scope does not change when a bearer token that an API key was exchanged for is renewed.
func (k keys) scope() string {
	if k.exchanged != "" {
		k.bearer = ""
	}
	h := hmac.New(sha256.New, scopeKey[:])
	for _, s := range []string{k.accessKey, k.secret, k.token, k.bearer, k.exchanged} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return string(h.Sum(nil))
}
