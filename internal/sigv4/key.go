package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// A Key is a secret, bound to a scope.
type Key [sha256.Size]byte

// Derive makes the key of a secret for a scope.
func Derive(secret string, scope Scope) Key {
	k := Key(mac([]byte("AWS4"+secret), scope.Date))
	for _, text := range []string{scope.Region, scope.Service, terminator} {
		k = Key(mac(k[:], text))
	}
	return k
}

// Sign signs a text, such as a string to sign. The signature is hexadecimal.
func (k Key) Sign(text string) string { return hex.EncodeToString(mac(k[:], text)) }

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Keys remembers derived keys, which are good for a day and cost more than all else about a small request. It is for many
// goroutines.
type Keys struct {
	mu sync.Mutex // guards what follows
	// A full generation becomes the old one, and the old one is forgotten: keys in use move on.
	young, old map[secretScope]Key
	max        int
}

type secretScope struct {
	secret string
	scope  Scope
}

// NewKeys returns a memory of some max keys, at least one.
func NewKeys(max int) *Keys { return &Keys{max: (max + 1) / 2} }

// Get returns the key of a secret for a scope. The scope must be one that Parse found good, since clients can make up any.
func (k *Keys) Get(secret string, scope Scope) Key {
	at := secretScope{secret, scope}
	k.mu.Lock()
	key, ok := k.young[at]
	if !ok {
		if key, ok = k.old[at]; ok {
			k.keep(at, key)
		}
	}
	k.mu.Unlock()
	if ok {
		return key
	}
	key = Derive(secret, scope)
	k.mu.Lock()
	k.keep(at, key)
	k.mu.Unlock()
	return key
}

// Len is how many keys are remembered; some may be so twice.
func (k *Keys) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.young) + len(k.old)
}

// keep notes a key; the caller holds the lock.
func (k *Keys) keep(at secretScope, key Key) {
	if len(k.young) >= k.max {
		k.young, k.old = nil, k.young
	}
	if k.young == nil {
		k.young = make(map[secretScope]Key)
	}
	k.young[at] = key
}

// A Chain makes the signatures of a streamed body's chunks: each signs the one before it too, so that chunks cannot be
// left out, repeated or moved.
type Chain struct {
	key             Key
	at, scope, last string
}

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Chunk returns the signature of the next chunk, whose bytes have the sum.
func (c *Chain) Chunk(sum []byte) string {
	return c.sign(algorithm+"-PAYLOAD", emptySHA256+"\n"+hex.EncodeToString(sum))
}

// Trailer returns the signature of the trailer: of the sum of its lines "name:value\n".
func (c *Chain) Trailer(sum []byte) string {
	return c.sign(algorithm+"-TRAILER", hex.EncodeToString(sum))
}

func (c *Chain) sign(what, sums string) string {
	c.last = c.key.Sign(what + "\n" + c.at + "\n" + c.scope + "\n" + c.last + "\n" + sums)
	return c.last
}
