package benchcmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/apus-storage/apus/internal/bench"
)

// access is how to reach an account: by authentication, by URL and token, or by the S3 API.
type access struct {
	auth, user, key   string
	storageURL, token string
	s3, payload       string
}

// flags are the command line.
type flags struct {
	a, b access

	container, container2 string
	containers, objects   int
	size, ops             string
	concurrency, count    int
	duration, timeout     time.Duration
	settle                time.Duration
	page                  bench.Page
	region                string
	rounds                int
	seed                  uint64
	prepare, clean        bool
	verify, tolerate      bool

	pids, pids2 []int
	tree        bool

	json  string
	quiet bool
}

func (f *flags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&f.a.auth, "endpoint", "A", "", "authentication `URL`, such as http://host:8080/auth/v1.0 (or ST_AUTH)")
	fs.StringVarP(&f.a.user, "user", "U", "", "user, such as test:tester (or ST_USER)")
	fs.StringVarP(&f.a.key, "key", "K", "", "key of the user (or ST_KEY)")
	fs.StringVar(&f.a.storageURL, "storage-url", "", "account `URL`, instead of --endpoint (or OS_STORAGE_URL)")
	fs.StringVar(&f.a.token, "token", "", "token for --storage-url (or OS_AUTH_TOKEN)")
	fs.StringVar(&f.a.s3, "s3", "", "endpoint `URL` of the S3 API, such as http://host:8080, instead of --endpoint; --user and --key are access key and secret")
	fs.StringVar(&f.a.payload, "payload", "", "how bodies of S3 uploads are sent: unsigned (default), hashed, chunks, chunks-crc32c, unsigned-crc32c")
	fs.StringVar(&f.region, "region", "us-east-1", "region of S3 signatures")

	fs.StringVar(&f.ops, "ops", "put,get,head,delete", "operations: put, get, head, delete, post, list; with weights, as in get=80,put=20, a mix")
	fs.StringVar(&f.size, "size", "4KiB", "size of objects: one, such as 64MiB; several with weights, as in 4KiB=90,1MiB=10; or mix")
	fs.IntVarP(&f.concurrency, "concurrency", "c", 8, "requests in flight")
	fs.DurationVar(&f.duration, "duration", 0, "end each phase after this time (10s if there is no --count either)")
	fs.IntVar(&f.count, "count", 0, "end each phase after this many operations")
	fs.IntVar(&f.objects, "objects", 0, "objects in the population (default --count if that is given, else 1000)")
	fs.StringVar(&f.container, "container", "apus-bench", "container, or the stem of the containers' names")
	fs.IntVar(&f.containers, "containers", 1, "containers to spread the objects over")
	fs.IntVar(&f.page.Limit, "list-limit", 1000, "names that a list operation asks for")
	fs.StringVar(&f.page.Prefix, "list-prefix", "", "prefix of those names")
	fs.StringVar(&f.page.Marker, "list-marker", "", "name after which they begin (marker; start-after in S3)")
	fs.StringVar(&f.page.Delimiter, "list-delimiter", "", "delimiter that groups them")
	fs.Uint64Var(&f.seed, "seed", 1, "decides names, sizes and the order of requests")
	fs.BoolVar(&f.prepare, "prepare", false, "PUT all objects before each round, outside of the measured time")
	fs.BoolVar(&f.clean, "clean", false, "delete the objects and containers at the end")
	fs.BoolVar(&f.verify, "verify", false, "check every byte of a GET, and the Etag of a PUT (hashing costs this program time between requests)")
	fs.BoolVar(&f.tolerate, "tolerate-errors", false, "exit with status 0 in spite of errors, and never give up because of them")
	fs.DurationVar(&f.timeout, "timeout", time.Minute, "limit of one request")

	fs.IntSliceVar(&f.pids, "pids", nil, "process `ids` of the servers, whose processor time is read")
	fs.BoolVar(&f.tree, "pids-of-children", false, "count the descendants of those processes too, such as forked workers")
	fs.DurationVar(&f.settle, "settle", 0, "wait this long after each phase before its processor time is read, for work that the servers put off")

	fs.StringVar(&f.b.auth, "compare", "", "authentication `URL` of a second endpoint, B, to drive in alternation")
	fs.StringVar(&f.b.user, "user2", "", "user at B (default as --user)")
	fs.StringVar(&f.b.key, "key2", "", "key at B (default as --key)")
	fs.StringVar(&f.b.storageURL, "storage-url2", "", "account `URL` at B, instead of --compare")
	fs.StringVar(&f.b.token, "token2", "", "token for --storage-url2")
	fs.StringVar(&f.b.s3, "compare-s3", "", "endpoint `URL` of the S3 API at B, instead of --compare")
	fs.StringVar(&f.b.payload, "payload2", "", "how bodies of S3 uploads to B are sent (default as --payload)")
	fs.StringVar(&f.container2, "container2", "", "container at B (default --container with -b after it, as both may be one cluster)")
	fs.IntSliceVar(&f.pids2, "pids2", nil, "process `ids` of B's servers")
	fs.IntVar(&f.rounds, "rounds", 0, "rounds of all phases (default 5 with two endpoints, else 1)")

	fs.StringVar(&f.json, "json", "", "write the report as JSON to this `file`, - for standard output")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
}

// comparing says if there are two endpoints.
func (f *flags) comparing() bool { return f.b.auth != "" || f.b.storageURL != "" || f.b.s3 != "" }

// sides makes the runners that the flags describe, with tokens.
func (f *flags) sides(ctx context.Context) ([]*bench.Side, error) {
	if err := f.complete(); err != nil {
		return nil, err
	}
	cfg, err := f.config()
	if err != nil {
		return nil, err
	}
	pool := bench.NewPool()
	a, err := f.side(ctx, "A", cfg, f.a, f.pids, pool)
	if err != nil {
		return nil, err
	}
	sides := []*bench.Side{a}
	if f.comparing() {
		cfg.Container = f.container2
		b, err := f.side(ctx, "B", cfg, f.b, f.pids2, pool)
		if err != nil {
			return nil, err
		}
		sides = append(sides, b)
	}
	return sides, nil
}

// complete fills in the defaults that depend on other flags and on the environment, and refuses flags that would have no
// effect.
func (f *flags) complete() error {
	f.a.fromEnvironment()
	if err := f.a.check("--endpoint", "--storage-url", "--s3"); err != nil {
		return err
	}
	if f.rounds < 0 {
		return fmt.Errorf("%w: --rounds %d: want 1 or more", bench.ErrInvalid, f.rounds)
	}
	if f.tree && len(f.pids)+len(f.pids2) == 0 {
		return fmt.Errorf("%w: --pids-of-children needs --pids", bench.ErrInvalid)
	}
	if f.count == 0 && f.duration == 0 {
		f.duration = 10 * time.Second
	}
	if f.objects == 0 {
		f.objects = max(f.concurrency, cmp.Or(f.count, 1000))
	}
	return f.completeB()
}

// fromEnvironment fills in what no flag says.
func (a *access) fromEnvironment() {
	if a.auth == "" && a.storageURL == "" && a.s3 == "" {
		if a.auth = os.Getenv("ST_AUTH"); a.auth == "" {
			a.storageURL = os.Getenv("OS_STORAGE_URL")
		}
	}
	switch {
	case a.s3 != "":
		a.user = cmp.Or(a.user, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("ST_USER"))
		a.key = cmp.Or(a.key, os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("ST_KEY"))
		a.payload = cmp.Or(a.payload, string(bench.Unsigned))
	case a.auth != "":
		a.user = cmp.Or(a.user, os.Getenv("ST_USER"))
		a.key = cmp.Or(a.key, os.Getenv("ST_KEY"))
	default:
		a.token = cmp.Or(a.token, os.Getenv("OS_AUTH_TOKEN"))
	}
}

func (f *flags) completeB() error {
	if !f.comparing() {
		f.rounds = cmp.Or(f.rounds, 1)
		if b := f.b; b != (access{}) || len(f.pids2) > 0 || f.container2 != "" {
			return fmt.Errorf("%w: --user2, --key2, --token2, --payload2, --container2 and --pids2 need --compare, --storage-url2 or --compare-s3", bench.ErrInvalid)
		}
		return nil
	}
	f.rounds = cmp.Or(f.rounds, 5)
	f.container2 = cmp.Or(f.container2, f.container+"-b")
	if f.b.storageURL == "" {
		f.b.user = cmp.Or(f.b.user, f.a.user)
		f.b.key = cmp.Or(f.b.key, f.a.key)
	}
	if f.b.s3 != "" {
		f.b.payload = cmp.Or(f.b.payload, f.a.payload, string(bench.Unsigned))
	}
	return f.b.check("--compare", "--storage-url2", "--compare-s3")
}

func (a access) check(authFlag, urlFlag, s3Flag string) error {
	ways, way := 0, authFlag
	for name, url := range map[string]string{authFlag: a.auth, urlFlag: a.storageURL, s3Flag: a.s3} {
		if url != "" {
			ways, way = ways+1, name
		}
	}
	switch {
	case ways > 1:
		return fmt.Errorf("%w: give one of %s, %s and %s", bench.ErrInvalid, authFlag, urlFlag, s3Flag)
	case ways == 0:
		return fmt.Errorf("%w: give %s or %s, with user and key, or %s", bench.ErrInvalid, authFlag, s3Flag, urlFlag)
	case a.storageURL == "" && (a.user == "" || a.key == ""):
		return fmt.Errorf("%w: %s needs a user and a key", bench.ErrInvalid, way)
	case a.storageURL == "" && a.token != "":
		return fmt.Errorf("%w: a token goes with %s alone", bench.ErrInvalid, urlFlag)
	case a.storageURL != "" && (a.user != "" || a.key != ""):
		return fmt.Errorf("%w: user and key do not go with %s", bench.ErrInvalid, urlFlag)
	case a.payload != "" && a.s3 == "":
		return fmt.Errorf("%w: a payload goes with %s", bench.ErrInvalid, s3Flag)
	}
	return nil
}

func (f *flags) config() (bench.Config, error) {
	sizes, err := bench.ParseSizes(f.size)
	if err != nil {
		return bench.Config{}, fmt.Errorf("--size: %w", err)
	}
	phases, err := bench.ParseOps(f.ops)
	if err != nil {
		return bench.Config{}, fmt.Errorf("--ops: %w", err)
	}
	cfg := bench.Config{
		Container: f.container, Containers: f.containers, Objects: f.objects, Sizes: sizes, Phases: phases,
		Concurrency: f.concurrency, Count: f.count, Duration: f.duration, Settle: f.settle, Timeout: f.timeout,
		Page: f.page, Seed: f.seed, Verify: f.verify, Prepare: f.prepare, Persist: f.tolerate,
	}
	return cfg, cfg.Validate()
}

// side authenticates, if it takes that, and makes the runner of one endpoint.
func (f *flags) side(ctx context.Context, name string, cfg bench.Config, a access, pids []int, pool *bench.Pool) (*bench.Side, error) {
	proc := os.DirFS("/proc")
	opts := bench.Options{Transport: bench.NewTransport(cfg.Concurrency), Pool: pool}
	if len(pids) > 0 {
		servers, err := bench.NewCPU(proc, pids, f.tree)
		if err != nil {
			return nil, fmt.Errorf("processor time of %s: %w", name, err)
		}
		opts.Servers = servers
	}
	if self, err := bench.NewCPU(proc, []int{os.Getpid()}, false); err == nil {
		opts.Self = self // elsewhere than on Linux it stays unknown
	}
	target := bench.Target{StorageURL: a.storageURL, Token: a.token}
	if a.s3 != "" {
		target = bench.Target{StorageURL: a.s3, S3: &bench.S3{AccessKey: a.user, Secret: a.key, Region: f.region, Payload: bench.Payload(a.payload)}}
	}
	if a.auth != "" {
		ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
		defer cancel()
		var err error
		target, err = bench.Authenticate(ctx, opts.Transport, bench.Credentials{URL: a.auth, User: a.user, Key: a.key})
		if err != nil {
			return nil, err
		}
	}
	r, err := bench.New(cfg, target, opts)
	if err != nil {
		return nil, err
	}
	return &bench.Side{Name: name, Runner: r}, nil
}
