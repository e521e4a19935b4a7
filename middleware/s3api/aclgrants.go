package s3api

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/middleware/s3api/s3acl"
)

// grantACL is S3's way: buckets and objects have owners and grants, in system metadata, and this filter decides. Swift's own
// lists do not count for S3, nor do these for the Swift API.
type grantACL struct {
	// open makes what has no owner everybody's; but its ACL, and whether it is there, remain matters of who owns the account.
	open bool
	// hide shows users only the buckets that are theirs.
	hide bool
}

// Where ACLs are kept. The old name is that of what the filter was called before; it counts where there is no new one.
const (
	bucketACLHeader = "X-Container-Sysmeta-S3api-Acl"
	objectACLHeader = sysmetaPrefix + "Acl"
	keptACL         = "s3api-acl"
	keptOldACL      = "swift3-acl"
)

// check asks for the ACL and whether it allows.
func (m grantACL) check(x *exchange, on resource, need need) error {
	switch need.permission {
	case anybody, answerRead:
		return nil
	case creator:
		return m.ownAccount(x)
	}
	if need.on == bucket {
		a, err := m.ofBucket(x, on.bucket)
		if err != nil {
			return err
		}
		return m.decide(x, a, need.permission)
	}
	a, _, err := m.ofObject(x, on, nil)
	if err != nil {
		return err
	}
	return m.decide(x, a, need.permission)
}

// decide says whether the ACL gives the user the permission.
func (m grantACL) decide(x *exchange, a s3acl.ACL, p permission) error {
	switch {
	case a.Owner == "" && m.open && (p == owner || p == writeACP):
		return m.ownAccount(x)
	case a.Owner == "" && m.open,
		p == owner && a.OwnedBy(x.user()),
		p != owner && a.Allows(x.user(), s3acl.Permission(p)):
		return nil
	}
	return s3err.AccessDenied.With()
}

// ownAccount asks the auth filter whether the user owns the account: only its owners make buckets.
func (m grantACL) ownAccount(x *exchange) error {
	p := apipath.Path{Version: "v1", Account: x.account, Container: x.bucket}
	r := subreq.New(x.r, subreq.Options{Method: http.MethodPut, Path: p.String(), Source: logSource})
	if x.state.Authorize == nil || x.state.Authorize(r) != nil || !request.From(r.Context()).Owner {
		return s3err.AccessDenied.With()
	}
	return nil
}

// ofBucket returns the ACL of a bucket as its servers have it now: one that was taken away must not count any more.
func (m grantACL) ofBucket(x *exchange, name string) (s3acl.ACL, error) {
	lookup.GetContainer(x.r, lookup.Subrequest{Next: x.next, Source: logSource, SkipCache: true}, x.account, name)
	info, err := x.container(name)
	if err != nil {
		return s3acl.ACL{}, err
	}
	return parsedACL(containerACL(info))
}

// containerACL returns what is stored with a container.
func containerACL(info *lookup.Container) string {
	if text, ok := info.Sysmeta[keptACL]; ok {
		return text
	}
	return info.Sysmeta[keptOldACL]
}

// ofObject returns the ACL of an object, or of a version of it, and what Swift says of that, asked with these headers. Whether an
// object is there is told only to those who may list the bucket.
func (m grantACL) ofObject(x *exchange, on resource, h http.Header) (s3acl.ACL, *swiftAnswer, error) {
	c := call{method: head, on: on, header: h}
	resp, err := x.try(c)
	if err != nil {
		return s3acl.ACL{}, nil, err
	}
	if !resp.OK() {
		err := x.swiftError(c, resp.Code, nil)
		if missing(err) {
			if err := m.check(x, on, need{bucket, read}); err != nil {
				return s3acl.ACL{}, nil, err
			}
		}
		if isMarker(resp.Header) {
			err = x.markerError(err, resp.Header)
		}
		return s3acl.ACL{}, nil, err
	}
	text, _ := answerACL(resp.Header)
	a, err := parsedACL(text)
	return a, resp, err
}

// answerACL returns what is stored with an object that an answer is about.
func answerACL(h http.Header) (text string, ok bool) {
	for name, values := range h {
		name = strings.ToLower(name)
		switch {
		case len(values) == 0:
		case name == strings.ToLower(objectACLHeader):
			return values[0], true
		case name == "x-object-sysmeta-"+keptOldACL:
			text, ok = values[0], true
		}
	}
	return text, ok
}

// parsedACL reads a stored ACL. One that cannot be read lets nobody in.
func parsedACL(text string) (s3acl.ACL, error) {
	a, err := s3acl.Parse(text)
	if err != nil {
		return a, s3err.InternalError.With().Because(err)
	}
	return a, nil
}

func (m grantACL) judge(x *exchange, on resource, code int, h http.Header) error {
	text, ok := answerACL(h)
	if !ok && (code < 200 || code >= 300) {
		return m.check(x, on, need{object, read}) // not all failures say whose the object is
	}
	a, err := parsedACL(text)
	if err != nil {
		return err
	}
	return m.decide(x, a, read)
}

// authorize allows what the call is about and what belongs to that: parts, versions, the source of a copy. Everything else
// that filters to the right get to on behalf of the call (segments of large objects made by way of Swift) is allowed as it
// is to the user by Swift's own lists.
func (m grantACL) authorize(x *exchange, c call) func(*http.Request) error {
	theirs := x.state.Authorize
	return func(r *http.Request) error {
		if c.covers(r.URL.Path, x.account) {
			request.From(r.Context()).Owner = true
			return nil
		}
		if theirs == nil {
			return reply.Status(http.StatusForbidden)
		}
		return theirs(r)
	}
}

// covers says whether a path of Swift belongs to what the call is about.
func (c call) covers(path, account string) bool {
	var names [4]string
	segments, err := apipath.SplitRest(names[:0], path, 2, 4)
	if err != nil || segments[1] != account {
		return false
	}
	var on resource
	if len(segments) > 2 {
		on.bucket = segments[2]
	}
	if len(segments) > 3 {
		on.key = segments[3]
	}
	return c.on.covers(on) || c.source.bucket != "" && c.source.covers(on)
}

// covers says whether a container or object of Swift is the resource, or a part or version of it.
func (r resource) covers(on resource) bool {
	switch on.bucket {
	case r.bucket:
		return on.key == r.key
	case r.bucket + segmentsSuffix:
		// key/upload/number: no other key's parts are called so.
		rest, ok := strings.CutPrefix(on.key, r.key+"/")
		upload, number, both := strings.Cut(rest, "/")
		return ok && both && r.key != "" && upload != "" && number != "" && strings.Trim(number, "0123456789") == ""
	}
	return r.coversVersion(on)
}

// coversVersion says whether a container or object is where the resource's versions are. No client can name them.
func (r resource) coversVersion(on resource) bool {
	if !apipath.IsReserved(on.bucket) {
		return false
	}
	hidden, err := apipath.SplitReserved(on.bucket)
	if err != nil || len(hidden) != 2 || hidden[0] != "versions" || hidden[1] != r.bucket {
		return false
	}
	if on.key == "" {
		return true
	}
	version, err := apipath.SplitReserved(on.key)
	return err == nil && len(version) > 0 && version[0] == r.key
}

func (m grantACL) forBucket(x *exchange, h http.Header) error {
	a, err := m.wanted(x, s3acl.Owners{Own: x.user(), Bucket: x.user()})
	if err == nil {
		h.Set(bucketACLHeader, a.Encode())
	}
	return err
}

func (m grantACL) forObject(x *exchange, h http.Header) error {
	its, err := m.ofBucket(x, x.bucket)
	if err != nil {
		return err
	}
	o := s3acl.Owners{Own: x.user(), Bucket: its.Owner}
	if o.Own == "" {
		o.Own = o.Bucket // what nobody has signed is that of who lets everybody write
	}
	a, err := m.wanted(x, o)
	if err == nil {
		h.Set(objectACLHeader, a.Encode())
	}
	return err
}

// wanted is the ACL that the client's headers ask for. Without a word what is new is private.
func (m grantACL) wanted(x *exchange, o s3acl.Owners) (s3acl.ACL, error) {
	a, given, err := s3acl.FromHeaders(x.r.Header, o)
	if err == nil && !given {
		a = s3acl.Private(o.Own)
	}
	return a, err
}

func (m grantACL) visible(x *exchange, name string) bool {
	if !m.hide {
		return true
	}
	info := x.peek(name)
	a, err := parsedACL(containerACL(info))
	return info.Exists() && err == nil && m.decide(x, a, owner) == nil
}

func (m grantACL) owner(info *lookup.Container) (string, bool) {
	a, err := s3acl.Parse(containerACL(info))
	return a.Owner, err == nil && a.Owner != ""
}

func (m grantACL) get(x *exchange) error {
	a, err := m.ofResource(x)
	if err != nil {
		return err
	}
	return x.document(a.Document())
}

// ofResource returns the ACL of what the request is about.
func (m grantACL) ofResource(x *exchange) (s3acl.ACL, error) {
	if x.key == "" {
		return m.ofBucket(x, x.bucket)
	}
	a, _, err := m.ofObject(x, x.resource, nil)
	return a, err
}
