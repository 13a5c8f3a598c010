package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

func TestAnEntryIsFoundAgainAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by Open")
	want := mixed(t)
	store := openStore(t, dir, Options{})
	mustPut(t, store, want)
	checkFolder(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir, Options{})
	checkFolder(t, store)
	var pictures kv.Pictures
	p := want.PromptFor(&pictures)
	p.Items[8].Value++ // the last of nine
	e, n := store.Longest(p, &pictures)
	if n != 8 || e.Name != "my session" || e.Items != 9 || !e.Saved.Equal(want.Saved) {
		t.Fatalf("%d items of %+v", n, e)
	}
	got, err := store.Load(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(got, want); err != nil {
		t.Error(err)
	}
	p.Items[4].Value++ // inside the picture that is a whole
	if _, n = store.Longest(p, &pictures); n != 3 {
		t.Errorf("%d items before a picture that differs, not 3", n)
	}
	if st := store.Stats(); st.Entries != 1 || st.Sessions != 1 || st.Loads != 1 ||
		st.Limit != DefaultBytes || st.ReadOnly {
		t.Errorf("%+v", st)
	}
}

func TestSnapshotsWithoutTimeAreStamped(t *testing.T) {
	store := openStore(t, t.TempDir(), Options{})
	before := time.Now()
	mustPut(t, store, snapshot(t, tokens(1), &kv.Pictures{}, "x", 1))
	e, err := store.Get("x")
	if err != nil || e.Saved.Before(before) || e.Saved.After(time.Now()) {
		t.Error(e, err)
	}
}

func TestTheLeastRecentlyUsedIsEvicted(t *testing.T) {
	const state = 1000
	dir := t.TempDir()
	var pictures kv.Pictures
	one := int64(len(fileBytes(snapshot(t, tokens(1), &pictures, "", state))))
	store := openStore(t, dir, Options{Bytes: 3*one + one/2})
	standing := func() string {
		checkFolder(t, store)
		var b strings.Builder
		for id := range 10 {
			if _, n := store.Longest(tokens(id), &pictures); n == 1 {
				fmt.Fprint(&b, id)
			}
		}
		return b.String()
	}
	put := func(id int) { mustPut(t, store, snapshot(t, tokens(id), &pictures, "", state)) }
	load := func(id int) {
		e, _ := store.Longest(tokens(id), &pictures)
		if _, err := store.Load(e); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	put(2)
	put(3)
	load(1)
	put(4)
	if got := standing(); got != "134" {
		t.Fatalf("%s stand, not 134", got)
	}
	put(3) // covered, and used by that
	put(5)
	if got := standing(); got != "345" {
		t.Fatalf("%s stand, not 345", got)
	}
	if st := store.Stats(); st.Evicted != 2 || st.Covered != 1 || st.Puts != 5 {
		t.Errorf("%+v", st)
	}
	load(4)
	load(3)
	for range 2 { // the order outlives restarts, and a lower limit is kept at once
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		store = openStore(t, dir, Options{Bytes: 2*one + one/2})
		if got := standing(); got != "34" {
			t.Fatalf("%s stand, not 34", got)
		}
	}
	put(6)
	if got := standing(); got != "36" {
		t.Fatalf("%s stand, not 36", got)
	}
}

func TestSessionsStayAndCount(t *testing.T) {
	const state = 1000
	dir := t.TempDir()
	var pictures kv.Pictures
	one := int64(len(fileBytes(snapshot(t, tokens(1), &pictures, "a", state))))
	store := openStore(t, dir, Options{Bytes: 3 * one})
	mustPut(t, store, snapshot(t, tokens(1), &pictures, "a", state))
	mustPut(t, store, snapshot(t, tokens(2), &pictures, "b", state))
	mustPut(t, store, snapshot(t, tokens(3), &pictures, "", state))
	if err := store.Put(snapshot(t, tokens(4), &pictures, "", 3*state)); !errors.Is(err,
		ErrNoRoom) {
		t.Fatal(err)
	}
	if _, n := store.Longest(tokens(3), &pictures); n != 1 {
		t.Fatal("an entry was evicted in vain")
	}
	mustPut(t, store, snapshot(t, tokens(5), &pictures, "c", state))
	if names := store.Names(); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Fatal(names)
	}
	if _, n := store.Longest(tokens(3), &pictures); n != 0 {
		t.Fatal("a session did not take the place of an entry")
	}
	for _, name := range []string{"", "d"} {
		if err := store.Put(snapshot(t, tokens(6), &pictures, name, state)); !errors.Is(err,
			ErrNoRoom) {
			t.Fatal(err)
		}
	}
	mustPut(t, store, snapshot(t, tokens(7, 8), &pictures, "b", state-100)) // in its own place
	if e, err := store.Get("b"); err != nil || e.Items != 2 {
		t.Fatal(e, err)
	}
	checkFolder(t, store)
	if err := store.Remove("b"); err != nil {
		t.Fatal(err)
	}
	if err := store.Remove("b"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := store.Get("b"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := store.Get(""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	checkFolder(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir, Options{Bytes: one}) // sessions are over it alone
	if names := store.Names(); !slices.Equal(names, []string{"a", "c"}) {
		t.Fatal(names)
	}
}

func TestAnEntryReplacesItsPrefixes(t *testing.T) {
	var pictures kv.Pictures
	n := pictures.Number(key(1))
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole only ", whole), func(t *testing.T) {
			store := openStore(t, t.TempDir(), Options{WholeOnly: whole})
			put := func(name string, p *kv.Prompt) {
				mustPut(t, store, snapshot(t, p, &pictures, name, 10))
			}
			put("", tokens(1, 2))
			put("session", tokens(1, 2))
			put("", tokens(1, 3))
			inside := tokens(1, 2)
			picture(inside, n, 2, false)
			put("", inside) // begins as the next does, which cannot be cut there
			over := tokens(1, 2)
			picture(over, n, 4, true)
			put("", over)
			put("", tokens(1, 2)) // in the session
			put("", over)
			checkFolder(t, store)
			if st := store.Stats(); st.Entries != 4 || st.Puts != 5 || st.Covered != 2 ||
				st.Evicted != 0 {
				t.Errorf("%+v", st)
			}
			put("", tokens(1, 3, 4))
			if got := store.Stats().Entries - 4; got != 0 && !whole || got != 1 && whole {
				t.Errorf("%d entries more", got)
			}
			if _, n := store.Longest(tokens(1, 3), &pictures); n != 2 {
				t.Errorf("%d items of a prefix", n)
			}
			if _, n := store.Longest(tokens(1, 4), &pictures); n != 1 && !whole || n != 0 && whole {
				t.Errorf("%d items of a prefix that no file ends with", n)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "my session", "a.b", "..a", "Gespräch über 🐈",
		strings.Repeat("n", 100)} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for name, says := range map[string]string{
		"": "empty", ".": "dots", "..": "dots", "a/b": "slash", `a\b`: "slash", "/": "slash",
		"a\x00": "printed", "a\n": "ends with a space",
		"a\nb": "printed", " a": "space", "a\u200b": "printed", "\xff": "UTF-8",
		strings.Repeat("n", 101): "101 bytes",
	} {
		if err := CheckName(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, which does not say %q", name, err, says)
		}
	}
}

func TestAnEntryThatWasReplacedIsNotLoaded(t *testing.T) {
	store := openStore(t, t.TempDir(), Options{})
	mustPut(t, store, snapshot(t, tokens(1, 2), &kv.Pictures{}, "x", 10))
	old, err := store.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, store, snapshot(t, tokens(3), &kv.Pictures{}, "x", 10))
	if _, err := store.Load(old); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := store.Load(Entry{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestFilesOfAnotherModel(t *testing.T) {
	dir := t.TempDir()
	var pictures kv.Pictures
	store := openStore(t, dir, Options{})
	mustPut(t, store, snapshot(t, tokens(1), &pictures, "theirs", 1000))
	mustPut(t, store, snapshot(t, tokens(2), &pictures, "", 1000))
	limit := store.Stats().Bytes
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir, Options{Model: "another", Bytes: limit})
	for id := 1; id <= 2; id++ {
		if _, n := store.Longest(tokens(id), &pictures); n != 0 {
			t.Errorf("token %d was found in cells of another model", id)
		}
	}
	if _, err := store.Get("theirs"); !errors.Is(err, ErrModel) || !strings.Contains(err.Error(),
		"made by another model") {
		t.Error(err)
	}
	if err := store.Put(snapshot(t, tokens(3), &pictures, "", 10)); !errors.Is(err, ErrModel) {
		t.Error(err)
	}
	s := snapshot(t, tokens(3), &pictures, "theirs", 10)
	s.Model = "another"
	if err := store.Put(s); !errors.Is(err, ErrModel) {
		t.Errorf("a session of another model was overwritten: %v", err)
	}
	s.Name = "ours"
	mustPut(t, store, s) // the entry of the other model makes room
	if st := store.Stats(); st.Entries != 2 || st.Evicted != 1 || !slices.Equal(store.Names(),
		[]string{"ours", "theirs"}) {
		t.Errorf("%+v", st)
	}
	checkFolder(t, store)
	if err := store.Remove("theirs"); err != nil {
		t.Error(err)
	}
	checkFolder(t, store)
}

func TestASecondProcessReads(t *testing.T) {
	dir := t.TempDir()
	var pictures kv.Pictures
	first := openStore(t, dir, Options{})
	mustPut(t, first, snapshot(t, tokens(1, 2), &pictures, "x", 10))
	mustPut(t, first, snapshot(t, tokens(3), &pictures, "", 10))
	half := filepath.Join(dir, fileOf(mixed(t))+".7.tmp")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// flock is of the open file, so that one process can stand for two
	second := openStore(t, dir, Options{Bytes: 1})
	if !second.Stats().ReadOnly || first.Stats().ReadOnly {
		t.Fatal("both write, or neither")
	}
	if err := second.Put(snapshot(t, tokens(4), &pictures, "", 10)); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if st := second.Stats(); st.Failed != 1 || st.Puts != 0 {
		t.Errorf("a failure is not counted: %+v", st)
	}
	if err := second.Remove("x"); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	e, err := second.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Load(e); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(half); err != nil {
		t.Error("what the first may be writing is gone:", err)
	}
	if err := os.Remove(half); err != nil {
		t.Fatal(err)
	}
	checkFolder(t, first)
	mustPut(t, first, snapshot(t, tokens(5), &pictures, "x", 10))
	if _, err := second.Load(e); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if openStore(t, dir, Options{}).Stats().ReadOnly {
		t.Error("the folder was not given back")
	}
}

func TestAfterClose(t *testing.T) {
	store := openStore(t, t.TempDir(), Options{})
	mustPut(t, store, snapshot(t, tokens(1), &kv.Pictures{}, "x", 10))
	e, err := store.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, loaded := store.Load(e)
	for _, err := range []error{loaded, store.Put(snapshot(t, tokens(2), &kv.Pictures{}, "", 10)),
		store.Remove("x")} {
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	checkFolder(t, store)
}

func TestOptionsAreChecked(t *testing.T) {
	for _, opt := range []Options{{}, {Model: "m", Bytes: -1},
		{Model: strings.Repeat("m", maxModel+1)}} {
		if _, err := Open(t.TempDir(), opt); err == nil {
			t.Errorf("%+v was accepted", opt)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{Model: "m"}); err == nil {
		t.Error("a file was opened as a folder")
	}
}

// TestManyAtOnce puts, finds, loads and removes from many goroutines, under a limit that evicts all
// the time.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir, Options{Bytes: 30000})
	var wg sync.WaitGroup
	var loaded, gone sync.Map
	for g := range 8 {
		wg.Go(func() {
			var pictures kv.Pictures
			for i := range 60 {
				p := tokens(count(g%4, g%4+1+i%7)...)
				picture(p, pictures.Number(key(i%3)), 3, i%2 == 0)
				s := &Snapshot{Model: testModel, State: noise(500 + 100*(i%10))}
				if i%10 == 0 {
					s.Name = fmt.Sprint("session ", g%3)
				}
				if err := s.SetPrompt(p, &pictures); err != nil {
					t.Error(err)
				}
				if err := store.Put(s); err != nil && !errors.Is(err, ErrNoRoom) {
					t.Error(err)
				}
				e, n := store.Longest(p, &pictures)
				if n == 0 {
					continue
				}
				switch got, err := store.Load(e); {
				case errors.Is(err, fs.ErrNotExist):
					gone.Store([2]int{g, i}, true)
				case err != nil:
					t.Error(err)
				default:
					loaded.Store([2]int{g, i}, true)
					if q := got.PromptFor(&pictures); served(q, p, false) != n {
						t.Errorf("%d items of %v in %v", n, p, q)
					}
				}
				if i%20 == 19 {
					if err := store.Remove(fmt.Sprint("session ", g%3)); err != nil &&
						!errors.Is(err, fs.ErrNotExist) {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	n := 0
	loaded.Range(func(_, _ any) bool { n++; return true })
	st := store.Stats()
	if n < 50 || st.Evicted == 0 || st.Bytes > st.Limit {
		t.Errorf("%d loads, %+v", n, st)
	}
	checkFolder(t, store)
}

func BenchmarkStore(b *testing.B) {
	var pictures kv.Pictures
	snap := snapshot(b, tokens(count(0, 4000)...), &pictures, "x", 100<<20)
	store := openStore(b, b.TempDir(), Options{})
	mustPut(b, store, snap)
	b.Run("Put", func(b *testing.B) {
		b.SetBytes(int64(len(snap.State)))
		for b.Loop() {
			mustPut(b, store, snap)
		}
	})
	b.Run("Load", func(b *testing.B) {
		b.SetBytes(int64(len(snap.State)))
		for b.Loop() {
			e, err := store.Get("x")
			if err == nil {
				_, err = store.Load(e)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
