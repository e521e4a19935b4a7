package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is how much a process may allocate between two garbage collections at least, in bytes. What a server keeps is a
// few megabytes, and with the runtime's usual rule (collect when the heap has doubled, from 4 MB on) a busy one collects tens
// of times a second: about a tenth of the processor time of small requests.
const heapFloor = 32 << 20

// raiseHeapFloor makes collections rarer while the heap is small; from heapFloor of live data on the usual rule holds. An
// operator who sets GOGC has decided otherwise. GOMEMLIMIT holds as ever.
func raiseHeapFloor() {
	if os.Getenv("GOGC") != "" {
		return
	}
	adjustHeap()
}

// adjustHeap sets the share by which the heap may grow, now and after every collection: a cleanup of an object that nobody
// holds runs then.
func adjustHeap() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	setHeapGrowth(growth(live[0].Value.Uint64()))
	runtime.AddCleanup(new([16]byte), func(struct{}) { adjustHeap() }, struct{}{})
}

// growth is by how many percent of what is live the heap is to grow.
func growth(live uint64) int {
	// The runtime takes a heap of less than 4 MB for one of that size.
	return int(max(100, heapFloor*100/max(live, 4<<20)))
}

// setHeapGrowth changes the share, which stops all goroutines for a moment, if it is far from what it is.
func setHeapGrowth(percent int) {
	have := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(have)
	if old := int(have[0].Value.Uint64()); percent < old*3/4 || percent > old*5/4 {
		debug.SetGCPercent(percent)
	}
}
