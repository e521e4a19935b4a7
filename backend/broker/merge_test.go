package broker

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/apus-storage/apus/internal/timestamp"
)

// everything is all that a container's database knows of its objects, in the order in which it took them, and its figures.
func everything(t *testing.T, c *Container) (rows []ObjectRow, figures string) {
	t.Helper()
	err := c.view(Fresh, func(h *handle) error {
		err := h.query(selectObject+"ORDER BY ROWID", nil, func(v []value) error {
			rows = append(rows, objectFromValues(v))
			return nil
		})
		if err != nil {
			return err
		}
		return h.query("SELECT storage_policy_index, object_count, bytes_used FROM policy_stat ORDER BY 1", nil, func(v []value) error {
			figures += fmt.Sprintln(v[0], v[1], v[2])
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(Fresh)
	if err != nil {
		t.Fatal(err)
	}
	return rows, figures + info.Hash
}

// TestMergeOfManyRows merges rows in one go and one by one: new ones, newer and older ones of names that are there, deletions, and
// such of another policy.
func TestMergeOfManyRows(t *testing.T) {
	for _, n := range []int{1, insertRows - 1, insertRows, insertRows + 1, 3*insertRows + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			whole, single := benchContainer(t), benchContainer(t)
			for round := range 4 {
				rows := make([]ObjectRow, n)
				for i := range rows {
					at := timestamp.FromRaw((1700000001+int64((i*7+round*3)%5))*timestamp.UnitsPerSecond, 0)
					name := fmt.Sprintf("object-%d", (i+round*n/2)%(2*n))
					rows[i] = ObjectRow{Name: name, CreatedAt: at.Internal(), Size: int64(100*round + i), ContentType: "text/plain",
						ETag: "d41d8cd98f00b204e9800998ecf8427e", Policy: i % 2}
					if (i+round)%5 == 4 {
						rows[i] = Deletion(name, at, i%2)
					}
				}
				if err := whole.MergeItems(rows, ""); err != nil {
					t.Fatal(err)
				}
				for i := range rows {
					if err := single.MergeItems(rows[i:i+1], ""); err != nil {
						t.Fatal(err)
					}
				}
				gotRows, got := everything(t, whole)
				wantRows, want := everything(t, single)
				for i := range gotRows {
					gotRows[i].ROWID = 0
				}
				for i := range wantRows {
					wantRows[i].ROWID = 0
				}
				if !reflect.DeepEqual(gotRows, wantRows) {
					t.Errorf("round %d: merged in one go\n%v\none by one\n%v", round, gotRows, wantRows)
				}
				if got != want {
					t.Errorf("round %d: figures after merging in one go\n%s\none by one\n%s", round, got, want)
				}
			}
		})
	}
}
