package slo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
)

// An input is one segment of a manifest as a client uploads it.
type input struct {
	path string // as given
	etag *string
	size *int64
	rng  ranges.Set // one, or none
	data []byte     // not nil if it is the segment
}

// object is the segment's path without the slashes before it.
func (in input) object() string { return strings.TrimLeft(in.path, "/") }

// maxFaults is how many faults of a manifest a client is told: more than anybody reads.
const maxFaults = 1000

// parseInput reads a client's manifest, to be stored at p. The error is the client's answer.
func parseInput(body []byte, p apipath.Path) ([]input, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	invalid := reply.Raw(http.StatusBadRequest, "Manifest must be valid JSON.\n")
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, invalid
	}
	if body = bytes.TrimSpace(body); body[0] != '[' {
		return nil, reply.Raw(http.StatusBadRequest, "Manifest must be a list.\n")
	}
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, invalid.Because(err)
	}
	v := validator{path: p, last: len(items) - 1}
	inputs := make([]input, 0, len(items))
	onlyData := len(items) > 0
	for i, item := range items {
		in, fault := v.item(i, item)
		if fault != "" {
			v.faults = append(v.faults, fmt.Sprintf("Index %d: %s\n", i, fault))
		}
		if len(v.faults) >= maxFaults {
			break
		}
		onlyData = onlyData && v.isData
		inputs = append(inputs, in)
	}
	if onlyData {
		v.faults = append(v.faults, "Inline data segments require at least one object-backed segment.\n")
	}
	if len(v.faults) > 0 {
		return nil, &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: strings.Join(v.faults, "")}
	}
	return inputs, nil
}

// A validator reads the segments of one manifest.
type validator struct {
	path   apipath.Path // of the manifest
	last   int
	faults []string
	isData bool // the last item had data
}

const tooSmall = "too small; each segment must be at least 1 byte."

// item reads one segment; fault says what is wrong with it.
func (v *validator) item(i int, item json.RawMessage) (in input, fault string) {
	v.isData = false
	var keys map[string]json.RawMessage
	if item[0] != '{' || json.Unmarshal(item, &keys) != nil {
		return in, "not a JSON object"
	}
	_, v.isData = keys["data"]
	_, isPath := keys["path"]
	allowed := []string{"path", "range", "etag", "size_bytes"}
	switch {
	case v.isData:
		allowed = []string{"data"}
	case !isPath:
		return in, "expected keys to include one of 'data' or 'path'"
	}
	var extra []string
	for k := range keys {
		if !slices.Contains(allowed, k) {
			extra = append(extra, k)
		}
	}
	if len(extra) > 0 {
		slices.Sort(extra)
		for j, k := range extra {
			extra[j] = string(listing.AppendString(nil, k))
		}
		return in, "extraneous keys " + strings.Join(extra, ", ")
	}
	if v.isData {
		return v.data(keys["data"])
	}
	return v.object(i, keys)
}

func (v *validator) data(raw json.RawMessage) (in input, fault string) {
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return in, "data must be valid base64"
	}
	data, err := decodeBase64(*text)
	switch {
	case err != nil:
		return in, "data must be valid base64"
	case len(data) == 0:
		return in, tooSmall
	}
	return input{data: data}, ""
}

func (v *validator) object(i int, keys map[string]json.RawMessage) (in input, fault string) {
	var path *string
	switch {
	case json.Unmarshal(keys["path"], &path) != nil || path == nil:
		return in, `"path" must be a string`
	case keys["etag"] != nil && json.Unmarshal(keys["etag"], &in.etag) != nil:
		return in, `"etag" must be a string or null (if provided)`
	case !strings.Contains(strings.Trim(*path, "/"), "/"):
		return in, "path does not refer to an object. Path must be of the form /container/object."
	}
	in.path = *path
	if raw := keys["size_bytes"]; raw != nil && string(raw) != "null" {
		n, ok := integer(raw)
		switch {
		case !ok:
			return in, "invalid size_bytes"
		case n < 1 && i != v.last:
			return in, tooSmall
		}
		in.size = &n
	}
	if in.object() == v.path.Container+"/"+v.path.Object {
		return in, "manifest must not include itself as a segment"
	}
	in.rng, fault = in.parseRange(keys["range"])
	return in, fault
}

// parseRange reads a range, which is optional: whatever Python takes for false is none.
func (in input) parseRange(raw json.RawMessage) (set ranges.Set, fault string) {
	text := strings.TrimSpace(string(raw))
	switch text {
	case "", "null", "false", "0", "0.0", "-0", `""`, "[]", "{}":
		return nil, ""
	}
	if text[0] == '"' && json.Unmarshal(raw, &text) != nil {
		return nil, "invalid range"
	}
	set, ok := ranges.Parse("bytes=" + text)
	switch {
	case !ok:
		return nil, "invalid range"
	case len(set) > 1:
		return nil, "multiple ranges (only one allowed)"
	}
	if in.size != nil {
		if _, err := set.Resolve(max(*in.size, 0)); err != nil {
			return nil, "unsatisfiable range"
		}
	}
	return set, ""
}
