package s3gateway

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// deleteObject deletes an object everywhere. A condition is for the new store to judge, which has the object then.
func (x *exchange) deleteObject() error {
	if conditional(x.r.Header) && !x.query.Has("versionId") {
		if err := x.bringTarget(); err != nil {
			return err
		}
	}
	c, err := x.call()
	if err != nil {
		return err
	}
	release, err := x.copies.hold(x.r.Context(), []object{x.way.object(x.target.Bucket, x.target.Key)})
	if err != nil {
		return err
	}
	defer release()
	return x.deleteAll(c)
}

// deleteBucket deletes a bucket everywhere.
func (x *exchange) deleteBucket() error {
	c, err := x.call()
	if err != nil {
		return err
	}
	return x.deleteAll(c)
}

// deleteAll asks the old stores before the new one, so that what is gone there cannot come back when it is gone here. Whichever
// fails, the client is told so, and tries again.
func (x *exchange) deleteAll(c upstream.Call) error {
	old := c
	old.Header = c.Header.Clone()
	for name := range old.Header {
		if isCondition(name) {
			delete(old.Header, name)
		}
	}
	for _, u := range slices.Backward(x.way.group.Upstreams()[1:]) {
		resp, from, err := x.ask(x.r.Context(), x.way.only(u), old)
		if err != nil {
			return x.unanswered(err)
		}
		if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotFound && !ofOneStore(c, resp.StatusCode) {
			return x.answer(resp, from)
		}
		resp.Body.Close()
	}
	resp, from, err := x.ask(x.r.Context(), x.way.only(x.way.newest()), c)
	if err != nil {
		return x.unanswered(err)
	}
	return x.answer(resp, from)
}

// longestDelete bounds the document that names what is to be deleted: AWS takes 1,000 keys.
const longestDelete = 2 << 20

// deletions is the document of a request that deletes many objects.
type deletions struct {
	XMLName xml.Name   `xml:"Delete"`
	Objects []deletion `xml:"Object"`
	Quiet   string     `xml:"Quiet,omitempty"`
}

type deletion struct {
	Key      string `xml:"Key"`
	Version  string `xml:"VersionId,omitempty"`
	ETag     string `xml:"ETag,omitempty"`
	Modified string `xml:"LastModifiedTime,omitempty"`
	Size     string `xml:"Size,omitempty"`
}

// conditional says whether the object is to be deleted only if it is as the client thinks.
func (d deletion) conditional() bool { return d.ETag != "" || d.Modified != "" || d.Size != "" }

// readDeletions reads a document. What could be read before an error is returned too.
func readDeletions(document []byte) (deletions, error) {
	var d deletions
	err := xml.Unmarshal(document, &d)
	if err == nil && len(d.Objects) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return d, err
}

// deletedMany is what a store answers to it, or to some other request that failed while its answer had begun.
type deletedMany struct {
	XMLName xml.Name
	Deleted []struct {
		All string `xml:",innerxml"`
	} `xml:"Deleted"`
	Failed        []notDeleted `xml:"Error"`
	Code, Message string
}

type notDeleted struct {
	Key     string `xml:"Key"`
	Version string `xml:"VersionId,omitempty"`
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
}

// of says whether the failure is that of a deletion.
func (n notDeleted) of(d deletion) bool {
	return n.Key == d.Key && (n.Version == d.Version || n.Version == "")
}

// matters says whether an old store may still have what it has not deleted. Versions are those of another store.
func (n notDeleted) matters() bool {
	switch n.Code {
	case "NoSuchKey", "NoSuchVersion":
		return false
	case "InvalidArgument":
		return n.Version == ""
	}
	return true
}

// deleteMany deletes what a document names, everywhere. What an old store does not delete is not deleted at those after it: then it
// stays as it is, and the client is told.
func (x *exchange) deleteMany() error {
	c, err := x.readDeletes()
	if err != nil {
		return err
	}
	release, err := x.holdMany(c.want.Objects)
	if err != nil {
		return err
	}
	defer release()
	var failed []notDeleted
	for _, u := range slices.Backward(x.way.group.Upstreams()[1:]) {
		resp, from, err := x.ask(x.r.Context(), x.way.only(u), c.without(failed, true))
		if err != nil {
			return x.unanswered(err)
		}
		if resp.StatusCode == http.StatusNotFound {
			resp.Body.Close()
			continue
		}
		if resp.StatusCode != http.StatusOK {
			return x.answer(resp, from)
		}
		said, err := readDeleted(resp)
		if err != nil {
			return err
		}
		failed = append(failed, slices.DeleteFunc(said.Failed, func(n notDeleted) bool { return !n.matters() })...)
		if len(c.left(failed)) == 0 {
			x.asked = from.Name()
			return x.writeDeleted(deletedMany{}, failed)
		}
	}
	resp, from, err := x.ask(x.r.Context(), x.way.only(x.way.newest()), c.without(failed, false))
	switch {
	case err != nil:
		return x.unanswered(err)
	case len(failed) == 0 || resp.StatusCode != http.StatusOK:
		return x.answer(resp, from)
	}
	x.asked = from.Name()
	said, err := readDeleted(resp)
	if err != nil {
		return err
	}
	return x.writeDeleted(said, failed)
}

// holdMany brings what conditions are about, and lets nothing be copied of what is to be deleted.
func (x *exchange) holdMany(all []deletion) (release func(), err error) {
	var held []object
	for _, d := range all {
		held = append(held, x.way.object(x.target.Bucket, d.Key))
		if d.conditional() && d.Version == "" {
			if err := x.bring(x.way, x.target.Bucket, d.Key); err != nil {
				return nil, err
			}
		}
	}
	return x.copies.hold(x.r.Context(), held)
}

// A deleting is a request that deletes many, and its document as it came and as it was understood.
type deleting struct {
	call     upstream.Call
	document []byte
	want     deletions
}

// readDeletes reads the document of the client.
func (x *exchange) readDeletes() (deleting, error) {
	c, err := x.call()
	if err != nil {
		return deleting{}, err
	}
	d := deleting{call: c}
	if c.Body != nil {
		if d.document, err = io.ReadAll(io.LimitReader(c.Body, longestDelete+1)); err != nil {
			return d, cmp.Or(x.fault(), err)
		}
	}
	if len(d.document) > longestDelete {
		return d, s3err.MalformedXML.With()
	}
	if d.want, err = readDeletions(d.document); err != nil {
		return d, s3err.MalformedXML.With().Because(err)
	}
	return d, nil
}

// left are the objects that have not failed to be deleted.
func (d deleting) left(failed []notDeleted) []deletion {
	var left []deletion
	for _, o := range d.want.Objects {
		if !slices.ContainsFunc(failed, func(n notDeleted) bool { return n.of(o) }) {
			left = append(left, o)
		}
	}
	return left
}

// without is the call that deletes what has not failed to be deleted, for an old store without conditions. If that is all, it is what came.
func (d deleting) without(failed []notDeleted, old bool) upstream.Call {
	c, some := d.call, d.want
	some.Objects = d.left(failed)
	changed := len(some.Objects) < len(d.want.Objects)
	for i, o := range some.Objects {
		if old && o.conditional() {
			some.Objects[i] = deletion{Key: o.Key, Version: o.Version}
			changed = true
		}
	}
	if !changed {
		c.Body = bytes.NewReader(d.document)
		return c
	}
	document, err := xml.Marshal(some)
	if err != nil {
		panic(err) // it was read just so
	}
	return withDocument(c, document)
}

// readDeleted reads a store's answer to its end, which comes when all is done.
func readDeleted(resp *http.Response) (deletedMany, error) {
	defer resp.Body.Close()
	broken := s3err.InternalError.Say("The store behind this endpoint broke off. Please try again.").WithStatus(http.StatusBadGateway)
	var said deletedMany
	document, err := io.ReadAll(io.LimitReader(resp.Body, longestListing))
	if err == nil {
		err = xml.Unmarshal(document, &said)
	}
	switch {
	case err != nil:
		return said, broken.Because(fmt.Errorf("read what a store has deleted: %w", err))
	case said.XMLName.Local == "Error":
		return said, s3err.Code(said.Code).Say(said.Message)
	case said.XMLName.Local != "DeleteResult":
		return said, broken.Because(fmt.Errorf("a store says %s in place of what it has deleted", said.XMLName.Local))
	}
	return said, nil
}

// writeDeleted answers with what the new store says, and with what was not deleted at an old one.
func (x *exchange) writeDeleted(said deletedMany, failed []notDeleted) error {
	var b bytes.Buffer
	b.WriteString(xmlHead + `<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for _, d := range said.Deleted {
		b.WriteString("<Deleted>" + d.All + "</Deleted>")
	}
	for _, n := range append(said.Failed, failed...) {
		document, err := xml.Marshal(struct {
			XMLName xml.Name `xml:"Error"`
			notDeleted
		}{notDeleted: n})
		if err != nil {
			return err
		}
		b.Write(document)
	}
	b.WriteString("</DeleteResult>")
	x.write(http.StatusOK, b.Bytes())
	return nil
}
