package ringcmd

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

// do runs the command and returns what it printed, its error's text and its exit code.
func do(t *testing.T, stdin string, args ...string) (out, failure string, code int) {
	t.Helper()
	c := Command()
	var o, e strings.Builder
	c.SetArgs(args)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&o)
	c.SetErr(&e)
	err := c.Execute()
	if err == nil {
		return o.String() + e.String(), "", 0
	}
	exit, ok := errors.AsType[*ExitError](err)
	if !ok {
		t.Fatalf("%v: error without exit code: %v", args, err)
	}
	return o.String() + e.String(), err.Error(), exit.ExitCode()
}

// ok runs the command, which must succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	out, failure, code := do(t, "", args...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s\n%s", args, code, failure, out)
	}
	return out
}

// three makes a builder of three zones with two disks each and rebalances it.
func three(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "object.builder")
	ok(t, path, "create", "8", "3", "1")
	ok(t, path, "add",
		"r1z1-10.0.0.1:6200/sda", "100", "r1z1-10.0.0.1:6200/sdb", "100",
		"r1z2-10.0.0.2:6200R10.1.0.2:6300/sda", "100", "r1z2-10.0.0.2:6200R10.1.0.2:6300/sdb", "100",
		"r1z3-[fd00::3]:6200/sda_shiny", "100", "r1z3-[fd00::3]:6200/sdb", "100")
	ok(t, path, "rebalance", "--seed", "x")
	return path
}

func load(t *testing.T, path string) *builder.Builder {
	t.Helper()
	b, err := builder.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLifeOfARing(t *testing.T) {
	path := three(t)
	ringPath := strings.TrimSuffix(path, ".builder") + ".ring.gz"
	r, err := ring.Load(ringPath)
	if err != nil {
		t.Fatal(err)
	}
	if r.ReplicaCount() != 3 || r.AssignedDevices() != 6 {
		t.Errorf("ring of %v replicas on %d devices", r.ReplicaCount(), r.AssignedDevices())
	}
	backups, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "backups", "*"))
	if len(backups) < 2 {
		t.Errorf("backups: %v, want a builder and a ring", backups)
	}
	for _, want := range []string{"256 partitions, 3.000000 replicas, 1 regions, 3 zones, 6 devices, 0.00 balance",
		"up to date", "10.1.0.2:6300", "[fd00::3]:6200", "shiny"} {
		if out := ok(t, ringPath); !strings.Contains(out, want) {
			t.Errorf("shown without %q:\n%s", want, out)
		}
	}
	ok(t, path, "set_info", "d0", "10.0.0.9:6209R10.1.0.9:6309/sdz_new note")
	if out := ok(t, path); !strings.Contains(out, "out of date") || !strings.Contains(out, "10.0.0.9:6209") {
		t.Errorf("after set_info:\n%s", out)
	}
	ok(t, path, "write_ring", "--format-version", "2")
	if out := ok(t, path); !strings.Contains(out, "up to date") {
		t.Errorf("after write_ring:\n%s", out)
	}
	ok(t, path, "set_weight", "z2", "50", "--yes")
	ok(t, path, "set_weight", "--device", "sda", "--zone", "3", "75")
	ok(t, path, "set_region", "z3", "2", "-y")
	ok(t, path, "set_zone", "r2", "1", "-y")
	ok(t, path, "set_replicas", "2.5")
	ok(t, path, "set_overload", "10%")
	ok(t, path, "set_min_part_hours", "0")
	ok(t, path, "pretend_min_part_hours_passed")
	do(t, "", path, "rebalance", "-d")
	ok(t, path, "validate")
	b := load(t, path)
	d, _ := b.Device(4)
	if b.Replicas() != 2.5 || b.Overload() != 0.1 || b.MinPartHours() != 0 || d.Region != 2 || d.Zone != 1 || d.Weight != 75 {
		t.Errorf("builder has %v replicas, overload %v, %d hours, %v", b.Replicas(), b.Overload(), b.MinPartHours(), d)
	}
	if r, err = ring.Load(ringPath); err != nil || r.ReplicaCount() != 2.5 {
		t.Errorf("ring: %v", err)
	}
}

func TestExitCodesAndAdvice(t *testing.T) {
	path := three(t)
	dir := filepath.Dir(path)
	junk := filepath.Join(dir, "junk.builder")
	if err := os.WriteFile(junk, []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh.builder")
	ok(t, fresh, "create", "4", "3", "1")
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		want  string // part of the error
	}{
		{"a builder that does not exist", []string{filepath.Join(dir, "no.builder")}, "", 2, "create PART_POWER"},
		{"a file that is no builder", []string{junk}, "", 2, "not a builder file"},
		{"create over a builder", []string{path, "create", "8", "3", "1"}, "", 2, "exists"},
		{"create with too much power", []string{junk + "2", "create", "33", "3", "1"}, "", 2, "want 0 to 32"},
		{"create with no replica", []string{junk + "2", "create", "8", "0.5", "1"}, "", 2, "want 1 to 1024"},
		{"create with words", []string{junk + "2", "create", "eight", "3", "1"}, "", 2, "PART_POWER"},
		{"create with too little", []string{junk + "2", "create", "8"}, "", 2, "accepts 3 arg"},
		{"a verb that does not exist", []string{path, "frobnicate"}, "", 2, "--help lists them"},
		{"a verb that nearly exists", []string{path, "rebalanc"}, "", 2, "did you mean rebalance"},
		{"the verb before the file", []string{"rebalance", path}, "", 2, "the file comes before"},
		{"rebalance of nothing", []string{fresh, "rebalance"}, "", 2, "add devices"},
		{"write_ring of nothing", []string{fresh, "write_ring"}, "", 2, "add devices"},
		{"validate before rebalance", []string{fresh, "validate"}, "", 2, "never rebalanced"},
		{"dispersion before rebalance", []string{fresh, "dispersion"}, "", 2, "rebalance first"},
		{"rebalance too soon", []string{path, "rebalance"}, "", 1, "1 hours after a move"},
		{"rebalance into an unknown format", []string{path, "rebalance", "--format-version", "3"}, "", 2, "want 1 or 2"},
		{"a device that is there", []string{path, "add", "z1-10.0.0.1:6200/sda", "1"}, "", 2, "exists already"},
		{"a device without weight", []string{path, "add", "z1-10.0.0.1:6200/sdx"}, "", 2, "no weight"},
		{"a device without zone", []string{path, "add", "10.0.0.1:6200/sdx", "1"}, "", 2, "zone is missing"},
		{"a device outside its directory", []string{path, "add", "z1-10.0.0.1:6200/../x", "1"}, "", 2, "device name"},
		{"a device by half its options", []string{path, "add", "--zone", "1"}, "", 2, "--region, --ip, --port"},
		{"a weight that is none", []string{path, "set_weight", "d0", "heavy"}, "", 2, "want a weight"},
		{"a search that finds nothing", []string{path, "search", "z9"}, "", 2, "no device matches"},
		{"a search for nothing", []string{path, "search"}, "", 2, "say which devices"},
		{"a search value with rubbish", []string{path, "search", "d1!"}, "", 2, `what to make of "!"`},
		{"values and options", []string{path, "search", "d1", "--zone", "1"}, "", 2, "not both"},
		{"a change of several without yes", []string{path, "set_weight", "z1", "5"}, "", 2, "--yes"},
		{"a change of several with no", []string{path, "remove", "z1"}, "n\n", 2, "nothing was changed"},
		{"an overload that means percent", []string{path, "set_overload", "10"}, "", 1, "write 10%"},
		{"a negative overload", []string{path, "set_overload", "--", "-1"}, "", 2, "not negative"},
		{"an increase without preparation", []string{path, "increase_partition_power"}, "", 2, "not prepared"},
		{"write_builder over a builder", []string{path, "write_builder"}, "", 2, "exists"},
		{"help", []string{path, "rebalance", "--help"}, "", 0, ""},
		{"help without a file", []string{"rebalance", "--help"}, "", 0, ""},
		{"help of all", []string{"--help"}, "", 0, ""},
	} {
		before, _ := os.ReadFile(path)
		_, failure, code := do(t, c.stdin, c.args...)
		if code != c.code || !strings.Contains(failure, c.want) {
			t.Errorf("%s: exit code %d, %q; want %d, %q", c.name, code, failure, c.code, c.want)
		}
		if after, _ := os.ReadFile(path); code == 2 && string(after) != string(before) {
			t.Errorf("%s: failed and changed the builder", c.name)
		}
	}
}

func TestConfirmedRemovalDrainsAndForgets(t *testing.T) {
	path := three(t)
	ok(t, path, "add", "r1z1-10.0.0.1:6200/sdc", "100")
	if _, failure, code := do(t, "y\n", path, "remove", "/sda", "-z", "1"); code != 2 {
		t.Fatalf("mixed forms: exit code %d, %s", code, failure)
	}
	out := ok(t, path, "list_parts", "d0")
	if !regexp.MustCompile(`(?m)^ +\d+ +1$`).MatchString(out) {
		t.Errorf("list_parts:\n%s", out)
	}
	if _, failure, code := do(t, "y\n", path, "remove", "d0", "d1"); code != 0 {
		t.Fatalf("confirmed removal: exit code %d, %s", code, failure)
	}
	if out := ok(t, path); strings.Count(out, "DEL") != 2 {
		t.Errorf("not marked:\n%s", out)
	}
	if _, failure, code := do(t, "", path, "set_weight", "d0", "1"); code != 2 || !strings.Contains(failure, "removal") {
		t.Errorf("changing a removed device: exit code %d, %s", code, failure)
	}
	do(t, "", path, "rebalance")
	b := load(t, path)
	if _, err := b.Device(0); !errors.Is(err, builder.ErrNoDevice) {
		t.Errorf("device 0: %v", err)
	}
	ok(t, path, "validate")
	ok(t, path, "add", "r1z1-10.0.0.1:6200/sdd", "100")
	if d, err := load(t, path).Device(0); err != nil || d.Name != "sdd" {
		t.Errorf("the lowest free id went to %v %v", d, err)
	}
}

func TestPartPowerSteps(t *testing.T) {
	path := three(t)
	before := load(t, path)
	ok(t, path, "prepare_increase_partition_power")
	for _, args := range [][]string{{"rebalance"}, {"add", "z1-10.0.0.1:6200/sdx", "1"}, {"remove", "d1"},
		{"prepare_increase_partition_power"}, {"finish_increase_partition_power"}} {
		if _, failure, code := do(t, "", append([]string{path}, args...)...); code != 2 {
			t.Errorf("%v while it is prepared: exit code %d, %s", args, code, failure)
		}
	}
	ok(t, path, "cancel_increase_partition_power")
	ok(t, path, "finish_increase_partition_power")
	ok(t, path, "prepare_increase_partition_power")
	ok(t, path, "write_ring")
	r, err := ring.Load(strings.TrimSuffix(path, ".builder") + ".ring.gz")
	if next, under := r.NextPartPower(); err != nil || !under || next != 9 {
		t.Errorf("ring announces %d %v %v", next, under, err)
	}
	ok(t, path, "increase_partition_power")
	ok(t, path, "write_ring")
	if r, err = ring.Load(strings.TrimSuffix(path, ".builder") + ".ring.gz"); err != nil || r.PartPower() != 9 {
		t.Fatalf("ring has power %d %v", r.PartPower(), err)
	}
	old, err := before.Ring()
	if err != nil {
		t.Fatal(err)
	}
	for part := range r.PartitionCount() {
		for replica := range r.Replicas() {
			got, _ := r.At(replica, uint32(part))
			if want, _ := old.At(replica, uint32(part/2)); got != want {
				t.Fatalf("replica %d of partition %d is on %d, was on %d", replica, part, got, want)
			}
		}
	}
	ok(t, path, "validate")
	ok(t, path, "finish_increase_partition_power")
	if _, under := load(t, path).NextPartPower(); under {
		t.Error("not finished")
	}
	account := filepath.Join(t.TempDir(), "account.builder")
	ok(t, account, "create", "4", "1", "1")
	if _, failure, code := do(t, "", account, "prepare_increase_partition_power"); code != 2 {
		t.Errorf("account ring: exit code %d, %s", code, failure)
	}
}

func TestLostBuilderIsMadeOfItsRing(t *testing.T) {
	path := three(t)
	before := load(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	out := ok(t, strings.TrimSuffix(path, ".builder")+".ring.gz", "write_builder")
	if !strings.Contains(out, "24") {
		t.Errorf("no word of the hours:\n%s", out)
	}
	b := load(t, path)
	if b.Balance() != before.Balance() || b.Version() != before.Version() || b.MinPartHours() != 24 {
		t.Errorf("balance %v, version %d, %d hours", b.Balance(), b.Version(), b.MinPartHours())
	}
	if out := ok(t, path); !strings.Contains(out, "up to date") {
		t.Errorf("it would write another ring:\n%s", out)
	}
}

func TestShowAsJSON(t *testing.T) {
	var shown struct {
		PartPower int
		Devices   []struct {
			ID    int
			Name  string
			Parts int
		}
	}
	if err := json.Unmarshal([]byte(ok(t, three(t), "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.PartPower != 8 || len(shown.Devices) != 6 || shown.Devices[5].Name != "sdb" || shown.Devices[5].Parts != 128 {
		t.Errorf("got %+v", shown)
	}
}

func TestDispersionReport(t *testing.T) {
	path := three(t)
	out := ok(t, path, "dispersion", `r\d+z\d+$`, "-v")
	if strings.Count(out, "r1z") != 3 || strings.Contains(out, "/") {
		t.Errorf("want the three zones only:\n%s", out)
	}
	version := load(t, path).Version()
	ok(t, path, "dispersion", "--recalculate")
	if got := load(t, path).Version(); got != version+1 {
		t.Errorf("version %d, want %d", got, version+1)
	}
	ok(t, path, "set_zone", "z2", "1", "-y")
	ok(t, path, "set_zone", "z3", "1", "-y")
	ok(t, path, "set_info", "d0", "10.0.0.2:6201")
	_, failure, code := do(t, "", path, "dispersion", "--recalculate")
	if code != 1 || !strings.Contains(failure, "worst tier is") {
		t.Errorf("exit code %d, %s", code, failure)
	}
}

func TestTheDirectoryIsLocked(t *testing.T) {
	path := three(t)
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".lock"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	go func() {
		_, failure, _ := do(t, "", path, "set_min_part_hours", "7")
		done <- failure
	}()
	if ok(t, path, "version"); load(t, path).MinPartHours() != 1 {
		t.Error("changed while somebody else held the lock")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if failure := <-done; failure != "" || load(t, path).MinPartHours() != 7 {
		t.Errorf("after the lock was free: %q, %d hours", failure, load(t, path).MinPartHours())
	}
}

func TestSwiftsToolTakesOver(t *testing.T) {
	tool, err := exec.LookPath("swift-ring-builder")
	if err != nil {
		t.Skip("needs swift-ring-builder of OpenStack Swift (Debian: package swift)")
	}
	path := three(t)
	theirs := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tool, append([]string{path}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	theirs("validate")
	if out := theirs(); !strings.Contains(out, "is up-to-date") || !strings.Contains(out, "6 devices, 0.00 balance") {
		t.Errorf("Swift's tool shows\n%s", out)
	}
	theirs("add", "r1z1-10.0.0.1:6200/sdc", "100", "r1z2-10.0.0.2:6200/sdc", "100", "r1z3-10.0.0.3:6200/sdc", "100")
	theirs("pretend_min_part_hours_passed")
	theirs("rebalance")
	if out := ok(t, path); !strings.Contains(out, "up to date") || !strings.Contains(out, "9 devices") {
		t.Errorf("after Swift's rebalance:\n%s", out)
	}
	ok(t, path, "validate")
	ok(t, path, "set_weight", "/sdc", "0", "--yes")
	ok(t, path, "pretend_min_part_hours_passed")
	do(t, "", path, "rebalance")
	theirs("validate")
}
