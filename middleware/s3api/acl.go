package s3api

import (
	"net/http"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/s3err"
)

// An aclMode is how buckets and objects say who may do what. There is Swift's way: containers have lists, which the auth
// filter judges by (plainACL); and that of S3: buckets and objects have owners and grants, which this filter judges by
// (grantACL).
type aclMode interface {
	// check says whether the user has the permission on the resource. It is asked before each operation, and by operations
	// for whatever else they touch.
	check(x *exchange, on resource, need need) error
	// judge is check for reading an object, given Swift's answer to a call that is judged, from the object itself: nothing
	// has been read in vain, and what is allowed is what is sent.
	judge(x *exchange, on resource, code int, h http.Header) error
	// authorize is the State.Authorize of a call, nil for the auth filter's.
	authorize(x *exchange, c call) func(*http.Request) error
	// forBucket and forObject add to the headers of a new bucket or object what stores the ACL that the client's headers ask
	// for, or the one that it has without.
	forBucket(x *exchange, h http.Header) error
	forObject(x *exchange, h http.Header) error
	// visible says whether a bucket is to be listed among the user's.
	visible(x *exchange, bucket string) bool
	// owner returns who owns a bucket; ok is false if the bucket does not say.
	owner(info *lookup.Container) (id string, ok bool)
	// get and put answer requests for the ACL of the exchange's bucket or object.
	get(x *exchange) error
	put(x *exchange) error
}

// user is the id of who has signed the request, as owners and grantees are named; "" for nobody.
func (x *exchange) user() string {
	if x.sig == nil {
		return ""
	}
	return x.sig.AccessKey
}

func (x *exchange) getACL() error { return x.acl.get(x) }
func (x *exchange) putACL() error { return x.acl.put(x) }

// checkOwners compares whom the client believes to be the owner of the bucket.
func (x *exchange) checkOwners() error {
	want := x.r.Header.Get("X-Amz-Expected-Bucket-Owner")
	if want == "" || x.op.name == "CreateBucket" || x.bucket == "" {
		return nil
	}
	return x.checkOwner(x.bucket, want)
}

func (x *exchange) checkOwner(name, want string) error {
	info, err := x.container(name)
	if err != nil {
		return err
	}
	id, ok := x.acl.owner(info)
	// A bucket that does not say is its account's, and so is its user's.
	if ok && want == id || !ok && (want == x.user() || want == x.account) {
		return nil
	}
	return s3err.AccessDenied.With()
}
