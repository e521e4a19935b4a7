// Package benchtest is a small account in memory, for tests of the load generator: version 1 authentication, containers
// and objects, nothing else; what is signed is answered as S3 does. It can be told to answer wrongly.
//
// Example:
//
//	fake := benchtest.New()
//	srv := httptest.NewServer(fake)
//	defer srv.Close()
//	// authenticate at srv.URL+"/auth/v1.0" with benchtest.User and benchtest.Key, or sign requests to srv.URL with them
package benchtest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/sigv4"
)

// What the fake accepts and gives.
const (
	User  = "test:tester"
	Key   = "testing"
	Token = "AUTH_tk0123"
	// Region is that of signatures.
	Region = "us-east-1"
)

// A Swift is the fake. It is an http.Handler, safe for concurrent use.
type Swift struct {
	// Spoil, if set before the first request, may answer a request itself, and then returns true, or change the body that a
	// GET is to return.
	Spoil func(w http.ResponseWriter, r *http.Request, body []byte) (handled bool)

	mu         sync.Mutex
	containers map[string]map[string][]byte
	log        []string
}

// New makes an empty account.
func New() *Swift { return &Swift{containers: make(map[string]map[string][]byte)} }

// Requests are the requests up to now, as "METHOD path", sorted; authentication is not among them.
func (s *Swift) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.log))
}

// Objects is how many objects there are in all containers.
func (s *Swift) Objects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.containers {
		n += len(c)
	}
	return n
}

// Containers is how many containers there are.
func (s *Swift) Containers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.containers)
}

// ServeHTTP answers as Swift does, as far as it goes.
func (s *Swift) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth/v1.0" {
		s.auth(w, r)
		return
	}
	if sigv4.Recognise(r) {
		s.s3(w, r)
		return
	}
	if r.Header.Get("X-Auth-Token") != Token {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/v1/AUTH_test/")
	if !ok {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || int64(len(body)) != max(r.ContentLength, 0) {
		http.Error(w, "short body", 499)
		return
	}
	s.answer(w, r, rest, body)
}

// answer answers a request for container or container/object.
func (s *Swift) answer(w http.ResponseWriter, r *http.Request, rest string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r.Method+" "+r.URL.Path)
	container, object, isObject := strings.Cut(rest, "/")
	if r.Method == http.MethodGet && isObject {
		body = slices.Clone(s.containers[container][object])
	}
	if s.Spoil != nil && s.Spoil(w, r, body) {
		return
	}
	if isObject {
		s.object(w, r, container, object, body)
	} else {
		s.container(w, r, container)
	}
}

// s3 checks the signature, takes the body out of its chunks, and has the rest answered as Swift does, but with S3's statuses.
func (s *Swift) s3(w http.ResponseWriter, r *http.Request) {
	sig, err := sigv4.Parse(r, sigv4.Rules{Now: time.Now(), Region: Region})
	if err == nil {
		err = sig.Verify(sigv4.Derive(Key, sig.Scope))
	}
	if err != nil || sig.AccessKey != User {
		http.Error(w, fmt.Sprint(err), http.StatusForbidden)
		return
	}
	in := sig.Payload.Body(r.Body)
	if sig.Payload.Streaming() {
		options, err := awschunked.FromHeader(r.Header, sig.Payload, sig.Chain(sigv4.Derive(Key, sig.Scope)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in = awschunked.NewReader(r.Body, options)
	}
	body, err := io.ReadAll(in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.answer(respw.OnHeader(w, func(code int, _ http.Header) int {
		if r.Method == http.MethodPut && code == http.StatusCreated {
			return http.StatusOK
		}
		return code
	}), r, r.URL.Path[1:], body)
}

func (s *Swift) auth(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Auth-User") != User || r.Header.Get("X-Auth-Key") != Key {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-Storage-Url", "http://"+r.Host+"/v1/AUTH_test")
	w.Header().Set("X-Auth-Token", Token)
}

func (s *Swift) container(w http.ResponseWriter, r *http.Request, name string) {
	objects, there := s.containers[name]
	switch {
	case r.Method == http.MethodPut:
		if !there {
			s.containers[name] = make(map[string][]byte)
		}
		w.WriteHeader(http.StatusCreated)
	case !there:
		http.Error(w, "Not Found", http.StatusNotFound)
	case r.Method == http.MethodDelete && len(objects) > 0:
		http.Error(w, "Conflict", http.StatusConflict)
	case r.Method == http.MethodDelete:
		delete(s.containers, name)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet:
		var entries []map[string]any
		for o, data := range objects {
			entries = append(entries, map[string]any{"name": o, "bytes": len(data)})
		}
		json.NewEncoder(w).Encode(entries)
	default:
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}
}

func (s *Swift) object(w http.ResponseWriter, r *http.Request, container, name string, body []byte) {
	objects, there := s.containers[container]
	data, exists := objects[name]
	switch {
	case !there, r.Method != http.MethodPut && !exists:
		w.Header().Set("X-Trans-Id", "tx0404")
		http.Error(w, "Not Found", http.StatusNotFound)
	case r.Method == http.MethodPut:
		objects[name] = body
		sum := md5.Sum(body)
		w.Header().Set("Etag", hex.EncodeToString(sum[:]))
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	case r.Method == http.MethodHead:
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodDelete:
		delete(objects, name)
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}
}
