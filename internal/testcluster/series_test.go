package testcluster

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/sigv4"
)

var seriesRounds = flag.Int("testcluster.series", 6, "rounds of each series of writers")

// TestSeriesOfWriters lets 64 writers at a time do what only one of them may, through two proxies, with connections
// to three nodes, round after round: create a name each round; or, of one name, replace or delete what the last round has
// left there, as clients do that take turns by entity tags. Replicas are read from the nodes.
//
//	go test ./internal/testcluster -run SeriesOfWriters -testcluster.series=1000 -timeout 3h -v
func TestSeriesOfWriters(t *testing.T) {
	for _, s := range []series{
		{name: "create", fresh: true},
		{name: "create, with faults", fresh: true, faulty: true},
		{name: "replace and delete"},
		{name: "replace and delete, with faults", faulty: true},
		{name: "S3, create", fresh: true, s3: true},
		{name: "S3, create, with faults", fresh: true, s3: true, faulty: true},
		{name: "S3, replace and delete", s3: true},
		{name: "S3, replace and delete, with faults", s3: true, faulty: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			if s.faulty && testing.Short() {
				t.Skip("stalled nodes take their time")
			}
			s.T = t
			s.play()
		})
	}
}

// A series is rounds of one kind.
type series struct {
	*testing.T
	name   string
	fresh  bool // a name for each round, which is to be created; otherwise one for all
	faulty bool
	s3     bool

	c                  *Cluster
	apps               []http.Handler // proxies without filters, for headers that only filters send
	signer             *sigv4.Signer
	account, container string
	object             string
	there              []byte // what the last round has left; nil is nothing

	random *rand.Rand // of the round
	tally  tally
}

// tally is how rounds ended.
type tally struct {
	won, doubtful, lost int         // with a winner; without, where some writer was not told no; without
	told                map[int]int // writers, by status
	gone                int         // rounds after which nothing was there
	unmet               int         // of the doubtful, those where some writer was told that there is something else
}

// attempt is what a writer wants to do to what is there.
type attempt struct {
	method string
	body   []byte
}

func (s *series) play() {
	o := Options{Memory: true, Proxies: 2, Kind: TCP, S3: s.s3}
	if s.faulty {
		o.NodeTimeout = time.Second
	}
	s.c = New(s.T, o)
	s.account, s.container, s.tally.told = "AUTH_test", "bucket", map[int]int{}
	if s.s3 {
		s.signer = sigv4.NewSigner("test:tester", "testing", "", "us-east-1")
		if out := s.signed(0, http.MethodPut, "/"+s.container, nil, nil); out.status != http.StatusOK {
			s.Fatalf("making the bucket: %d", out.status)
		}
	} else {
		s.apps = []http.Handler{bareProxy(s.T, s.c), bareProxy(s.T, s.c)}
		s.c.Must(s.Context(), Request{Method: http.MethodPut, Path: "/v1/AUTH_test/bucket"})
	}
	for round := range *seriesRounds {
		s.random = newRand(*seedFlag, uint64(round), s.name)
		s.object = "chain"
		if s.fresh {
			s.object, s.there = fmt.Sprint("o", round), nil
		}
		s.round(round)
		if s.Failed() {
			s.Fatalf("round %d with -testcluster.seed=%d; so far %+v", round, *seedFlag, s.tally)
		}
		if done := round + 1; done%100 == 0 && done < *seriesRounds {
			s.report(done)
		}
	}
	s.report(*seriesRounds)
	if quiet := s.tally.doubtful + s.tally.lost; !s.faulty && quiet > *seriesRounds/50 {
		s.Errorf("nobody succeeded in %d of %d rounds, although nothing failed", quiet, *seriesRounds)
	}
}

// report says how the rounds until now have ended.
func (s *series) report(rounds int) {
	s.Logf("%d rounds of %d: %d with a winner, %d without that left doubts, %d without and without doubts; in %d of the doubtful there were refusals for what is there; after %d nothing was there; writers were told %v",
		rounds, *writers, s.tally.won, s.tally.doubtful, s.tally.lost, s.tally.unmet, s.tally.gone, s.tally.told)
}

// attempts are those of a round's writers: to create, if there is nothing; else to replace, or delete, or some of each.
func (s *series) attempts(round int) []attempt {
	all := make([]attempt, *writers)
	deleters := []int{0, 0, 0, 1, 2}[s.random.IntN(5)]
	for i := range all {
		size := s.random.IntN(200_000) >> s.random.IntN(17)
		all[i] = attempt{http.MethodPut, fmt.Appendf(nil, "writer %d of round %d%s", i, round, strings.Repeat(".", size))}
		if s.there != nil && (deleters == 1 || deleters == 2 && i%2 == 0) {
			all[i] = attempt{method: http.MethodDelete}
		}
	}
	return all
}

// round has one round, and finds out what it has left.
func (s *series) round(round int) {
	attempts := s.attempts(round)
	var faults, wg sync.WaitGroup
	if s.faulty {
		kind := 1 + s.random.IntN(troubles-1)
		trouble{s.T, s.c, s.random, s.account, s.container, s.object}.begin(kind, *seedFlag+uint64(round), &faults)
	}
	outcomes := make([]outcome, len(attempts))
	for i, a := range attempts {
		wg.Go(func() { outcomes[i] = s.write(i%2, a) })
	}
	wg.Wait()
	faults.Wait()
	if err := s.c.Heal(); err != nil {
		s.Fatal(err)
	}
	for _, o := range outcomes {
		s.tally.told[o.status]++
	}
	s.judge(attempts, outcomes)
}

// verdicts are what the writers of a round were told, taken together.
type verdicts struct {
	winner  *attempt
	doubts  []attempt // of writers that were not told no
	unmet   int       // of those who were told no, because of what is there
	deletes bool      // some writer wants to delete
}

// read takes what the writers were told together.
func (s *series) read(attempts []attempt, outcomes []outcome) (v verdicts) {
	for i, o := range outcomes {
		a := &attempts[i]
		v.deletes = v.deletes || a.method == http.MethodDelete
		switch {
		case o.ok():
			// In S3 what is not there need not be deleted: whoever comes after a deletion has succeeded too.
			again := s.s3 && v.winner != nil && a.method == http.MethodDelete && v.winner.method == http.MethodDelete
			if v.winner != nil && !again {
				s.Errorf("two writers were told that they succeeded: %s %.40q and %s %.40q", v.winner.method, v.winner.body, a.method, a.body)
			}
			v.winner = a
		case o.status == http.StatusConflict:
		case o.status == http.StatusPreconditionFailed, o.status == http.StatusNotFound && s.s3:
			v.unmet++
		case o.status == 0, o.status == http.StatusServiceUnavailable, o.status == http.StatusInternalServerError && s.faulty:
			v.doubts = append(v.doubts, *a)
		default:
			s.Errorf("a writer was told %d", o.status)
		}
	}
	return v
}

// judge compares what the writers were told with what the nodes have.
func (s *series) judge(attempts []attempt, outcomes []outcome) {
	v := s.read(attempts, outcomes)
	may := [][]byte{s.there}
	for _, d := range v.doubts {
		may = append(may, d.body)
	}
	if v.winner != nil {
		may = append(may, v.winner.body)
	} else if v.unmet > 0 && len(v.doubts) == 0 {
		s.Errorf("%d writers were told that there is something else, which nobody may have stored", v.unmet)
	}
	changed, has := 0, 0
	for _, r := range s.replicas() {
		if !oneOf(may, r.Body) {
			s.Errorf("%s has what was refused: %.40q", r.Node.Device, r.Body)
		}
		if !same(r.Body, s.there) {
			changed++
		}
		if v.winner != nil && same(r.Body, v.winner.body) {
			has++
		}
	}
	// In S3 a deletion has looked first, and says what it has seen.
	if v.winner == nil && v.unmet > 0 && changed < 2 && !(s.s3 && v.deletes) {
		s.Errorf("%d writers were told that there is something else, which %d nodes have, and of which nobody was told that it is there", v.unmet, changed)
	}
	switch {
	case v.winner != nil:
		s.tally.won++
		if has < 2 && !(s.s3 && v.winner.method == http.MethodDelete) { // there, who comes after a deletion in doubt may find nothing
			s.Errorf("%d nodes have what the winner wrote", has)
		}
	case len(v.doubts) > 0:
		s.tally.doubtful++
		if v.unmet > 0 {
			s.tally.unmet++
		}
	default:
		s.tally.lost++
	}
	if v.winner == nil {
		late := attempt{http.MethodPut, fmt.Appendf(nil, "late, after %.40q", s.there)}
		may = append(may, late.body)
		if s.later(late, changed > 0) {
			v.winner = &late
		}
	}
	s.settle(v.winner, may)
}

// later lets a writer alone do what nobody could. It returns false if what is in doubt was in its way.
func (s *series) later(a attempt, changed bool) bool {
	out := s.write(0, a)
	for tries := 0; (out.status == http.StatusConflict || out.status == http.StatusServiceUnavailable) && tries < 500; tries++ {
		// Until the nodes have noticed that the last one broke off; or a busy machine has let time-outs run out, which leaves a doubt.
		changed = changed || out.status == http.StatusServiceUnavailable
		time.Sleep(10 * time.Millisecond)
		out = s.write(tries%2, a)
		if changed && out.status == http.StatusConflict && tries == 100 {
			return false // a minority has what is in doubt, until it is replicated
		}
	}
	switch {
	case out.ok():
		return true
	case changed && (out.status == http.StatusPreconditionFailed || out.status == http.StatusNotFound && s.s3):
		return false
	}
	s.Errorf("a later writer alone was told %d", out.status)
	return false
}

// settle lets replication do its work, and says what every replica must have then: what the winner wrote, or, without one, the same.
func (s *series) settle(winner *attempt, may [][]byte) {
	if err := s.c.ReplicateObject(s.Context(), s.account, s.container, s.object); err != nil {
		s.Error(err)
	}
	replicas := s.replicas()
	s.there = replicas[0].Body
	if winner != nil {
		s.there = winner.body
	} else if !oneOf(may, s.there) {
		s.Errorf("in the end there is %.40q", s.there)
	}
	for _, r := range replicas {
		if !same(r.Body, s.there) {
			s.Errorf("in the end %s has %d %.40q, not %.40q", r.Node.Device, r.Status, r.Body, s.there)
		}
	}
	if s.there == nil {
		s.tally.gone++
	}
}

// replicas reads all replicas from the nodes; the body of what is not there is nil.
func (s *series) replicas() []Replica {
	replicas, err := s.c.Replicas(s.Context(), s.account, s.container, s.object)
	if err != nil {
		s.Fatal(err)
	}
	for i := range replicas {
		switch replicas[i].Status {
		case http.StatusNotFound:
			replicas[i].Body = nil
		case http.StatusOK:
		default:
			s.Errorf("a replica is %d", replicas[i].Status)
		}
	}
	return replicas
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func oneOf(all [][]byte, b []byte) bool {
	for _, a := range all {
		if same(a, b) {
			return true
		}
	}
	return false
}

// write makes an attempt on the condition that what the last round has left is there.
func (s *series) write(proxy int, a attempt) outcome {
	name, value := "If-None-Match", "*"
	if s.there != nil {
		name, value = "If-Match", `"`+md5Of(string(s.there))+`"`
	}
	if s.s3 {
		return s.signed(proxy, a.method, "/"+s.container+"/"+s.object, map[string]string{name: value}, a.body)
	}
	path := "/v1/" + s.account + "/" + s.container + "/" + s.object
	if s.there == nil {
		r := s.c.Do(s.Context(), Request{Method: a.method, Path: path, Header: map[string]string{name: value}, Body: a.body, Proxy: proxy})
		if r.Err != nil {
			r.Status = 0
		}
		return outcome{status: r.Status}
	}
	return bare(s.Context(), s.apps[proxy], a.method, path, map[string]string{"X-Backend-" + name: value}, string(a.body))
}

// signed sends a request of an S3 client.
func (s *series) signed(proxy int, method, path string, h map[string]string, body []byte) outcome {
	r, err := http.NewRequestWithContext(s.Context(), method, s.c.fronts[proxy].url+path, bytes.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for k, v := range h {
		r.Header.Set(k, v)
	}
	if _, err := s.signer.Sign(r, sigv4.UnsignedPayload, s.c.Clock.Now()); err != nil {
		s.Fatal(err)
	}
	resp, err := s.c.fronts[proxy].client.RoundTrip(r)
	if err != nil {
		return outcome{}
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return outcome{}
	}
	return outcome{status: resp.StatusCode}
}
