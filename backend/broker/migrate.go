package broker

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tolerate gives an older form of a query a turn if the first one met a schema that is too old for it.
func tolerate(err error, older func() error) error {
	if errors.Is(err, errOldSchema) {
		return older()
	}
	return err
}

// ddl picks the statements that create the named things out of a schema, in the schema's order.
func ddl(schema string, names ...string) string {
	var b strings.Builder
	for i, s := range strings.Split(schema, "\nCREATE ") {
		if i > 0 {
			s = "CREATE " + s
		}
		if words := strings.Fields(s); len(words) > 2 && slices.Contains(names, words[2]) {
			b.WriteString(s + "\n")
		}
	}
	return b.String()
}

// columns returns the columns of a table or view, none if there is no such thing.
func columns(h *handle, table string) (names []string, err error) {
	err = h.query("SELECT name FROM pragma_table_info(?)", []any{table}, func(v []driver.Value) error {
		names = append(names, text(v[0]))
		return nil
	})
	return names, err
}

// migrateAccount brings the schema of an account database up to date, inside the caller's transaction. Files of
// releases before storage policies lack the policy column and table, later ones a column of that table.
func migrateAccount(h *handle) error {
	if h.current {
		return nil
	}
	cols, err := columns(h, "container")
	if err != nil {
		return err
	}
	if !slices.Contains(cols, "storage_policy_index") {
		err := h.script("ALTER TABLE container ADD COLUMN storage_policy_index INTEGER DEFAULT 0;" +
			ddl(accountSchema, "policy_stat", "container_insert_ps", "container_delete_ps") +
			`INSERT INTO policy_stat (storage_policy_index, container_count, object_count, bytes_used)
				SELECT 0, container_count, object_count, bytes_used FROM account_stat WHERE container_count > 0;`)
		if err != nil {
			return fmt.Errorf("migrate to storage policies: %w", err)
		}
	}
	if cols, err = columns(h, "policy_stat"); err != nil {
		return err
	}
	if !slices.Contains(cols, "container_count") {
		err := h.script(`DROP TRIGGER IF EXISTS container_insert_ps; DROP TRIGGER IF EXISTS container_delete_ps;
			ALTER TABLE policy_stat ADD COLUMN container_count INTEGER DEFAULT 0;
			UPDATE policy_stat SET container_count = (SELECT count(*) FROM container
				WHERE deleted = 0 AND container.storage_policy_index = policy_stat.storage_policy_index);` +
			ddl(accountSchema, "container_insert_ps", "container_delete_ps"))
		if err != nil {
			return fmt.Errorf("migrate to container counts: %w", err)
		}
	}
	h.current = true
	return nil
}

// oldAccountPolicyStats reads the counts by policy of a file that migrateAccount has not seen.
func oldAccountPolicyStats(h *handle, stats map[int]AccountPolicyStat) error {
	clear(stats)
	read := func(query string) error {
		return h.query(query, nil, func(v []driver.Value) error {
			stats[int(integer(v[0]))] = AccountPolicyStat{integer(v[1]), integer(v[2]), integer(v[3])}
			return nil
		})
	}
	return tolerate(read(`SELECT storage_policy_index, (SELECT count(*) FROM container WHERE deleted = 0 AND
			container.storage_policy_index = policy_stat.storage_policy_index), object_count, bytes_used FROM policy_stat`),
		func() error {
			return read("SELECT 0, container_count, object_count, bytes_used FROM account_stat WHERE container_count > 0")
		})
}

// migrateContainer brings the schema of a container database up to date, inside the caller's transaction.
func migrateContainer(h *handle) error {
	if h.current {
		return nil
	}
	for _, step := range []func(*handle) error{migrateToPolicies, migrateToShardRanges} {
		if err := step(h); err != nil {
			return err
		}
	}
	h.current = true
	return nil
}

// migrateToPolicies replaces the single table of counts by one count per policy and a view of the container's own.
func migrateToPolicies(h *handle) error {
	info, err := columns(h, "container_info")
	if err != nil || len(info) > 0 {
		return err
	}
	stat, err := columns(h, "container_stat")
	if err != nil {
		return err
	}
	object, err := columns(h, "object")
	if err != nil {
		return err
	}
	var script strings.Builder
	err = h.query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'object' AND name <> 'object_update'", nil,
		func(v []driver.Value) error {
			fmt.Fprintf(&script, "DROP TRIGGER \"%s\";", strings.ReplaceAll(text(v[0]), `"`, `""`))
			return nil
		})
	if err != nil {
		return err
	}
	if !slices.Contains(object, "storage_policy_index") {
		script.WriteString("ALTER TABLE object ADD COLUMN storage_policy_index INTEGER DEFAULT 0;")
	}
	script.WriteString("CREATE INDEX IF NOT EXISTS ix_object_deleted_name ON object (deleted, name);")
	script.WriteString(ddl(containerSchema, "policy_stat", "container_info"))
	if err := h.script(script.String()); err != nil {
		return fmt.Errorf("migrate to storage policies: %w", err)
	}
	if info, err = columns(h, "container_info"); err != nil {
		return err
	}
	common := strings.Join(slices.DeleteFunc(stat, func(c string) bool { return !slices.Contains(info, c) }), ", ")
	err = h.script(`INSERT INTO policy_stat (storage_policy_index, object_count, bytes_used)
			SELECT 0, object_count, bytes_used FROM container_stat;
		INSERT INTO container_info (` + common + `) SELECT ` + common + ` FROM container_stat;
		DROP TABLE container_stat;` +
		ddl(containerSchema, "container_stat", "container_stat_update", "object_insert_policy_stat", "object_delete_policy_stat"))
	if err != nil {
		return fmt.Errorf("migrate to storage policies: %w", err)
	}
	return nil
}

func migrateToShardRanges(h *handle) error {
	cols, err := columns(h, "shard_range")
	if err != nil {
		return err
	}
	var script string
	switch {
	case len(cols) == 0:
		script = ddl(containerSchema, "shard_range", "shard_range_update")
	default:
		if !slices.Contains(cols, "reported") {
			script += "ALTER TABLE shard_range ADD COLUMN reported INTEGER DEFAULT 0;"
		}
		if !slices.Contains(cols, "tombstones") {
			script += "ALTER TABLE shard_range ADD COLUMN tombstones INTEGER DEFAULT -1;"
		}
	}
	if script == "" {
		return nil
	}
	if err := h.script(script); err != nil {
		return fmt.Errorf("migrate shard ranges: %w", err)
	}
	return nil
}
