package replay

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
)

// start runs a cluster until the end of the test and returns where its proxy listens.
func start(t *testing.T, c Conversation) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "proxy.toml")
	text, err := c.config(filepath.Join(root(t), "etc", "functional-test.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	options := assembly.EmbeddedOptions{
		Data: filepath.Join(dir, "data"), Config: path, Policies: []string{"gold", "silver"},
		Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}, Version: "test", NoDaemons: true,
	}
	e, err := assembly.OpenEmbedded(options)
	if err == nil && len(c.Files) > 0 {
		// The directory is made when a cluster starts, and what is in it is read then: the files are there for a second one.
		if err = c.addFiles(filepath.Join(dir, "data", "etc")); err == nil {
			err = e.Close()
		}
		if err == nil {
			e, err = assembly.OpenEmbedded(options)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	e.Setup.Server.BindIP, e.Setup.Server.BindPort = "127.0.0.1", 0
	l, err := e.Setup.Server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// addFiles writes the conversation's files.
func (c Conversation) addFiles(dir string) error {
	for name, text := range c.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// root is the folder of the module that the test is in.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the test is in no module")
		}
		dir = parent
	}
}

// config is the proxy's file: the one at path, with the conversation's pipeline and sections in place of its own.
func (c Conversation) config(path string) ([]byte, error) {
	var base, own map[string]any
	if _, err := toml.DecodeFile(path, &base); err != nil {
		return nil, err
	}
	// The servers that answers were recorded from know no buckets but those of who signs.
	if filters, ok := base["filter"].(map[string]any); ok {
		if s3, ok := filters["s3api"].(map[string]any); ok {
			delete(s3, "anonymous_account")
		}
	}
	if _, err := toml.Decode(c.Sections, &own); err != nil {
		return nil, fmt.Errorf("sections of the conversation: %w", err)
	}
	if c.Pipeline != nil {
		kinds := append(slices.Clone(c.Pipeline), "proxy-server")
		base["pipeline"] = map[string]any{"main": map[string]any{"pipeline": kinds}}
	}
	for kind, sections := range own {
		mine, ok := sections.(map[string]any)
		theirs, both := base[kind].(map[string]any)
		if !ok || !both || kind == "DEFAULT" {
			base[kind] = sections
			continue
		}
		maps.Copy(theirs, mine)
	}
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(base)
	return b.Bytes(), err
}
