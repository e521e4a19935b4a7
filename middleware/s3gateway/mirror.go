package s3gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// A mirror moves buckets from old stores to a new one while they are in use. The new store has the last word: it is asked first, and
// gets everything that is written. What only an old one has is read from there, and copied to the new one on the way. What is
// deleted is deleted at the old ones first, so that it does not come back; listings show what any has.

// mirror answers a request for a route that is one.
func (x *exchange) mirror() error {
	object := x.target.Key != ""
	switch method := x.r.Method; {
	case object && (method == http.MethodGet || method == http.MethodHead) && !x.query.Has("uploadId"):
		return x.readThrough()
	case object && method == http.MethodDelete && !x.query.Has("uploadId") && !x.query.Has("tagging"):
		return x.deleteAll()
	case !object && method == http.MethodDelete && x.plain():
		return x.deleteAll()
	case !object && x.caller.Operation.Deletes:
		return x.deleteMany()
	case !object && method == http.MethodHead:
		return x.readThrough()
	case !object && method == http.MethodGet && x.listsObjects():
		return x.listMerged()
	}
	return x.forward()
}

// readThrough asks the new store, and for what it does not have the old ones.
func (x *exchange) readThrough() error {
	c, err := x.call()
	if err != nil {
		return err
	}
	return x.readThroughWith(c)
}

func (x *exchange) readThroughWith(c upstream.Call) error {
	resp, from, err := x.ask(x.r.Context(), x.way.group.Primary(), c)
	if err != nil {
		return x.unanswered(err)
	}
	if resp.StatusCode != http.StatusNotFound {
		return x.answer(resp, from)
	}
	old, store, err := x.ask(x.r.Context(), x.way.group.Secondary(), c)
	if err != nil {
		resp.Body.Close()
		return x.unanswered(err)
	}
	if old.StatusCode >= http.StatusBadRequest {
		old.Body.Close()
		return x.answer(resp, from)
	}
	resp.Body.Close()
	if x.r.Method != http.MethodGet || old.StatusCode != http.StatusOK || !x.plain() || x.target.Key == "" || x.hasKeys() {
		return x.answer(old, store)
	}
	keep := x.keep(c, old)
	defer keep.end()
	old.Body = keep
	return x.answer(old, store)
}

// hasKeys says whether the client has sent a key that the object is encrypted with: a copy would be in the clear.
func (x *exchange) hasKeys() bool {
	return x.r.Header["X-Amz-Server-Side-Encryption-Customer-Key"] != nil
}

// mostAtOnce is the largest object that a store takes in one request.
const mostAtOnce = 5 << 30

var (
	errNoRoom   = errors.New("it is larger than what can be stored at once, 5 GiB")
	errNoLength = errors.New("its length is not known")
	errLeft     = errors.New("it was not read to its end")
	errOther    = errors.New("the new store has other bytes")
)

// A keeper is the body of an object on its way from an old store, which goes to the new one too. If that fails, the client does not
// notice.
type keeper struct {
	io.ReadCloser
	pipe *io.PipeWriter // nil if it is not kept, or no more
	done chan struct{}
}

// keep begins to store what the body of an answer has.
func (x *exchange) keep(c upstream.Call, old *http.Response) *keeper {
	k := &keeper{ReadCloser: old.Body, done: make(chan struct{})}
	if old.ContentLength < 0 || old.ContentLength > mostAtOnce {
		close(k.done)
		err := errNoRoom
		if old.ContentLength < 0 {
			err = errNoLength
		}
		x.notKept(c, err)
		return k
	}
	in, out := io.Pipe()
	k.pipe = out
	put := x.keeping(c, old, in)
	go func() {
		defer close(k.done)
		// A client that has all of it may go away. One that has not ends this by the body.
		err := x.store(context.WithoutCancel(x.r.Context()), put, old.Header.Get("Etag"))
		in.CloseWithError(errLeft) // whatever else comes is not wanted
		if err != nil {
			x.notKept(c, err)
		}
	}()
	return k
}

// keeping is the call that stores an object of an old store at the new one, unless there is one already by then.
func (x *exchange) keeping(c upstream.Call, old *http.Response, body io.Reader) upstream.Call {
	put := upstream.Call{
		Method: http.MethodPut, Bucket: c.Bucket, Key: c.Key, Length: old.ContentLength, Body: body,
		Header: x.writeHeaders(make(http.Header), old.Header, false), Token: c.Token, Identity: c.Identity, ClientBucket: c.ClientBucket,
	}
	put.Header.Set("If-None-Match", "*")
	if put.Length == 0 {
		put.Body = nil
	}
	return put
}

// store sends a call of keeping. That the new store has one by now is as good.
func (x *exchange) store(ctx context.Context, put upstream.Call, etag string) error {
	defer x.forgetCopy(put)
	resp, from, err := x.ask(ctx, x.way.group.Primary(), put)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPreconditionFailed || resp.StatusCode == http.StatusConflict:
		return nil
	case resp.StatusCode >= 300:
		return x.wrong(resp, from)
	case isMD5(etag) && isMD5(resp.Header.Get("Etag")) && etag != resp.Header.Get("Etag"):
		return errOther
	}
	return nil
}

// isMD5 says whether an ETag is likely that of the bytes: not of parts.
func isMD5(etag string) bool { return len(etag) == len(`""`)+32 }

func (x *exchange) notKept(c upstream.Call, err error) {
	if errors.Is(err, errLeft) {
		return
	}
	x.log.LogAttrs(x.r.Context(), slog.LevelWarn, "an object of an old store was not copied to the new one", slog.String("txn", x.state.TransID),
		slog.String("bucket", c.Bucket), slog.String("key", c.Key), slog.Any("err", err))
}

func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if n > 0 && k.pipe != nil {
		if _, failed := k.pipe.Write(p[:n]); failed != nil {
			k.pipe = nil
		}
	}
	switch {
	case k.pipe == nil || err == nil:
	case err == io.EOF:
		k.pipe.Close()
	default:
		k.pipe.CloseWithError(err)
	}
	return n, err
}

// end waits until the new store has the object, or has been told that it does not get all of it.
func (k *keeper) end() {
	if k.pipe != nil {
		k.pipe.CloseWithError(errLeft) // does nothing after the end
	}
	<-k.done
}

// bring sees to it that the new store has the source of a copy.
func (x *exchange) bring(source *way, from gate.Source) error {
	if from.Version != "" {
		return nil // versions are those of the new store
	}
	c := x.own(http.MethodHead, source, from.Bucket, from.Key)
	resp, _, err := x.ask(x.r.Context(), source.group.Primary(), c)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		return nil
	}
	c.Method = http.MethodGet
	old, _, err := x.ask(x.r.Context(), source.group.Secondary(), c)
	if err != nil {
		return err
	}
	defer old.Body.Close()
	if old.StatusCode != http.StatusOK {
		return nil // the new store says what is wrong
	}
	if err := x.store(x.r.Context(), x.keeping(c, old, old.Body), old.Header.Get("Etag")); err != nil {
		return s3err.ServiceUnavailable.With().Because(err)
	}
	return nil
}

// ofOneStore says whether a failure of an old store may be since what is to be deleted is a version, which it does not know.
func (x *exchange) ofOneStore(status int) bool {
	return x.query.Has("versionId") && status == http.StatusBadRequest
}
