package gate

import (
	"net/http"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// An Operation is what a request would do, as far as rights are concerned.
type Operation struct {
	Target route.Target
	Method string
	// All are the rights that it needs.
	All Access
	// Any are rights of which one is enough; none if All is all that is needed.
	Any Access
	// Listing says that it lists what begins with Prefix.
	Listing bool
	Prefix  string
	// Bucket says that it reads or changes the bucket itself, or might do so.
	Bucket bool
	// Elsewhere says that its document may name other buckets, which the store uses with its own key.
	Elsewhere bool
	// Deletes says that it deletes the objects that its body names.
	Deletes bool
	// Completes says that it completes an upload: checksums in its head are those of the object.
	Completes bool
	// Source is what it copies from, nil if it does not copy.
	Source *Source
}

// Way is what the route of the request is to be found by: of a listing, what is listed.
func (o *Operation) Way() route.Target {
	t := o.Target
	if o.Listing && !o.Bucket && t.Key == "" {
		t.Key = o.Prefix
	}
	return t
}

// derive finds out what a request would do. What is not known needs more rights than what is.
func derive(r *http.Request, t route.Target, ps params) (Operation, error) {
	o := Operation{Target: t, Method: r.Method}
	if id := ps.get("uploadId"); id != nil && id.value == "" {
		// Some stores take it for an upload, some for none.
		return o, s3err.InvalidArgument.Say("This operation does not accept an empty uploadId.", "ArgumentName", "uploadId")
	}
	var err error
	if o.Source, err = copiedFrom(r, ps); err != nil {
		return o, err
	}
	switch {
	case t.Bucket == "":
		o.service(ps)
	case t.Key == "":
		err = o.ofBucket(r, ps)
	default:
		o.ofObject(ps)
	}
	return o, err
}

func (o *Operation) service(ps params) {
	switch o.Method {
	case http.MethodGet:
		o.All = List
		if ps.has(unknown) || ps.has(facts) || ps.has(bucketFacts) {
			o.All = List | Read
		}
	case http.MethodHead, http.MethodOptions:
		o.Any = everything
	default:
		o.All, o.Bucket = everything, true
	}
}

func (o *Operation) ofBucket(r *http.Request, ps params) error {
	switch o.Method {
	case http.MethodGet:
		o.readBucket(ps)
	case http.MethodHead:
		// Clients look whether the bucket is there before they do anything, whatever they may do.
		if o.Any = everything; !ps.only() {
			o.readBucket(ps)
		}
	case http.MethodOptions:
		o.Any = everything
	case http.MethodPost:
		if err := noForm(r); err != nil {
			return err
		}
		o.All = Write
		if o.Deletes = ps.get("delete") != nil; !o.Deletes || !ps.only("delete") {
			o.Bucket = true
		}
	case http.MethodPut, http.MethodDelete:
		o.All, o.Bucket = Write, true
		for _, name := range namesBuckets {
			o.Elsewhere = o.Elsewhere || o.Method == http.MethodPut && ps.get(name) != nil
		}
	default:
		o.All, o.Bucket = everything, true
	}
	return nil
}

// namesBuckets are what of a bucket's configuration has the store write into another bucket.
var namesBuckets = []string{"analytics", "inventory", "logging", "metadataInventoryTable", "metadataJournalTable", "metadataTable", "replication"}

// readBucket is for all that GET may be about. Several things at once need the rights for each: stores differ in which they do.
func (o *Operation) readBucket(ps params) {
	if ps.get("location") != nil && ps.only("location") {
		// Clients ask for it before they do anything.
		o.Any = everything
		return
	}
	o.Any = 0
	known, others := ps.has(facts) || ps.has(bucketFacts), ps.has(unknown) || ps.has(objectFacts)
	if known || others {
		o.All |= Read
		o.Bucket = true
	}
	if !known || others || ps.has(lists) || ps.has(listing) {
		o.All |= List
		o.Listing = true
		if p := ps.get("prefix"); p != nil {
			o.Prefix = p.value
		}
	}
}

func (o *Operation) ofObject(ps params) {
	reads := o.Method == http.MethodGet || o.Method == http.MethodHead
	switch o.Method {
	case http.MethodGet, http.MethodHead:
		o.All = Read
		if o.Method == http.MethodGet && ps.get("uploadId") != nil && ps.only("uploadId", "max-parts", "part-number-marker", "encoding-type") {
			o.All, o.Any = 0, Read|List
		}
	case http.MethodOptions:
		o.Any = everything
	case http.MethodPut, http.MethodDelete:
		o.All = Write
	case http.MethodPost:
		o.All = Write
		o.Completes = ps.get("uploadId") != nil && ps.only("uploadId")
		switch {
		case ps.get("select") == nil:
		case ps.only("select", "select-type"):
			o.All = Read
		default:
			o.All = Read | Write
		}
	default:
		o.All = everything
	}
	// Some stores, Swift among them, do to the bucket what a sub-resource of buckets says, though a key is given.
	initiates := o.Method == http.MethodPost && ps.get("versions") == nil
	if ps.has(bucketFacts) || ps.has(lists) && !initiates {
		o.Bucket = true
		o.Deletes = o.Method == http.MethodPost && ps.get("delete") != nil
		if reads {
			o.All, o.Any = Read|List, 0
		}
	}
}

// permits says whether an identity's rights cover an operation, but for keys that its body names.
func (id *Identity) permits(o *Operation) error {
	t := o.Target
	switch {
	case t.Bucket != "" && !id.Sees(t.Bucket): // a list of buckets has those that it sees
		return denied("identity %s may not use this bucket", id.Name)
	case id.rights&o.All != o.All || o.Any != 0 && id.rights&o.Any == 0:
		return denied("identity %s has not the right: want %s", id.Name, o.All|o.Any)
	}
	if o.Elsewhere && len(id.buckets) > 0 {
		return denied("identity %s has buckets, and this may be about others too", id.Name)
	}
	if id.Limited() && t.Bucket != "" {
		switch {
		case o.Bucket:
			return denied("identity %s has prefixes, and this is about the bucket", id.Name)
		case t.Key != "":
			if !id.holds(t.Key) {
				return denied("the key is outside of the prefixes of identity %s", id.Name)
			}
		case o.Listing && !id.holds(o.Prefix):
			return denied("what is listed is outside of the prefixes of identity %s", id.Name)
		}
	}
	if s := o.Source; s != nil && !id.allows(Read, s.Bucket, s.Key) {
		return denied("identity %s may not read what is copied", id.Name)
	}
	return nil
}
