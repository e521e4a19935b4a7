package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); -update accepts it:\n%s", name, diff)
	}
}

// sampleReport is a report of two sides with everything that a table can show.
func sampleReport() Report {
	rowsA := []Row{
		{Operation: "put", Count: 12345, Errors: 3, OpsPerSecond: 1234.5, MiBPerSecond: 4.82, Mean: 1.2, P50: 0.812, P90: 2.04,
			P99: 45.67, Max: 1234.5, OpsPerCPUSecond: new(3456.7), CPUPerOp: new(0.2893), Faults: []Fault{
				{Kind: "503", Count: 2, Example: "PUT /v1/AUTH_test/c/o: 503 Service Unavailable (transaction tx1) Busy"},
				{Kind: "timeout", Count: 1, Example: "PUT /v1/AUTH_test/c/p: context deadline exceeded"},
			}},
		{Operation: "mix/get", Count: 800, OpsPerSecond: 80, MiBPerSecond: 0.3125, P50: 9.994, P90: 9.996, P99: 99.94, Max: 99.96},
		{Operation: "mix/delete", Errors: 5, Faults: []Fault{{Kind: "404", Count: 5, Example: "DELETE /v1/AUTH_test/c/o: 404 Not Found"}}},
		{Operation: "mix", Count: 800, Errors: 5, OpsPerSecond: 80, MiBPerSecond: 0.3125, P50: 9.9, P90: 10, P99: 99.94, Max: 999.6,
			OpsPerCPUSecond: new(160.0), CPUPerOp: new(6.25)},
	}
	rowsB := []Row{
		{Operation: "put", Count: 2000, OpsPerSecond: 200, MiBPerSecond: 0.78, P50: 5, P90: 6, P99: 7, Max: 8,
			OpsPerCPUSecond: new(34.567), CPUPerOp: new(28.93)},
		{Operation: "mix/get", Count: 0},
	}
	return Report{
		Plan: Plan{Operations: []string{"put", "get=80,delete=20"}, Sizes: "4KiB", Objects: 1000, Containers: 2, Concurrency: 8,
			Count: 12348, Rounds: 1, Seed: 7, Verify: true},
		Sides: []SideReport{
			{Name: "A", StorageURL: "http://one.example/v1/AUTH_test", Pids: []int{17, 18}, Rows: rowsA, Rounds: [][]Row{rowsA},
				WallSeconds: 20.4, SelfCPUSeconds: new(1.25), Notes: []string{"mix: 1 of 8 workers ran out of objects: the phase ended early"}},
			{Name: "B", StorageURL: "http://two.example/v1/AUTH_test", Rows: rowsB, Rounds: [][]Row{rowsB}, WallSeconds: 10},
		},
		Ratios: ratios([][]Row{rowsA}, [][]Row{rowsB}),
	}
}

func TestReportText(t *testing.T) {
	var two, one bytes.Buffer
	rep := sampleReport()
	if err := rep.WriteText(&two); err != nil {
		t.Fatal(err)
	}
	golden(t, "two-sides.txt", two.Bytes())
	rep.Sides, rep.Ratios, rep.Interrupted = rep.Sides[:1], nil, true
	rep.Plan.Rounds = 3
	if err := rep.WriteText(&one); err != nil {
		t.Fatal(err)
	}
	golden(t, "interrupted.txt", one.Bytes())
	if n := rep.Errors(); n != 8 {
		t.Errorf("Errors() = %d, want 8: a mix's sum counts nothing twice", n)
	}
}

func TestReportJSON(t *testing.T) {
	got, err := json.MarshalIndent(sampleReport(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "two-sides.json", append(got, '\n'))
}

func TestFiguresKeepThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.00123: "0.0012", 0.0995: "0.100", 0.9994: "0.999", 0.9996: "1.00", 9.994: "9.99", 9.996: "10.0",
		99.94: "99.9", 99.96: "100", 123456.7: "123457",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestRatiosAreOfMedians(t *testing.T) {
	rounds := func(values ...float64) [][]Row {
		var out [][]Row
		for _, v := range values {
			out = append(out, []Row{{Operation: "get", OpsPerSecond: v}})
		}
		return out
	}
	got := ratios(rounds(100, 300, 200), rounds(50, 50, 400))
	want := []Ratio{{Operation: "get", Metric: "ops/s", A: 200, B: 50, Ratio: 4, Low: 0.5, High: 6}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ratios (-want +got):\n%s", diff)
	}
	if m := median([]float64{4, 1, 3, 2}); math.Abs(m-2.5) > 1e-9 {
		t.Errorf("median of 1 to 4 is %v", m)
	}
	if got := ratios(rounds(1), nil); got != nil {
		t.Errorf("ratios without a second side: %v", got)
	}
}
