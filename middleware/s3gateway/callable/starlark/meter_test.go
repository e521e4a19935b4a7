package starlark

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestOperationsMeanWhatTheyMean compares what scripts compute with what Starlark says: operations have been made calls.
func TestOperationsMeanWhatTheyMean(t *testing.T) {
	for expr, want := range map[string]string{
		`1 + 2 * 3 - 4`: "3", `"a" + "b"`: `ab`, `"ab" * 2`: "abab", `2 * [1]`: "[1, 1]", `(1,) * 2 + (2,)`: "(1, 1, 2)", `1 << 10`: "1024",
		`"%s-%d" % ("x", 3)`: "x-3", `7 % 4`: "3", `{"a": 1} | {"b": 2}`: `{"a": 1, "b": 2}`, `sorted(set([1, 2]) & set([2]))`: "[2]", `6 ^ 3`: "5",
		`"hello"[1:3]`: "el", `[1, 2, 3][::-1]`: "[3, 2, 1]", `"a,b".split(",")`: `["a", "b"]`, `", ".join(["a", "b"])`: "a, b", `"{}{x}".format(1, x=2)`: "12",
		`"aXb".replace("X", "--")`: "a--b", `[x + 1 for x in range(3) if x % 2 == 0]`: "[1, 3]", `{k: v * 2 for k, v in {"a": 1}.items()}`: `{"a": 2}`,
		`(lambda x, y=1 + 1: x + y)(1)`: "3", `max(*[1, 2 + 1])`: "3", `dict(**{"a": 1})`: `{"a": 1}`, `getattr("x", "upper")()`: "X",
		`getattr("x", "nope", 5)`: "5", `"x".upper().lower()`: "x", `json.decode(json.encode({"a": [1, None, True]}))`: `{"a": [1, None, True]}`,
		`3.5 * 2`: "7.0", `-(1 + 1)`: "-2", `1 if 1 + 1 == 2 else 0`: "1", `hasattr("x", "split")`: "True", `int("12") + 1`: "13", `[] == []`: "True",
		`list("ab".elems())`: `["a", "b"]`, `str(1 << 300).startswith("2037")`: "True", `"a" in "abc" and not 3 in [1]`: "True", `zip([1], [2])`: "[(1, 2)]",
		`time.parse_time("2020-01-01T00:00:00Z").year + 1`: "2021", `[[y + 1 for y in x] for x in [[1]]]`: "[[2]]", `"é".codepoints()`: `"é".codepoints()`,
		`list("é€".codepoints())`: `["é", "€"]`, `bytes("a") + bytes("b")`: "ab", `type([].append)`: "builtin_function_or_method",
	} {
		f, err := load(t, "def secret(k):\n    return str("+expr+")", Limits{})
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got, err := f.Secret(t.Context(), "k"); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", expr, got, err, want)
		}
	}
}

func TestAugmentedAssignments(t *testing.T) {
	f := must(t, `
CALLS = 1
CALLS += 1
def index(log):
    log.append("asked")
    return "k"
def secret(key):
    log = []
    d = {"k": 1, "l": [1]}
    d[index(log)] += 5
    d["l"] += [2]
    x = [1]
    y = x
    x += [2]
    x[-1] *= 10
    (x) += (3,)
    e = {"a": 1}
    g = e
    e |= {"b": 2}
    s = "a"
    s += "b"
    s *= 2
    s %= ()
    n = 7
    n -= 1
    n <<= 2
    n &= 31
    n ^= 1
    n |= 64
    n //= 2
    a, b = 1 + 1, [2 * 2]
    [c, b[0]] = (5, b[0] + 1)
    for d["k"] in [8 + 1]:
        pass
    return str((CALLS, log, d, y, g, s, n, a, b, c))
`)
	want := `(2, ["asked"], {"k": 9, "l": [1, 2]}, [1, 20, 3], {"a": 1, "b": 2}, "abab", 44, 2, [5], 5)`
	if got, err := f.Secret(t.Context(), "k"); got != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestAugmentedAssignmentsThatFail(t *testing.T) {
	for text, want := range map[string]string{
		"x = {}\n    x['a'] += 1":         `a.star:3:12: in secret: key "a" not in dict`,
		"x = []\n    x[0] += 1":           "list index 0 out of range",
		"x = (1,)\n    x[0] += 1":         "tuple value does not support item assignment",
		"x = [1]\n    x['a'] += 1":        "got string, want int",
		"x = 1\n    x += 'a'":             "unknown binary op: int + string",
		"x = [1]\n    x[0] += 'a'":        "unknown binary op: int + string",
		"y += 1":                          "local variable y referenced before assignment",
		"x = [1]\n    for e in x: x += x": "cannot extend list during iteration",
	} {
		f, err := load(t, "def secret(k):\n    "+text+"\n    return 's'", Limits{})
		if err == nil {
			_, err = f.Secret(t.Context(), "k")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// TestMemoryIsBounded runs scripts that would take gigabytes. With what steps take besides, and what is garbage at once, the
// process makes for them some times the limit.
func TestMemoryIsBounded(t *testing.T) {
	for name, body := range map[string]string{
		"repeated":           `x = "a" * 1000000000`,
		"repeated list":      `x = [0] * 1000000000`,
		"repeated by a lot":  `x = "ab" * (1 << 70)`,
		"doubled":            "x = 'a'\n    for i in range(40):\n        x = x + x",
		"doubled in place":   "x = 'a'\n    for i in range(40):\n        x += x",
		"doubled in a list":  "x = ['a']\n    for i in range(40):\n        x[0] += x[0]",
		"doubled in a dict":  "x = {1: 'a'}\n    for i in range(40):\n        x[1] += x[1]",
		"doubled list":       "x = [1]\n    for i in range(40):\n        x += x[:]",
		"extended":           "x = [1]\n    for i in range(40):\n        x.extend(x[:])",
		"many":               "x = []\n    s = 'a' * 1000000\n    for i in range(40000):\n        x.append(s + str(i))",
		"many upper":         "x = []\n    s = 'a' * 1000000\n    for i in range(40000):\n        x.append(s.upper())",
		"slices":             "l = [0] * 10000\n    x = [l[:] for i in range(100000)]",
		"arguments":          "f = lambda *a: a\n    l = [0] * 10000\n    x = [f(*l) for i in range(100000)]",
		"replaced":           `x = ("a" * 10000).replace("a", "b" * 1000000)`,
		"replaced nothing":   `x = ("a" * 10000).replace("", "b" * 1000000)`,
		"joined":             `x = ("b" * 1000000).join(["a"] * 1000000)`,
		"formatted":          `x = ("{0}" * 10000).format("b" * 1000000)`,
		"formatted by name":  `x = ("{a}" * 10000).format(a="b" * 1000000)`,
		"percent":            "x = [1]\n    for i in range(50):\n        x = [x, x]\n    y = '%s' % x",
		"text of a tree":     "x = [1]\n    for i in range(50):\n        x = [x, x]\n    y = str(x)",
		"print of a tree":    "x = [1]\n    for i in range(50):\n        x = {1: x, 2: x}\n    print(x)",
		"json of a tree":     "x = [1]\n    for i in range(50):\n        x = (x, x)\n    y = json.encode(x)",
		"failing with":       "x = [1]\n    for i in range(50):\n        x = [x, x]\n    fail(x)",
		"split":              `x = ("a " * 8000000).split(" ")`,
		"split of blanks":    `x = ("a " * 8000000).split()`,
		"elements":           `x = list(("a" * 16000000).elems())`,
		"code points":        `x = list(("a" * 16000000).codepoints())`,
		"sets":               "s = set(range(10000))\n    x = [s | set([-1]) for i in range(10000)]",
		"set copies":         "s = set(range(10000))\n    x = [s.union([]) for i in range(10000)]",
		"dicts":              "d = {i: i for i in range(10000)}\n    x = [d | {} for i in range(10000)]",
		"items":              "d = {i: i for i in range(10000)}\n    x = [d.items() for i in range(10000)]",
		"range":              `x = max(range(1 << 30))`,
		"a list of a range":  `x = list(range(1 << 30))`,
		"numbers":            "x = 3\n    for i in range(60):\n        x = x * x",
		"shifted":            "x = 3\n    for i in range(1000):\n        x <<= 500",
		"digits":             `x = int("9" * 10000000)`,
		"deep json":          `x = json.decode("[" * 500000 + "]" * 500000)`,
		"wide json":          `x = json.decode("[" + "[]," * 3000000 + "1]")`,
		"by another name":    "r = getattr('a' * 10000, 'replace')\n    x = r('a', 'b' * 1000000)",
		"within a cycle":     "x = []\n    x.append(x)\n    y = str([x] * 100000)",
		"starred dictionary": "f = lambda **k: k\n    d = {str(i): i for i in range(1000)}\n    x = [f(**d) for i in range(100000)]",
	} {
		t.Run(name, func(t *testing.T) {
			f := must(t, "def secret(k):\n    "+body+"\n    return 's'")
			f.Script.limits.Time, f.Script.limits.Memory = time.Minute, 4<<20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := f.Secret(t.Context(), "k")
			runtime.ReadMemStats(&after)
			took := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d MiB: %v", took>>20, err)
			if took > 24<<20 {
				t.Errorf("took %d MiB", took>>20)
			}
			if err == nil {
				t.Error("no error")
			} else if len(err.Error()) > 2048 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestErrorsInOperationsNameThePlace(t *testing.T) {
	f := must(t, "def helper(x):\n    return x + 1\ndef secret(k):\n    return helper(k)")
	_, err := f.Secret(t.Context(), "k")
	if err == nil || !strings.HasSuffix(err.Error(), "a.star:2:14: in helper: unknown binary op: string + int, called at "+f.Script.path+":4:18") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.star")
	text := "def authorize(token, bucket, method, path):\n    return token == 'AKALICE' and path.startswith(bucket + '/')"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	s, err := Load(path, Limits{}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if yes, err := s.authorize(b.Context(), "AKALICE", "b", "GET", "b/x"); !yes || err != nil {
			b.Fatal(err)
		}
	}
}
