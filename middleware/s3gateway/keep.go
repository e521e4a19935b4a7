package s3gateway

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// mostAtOnce is the largest object that a store takes in one request.
const mostAtOnce = 5 << 30

var (
	errNoRoom   = errors.New("it is larger than what can be stored at once, 5 GiB")
	errNoLength = errors.New("its length is not known")
	errLeft     = errors.New("it was not read to its end")
	errDeleted  = errors.New("it is being deleted")
	errOther    = errors.New("the new store has other bytes")
	errConflict = errors.New("the new store has something else to do with it")
	errTags     = errors.New("the new store takes no tags")
)

// keeps says whether an answer is a whole object of an old store, which can be copied to the new one. With a key of the client's that it
// is encrypted with it would be a copy in the clear.
func (x *exchange) keeps(resp *http.Response, from *upstream.Upstream) bool {
	return from != x.way.newest() && x.r.Method == http.MethodGet && resp.StatusCode == http.StatusOK && x.target.Key != "" && x.plain() &&
		x.r.Header["X-Amz-Server-Side-Encryption-Customer-Key"] == nil
}

// A keeper is the body of an object on its way from an old store, which goes to the new one too. If that fails, the client does not
// notice.
type keeper struct {
	io.ReadCloser
	pipe *io.PipeWriter // nil if it is not kept, or no more
	done chan struct{}
}

// keep begins to store what the body of an answer has.
func (x *exchange) keep(old *http.Response, from *upstream.Upstream, job *copying) *keeper {
	k := &keeper{ReadCloser: old.Body, done: make(chan struct{})}
	in, out := io.Pipe()
	put := x.keeping(x.way, x.target.Bucket, x.target.Key, old, in)
	err := storable(old)
	if err == nil && !job.store(func() { out.CloseWithError(errDeleted) }) {
		err = errDeleted
	}
	if err != nil {
		close(k.done)
		x.notKept(put, err)
		return k
	}
	k.pipe = out
	go func() {
		defer close(k.done)
		defer job.end()
		// A client that has all of it may go away. One that has not ends this by the body.
		err := x.store(context.WithoutCancel(x.r.Context()), x.way, put, old, from)
		in.CloseWithError(errLeft) // whatever else comes is not wanted
		if err != nil {
			x.notKept(put, err)
		}
	}()
	return k
}

// storable says why an object cannot be stored as it comes, if so.
func storable(old *http.Response) error {
	switch {
	case old.ContentLength < 0:
		return errNoLength
	case old.ContentLength > mostAtOnce:
		return errNoRoom
	}
	return nil
}

// keeping is the call that stores an object of an old store at the new one, unless there is one already by then.
func (x *exchange) keeping(w *way, bucket, key string, old *http.Response, body io.Reader) upstream.Call {
	put := x.own(http.MethodPut, w, bucket, key)
	put.Header = x.writeHeaders(put.Header, old.Header, false)
	put.Header.Set("If-None-Match", "*")
	if sum := md5Of(old.Header); sum != nil {
		put.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum))
	}
	if put.Length = old.ContentLength; put.Length > 0 {
		put.Body = body
	}
	return put
}

// md5Of returns the MD5 of an object's bytes, if its ETag is that: neither of one that was stored in parts nor of one that is encrypted with a
// key that somebody has chosen.
func md5Of(h http.Header) []byte {
	if strings.HasPrefix(h.Get("X-Amz-Server-Side-Encryption"), "aws:kms") || h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" {
		return nil
	}
	sum, err := hex.DecodeString(strings.Trim(h.Get("Etag"), `"`))
	if err != nil || len(sum) != 16 {
		return nil
	}
	return sum
}

// store sends a call of keeping, with the tags of the object. That the new store has one by now is as good.
func (x *exchange) store(ctx context.Context, w *way, put upstream.Call, old *http.Response, from *upstream.Upstream) error {
	defer x.forgetCopy(w, put)
	tags, err := x.tags(ctx, w, put, old, from)
	if err != nil {
		return fmt.Errorf("read its tags: %w", err)
	}
	if tags != "" {
		put.Header.Set("X-Amz-Tagging", tags)
	}
	resp, newest, err := x.ask(ctx, w.only(w.newest()), put)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch was, is := md5Of(old.Header), md5Of(resp.Header); {
	case resp.StatusCode == http.StatusPreconditionFailed:
		return nil
	case resp.StatusCode == http.StatusConflict:
		return errConflict
	case resp.StatusCode == http.StatusNotImplemented && tags != "":
		x.copies.setTagless(newest.Name())
		return errTags
	case resp.StatusCode >= 300 && tags != "":
		return fmt.Errorf("store it with its tags: %w", x.wrong(resp, newest))
	case resp.StatusCode >= 300:
		return x.wrong(resp, newest)
	case was != nil && is != nil && string(was) != string(is):
		return errOther
	}
	return nil
}

// tags are those of an object at an old store, as x-amz-tagging has them. A store that has said that it takes none gets none.
func (x *exchange) tags(ctx context.Context, w *way, put upstream.Call, old *http.Response, from *upstream.Upstream) (string, error) {
	if count := old.Header.Get("X-Amz-Tagging-Count"); count == "" || count == "0" {
		return "", nil
	}
	if x.copies.isTagless(w.newest().Name()) {
		x.ofCopy("an object of an old store is copied without its tags: the new one takes none", put)
		return "", nil
	}
	get := put
	get.Method, get.Query, get.Header, get.Body, get.Length = http.MethodGet, "tagging", make(http.Header), nil, 0
	resp, from, err := x.ask(ctx, w.only(from), get)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", x.wrong(resp, from)
	}
	return readTags(resp.Body)
}

// notKept tells the operator why an object was not copied, if that is anybody's fault.
func (x *exchange) notKept(put upstream.Call, err error) {
	for _, usual := range []error{errLeft, errDeleted, errConflict} {
		if errors.Is(err, usual) {
			return
		}
	}
	x.ofCopy("an object of an old store was not copied to the new one", put, slog.Any("err", err))
}

func (x *exchange) ofCopy(message string, put upstream.Call, facts ...slog.Attr) {
	facts = append([]slog.Attr{slog.String("txn", x.state.TransID), slog.String("bucket", put.Bucket), slog.String("key", put.Key)}, facts...)
	x.log.LogAttrs(x.r.Context(), slog.LevelWarn, message, facts...)
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

// bringTarget brings the object that the request is about. The client's body waits.
func (x *exchange) bringTarget() error {
	if x.body != nil {
		x.body.release()
		defer x.body.arm()
	}
	return x.bring(x.way, x.target.Bucket, x.target.Key)
}

// mostBrought is how often an object is looked at anew that is deleted or written meanwhile.
const mostBrought = 5

// bring sees to it that the new store of a mirror has an object that only an old one may have, if that has it.
func (x *exchange) bring(w *way, bucket, key string) error {
	for range mostBrought {
		if again, err := x.bringOnce(w, bucket, key); err != nil || !again {
			return err
		}
	}
	return s3err.ServiceUnavailable.With().Because(errConflict)
}

// bringOnce is bring, but if the object was deleted meanwhile, or something else has come between, it has to be looked at again.
func (x *exchange) bringOnce(w *way, bucket, key string) (again bool, err error) {
	job, err := x.copies.await(x.r.Context(), w.object(bucket, key))
	if err != nil {
		return false, err
	}
	defer job.end()
	resp, _, err := x.ask(x.r.Context(), w.only(w.newest()), x.own(http.MethodHead, w, bucket, key))
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	switch {
	case resp.StatusCode >= http.StatusInternalServerError:
		return false, s3err.ServiceUnavailable.With().Because(fmt.Errorf("the new store answers %d to HEAD", resp.StatusCode))
	case resp.StatusCode != http.StatusNotFound:
		return job.wasStopped(), nil // it is there, or the new store says what is wrong
	}
	get := x.own(http.MethodGet, w, bucket, key)
	get.Header.Set("Accept-Encoding", "identity")
	reading, stop := context.WithCancel(x.r.Context())
	defer stop()
	old, from, err := x.older(reading, w, get)
	if err != nil {
		return false, err
	}
	if old == nil {
		return job.wasStopped(), nil
	}
	defer old.Body.Close()
	if old.StatusCode != http.StatusOK {
		return false, x.wrong(old, from)
	}
	if err := storable(old); err != nil {
		return false, s3err.NotImplemented.Say("The object has to be moved to its new store first, and is too large for that to be done here.").Because(err)
	}
	if !job.store(stop) {
		return true, nil
	}
	err = x.store(x.r.Context(), w, x.keeping(w, bucket, key, old, old.Body), old, from)
	switch {
	case job.wasStopped() || errors.Is(err, errConflict) || errors.Is(err, errTags):
		return true, nil
	case err != nil:
		return false, s3err.ServiceUnavailable.With().Because(err)
	}
	return false, nil
}
