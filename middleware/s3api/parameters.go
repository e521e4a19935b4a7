package s3api

import (
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/s3err"
)

// A verdict is what becomes of a header or parameter.
type verdict string

const (
	implemented verdict = "implemented"
	rejected    verdict = "refused"
	harmless    verdict = "harmless" // to ignore
)

// A rule is a row of the tables below. check, where there is one, refuses some values.
type rule struct {
	verdict verdict
	why     string
	check   func(x *exchange, name, value string) error
}

// parameters are the query parameters that are no sub-resources; those are what the operations have. A parameter that is in
// neither is ignored if it has a value, as AWS does, and is 501 if it has none, since that is how sub-resources look that AWS
// may add.
var parameters = map[string]rule{
	"versionId":                    {implemented, "", nil},
	"partNumber":                   {implemented, "", nil},
	"prefix":                       {implemented, "", nil},
	"delimiter":                    {implemented, "", nil},
	"marker":                       {implemented, "", nil},
	"max-keys":                     {implemented, "", nil},
	"encoding-type":                {implemented, "", nil},
	"start-after":                  {implemented, "", nil},
	"continuation-token":           {implemented, "", nil},
	"fetch-owner":                  {implemented, "", nil},
	"key-marker":                   {implemented, "", nil},
	"version-id-marker":            {implemented, "", nil},
	"upload-id-marker":             {implemented, "", nil},
	"max-uploads":                  {implemented, "", nil},
	"max-parts":                    {implemented, "", nil},
	"part-number-marker":           {implemented, "", nil},
	"max-buckets":                  {implemented, "", nil},
	"bucket-region":                {implemented, "", nil},
	"response-cache-control":       {implemented, "", nil},
	"response-content-disposition": {implemented, "", nil},
	"response-content-encoding":    {implemented, "", nil},
	"response-content-language":    {implemented, "", nil},
	"response-content-type":        {implemented, "", nil},
	"response-expires":             {implemented, "", nil},
	"allow-unordered":              {harmless, "an extension of another server; a listing in order is one of the unordered ones", nil},
	"x-id":                         {harmless, "SDKs name the operation, which method and sub-resource already say", nil},
	"id":                           {harmless, "belongs to configurations that are refused by their sub-resource", nil},
	"select-type":                  {harmless, "belongs to ?select, which is refused", nil},
	"directory-bucket":             {harmless, "belongs to listings of directory buckets, which there are none of", nil},
	"X-Amz-Algorithm":              {implemented, "part of the signature", nil},
	"X-Amz-Credential":             {implemented, "part of the signature", nil},
	"X-Amz-Date":                   {implemented, "part of the signature", nil},
	"X-Amz-Expires":                {implemented, "part of the signature", nil},
	"X-Amz-SignedHeaders":          {implemented, "part of the signature", nil},
	"X-Amz-Signature":              {implemented, "part of the signature", nil},
	"X-Amz-Content-Sha256":         {implemented, "part of the signature", nil},
	"X-Amz-Security-Token":         {rejected, "there are no temporary credentials; refused as InvalidToken with the signature", nil},
	"X-Amz-User-Agent":             {harmless, "names the client", nil},
	"AWSAccessKeyId":               {implemented, "part of the signature", nil},
	"Signature":                    {implemented, "part of the signature", nil},
	"Expires":                      {implemented, "part of the signature", nil},
}

// headers are the x-amz-* headers of requests, in lower case. One that ends in "*" stands for all that begin so. What is not
// in the table is 501.
var headers = map[string]rule{
	"x-amz-date":                                   {implemented, "", nil},
	"x-amz-content-sha256":                         {implemented, "", nil},
	"x-amz-decoded-content-length":                 {implemented, "", nil},
	"x-amz-trailer":                                {implemented, "", nil},
	"x-amz-meta-*":                                 {implemented, "", nil},
	"x-amz-acl":                                    {implemented, "", nil},
	"x-amz-grant-*":                                {implemented, "by the ACL mode; without s3_acl refused", nil},
	"x-amz-copy-source":                            {implemented, "", nil},
	"x-amz-copy-source-if-*":                       {implemented, "", nil},
	"x-amz-copy-source-range":                      {implemented, "", nil},
	"x-amz-metadata-directive":                     {implemented, "", nil},
	"x-amz-checksum-crc32":                         {implemented, "", nil},
	"x-amz-checksum-crc32c":                        {implemented, "", nil},
	"x-amz-checksum-crc64nvme":                     {implemented, "", nil},
	"x-amz-checksum-sha1":                          {implemented, "", nil},
	"x-amz-checksum-sha256":                        {implemented, "", nil},
	"x-amz-checksum-sha512":                        {implemented, "", nil},
	"x-amz-checksum-md5":                           {implemented, "", nil},
	"x-amz-checksum-xxhash64":                      {implemented, "", nil},
	"x-amz-checksum-xxhash3":                       {implemented, "", nil},
	"x-amz-checksum-xxhash128":                     {implemented, "", nil},
	"x-amz-checksum-*":                             {rejected, "other algorithms", nil},
	"x-amz-checksum-algorithm":                     {implemented, "", checkAlgorithmName},
	"x-amz-checksum-type":                          {implemented, "", nil},
	"x-amz-checksum-mode":                          {implemented, "", only("ENABLED")},
	"x-amz-sdk-checksum-algorithm":                 {implemented, "", nil},
	"x-amz-expected-bucket-owner":                  {implemented, "", nil},
	"x-amz-source-expected-bucket-owner":           {implemented, "", nil},
	"x-amz-storage-class":                          {implemented, "STANDARD; there are no others", checkStorageClass},
	"x-amz-server-side-encryption":                 {implemented, "AES256 where the pipeline encrypts; refused otherwise", checkEncryption},
	"x-amz-if-match-last-modified-time":            {implemented, "", nil},
	"x-amz-if-match-size":                          {implemented, "", nil},
	"x-amz-object-attributes":                      {implemented, "", nil},
	"x-amz-max-parts":                              {implemented, "", nil},
	"x-amz-part-number-marker":                     {implemented, "", nil},
	"x-amz-mp-object-size":                         {implemented, "", nil},
	"x-amz-tagging-directive":                      {harmless, "objects have no tags, so copying them or not is the same", only("COPY", "REPLACE")},
	"x-amz-bucket-object-lock-enabled":             {implemented, "false; object lock is refused", checkFalse},
	"x-amz-request-payer":                          {harmless, "no bucket makes the requester pay", only("requester")},
	"x-amz-optional-object-attributes":             {harmless, "no object is archived, so none has a RestoreStatus", only("RestoreStatus")},
	"x-amz-user-agent":                             {harmless, "names the client", nil},
	"x-amz-cf-id":                                  {harmless, "added by a content delivery network", nil},
	"x-amz-security-token":                         {rejected, "there are no temporary credentials; refused as InvalidToken with the signature", nil},
	"x-amz-tagging":                                {rejected, "tagging", nil},
	"x-amz-tagging-count":                          {rejected, "tagging", nil},
	"x-amz-website-redirect-location":              {rejected, "website", nil},
	"x-amz-mfa":                                    {rejected, "MFA delete", nil},
	"x-amz-object-ownership":                       {rejected, "ownership controls", nil},
	"x-amz-object-lock-*":                          {rejected, "object lock", nil},
	"x-amz-bypass-governance-retention":            {rejected, "object lock", nil},
	"x-amz-server-side-encryption-*":               {rejected, "keys of clients and of key services", nil},
	"x-amz-copy-source-server-side-encryption-*":   {rejected, "keys of clients", nil},
	"x-amz-write-offset-bytes":                     {rejected, "appending", nil},
	"x-amz-te":                                     {rejected, "appending", nil},
	"x-amz-rename-source*":                         {rejected, "renaming", nil},
	"x-amz-client-token":                           {rejected, "renaming", nil},
	"x-amz-create-session-mode":                    {rejected, "directory buckets", nil},
	"x-amz-source-bucket-*":                        {rejected, "access points", nil},
	"x-amz-transition-default-minimum-object-size": {rejected, "lifecycle", nil},
	"x-amz-confirm-remove-self-bucket-access":      {rejected, "bucket policy", nil},
	"x-amz-skip-destination-validation":            {rejected, "notification", nil},
	"x-amz-bucket-region":                          {rejected, "only answers have it", nil},
	"x-amz-restore-output-path":                    {rejected, "restoring", nil},
	"x-amz-request-route":                          {rejected, "object lambdas", nil},
	"x-amz-request-token":                          {rejected, "object lambdas", nil},
	"x-amz-fwd-*":                                  {rejected, "object lambdas", nil},
	"x-amz-bucket-namespace":                       {rejected, "namespaces of buckets", nil},
	"x-amz-bucket-object-lock-token":               {rejected, "object lock", nil},
	"x-amz-if-match-initiated-time":                {rejected, "directory buckets", nil},
	"x-amz-account-id":                             {rejected, "the control API", nil},
	"x-amz-replication-status":                     {rejected, "replication", nil},
}

// subResource returns the sub-resource that the query names, "" if it names none.
func (q query) subResource() (string, error) {
	sub := ""
	for name, values := range q.Values {
		if subResources[name] {
			if name == "list-type" && values[0] != "2" {
				continue // the first version of listings
			}
			if sub != "" {
				first, second := min(sub, name), max(sub, name)
				return "", s3err.InvalidArgument.Say("Conflicting query string parameters: "+first+", "+second,
					"ArgumentName", "ResourceType", "ArgumentValue", first)
			}
			sub = name
			continue
		}
		if _, known := parameters[name]; !known && values[0] == "" && name != "" {
			return "", s3err.NotImplemented.Say("The sub-resource is not implemented", "SubResource", name)
		}
	}
	return sub, nil
}

// subResources are those of all operations.
var subResources = func() map[string]bool {
	m := map[string]bool{}
	for _, o := range operations {
		if o.sub != "" {
			m[o.sub] = true
		}
	}
	return m
}()

// headerRule returns the row for a header, given in lower case.
func headerRule(name string) (rule, bool) {
	if r, ok := headers[name]; ok {
		return r, true
	}
	var best string
	for pattern := range headers {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, prefix) && len(pattern) > len(best) {
			best = pattern
		}
	}
	r, ok := headers[best]
	return r, ok
}

// checkHeaders refuses requests with headers that would have to be honoured and are not.
func (x *exchange) checkHeaders() error {
	for name, values := range x.r.Header {
		if !strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		lower := strings.ToLower(name)
		r, known := headerRule(lower)
		if !known || r.verdict == rejected {
			return s3err.NotImplemented.With("Header", lower)
		}
		if r.check == nil {
			continue
		}
		for _, v := range values {
			if err := r.check(x, lower, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkParameters refuses parameters that the operation would have to honour and does not.
func (x *exchange) checkParameters() error {
	x.version = x.query.get("versionId")
	if x.query.has("versionId") {
		switch {
		case x.version == "":
			return s3err.InvalidArgument.Say("Version id cannot be the empty string", "ArgumentName", "versionId", "ArgumentValue", "")
		case x.op.method == put && x.op.sub == "" || x.op.level != object:
			return s3err.InvalidArgument.Say("This operation does not accept a version-id.", "ArgumentName", "versionId", "ArgumentValue", x.version)
		case x.version != "null" && !x.features().versioning:
			return s3err.NotImplemented.Say("Versioning is not implemented")
		case !validVersion(x.version):
			return invalidVersion("versionId", x.version)
		}
	}
	if x.query.has("partNumber") && x.op.sub == "" && x.op.method != get && x.op.method != head {
		return s3err.InvalidArgument.Say("This operation does not accept a part number.", "ArgumentName", "partNumber",
			"ArgumentValue", x.query.get("partNumber"))
	}
	return nil
}

// only takes some values and refuses others as wrong.
func only(values ...string) func(*exchange, string, string) error {
	return func(_ *exchange, name, value string) error {
		if slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, value) }) {
			return nil
		}
		return s3err.InvalidArgument.Say("Invalid value for "+name, "ArgumentName", name, "ArgumentValue", value)
	}
}

func checkAlgorithmName(_ *exchange, _, value string) error {
	_, err := checksum.Parse(value)
	return err
}

func checkStorageClass(_ *exchange, _, value string) error {
	if value != "STANDARD" {
		return s3err.InvalidStorageClass.With("StorageClassRequested", value)
	}
	return nil
}

func checkEncryption(x *exchange, name, value string) error {
	switch value {
	case "AES256":
		if x.features().encryption {
			return nil
		}
	case "aws:kms", "aws:kms:dsse":
	default:
		return s3err.InvalidArgument.Say("The encryption method specified is not supported", "ArgumentName", name, "ArgumentValue", value)
	}
	return s3err.NotImplemented.Say("Server-side encryption is not supported.", "Header", name)
}

func checkFalse(_ *exchange, name, value string) error {
	if !strings.EqualFold(value, "false") {
		return s3err.NotImplemented.With("Header", name)
	}
	return nil
}
