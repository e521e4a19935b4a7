package s3gateway

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// ourFaults are errors of stores about the key, the clock or the signature of a request, which are the gateway's: the client's own
// were found right. What the documents say of them, such as the store's access key, is not for the client.
var ourFaults = []string{
	"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "RequestTimeTooSkewed",
	"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidClientTokenId", "NotSignedUp",
}

// refused says whether an answer is about how the gateway has asked, and what the client is told then. A redirection that could not
// be followed is: the store's address is none that the client has a key for.
func (x *exchange) refused(resp *http.Response, from *upstream.Upstream) error {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		x.complain(from, "a store says that a bucket is elsewhere", slog.String("location", plainURL(resp.Header.Get("Location"))),
			slog.String("region", resp.Header.Get("X-Amz-Bucket-Region")))
		return s3err.InternalError.Say("The store behind this endpoint says that the bucket is elsewhere.").WithStatus(http.StatusBadGateway)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
	default:
		return nil
	}
	if !x.document(resp) {
		return nil
	}
	start, err := io.ReadAll(io.LimitReader(resp.Body, small))
	if err != nil {
		return s3err.InternalError.With().WithStatus(http.StatusBadGateway).Because(fmt.Errorf("read a store's error: %w", err))
	}
	resp.Body = body{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	var said struct {
		Code string `xml:"Code"`
	}
	// What is no document has no code.
	if _ = xml.Unmarshal(start, &said); !slices.Contains(ourFaults, said.Code) {
		return nil
	}
	x.complain(from, "a store does not take the gateway's key", slog.String("code", said.Code))
	return s3err.ServiceUnavailable.Say("The store behind this endpoint does not take the credentials that it has for it.")
}

// plainURL is a URL without its query, where a signature may stand.
func plainURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// A body is read by one and closed by the other.
type body struct {
	io.Reader
	io.Closer
}

// complain tells the operator what only he can mend.
func (x *exchange) complain(from *upstream.Upstream, message string, facts ...slog.Attr) {
	facts = append([]slog.Attr{slog.String("txn", x.state.TransID), slog.String("upstream", from.Name()), slog.String("bucket", x.target.Bucket)}, facts...)
	x.log.LogAttrs(x.r.Context(), slog.LevelError, message, facts...)
}
