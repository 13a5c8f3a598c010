package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

func TestWhatACrashLeavesIsCleanedAndWhatIsForeignIsLeft(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir, Options{})
	good := mixed(t)
	mustPut(t, store, good)
	bad := snapshot(t, tokens(1, 2), &kv.Pictures{}, "", 100)
	worse := snapshot(t, tokens(3, 4), &kv.Pictures{}, "", 100)
	mustPut(t, store, bad)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := fileBytes(worse)
	next := slices.Clone(whole)
	next[8]++ // the version
	elsewhere := "e-" + strings.Repeat("0", 32) + ".kv"
	removed := map[string][]byte{
		fileOf(good) + ".123.tmp": fileBytes(good)[:40],
		fileOf(good) + ".4.tmp":   {},
		fileOf(bad):               fileBytes(bad)[:130],
	}
	left := map[string][]byte{
		fileOf(worse):                          next,
		elsewhere:                              whole,
		"notes.txt":                            []byte("mine"),
		"notes.tmp":                            []byte("mine"),
		fileOf(good) + ".tmp":                  []byte("mine"),
		"copy of " + fileOf(good):              fileBytes(good),
		"s-" + strings.Repeat("f", 32) + ".kv": []byte("no snapshot"),
	}
	for _, files := range []map[string][]byte{removed, left} {
		for name, data := range files {
			write(name, data)
		}
	}
	folder := fileOf(good) + ".5.tmp"
	if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	store = openStore(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for name := range removed {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	for name, data := range left {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil ||
			!bytes.Equal(got, data) {
			t.Errorf("%s is not as it was: %v", name, err)
		}
		if !strings.Contains(log.String(), name) {
			t.Errorf("the log does not name %s", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, folder)); err != nil {
		t.Error(err)
	}
	if st := store.Stats(); st.Entries != 1 || st.Damaged != 1 || !strings.Contains(log.String(),
		fileOf(bad)) {
		t.Errorf("%+v, %s", st, &log)
	}
}

func TestADamagedStateIsFoundAndRemoved(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir, Options{})
	var pictures kv.Pictures
	p := tokens(1, 2)
	s := snapshot(t, p, &pictures, "", 100)
	mustPut(t, store, s)
	b, err := os.ReadFile(store.path(fileOf(s)))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(store.path(fileOf(s)), b, 0o600); err != nil {
		t.Fatal(err)
	}
	e, n := store.Longest(p, &pictures)
	if n != 2 {
		t.Fatal(n)
	}
	if _, err := store.Load(e); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if _, n := store.Longest(p, &pictures); n != 0 {
		t.Error("it is still found")
	}
	checkFolder(t, store)
	mustPut(t, store, s)
	e, _ = store.Longest(p, &pictures)
	if _, err := store.Load(e); err != nil {
		t.Error(err)
	}
	if err := os.Remove(store.path(fileOf(s))); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(e); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	checkFolder(t, store)
}

// TestAFullDisk runs itself in a process that may write files of 100 000 bytes, so that the kernel
// cuts a write short as a full disk does: with an error in the middle of a file.
func TestAFullDisk(t *testing.T) {
	if dir := os.Getenv("DISK_TEST_FOLDER"); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100000,
			Max: 100000}); err != nil {
			t.Fatal(err)
		}
		store := openStore(t, dir, Options{})
		var pictures kv.Pictures
		mustPut(t, store, snapshot(t, tokens(1, 2), &pictures, "x", 1000))
		for _, name := range []string{"", "x"} {
			err := store.Put(snapshot(t, tokens(1, 2, 3), &pictures, name, 200000))
			if !errors.Is(err, syscall.EFBIG) {
				t.Fatal(err)
			}
		}
		checkFolder(t, store)
		e, n := store.Longest(tokens(1, 2, 3), &pictures)
		if got, err := store.Load(e); n != 2 || err != nil || len(got.State) != 1000 {
			t.Fatal(n, err)
		}
		fmt.Println("the full disk was seen")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), "DISK_TEST_FOLDER="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out),
		"the full disk was seen") {
		t.Fatalf("%v\n%s", err, out)
	}
}
