package server

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// copyFile copies a file into a folder under a name.
func copyFile(t *testing.T, from, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedFileOfTheFolderIsToldAndTheRestWorks(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, seedModel, dir, "good.gguf")
	data, err := os.ReadFile(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "half.gguf")
	if err := os.WriteFile(half, data[:len(data)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(half, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "gone.gguf")); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ts := serve(t, func(o *Options) {
		o.Folder, o.Log = dir, slog.New(slog.NewTextHandler(&log, nil))
	})
	var tags struct {
		Models   []struct{ Name string }
		Unusable []unusableModel
	}
	for range 3 {
		res, err := http.Get(ts.url + "/api/tags")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || json.Unmarshal(body, &tags) != nil || res.StatusCode != http.StatusOK ||
			strings.Contains(string(body), dir) {
			t.Fatalf("%s, %v", body, err)
		}
	}
	if len(tags.Models) != 3 || len(tags.Unusable) != 2 || tags.Unusable[0].Name != "gone:latest" ||
		tags.Unusable[1].File != "half.gguf" || !strings.Contains(tags.Unusable[1].Error,
		"truncated") {
		t.Errorf("%+v", tags)
	}
	if n := strings.Count(log.String(), "half.gguf"); n != 1 {
		t.Errorf("the log tells of it %d times:\n%s", n, log.String())
	}
	for _, name := range []string{"builtin", "seed", "good"} {
		if _, err := ts.models.find(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	res, err := http.Post(ts.url+"/api/generate", "application/json",
		strings.NewReader(`{"model": "half", "prompt": "x", "stream": false}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusInternalServerError ||
		!strings.Contains(string(body), "truncated") || strings.Contains(string(body), dir) {
		t.Errorf("%d: %s, %v", res.StatusCode, body, err)
	}
}

func TestAModelIsServedAsSoonAsItLiesInTheFolder(t *testing.T) {
	dir := t.TempDir()
	ts := serve(t, func(o *Options) { o.Folder = dir })
	if _, err := ts.models.find("late"); err == nil {
		t.Fatal("it is there already")
	}
	copyFile(t, seedModel, dir, "late.gguf")
	if _, err := ts.models.find("late"); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := ts.models.find("builtin"); err != nil {
		t.Errorf("after the folder has gone: %v", err)
	}
	if _, err := ts.models.all(); err != nil {
		t.Errorf("after the folder has gone: %v", err)
	}
}
