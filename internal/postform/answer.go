package postform

import (
	"encoding/xml"
	"net/http"
	"net/url"
)

// Answer is how the form wants to be answered after its object is stored: with a status, a Location, and a document, nil for none. The ETag is in its quotes;
// where is the URL of the object.
func (f *Form) Answer(bucket, key, etag, where string) (status int, location string, document []byte) {
	if target := f.redirect(bucket, key, etag); target != "" {
		return http.StatusSeeOther, target, nil
	}
	switch f.Fields["success_action_status"] {
	case "200":
		return http.StatusOK, where, nil
	case "201":
		text, _ := xml.Marshal(postResponse{Location: where, Bucket: bucket, Key: key, ETag: etag}) // strings always can be written
		return http.StatusCreated, where, append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"), text...)
	}
	return http.StatusNoContent, where, nil
}

type postResponse struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Location string   `xml:"Location"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	ETag     string   `xml:"ETag"`
}

// redirect is where the browser is to go next, "" if the form does not say, or nothing that is a place on the web.
func (f *Form) redirect(bucket, key, etag string) string {
	target := f.Fields["success_action_redirect"]
	if target == "" {
		target = f.Fields["redirect"]
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "bucket=" + url.QueryEscape(bucket) + "&key=" + url.QueryEscape(key) + "&etag=" + url.QueryEscape(etag)
	return u.String()
}
