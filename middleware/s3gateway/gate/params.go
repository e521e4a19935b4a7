package gate

import (
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
)

// A param is one of a query's parameters.
type param struct {
	raw         string // as it was sent, with its value
	name, value string // decoded
	kind        kind
}

// kind is what a known parameter does.
type kind uint8

const (
	unknown     kind = iota
	harmless         // changes nothing about what is done
	signature        // belongs to version 4
	signature2       // belongs to version 2
	listing          // of a listing
	lists            // makes a request of a bucket a listing of something else
	facts            // reads or writes a fact of a bucket or of an object
	bucketFacts      // of buckets alone
	objectFacts      // of objects alone
)

// kinds are the parameters that are known, in lower case, as AWS writes them.
var kinds = makeKinds(map[kind]string{
	harmless: "x-id",
	signature: "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders X-Amz-Signature " +
		"X-Amz-Security-Token X-Amz-Content-Sha256",
	signature2: "AWSAccessKeyId Signature Expires",
	listing: "list-type prefix delimiter marker max-keys start-after continuation-token encoding-type fetch-owner key-marker " +
		"version-id-marker upload-id-marker max-uploads",
	lists: "versions uploads",
	facts: "acl tagging",
	bucketFacts: "policy policyStatus location versioning lifecycle cors website logging notification requestPayment " +
		"replication encryption object-lock publicAccessBlock ownershipControls accelerate analytics inventory metrics " +
		"intelligent-tiering id delete session metadataConfiguration metadataTable abac",
	objectFacts: "uploadId partNumber versionId attributes legal-hold retention restore select select-type torrent max-parts " +
		"part-number-marker renameObject append position object-lambda response-cache-control response-content-disposition " +
		"response-content-encoding response-content-language response-content-type response-expires",
})

type knownParam struct {
	name string
	kind kind
}

func makeKinds(all map[kind]string) map[string]knownParam {
	m := make(map[string]knownParam)
	for k, names := range all {
		for _, name := range strings.Fields(names) {
			m[strings.ToLower(name)] = knownParam{name, k}
		}
	}
	return m
}

// maxParams is more than any request of S3 has.
const maxParams = 100

type params []param

// parseParams takes a query to pieces, as package sigv4 does: only & parts parameters, and + is a blank. A parameter that is
// there twice, or a known one in another case of letters, is refused: the store could take it for something else.
func parseParams(raw string) (params, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.Count(raw, "&") >= maxParams {
		return nil, s3err.InvalidURI.Say("The request has too many query parameters.")
	}
	all := make(params, 0, strings.Count(raw, "&")+1)
	seen := make(map[string]struct{}, cap(all))
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		name, value, _ := strings.Cut(piece, "=")
		p := param{raw: piece}
		var err, err2 error
		p.name, err = url.QueryUnescape(name)
		p.value, err2 = url.QueryUnescape(value)
		if err != nil || err2 != nil {
			return nil, s3err.InvalidURI.Say("Couldn't parse the specified URI.")
		}
		folded := strings.ToLower(p.name)
		known, ok := kinds[folded]
		if ok {
			p.kind = known.kind
		}
		if _, twice := seen[folded]; twice {
			return nil, ambiguous(p, "The query parameter is given more than once.")
		}
		if ok && known.name != p.name {
			return nil, ambiguous(p, "The query parameter is written "+known.name+".")
		}
		seen[folded] = struct{}{}
		all = append(all, p)
	}
	return all, nil
}

func ambiguous(p param, why string) error {
	code := s3err.InvalidArgument
	if p.kind == signature {
		code = s3err.AuthorizationQueryParameters
	}
	return code.Say(why, "ArgumentName", p.name)
}

// get returns a parameter, nil if it is not there.
func (ps params) get(name string) *param {
	for i := range ps {
		if ps[i].name == name {
			return &ps[i]
		}
	}
	return nil
}

func (ps params) has(k kind) bool {
	for i := range ps {
		if ps[i].kind == k {
			return true
		}
	}
	return false
}

// only says whether there are no parameters but those that are named, signatures, and harmless ones.
func (ps params) only(names ...string) bool {
	for i := range ps {
		switch p := &ps[i]; p.kind {
		case signature, signature2, harmless:
		default:
			ok := false
			for _, name := range names {
				ok = ok || name == p.name
			}
			if !ok {
				return false
			}
		}
	}
	return true
}

// unsigned is the query as it was sent, without what belongs to signatures and to a copy's source.
func (ps params) unsigned() string {
	var b strings.Builder
	for i := range ps {
		p := &ps[i]
		if p.kind == signature || p.kind == signature2 || strings.EqualFold(p.name, copySource) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.raw)
	}
	return b.String()
}
