package pickle

import (
	"encoding/base64"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGoldenObjectPending(t *testing.T) {
	data, err := os.ReadFile("testdata/container.pending")
	if err != nil {
		t.Fatal(err)
	}
	var got []ObjectRecord
	var again []byte
	for record := range Pending(data) {
		r, err := DecodeObjectRecord(record)
		if err != nil {
			t.Fatalf("DecodeObjectRecord(%s): %v", record, err)
		}
		got = append(got, r)
		again = r.AppendPending(again)
	}
	want := ObjectRecord{Name: "pend", CreatedAt: "1700000030.00000", Size: 77, ContentType: "text/x-pend", ETag: "d41d8cd98f00b204e9800998ecf8427e"}
	if len(got) < 2 {
		t.Fatalf("%d records in the fixture", len(got))
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("first record, -want +got:\n%s", diff)
	}
	if string(again) != string(data) {
		t.Errorf("the records written again:\n%s\nwant\n%s", again, data)
	}
}

func TestGoldenContainerPending(t *testing.T) {
	data, err := os.ReadFile("testdata/account.pending")
	if err != nil {
		t.Fatal(err)
	}
	want := []ContainerRecord{
		{Name: "pend1", PutTimestamp: "1700000007.00000", DeleteTimestamp: "0", ObjectCount: Number{N: 9}, BytesUsed: Number{N: 900}, PolicyIndex: 1},
		{Name: "c1", PutTimestamp: "1700000003.00000", DeleteTimestamp: "0", ObjectCount: Number{N: 4}, BytesUsed: Number{N: 400}},
	}
	var got []ContainerRecord
	var again []byte
	for record := range Pending(data) {
		r, err := DecodeContainerRecord(record)
		if err != nil {
			t.Fatalf("DecodeContainerRecord(%s): %v", record, err)
		}
		got = append(got, r)
		again = r.AppendPending(again)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records, -want +got:\n%s", diff)
	}
	if string(again) != string(data) {
		t.Errorf("the records written again:\n%s\nwant\n%s", again, data)
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	data, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(base64.StdEncoding.EncodeToString(data))
}

func TestDecodeRecordsOfOlderWriters(t *testing.T) {
	six := ObjectRecord{Name: "o", CreatedAt: "1", Size: 1 << 40, ContentType: "t", ETag: "e", Deleted: true}
	seven := six
	seven.PolicyIndex = 2
	for name, test := range map[string]struct {
		in   any
		want ObjectRecord
	}{
		"six items":            {Tuple{"o", "1", int64(1 << 40), "t", "e", 1}, six},
		"seven items":          {Tuple{"o", "1", int64(1 << 40), "t", "e", 1, 2}, seven},
		"numbers as text":      {Tuple{"o", "1", "1099511627776", "t", "e", true, "2"}, seven},
		"bytes as by Python 2": {Tuple{Bytes("o"), Bytes("1"), int64(1 << 40), Bytes("t"), Bytes("e"), 1, 2, nil, nil}, seven},
	} {
		got, err := DecodeObjectRecord(encoded(t, test.in))
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: DecodeObjectRecord: %v, -want +got:\n%s", name, err, diff)
		}
	}
}

func TestContainerRecordNumbersAsTextAndNone(t *testing.T) {
	want := ContainerRecord{Name: "c", DeleteTimestamp: "0", ObjectCount: Number{N: 3}, BytesUsed: Number{None: true}, Deleted: true, PolicyIndex: 1}
	for name, in := range map[string]Tuple{
		"text":          {"c", nil, "0", "3", nil, true, "1"},
		"an empty text": {"c", "", "0", "3", "", 1, 1},
	} {
		got, err := DecodeContainerRecord(encoded(t, in))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: DecodeContainerRecord: %v, -want +got:\n%s", name, err, diff)
		}
	}
	record := want.AppendPending(nil)
	if got, err := DecodeContainerRecord(record[1:]); err != nil || got != want {
		t.Errorf("%s decodes to %+v, %v; want %+v", record, got, err, want)
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	for name, in := range map[string][]byte{
		"nothing":            nil,
		"no base64":          []byte("***"),
		"no pickle":          []byte("AAAA"),
		"a dictionary":       encoded(t, Items{}),
		"five items":         encoded(t, Tuple{"o", "1", 1, "t", "e"}),
		"eight items":        encoded(t, Tuple{"o", "1", 1, "t", "e", 0, 0, nil}),
		"ten items":          encoded(t, Tuple{"o", "1", 1, "t", "e", 0, 0, nil, nil, nil}),
		"a size in words":    encoded(t, Tuple{"o", "1", "many", "t", "e", 0}),
		"no name":            encoded(t, Tuple{nil, "1", 1, "t", "e", 0}),
		"a time as a number": encoded(t, Tuple{"o", 1, 1, "t", "e", 0}),
		"a list inside":      encoded(t, Tuple{"o", "1", []any{}, "t", "e", 0}),
	} {
		if got, err := DecodeObjectRecord(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: DecodeObjectRecord(%q) = %+v, %v; want ErrInvalid", name, in, got, err)
		}
	}
}

func TestObjectRecordRoundTrips(t *testing.T) {
	for name, want := range map[string]ObjectRecord{
		"every field":          {"é\xff☃", "1700000000.00000+1", -1, "a/b", "e", true, 70000, "1700000001.00000", "1700000002.00000"},
		"equal times":          {"o", "1", 1 << 40, "a/b", "e", false, 1, "2", "2"},
		"only a metadata time": {"o", "1", 1 << 31, "a/b", "e", false, 1, "", "2"},
	} {
		record := want.AppendPending(nil)
		if got, err := DecodeObjectRecord(record[1:]); err != nil || got != want {
			t.Errorf("%s: %s decodes to %+v, %v; want %+v", name, record, got, err, want)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := ObjectRecord{Name: "o", CreatedAt: "1", Size: 1 << 40, ContentType: "a/b", ETag: "e", ContentTypeTimestamp: "2", MetaTimestamp: "2"}
	f.Add(r.AppendPickle(nil))
	f.Add([]byte("\x80\x02(X\x01\x00\x00\x00aq\x00NNK\x01K\x01K\x00t."))
	f.Fuzz(func(t *testing.T, data []byte) {
		record := []byte(base64.StdEncoding.EncodeToString(data))
		if fast, ok := usualRecord(data); ok {
			v, err := Decode(data)
			items, isTuple := v.(Tuple)
			if err != nil || !isTuple || len(items) != fast.n {
				t.Fatalf("the fast way reads %q as %+v, the general one as %#v, %v", data, fast, v, err)
			}
			for i, item := range items {
				if want, err := fieldOf(item); err != nil || fast.items[i] != want {
					t.Errorf("the fast way reads item %d of %q as %+v, the general one as %+v, %v", i, data, fast.items[i], want, err)
				}
			}
		}
		if got, err := DecodeObjectRecord(record); err == nil {
			if again, err := DecodeObjectRecord(got.AppendPending(nil)[1:]); err != nil || again != got {
				t.Errorf("%q decodes to %+v, written and read again %+v, %v", data, got, again, err)
			}
		} else if !errors.Is(err, ErrInvalid) {
			t.Errorf("DecodeObjectRecord of %q fails with %v, not ErrInvalid", data, err)
		}
		if got, err := DecodeContainerRecord(record); err == nil {
			if again, err := DecodeContainerRecord(got.AppendPending(nil)[1:]); err != nil || again != got {
				t.Errorf("%q decodes to %+v, written and read again %+v, %v", data, got, again, err)
			}
		}
	})
}

func BenchmarkObjectRecord(b *testing.B) {
	r := ObjectRecord{Name: "photos/2014/06/11/0001.jpg", CreatedAt: "1402464677.04188", Size: 4096, ContentType: "image/jpeg", ETag: "49f68a5c8493ec2c0bf489821c21fc3b"}
	buf := make([]byte, 0, 1024)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = r.AppendPending(buf[:0])
		}
	})
	record := r.AppendPending(nil)[1:]
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeObjectRecord(record); err != nil {
				b.Fatal(err)
			}
		}
	})
}
