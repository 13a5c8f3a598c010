package media

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media/disk"
)

// fetch asks for embeddings that are looked for as n numbers, and returns a copy.
func fetch(t *testing.T, c *Cache, k kv.Key, n int) []float32 {
	t.Helper()
	e, err := c.fetch(t.Context(), k, n)
	if err != nil {
		t.Fatal(err)
	}
	if e == nil {
		return nil
	}
	defer e.Release()
	return slices.Clone(e.Rows())
}

// fill writes pictures of n numbers to a folder, through a cache that is closed afterwards.
func fill(t *testing.T, dir string, n int, names ...string) {
	t.Helper()
	c := newCache(t, Options{Dir: dir})
	for _, name := range names {
		c.Put(keyOf(name), ramp(float32(name[0]), n)).Release()
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats().Disk; s.Files < len(names) || s.LastError != nil {
		t.Fatalf("%+v", s)
	}
}

func pathOf(dir, name string) string { return filepath.Join(dir, disk.Name(keyOf(name))) }

// fileBytes is the file that a folder makes of embeddings.
func fileBytes(t testing.TB, k kv.Key, rows []float32) []byte {
	t.Helper()
	dir := t.TempDir()
	d, err := disk.Open(dir, disk.Options{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d.Store(k, rows, func() {})
	d.Close()
	data, err := os.ReadFile(filepath.Join(dir, disk.Name(k)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// age makes a file last used so many minutes ago.
func age(t *testing.T, path string, minutes int) {
	t.Helper()
	at := time.Now().Add(-time.Duration(minutes) * time.Minute)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func present(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if _, err := os.Stat(pathOf(dir, name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func TestEmbeddingsOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for", "it")
	fill(t, dir, 1000, "a", "b")
	c := newCache(t, Options{Dir: dir})
	for range 2 {
		if got := fetch(t, c, keyOf("a"), 1000); !slices.Equal(got, ramp('a', 1000)) {
			t.Fatalf("%d numbers", len(got))
		}
	}
	if got := fetch(t, c, keyOf("x"), 1000); got != nil {
		t.Errorf("embeddings of an unknown picture: %d numbers", len(got))
	}
	s := c.Stats()
	if s.DiskHits != 1 || s.Hits != 1 || s.Misses != 1 || s.Entries != 1 || s.Disk.Files != 2 ||
		s.Disk.Bytes != 2*disk.Size(1000) {
		t.Errorf("%+v", s)
	}
	info, err := os.Stat(pathOf(dir, "a"))
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != disk.Size(1000) {
		t.Errorf("%v, %v", info, err)
	}
}

func TestDamagedFilesAreRemovedAndMadeAnew(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":  func([]byte) []byte { return nil },
		"cut":    func(b []byte) []byte { return b[:len(b)/2] },
		"longer": func(b []byte) []byte { return append(b, b...) },
		"holes":  func(b []byte) []byte { clear(b[disk.Size(0)-4:]); return b },
		"a bit":  func(b []byte) []byte { b[len(b)-9]++; return b },
		"another picture's": func([]byte) []byte {
			return fileBytes(t, keyOf("b"), ramp('b', 100))
		},
		"not so many numbers": func([]byte) []byte {
			return fileBytes(t, keyOf("a"), ramp('a', 99))
		},
		"something else": func([]byte) []byte {
			return bytes.Repeat([]byte("lorem "), 1000)
		},
		"a count beyond belief": func(b []byte) []byte {
			copy(b[8:], "\xff\xff\xff\xff\xff\xff\xff\xff")
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 100, "a")
			file, err := os.ReadFile(pathOf(dir, "a"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(pathOf(dir, "a"), damage(file), 0o600); err != nil {
				t.Fatal(err)
			}
			c := newCache(t, Options{Dir: dir})
			if got := fetch(t, c, keyOf("a"), 100); got != nil {
				t.Fatalf("%d numbers of a damaged file", len(got))
			}
			s := c.Stats()
			if s.Disk.Damaged != 1 || s.Disk.Files != 0 || s.Disk.Bytes != 0 || s.Misses != 1 ||
				s.DiskHits != 0 || s.Disk.LastError != nil {
				t.Errorf("%+v", s)
			}
			if names := present(t, dir); names != nil {
				t.Errorf("%v are still there", names)
			}
			c.Put(keyOf("a"), ramp('a', 100)).Release()
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			c = newCache(t, Options{Dir: dir})
			if got := fetch(t, c, keyOf("a"), 100); !slices.Equal(got, ramp('a', 100)) {
				t.Errorf("made anew: %d numbers", len(got))
			}
		})
	}
}

func TestFilesThatWereNotUsedGoFirst(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 100, "a", "b", "c", "d")
	for i, name := range []string{"d", "c", "b", "a"} {
		age(t, pathOf(dir, name), 10*(i+1)) // a is the oldest
	}
	c := newCache(t, Options{Dir: dir, DiskBytes: 3 * disk.Size(100)})
	if got := present(t, dir); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Fatalf("after opening: %v", got)
	}
	fetch(t, c, keyOf("b"), 100) // from disk
	c.Put(keyOf("e"), ramp('e', 100)).Release()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := present(t, dir); !slices.Equal(got, []string{"b", "d", "e"}) {
		t.Fatalf("after writing one: %v", got)
	}
	if s := c.Stats().Disk; s.Evictions != 2 || s.Files != 3 || s.Bytes != 3*disk.Size(100) {
		t.Errorf("%+v", s)
	}
	// What is used from memory alone is remembered as well.
	c = newCache(t, Options{Dir: dir})
	fetch(t, c, keyOf("d"), 100)
	age(t, pathOf(dir, "d"), 60)
	fetch(t, c, keyOf("d"), 100)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, pathOf(dir, "b"), 30)
	newCache(t, Options{Dir: dir, DiskBytes: 2 * disk.Size(100)})
	if got := present(t, dir); !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("after using one from memory: %v", got)
	}
}

func TestFilesOfOthersAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	hex := strings.Repeat("ab", 32)
	keep := []string{"README", hex, hex + ".kv", strings.ToUpper(hex) + ".rows",
		hex[2:] + ".rows", ".new.rows.tmp"}
	for _, name := range append(keep, ".old.rows.tmp") {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if name != keep[len(keep)-1] {
			age(t, filepath.Join(dir, name), 600)
		}
	}
	if err := os.Mkdir(pathOf(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := newCache(t, Options{Dir: dir, DiskBytes: 1})
	if s := c.Stats().Disk; s != (disk.Stats{}) {
		t.Errorf("%+v", s)
	}
	for _, name := range keep {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".old.rows.tmp")); err == nil {
		t.Error("what a process left half written an hour ago is still there")
	}
}

// Between taking stock and reading anything can happen to a folder.
func TestWhatTakesTheFilesPlaceIsNotRead(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"nothing":  func(string) error { return nil },
		"a pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":   func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 100, "a")
			c := newCache(t, Options{Dir: dir})
			if err := os.Remove(pathOf(dir, "a")); err != nil {
				t.Fatal(err)
			}
			if err := replace(pathOf(dir, "a")); err != nil {
				t.Fatal(err)
			}
			if got := fetch(t, c, keyOf("a"), 100); got != nil {
				t.Errorf("%d numbers", len(got))
			}
			s := c.Stats()
			if s.Misses != 1 || s.Disk.Files != 0 || s.Disk.Damaged != 0 ||
				(s.Disk.Errors == 1) != (name != "nothing") {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestAFolderThatIsGoneIsNoCatastrophe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	fill(t, dir, 100, "a")
	c := newCache(t, Options{Dir: dir})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, c, keyOf("a"), 100); got != nil {
		t.Errorf("%d numbers", len(got))
	}
	c.Put(keyOf("b"), ramp('b', 100)).Release()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats().Disk; s.Errors != 1 || s.LastError == nil || s.Files != 0 || s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
	if got := fetch(t, c, keyOf("b"), 100); !slices.Equal(got, ramp('b', 100)) {
		t.Errorf("from memory: %d numbers", len(got))
	}
	if _, err := NewCache(Options{Dir: "/dev/null/d"}); err == nil {
		t.Error("a folder that cannot be made was made")
	}
	if _, err := NewCache(Options{DiskBytes: -1}); err == nil {
		t.Error("less than no bytes on disk")
	}
}

// While the disk takes its time nobody waits for it: writes queue up to a limit, held in memory,
// and are done in the end.
func TestPutDoesNotWaitForTheDisk(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 100, "z")
	const each = 1000
	c := newCache(t, Options{Dir: dir, Bytes: -1})
	c.disk.Close()
	var err error
	if c.disk, err = disk.Open(dir, disk.Options{Bytes: 1 << 20,
		Pending: 2 * disk.Size(each)}); err != nil {
		t.Fatal(err)
	}
	slow, answered := make(chan struct{}), make(chan struct{})
	if !c.load(keyOf("z"), 100, func(e *Embeddings) { close(answered); <-slow; e.Release() }) {
		t.Fatal("no file")
	}
	<-answered // the goroutine is held up now
	for i := range 4 {
		c.Put(kv.Key{byte(i)}, make([]float32, each)).Release()
	}
	s := c.Stats()
	if s.Disk.Skipped != 2 || s.HeldBytes != 4*(100+2*each) || s.Bytes != s.HeldBytes {
		t.Errorf("%+v", s)
	}
	close(slow)
	for c.Stats().HeldBytes > 0 { // until all are written
		time.Sleep(time.Millisecond)
	}
	c.Put(kv.Key{9}, make([]float32, each)).Release() // there is room again
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s = c.Stats()
	if s.Disk.Files != 4 || s.Disk.Skipped != 2 || s.Entries != 0 || s.Bytes != 0 ||
		s.HeldBytes != 0 {
		t.Errorf("after Close: %+v", s)
	}
}

func TestWhatCannotBeKeptOnDiskIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	c := newCache(t, Options{Dir: dir, DiskBytes: 2 * disk.Size(10)})
	c.Put(keyOf("a"), ramp('a', 10)).Release()
	c.Put(keyOf("b"), ramp('b', 100)).Release() // too large: a must not go for it
	zero := float32(0)
	c.Put(keyOf("c"), []float32{zero / zero}).Release()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != disk.Name(keyOf("a")) {
		t.Errorf("%v, %v; want the first alone", entries, err)
	}
	if s := c.Stats().Disk; s.Skipped != 1 || s.Errors != 1 ||
		!strings.Contains(fmt.Sprint(s.LastError), "NaN") {
		t.Errorf("%+v", s)
	}
}

func TestFetchGivesUpWithItsContext(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 100, "a", "z")
	c := newCache(t, Options{Dir: dir})
	slow, answered := make(chan struct{}), make(chan struct{})
	c.load(keyOf("z"), 100, func(e *Embeddings) { close(answered); <-slow; e.Release() })
	<-answered
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := c.fetch(ctx, keyOf("a"), 100)
		failed <- err
	}()
	cancel()
	if err := <-failed; err != ctx.Err() {
		t.Errorf("%v", err)
	}
	close(slow)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for c.Stats().HeldBytes > 0 { // what nobody waits for is let go of
		time.Sleep(time.Millisecond)
	}
}

// damage changes a byte of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)/2]++
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}
