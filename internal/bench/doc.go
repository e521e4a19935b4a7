// Package bench drives an endpoint with a stream of object requests, of the Swift API or of S3, and measures what they
// cost: latency and throughput as a client sees them, and, for servers on this machine, operations per second of
// processor time.
//
// A [Runner] owns one endpoint (a [Target]) and one population: a fixed number of objects whose names, sizes and
// contents follow from the seed. It runs the plan's phases one at a time. A phase is either one kind of operation, so
// that the servers' processor time can be charged to it, or a weighted mix. [Compare] runs the same plan against two
// runners in alternation, so that a slow minute of the machine hurts both.
//
// Invariants:
//   - Each object belongs to exactly one worker for the life of a runner. So a worker knows which of its objects exist,
//     no request races with another one for the same object, and a run bounded by a count sends the same requests under
//     the same seed, however fast the answers come.
//   - The content of an object is a pure function of its name ([Content]); whoever knows the name can check the bytes.
//   - Only answers that are right count as operations. The rest are errors, kept by kind with an example.
//   - Latency runs from the start of the request to the last byte of the answer, over connections that stay open.
//
// Non-goals: server-side features such as large objects, and open-loop load with a fixed arrival rate: each worker
// sends its next request when the last one is answered, so a stalled server is asked less, not queued upon.
//
// Example:
//
//	target, err := bench.Authenticate(ctx, http.DefaultTransport, bench.Credentials{URL: authURL, User: user, Key: key})
//	...
//	r, err := bench.New(bench.Config{Container: "bench", Containers: 1, Objects: 1000, ...}, target, bench.Options{})
//	...
//	if err := r.Prepare(ctx); err != nil { ... }
//	for i := range phases {
//		result, err := r.RunPhase(ctx, i, 0)
//		...
//	}
package bench
