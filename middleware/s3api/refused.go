package s3api

import (
	"encoding/xml"

	"github.com/apus-storage/apus/internal/s3err"
)

// refusedOperations are those that are not there. Where AWS answers that nothing is configured, GET does so too, since SDKs
// and tools probe for that; everything that would configure it is 501. Whatever becomes an operation of its own moves to the
// table, with a file of its own.
var refusedOperations = []operation{
	unset("GetBucketTagging", bucket, "tagging", s3err.NoSuchTagSet),
	unset("GetBucketCors", bucket, "cors", s3err.NoSuchCORSConfiguration),
	unset("GetBucketPolicy", bucket, "policy", s3err.NoSuchBucketPolicy),
	unset("GetBucketPolicyStatus", bucket, "policyStatus", s3err.NoSuchBucketPolicy),
	unset("GetPublicAccessBlock", bucket, "publicAccessBlock", s3err.NoSuchPublicAccessBlockConfiguration),
	unset("GetBucketOwnershipControls", bucket, "ownershipControls", s3err.OwnershipControlsNotFound),
	unset("GetBucketLifecycleConfiguration", bucket, "lifecycle", s3err.NoSuchLifecycleConfiguration),
	unset("GetBucketWebsite", bucket, "website", s3err.NoSuchWebsiteConfiguration),
	unset("GetObjectLockConfiguration", bucket, "object-lock", s3err.ObjectLockConfigurationNotFound),
	unset("GetObjectRetention", object, "retention", s3err.NoSuchObjectLockConfiguration),
	unset("GetObjectLegalHold", object, "legal-hold", s3err.NoSuchObjectLockConfiguration),
	unset("GetBucketEncryption", bucket, "encryption", s3err.ServerSideEncryptionConfigurationNotFound),
	unset("GetBucketReplication", bucket, "replication", s3err.ReplicationConfigurationNotFound),
	empty("GetObjectTagging", object, "tagging", tagging{}),
	empty("GetBucketLogging", bucket, "logging", loggingStatus{}),
	empty("GetBucketNotificationConfiguration", bucket, "notification", notification{}),
	empty("GetBucketRequestPayment", bucket, "requestPayment", requestPayment{Payer: "BucketOwner"}),
	empty("GetBucketAccelerateConfiguration", bucket, "accelerate", accelerate{}),

	no("PutBucketTagging", bucket, put, "tagging"), no("DeleteBucketTagging", bucket, remove, "tagging"),
	no("PutObjectTagging", object, put, "tagging"), no("DeleteObjectTagging", object, remove, "tagging"),
	no("PutBucketCors", bucket, put, "cors"), no("DeleteBucketCors", bucket, remove, "cors"),
	no("PutBucketPolicy", bucket, put, "policy"), no("DeleteBucketPolicy", bucket, remove, "policy"),
	no("PutPublicAccessBlock", bucket, put, "publicAccessBlock"), no("DeletePublicAccessBlock", bucket, remove, "publicAccessBlock"),
	no("PutBucketOwnershipControls", bucket, put, "ownershipControls"),
	no("DeleteBucketOwnershipControls", bucket, remove, "ownershipControls"),
	no("PutBucketLifecycleConfiguration", bucket, put, "lifecycle"), no("DeleteBucketLifecycle", bucket, remove, "lifecycle"),
	no("PutBucketWebsite", bucket, put, "website"), no("DeleteBucketWebsite", bucket, remove, "website"),
	no("PutBucketLogging", bucket, put, "logging"),
	no("PutObjectLockConfiguration", bucket, put, "object-lock"), no("PutObjectRetention", object, put, "retention"),
	no("PutObjectLegalHold", object, put, "legal-hold"),
	no("PutBucketEncryption", bucket, put, "encryption"), no("DeleteBucketEncryption", bucket, remove, "encryption"),
	no("PutBucketReplication", bucket, put, "replication"), no("DeleteBucketReplication", bucket, remove, "replication"),
	no("PutBucketNotificationConfiguration", bucket, put, "notification"),
	no("PutBucketRequestPayment", bucket, put, "requestPayment"), no("PutBucketAccelerateConfiguration", bucket, put, "accelerate"),
	no("GetBucketAbac", bucket, get, "abac"), no("PutBucketAbac", bucket, put, "abac"),
	no("ListBucketAnalyticsConfigurations", bucket, get, "analytics"), no("PutBucketAnalyticsConfiguration", bucket, put, "analytics"),
	no("DeleteBucketAnalyticsConfiguration", bucket, remove, "analytics"),
	no("ListBucketIntelligentTieringConfigurations", bucket, get, "intelligent-tiering"),
	no("PutBucketIntelligentTieringConfiguration", bucket, put, "intelligent-tiering"),
	no("DeleteBucketIntelligentTieringConfiguration", bucket, remove, "intelligent-tiering"),
	no("ListBucketInventoryConfigurations", bucket, get, "inventory"), no("PutBucketInventoryConfiguration", bucket, put, "inventory"),
	no("DeleteBucketInventoryConfiguration", bucket, remove, "inventory"),
	no("ListBucketMetricsConfigurations", bucket, get, "metrics"), no("PutBucketMetricsConfiguration", bucket, put, "metrics"),
	no("DeleteBucketMetricsConfiguration", bucket, remove, "metrics"),
	no("GetBucketMetadataConfiguration", bucket, get, "metadataConfiguration"),
	no("CreateBucketMetadataConfiguration", bucket, post, "metadataConfiguration"),
	no("DeleteBucketMetadataConfiguration", bucket, remove, "metadataConfiguration"),
	no("GetBucketMetadataTableConfiguration", bucket, get, "metadataTable"),
	no("CreateBucketMetadataTableConfiguration", bucket, post, "metadataTable"),
	no("DeleteBucketMetadataTableConfiguration", bucket, remove, "metadataTable"),
	no("UpdateBucketMetadataInventoryTableConfiguration", bucket, put, "metadataInventoryTable"),
	no("UpdateBucketMetadataJournalTableConfiguration", bucket, put, "metadataJournalTable"),
	no("CreateSession", bucket, get, "session"), no("RestoreObject", object, post, "restore"),
	no("SelectObjectContent", object, post, "select"), no("GetObjectTorrent", object, get, "torrent"),
	no("RenameObject", object, put, "renameObject"), no("UpdateObjectEncryption", object, put, "encryption"),
}

func no(name string, on level, method, sub string) operation {
	return operation{name, on, method, sub, need{}, 0, refused, "", (*exchange).notImplemented}
}

// unset is an operation that says that nothing is configured, by an error.
func unset(name string, on level, sub string, code s3err.Code) operation {
	return operation{name, on, get, sub, need{on, read}, 0, none, string(code), func(x *exchange) error {
		if err := x.exists(); err != nil {
			return err
		}
		if x.resource.level() == object {
			return code.With("Key", x.key)
		}
		return code.With("BucketName", x.bucket)
	}}
}

// empty is an operation that says so by a document.
func empty(name string, on level, sub string, document any) operation {
	return operation{name, on, get, sub, need{on, read}, 0, none, "an empty document", func(x *exchange) error {
		if err := x.exists(); err != nil {
			return err
		}
		return x.document(document)
	}}
}

// exists asks whether what the request is about is there.
func (x *exchange) exists() error {
	_, err := x.ask(call{method: head, on: x.resource})
	return err
}

type tagging struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
	TagSet  struct{} `xml:"TagSet"`
}

type loggingStatus struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ BucketLoggingStatus"`
}

type notification struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ NotificationConfiguration"`
}

type requestPayment struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ RequestPaymentConfiguration"`
	Payer   string   `xml:"Payer"`
}

type accelerate struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ AccelerateConfiguration"`
}
