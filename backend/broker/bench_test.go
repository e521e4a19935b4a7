package broker

import (
	"fmt"
	"testing"
)

func benchContainer(b testing.TB) *Container {
	c := newPool(b).Container(testPlace(b), "AUTH_a", "c")
	if err := c.Create(parseTime("1700000000"), 0); err != nil {
		b.Fatal(err)
	}
	return c
}

func benchRow(i int) ObjectRow {
	return ObjectRow{
		Name: fmt.Sprintf("object-%09d", i), CreatedAt: "1700000001.00000", Size: 1234, ContentType: "application/octet-stream",
		ETag: "d41d8cd98f00b204e9800998ecf8427e",
	}
}

// BenchmarkPutObject is one row into the pending file, its share of the merges included.
func BenchmarkPutObject(b *testing.B) {
	c := benchContainer(b)
	n := 0
	for b.Loop() {
		n++
		if err := c.PutObject(benchRow(n)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend is the same without merges.
func BenchmarkAppend(b *testing.B) {
	c := benchContainer(b)
	n := 0
	for b.Loop() {
		n++
		if n%400 == 0 {
			b.StopTimer()
			if err := c.Settle(c.p.o.LockTimeout); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if err := c.PutObject(benchRow(n)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := benchContainer(b)
			n := 0
			rows := make([]ObjectRow, size)
			for b.Loop() {
				for i := range rows {
					n++
					rows[i] = benchRow(n)
				}
				if err := c.MergeItems(rows, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInfo(b *testing.B) {
	c := benchContainer(b)
	for b.Loop() {
		if _, err := c.Info(StaleOK); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is Info without a handle that is open already.
func BenchmarkOpen(b *testing.B) {
	c := benchContainer(b)
	for b.Loop() {
		c.p.closeUnused(c.p.o.Clock.Now())
		if _, err := c.Info(StaleOK); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is a page of 1,000 names of a container with a million of them.
func BenchmarkList(b *testing.B) {
	if testing.Short() {
		b.Skip("makes a database of a million rows")
	}
	c := benchContainer(b)
	const total, batch = 1_000_000, 20_000
	rows := make([]ObjectRow, batch)
	for start := 0; start < total; start += batch {
		for i := range rows {
			rows[i] = benchRow(start + i)
			if i%10 != 0 {
				rows[i].Name = fmt.Sprintf("dir-%06d/%s", (start+i)/100, rows[i].Name)
			}
		}
		if err := c.MergeItems(rows, ""); err != nil {
			b.Fatal(err)
		}
	}
	for name, o := range map[string]ListOptions{"flat": {Limit: 1000}, "delimiter": {Limit: 1000, Delimiter: "/"}} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n++
				o.Marker = fmt.Sprintf("dir-%06d", n*7919%8000)
				entries, err := c.List(StaleOK, o)
				if err != nil || len(entries) != 1000 {
					b.Fatal(len(entries), err)
				}
			}
		})
	}
}
