package s3err

import "net/http"

// The codes.
const (
	AccessControlListNotSupported             Code = "AccessControlListNotSupported"
	AccessDenied                              Code = "AccessDenied"
	AccessForbidden                           Code = "AccessForbidden"
	AccountProblem                            Code = "AccountProblem"
	AuthorizationHeaderMalformed              Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParameters              Code = "AuthorizationQueryParametersError"
	BadDigest                                 Code = "BadDigest"
	BrokenMPU                                 Code = "BrokenMPU"
	BucketAlreadyExists                       Code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou                   Code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                            Code = "BucketNotEmpty"
	ConditionalRequestConflict                Code = "ConditionalRequestConflict"
	CrossLocationLoggingProhibited            Code = "CrossLocationLoggingProhibited"
	EntityTooLarge                            Code = "EntityTooLarge"
	EntityTooSmall                            Code = "EntityTooSmall"
	ExpiredToken                              Code = "ExpiredToken"
	IllegalLocationConstraint                 Code = "IllegalLocationConstraintException"
	IllegalVersioningConfiguration            Code = "IllegalVersioningConfigurationException"
	IncompleteBody                            Code = "IncompleteBody"
	IncorrectNumberOfFilesInPostRequest       Code = "IncorrectNumberOfFilesInPostRequest"
	InternalError                             Code = "InternalError"
	InvalidAccessKeyID                        Code = "InvalidAccessKeyId"
	InvalidArgument                           Code = "InvalidArgument"
	InvalidBucketName                         Code = "InvalidBucketName"
	InvalidBucketAclWithObjectOwnership       Code = "InvalidBucketAclWithObjectOwnership"
	InvalidBucketState                        Code = "InvalidBucketState"
	InvalidChunkSize                          Code = "InvalidChunkSizeError"
	InvalidDigest                             Code = "InvalidDigest"
	InvalidLocationConstraint                 Code = "InvalidLocationConstraint"
	InvalidObjectState                        Code = "InvalidObjectState"
	InvalidPart                               Code = "InvalidPart"
	InvalidPartNumber                         Code = "InvalidPartNumber"
	InvalidPartOrder                          Code = "InvalidPartOrder"
	InvalidPolicyDocument                     Code = "InvalidPolicyDocument"
	InvalidRange                              Code = "InvalidRange"
	InvalidRequest                            Code = "InvalidRequest"
	InvalidSecurity                           Code = "InvalidSecurity"
	InvalidStorageClass                       Code = "InvalidStorageClass"
	InvalidTag                                Code = "InvalidTag"
	InvalidTargetBucketForLogging             Code = "InvalidTargetBucketForLogging"
	InvalidToken                              Code = "InvalidToken"
	InvalidURI                                Code = "InvalidURI"
	KeyTooLong                                Code = "KeyTooLongError"
	MalformedACL                              Code = "MalformedACLError"
	MalformedPOSTRequest                      Code = "MalformedPOSTRequest"
	MalformedPolicy                           Code = "MalformedPolicy"
	MalformedTrailer                          Code = "MalformedTrailerError"
	MalformedXML                              Code = "MalformedXML"
	MaxMessageLengthExceeded                  Code = "MaxMessageLengthExceeded"
	MaxPostPreDataLengthExceeded              Code = "MaxPostPreDataLengthExceededError"
	MetadataTooLarge                          Code = "MetadataTooLarge"
	MethodNotAllowed                          Code = "MethodNotAllowed"
	MissingContentLength                      Code = "MissingContentLength"
	MissingRequestBody                        Code = "MissingRequestBodyError"
	MissingSecurityHeader                     Code = "MissingSecurityHeader"
	NoSuchBucket                              Code = "NoSuchBucket"
	NoSuchBucketPolicy                        Code = "NoSuchBucketPolicy"
	NoSuchCORSConfiguration                   Code = "NoSuchCORSConfiguration"
	NoSuchConfiguration                       Code = "NoSuchConfiguration"
	NoSuchKey                                 Code = "NoSuchKey"
	NoSuchLifecycleConfiguration              Code = "NoSuchLifecycleConfiguration"
	NoSuchObjectLockConfiguration             Code = "NoSuchObjectLockConfiguration"
	NoSuchPublicAccessBlockConfiguration      Code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchTagSet                              Code = "NoSuchTagSet"
	NoSuchUpload                              Code = "NoSuchUpload"
	NoSuchVersion                             Code = "NoSuchVersion"
	NoSuchWebsiteConfiguration                Code = "NoSuchWebsiteConfiguration"
	NotImplemented                            Code = "NotImplemented"
	NotModified                               Code = "NotModified"
	ObjectLockConfigurationNotFound           Code = "ObjectLockConfigurationNotFoundError"
	OperationAborted                          Code = "OperationAborted"
	OwnershipControlsNotFound                 Code = "OwnershipControlsNotFoundError"
	PermanentRedirect                         Code = "PermanentRedirect"
	PreconditionFailed                        Code = "PreconditionFailed"
	ReplicationConfigurationNotFound          Code = "ReplicationConfigurationNotFoundError"
	RequestIsNotMultiPartContent              Code = "RequestIsNotMultiPartContent"
	RequestTimeTooSkewed                      Code = "RequestTimeTooSkewed"
	RequestTimeout                            Code = "RequestTimeout"
	ServerSideEncryptionConfigurationNotFound Code = "ServerSideEncryptionConfigurationNotFoundError"
	ServiceUnavailable                        Code = "ServiceUnavailable"
	SignatureDoesNotMatch                     Code = "SignatureDoesNotMatch"
	SlowDown                                  Code = "SlowDown"
	TooManyBuckets                            Code = "TooManyBuckets"
	UnexpectedContent                         Code = "UnexpectedContent"
	UnresolvableGrantByEmailAddress           Code = "UnresolvableGrantByEmailAddress"
	UserKeyMustBeSpecified                    Code = "UserKeyMustBeSpecified"
	ContentChecksumMismatch                   Code = "XAmzContentChecksumMismatch"
	ContentSHA256Mismatch                     Code = "XAmzContentSHA256Mismatch"
)

// table gives each code its status and its text.
var table = map[Code]struct {
	status  int
	message string
}{
	AccessControlListNotSupported:             {http.StatusBadRequest, "The bucket does not allow ACLs"},
	AccessDenied:                              {http.StatusForbidden, "Access Denied"},
	AccessForbidden:                           {http.StatusForbidden, "CORSResponse: CORS is not enabled for this bucket."},
	AccountProblem:                            {http.StatusForbidden, "There is a problem with your account that prevents the operation from completing successfully."},
	AuthorizationHeaderMalformed:              {http.StatusBadRequest, "The authorization header is malformed; the authorization header requires three components: Credential, SignedHeaders, and Signature."},
	AuthorizationQueryParameters:              {http.StatusBadRequest, "Query-string authentication requires the parameters of a signature."},
	BadDigest:                                 {http.StatusBadRequest, "The Content-MD5 you specified did not match what we received."},
	BrokenMPU:                                 {http.StatusConflict, "Multipart upload has broken segment data."},
	BucketAlreadyExists:                       {http.StatusConflict, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	BucketAlreadyOwnedByYou:                   {http.StatusConflict, "Your previous request to create the named bucket succeeded and you already own it."},
	BucketNotEmpty:                            {http.StatusConflict, "The bucket you tried to delete is not empty"},
	ConditionalRequestConflict:                {http.StatusConflict, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	CrossLocationLoggingProhibited:            {http.StatusForbidden, "Cross location logging not allowed."},
	EntityTooLarge:                            {http.StatusBadRequest, "Your proposed upload exceeds the maximum allowed object size."},
	EntityTooSmall:                            {http.StatusBadRequest, "Your proposed upload is smaller than the minimum allowed object size."},
	ExpiredToken:                              {http.StatusBadRequest, "The provided token has expired."},
	IllegalLocationConstraint:                 {http.StatusBadRequest, "The location constraint is incompatible for the region specific endpoint this request was sent to."},
	IllegalVersioningConfiguration:            {http.StatusBadRequest, "The Versioning configuration specified in the request is invalid."},
	IncompleteBody:                            {http.StatusBadRequest, "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	IncorrectNumberOfFilesInPostRequest:       {http.StatusBadRequest, "POST requires exactly one file upload per request."},
	InternalError:                             {http.StatusInternalServerError, "We encountered an internal error. Please try again."},
	InvalidAccessKeyID:                        {http.StatusForbidden, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidArgument:                           {http.StatusBadRequest, "Invalid Argument"},
	InvalidBucketName:                         {http.StatusBadRequest, "The specified bucket is not valid."},
	InvalidBucketAclWithObjectOwnership:       {http.StatusBadRequest, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"},
	InvalidBucketState:                        {http.StatusConflict, "The request is not valid with the current state of the bucket."},
	InvalidChunkSize:                          {http.StatusForbidden, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidDigest:                             {http.StatusBadRequest, "The Content-MD5 you specified was invalid."},
	InvalidLocationConstraint:                 {http.StatusBadRequest, "The specified location-constraint is not valid"},
	InvalidObjectState:                        {http.StatusForbidden, "The operation is not valid for the object's storage class"},
	InvalidPart:                               {http.StatusBadRequest, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	InvalidPartNumber:                         {http.StatusRequestedRangeNotSatisfiable, "The requested partnumber is not satisfiable"},
	InvalidPartOrder:                          {http.StatusBadRequest, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	InvalidPolicyDocument:                     {http.StatusBadRequest, "The content of the form does not meet the conditions specified in the policy document."},
	InvalidRange:                              {http.StatusRequestedRangeNotSatisfiable, "The requested range is not satisfiable"},
	InvalidRequest:                            {http.StatusBadRequest, "Invalid Request"},
	InvalidSecurity:                           {http.StatusForbidden, "The provided security credentials are not valid."},
	InvalidStorageClass:                       {http.StatusBadRequest, "The storage class you specified is not valid"},
	InvalidTag:                                {http.StatusBadRequest, "The tag provided was not a valid tag."},
	InvalidTargetBucketForLogging:             {http.StatusBadRequest, "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group."},
	InvalidToken:                              {http.StatusBadRequest, "The provided token is malformed or otherwise invalid."},
	InvalidURI:                                {http.StatusBadRequest, "Couldn't parse the specified URI."},
	KeyTooLong:                                {http.StatusBadRequest, "Your key is too long"},
	MalformedACL:                              {http.StatusBadRequest, "The XML you provided was not well-formed or did not validate against our published schema"},
	MalformedPOSTRequest:                      {http.StatusBadRequest, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedPolicy:                           {http.StatusBadRequest, "This policy contains invalid Json"},
	MalformedTrailer:                          {http.StatusBadRequest, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:                              {http.StatusBadRequest, "The XML you provided was not well-formed or did not validate against our published schema"},
	MaxMessageLengthExceeded:                  {http.StatusBadRequest, "Your request was too big."},
	MaxPostPreDataLengthExceeded:              {http.StatusBadRequest, "Your POST request fields preceding the upload file were too large."},
	MetadataTooLarge:                          {http.StatusBadRequest, "Your metadata headers exceed the maximum allowed metadata size"},
	MethodNotAllowed:                          {http.StatusMethodNotAllowed, "The specified method is not allowed against this resource."},
	MissingContentLength:                      {http.StatusLengthRequired, "You must provide the Content-Length HTTP header."},
	MissingRequestBody:                        {http.StatusBadRequest, "Request Body is empty"},
	MissingSecurityHeader:                     {http.StatusBadRequest, "Your request was missing a required header"},
	NoSuchBucket:                              {http.StatusNotFound, "The specified bucket does not exist"},
	NoSuchBucketPolicy:                        {http.StatusNotFound, "The bucket policy does not exist"},
	NoSuchCORSConfiguration:                   {http.StatusNotFound, "The CORS configuration does not exist"},
	NoSuchConfiguration:                       {http.StatusNotFound, "The specified configuration does not exist."},
	NoSuchKey:                                 {http.StatusNotFound, "The specified key does not exist."},
	NoSuchLifecycleConfiguration:              {http.StatusNotFound, "The lifecycle configuration does not exist"},
	NoSuchObjectLockConfiguration:             {http.StatusNotFound, "The specified object does not have a ObjectLock configuration"},
	NoSuchPublicAccessBlockConfiguration:      {http.StatusNotFound, "The public access block configuration was not found"},
	NoSuchTagSet:                              {http.StatusNotFound, "The TagSet does not exist"},
	NoSuchUpload:                              {http.StatusNotFound, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	NoSuchVersion:                             {http.StatusNotFound, "The specified version does not exist."},
	NoSuchWebsiteConfiguration:                {http.StatusNotFound, "The specified bucket does not have a website configuration"},
	NotImplemented:                            {http.StatusNotImplemented, "A header you provided implies functionality that is not implemented"},
	NotModified:                               {http.StatusNotModified, "Not Modified"},
	ObjectLockConfigurationNotFound:           {http.StatusNotFound, "Object Lock configuration does not exist for this bucket"},
	OperationAborted:                          {http.StatusConflict, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	OwnershipControlsNotFound:                 {http.StatusNotFound, "The bucket ownership controls were not found"},
	PermanentRedirect:                         {http.StatusMovedPermanently, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
	PreconditionFailed:                        {http.StatusPreconditionFailed, "At least one of the pre-conditions you specified did not hold"},
	ReplicationConfigurationNotFound:          {http.StatusNotFound, "The replication configuration was not found"},
	RequestIsNotMultiPartContent:              {http.StatusPreconditionFailed, "Bucket POST must be of the enclosure-type multipart/form-data"},
	RequestTimeTooSkewed:                      {http.StatusForbidden, "The difference between the request time and the current time is too large."},
	RequestTimeout:                            {http.StatusBadRequest, "Your socket connection to the server was not read from or written to within the timeout period."},
	ServerSideEncryptionConfigurationNotFound: {http.StatusNotFound, "The server side encryption configuration was not found"},
	ServiceUnavailable:                        {http.StatusServiceUnavailable, "Service is unable to handle request."},
	SignatureDoesNotMatch:                     {http.StatusForbidden, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	SlowDown:                                  {http.StatusServiceUnavailable, "Please reduce your request rate."},
	TooManyBuckets:                            {http.StatusBadRequest, "You have attempted to create more buckets than allowed."},
	UnexpectedContent:                         {http.StatusBadRequest, "This request does not support content"},
	UnresolvableGrantByEmailAddress:           {http.StatusBadRequest, "The e-mail address you provided does not match any account on record."},
	UserKeyMustBeSpecified:                    {http.StatusBadRequest, "The bucket POST must contain the specified field name. If it is specified, please check the order of the fields."},
	ContentChecksumMismatch:                   {http.StatusBadRequest, "The provided 'x-amz-checksum' header does not match what was computed."},
	ContentSHA256Mismatch:                     {http.StatusBadRequest, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}

// Codes returns all codes.
func Codes() []Code {
	codes := make([]Code, 0, len(table))
	for c := range table {
		codes = append(codes, c)
	}
	return codes
}
