package s3api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
)

// permission is what an S3 ACL grants. The words are those of ACLs.
type permission string

// The permissions. Owner is what nobody can be granted; creator is that of who may make buckets in the account; anybody is
// for operations whose handler asks for itself.
const (
	anybody  permission = ""
	read     permission = "READ"
	write    permission = "WRITE"
	readACP  permission = "READ_ACP"
	writeACP permission = "WRITE_ACP"
	owner    permission = "OWNER"
	creator  permission = "CREATE"
)

// answerRead is read for operations that read the object by a judged call: it is asked for when Swift has answered.
const answerRead permission = "READ, judged by the answer"

// A need is the permission that an operation needs, and whether the bucket or the object has to grant it.
type need struct {
	on level
	permission
}

// An operation is a row of the table.
type operation struct {
	name   string // AWS's
	level  level
	method string
	sub    string // the sub-resource, "" if the operation has none
	need   need
	max    int64 // bytes of the document that it takes; 0 if it takes none, or an object
	status status
	note   string // for docs/s3.md: how it differs from AWS's, or why it is refused
	handle func(*exchange) error
}

// status says how much of an operation there is.
type status string

const (
	supported status = "supported"
	none      status = "none configured" // GET answers as AWS does where nothing is configured
	refused   status = "refused"
)

// Sizes of documents.
const (
	smallDocument = 10 << 10
	aclDocument   = 200 << 10
	deletions     = 10 << 20
)

const (
	get    = http.MethodGet
	head   = http.MethodHead
	put    = http.MethodPut
	post   = http.MethodPost
	remove = http.MethodDelete
)

// operations is the table of all that S3 can do. What is not in it is 405, or 501 if it has a sub-resource that is not in it
// either.
var operations = slices.Concat([]operation{
	{"ListBuckets", service, get, "", need{}, 0, supported, "", (*exchange).listBuckets},

	{"ListObjects", bucket, get, "", need{bucket, read}, 0, supported, "", (*exchange).listObjects},
	{"ListObjectsV2", bucket, get, "list-type", need{bucket, read}, 0, supported, "", (*exchange).listObjectsV2},
	{"ListObjectVersions", bucket, get, "versions", need{bucket, read}, 0, supported, "", (*exchange).listVersions},
	{"HeadBucket", bucket, head, "", need{bucket, read}, 0, supported, "", (*exchange).headBucket},
	{"CreateBucket", bucket, put, "", need{service, creator}, smallDocument, supported, "object lock and ownership settings are refused", (*exchange).createBucket},
	{"DeleteBucket", bucket, remove, "", need{bucket, owner}, 0, supported, "", (*exchange).deleteBucket},
	{"GetBucketLocation", bucket, get, "location", need{bucket, owner}, 0, supported, "", (*exchange).getLocation},
	{"GetBucketVersioning", bucket, get, "versioning", need{bucket, owner}, 0, supported, "", (*exchange).getVersioning},
	{"PutBucketVersioning", bucket, put, "versioning", need{bucket, owner}, smallDocument, supported, "MFA delete is refused; 501 without object versioning", (*exchange).putVersioning},
	{"GetBucketAcl", bucket, get, "acl", need{bucket, readACP}, 0, supported, "", (*exchange).getACL},
	{"PutBucketAcl", bucket, put, "acl", need{bucket, writeACP}, aclDocument, supported, "", (*exchange).putACL},
	{"DeleteObjects", bucket, post, "delete", need{}, deletions, supported, "whether it is allowed is said for each object", (*exchange).deleteObjects},
	{postObject, bucket, post, "", need{bucket, write}, 0, supported, "forms must be signed, unless there is an anonymous_account; tags are refused", (*exchange).postObject},

	{"GetObject", object, get, "", need{object, answerRead}, 0, supported, "", (*exchange).getObject},
	{"GetObjectAttributes", object, get, "attributes", need{object, read}, 0, supported, "checksums are those that clients have sent", (*exchange).getAttributes},
	{"HeadObject", object, head, "", need{object, answerRead}, 0, supported, "", (*exchange).headObject},
	{"PutObject", object, put, "", need{bucket, write}, 0, supported, "CopyObject with x-amz-copy-source", (*exchange).putObject},
	{"DeleteObject", object, remove, "", need{bucket, write}, 0, supported, "", (*exchange).deleteObject},
	{"GetObjectAcl", object, get, "acl", need{object, readACP}, 0, supported, "", (*exchange).getACL},
	{"PutObjectAcl", object, put, "acl", need{object, writeACP}, aclDocument, supported, "501 without s3_acl: objects have no ACLs in Swift", (*exchange).putACL},
}, multipartOperations, refusedOperations)

// route is what an operation is found by.
type route struct {
	level  level
	method string
	sub    string
}

var routes = func() map[route]*operation {
	m := make(map[route]*operation, len(operations))
	for i := range operations {
		o := &operations[i]
		m[route{o.level, o.method, o.sub}] = o
	}
	return m
}()

// find returns the operation that the request is for.
func (x *exchange) find() (*operation, error) {
	sub, err := x.query.subResource()
	if err != nil {
		return nil, err
	}
	l := x.resource.level()
	if o := routes[route{l, x.r.Method, sub}]; o != nil {
		return o, nil
	}
	var allowed []string
	for _, o := range operations {
		if o.level == l && o.sub == sub {
			allowed = append(allowed, o.method)
		}
	}
	if sub != "" && len(allowed) == 0 {
		return nil, s3err.NotImplemented.Say("The sub-resource "+sub+" is not implemented here", "ResourceType", l.String())
	}
	return nil, s3err.MethodNotAllowed.With("Method", x.r.Method, "ResourceType", l.String()).
		WithHeader("Allow", strings.Join(allowed, ", "))
}

// notImplemented refuses an operation.
func (x *exchange) notImplemented() error {
	return s3err.NotImplemented.Say(x.op.name + " is not implemented")
}
