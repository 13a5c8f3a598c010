package disk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"pgregory.net/rapid"
)

const testModel = "seed-q8_0 f16 f16"

func key(i int) kv.Key { return sha256.Sum256(fmt.Append(nil, "picture ", i)) }

// tokens is a prompt of text alone.
func tokens(ids ...int) *kv.Prompt {
	p := &kv.Prompt{Next: llama.Pos(len(ids))}
	for i, id := range ids {
		p.Items = append(p.Items, kv.TokenItem(llama.Token(id)))
		p.Pos = append(p.Pos, llama.Pos(i))
	}
	return p
}

// count is the tokens from, from+1, … before to.
func count(from, to int) []int {
	var ids []int
	for i := from; i < to; i++ {
		ids = append(ids, i)
	}
	return ids
}

// picture appends rows of a picture. If whole is set they share a position, as with M-RoPE, and
// cannot be cut.
func picture(p *kv.Prompt, number uint32, rows int, whole bool) {
	from := len(p.Items)
	for i := range rows {
		p.Items = append(p.Items, kv.Item{Picture: number, Value: int32(i)})
		p.Pos = append(p.Pos, p.Next)
		if !whole {
			p.Next++
		}
	}
	if whole {
		p.Next += 7
		p.Whole = append(p.Whole, [2]int{from, from + rows})
	}
}

func snapshot(t testing.TB, p *kv.Prompt, pictures *kv.Pictures, name string, state int) *Snapshot {
	t.Helper()
	s := &Snapshot{Model: testModel, Name: name, State: noise(state)}
	if err := s.SetPrompt(p, pictures); err != nil {
		t.Fatal(err)
	}
	return s
}

// noise is n bytes that depend on n alone.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	return b
}

// mixed is a small snapshot that has everything.
func mixed(t testing.TB) *Snapshot {
	t.Helper()
	var pictures kv.Pictures
	pictures.Number(key(0)) // so that numbers here and in the file differ
	p := tokens(1, 2, 3)
	picture(p, pictures.Number(key(1)), 3, true)
	p.Items, p.Pos = append(p.Items, kv.TokenItem(9)), append(p.Pos, p.Next)
	p.Next++
	picture(p, pictures.Number(key(2)), 2, false)
	s := snapshot(t, p, &pictures, "my session", 50)
	s.Saved = time.Unix(1e9, 5)
	s.Embeddings = map[kv.Key][]float32{key(2): {1, -2.5, 3e-9}}
	return s
}

// fileBytes is the file of a snapshot.
func fileBytes(s *Snapshot) []byte {
	head, size := encodeHead(s, s.Saved)
	sealHead(head, sumBody(s))
	b := bytes.NewBuffer(head)
	if err := writeBody(b, s); err != nil || int64(b.Len()) != size {
		panic(fmt.Sprint(err, b.Len(), size))
	}
	return b.Bytes()
}

func readBytes(b []byte) (*Snapshot, error) {
	s, _, err := readSnapshot(bytes.NewReader(b), int64(len(b)), testModel)
	return s, err
}

// same compares everything but embeddings that are nil with those that are empty.
func same(a, b *Snapshot) error {
	switch {
	case a.Model != b.Model || a.Name != b.Name || !a.Saved.Equal(b.Saved):
		return fmt.Errorf("%q %q %v, not %q %q %v", a.Model, a.Name, a.Saved, b.Model, b.Name,
			b.Saved)
	case !slices.Equal(a.Keys, b.Keys):
		return fmt.Errorf("keys %x, not %x", a.Keys, b.Keys)
	case !samePrompt(&a.Prompt, &b.Prompt):
		return fmt.Errorf("prompt %v, not %v", a.Prompt, b.Prompt)
	case !bytes.Equal(a.State, b.State):
		return fmt.Errorf("another state")
	}
	for _, k := range a.Keys {
		if !slices.Equal(a.Embeddings[k], b.Embeddings[k]) {
			return fmt.Errorf("embeddings %v, not %v", a.Embeddings[k], b.Embeddings[k])
		}
	}
	return nil
}

func samePrompt(a, b *kv.Prompt) bool {
	return slices.Equal(a.Items, b.Items) && slices.Equal(a.Pos, b.Pos) && a.Next == b.Next &&
		slices.Equal(a.Whole, b.Whole)
}

// drawPrompt makes prompts that share prefixes often.
func drawPrompt(t *rapid.T, pictures *kv.Pictures) *kv.Prompt {
	p := &kv.Prompt{}
	for range rapid.IntRange(1, 6).Draw(t, "parts") {
		if n := rapid.IntRange(0, 2).Draw(t, "picture"); n > 0 {
			picture(p, pictures.Number(key(n)), rapid.IntRange(2, 4).Draw(t, "rows"), n == 2)
			continue
		}
		p.Items = append(p.Items, kv.TokenItem(llama.Token(rapid.IntRange(0, 2).Draw(t, "token"))))
		p.Pos = append(p.Pos, p.Next)
		p.Next++
		if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
			p.Next++
		}
	}
	return p
}

// openStore opens a folder until the end of the test, with a log that the test may read.
func openStore(t testing.TB, dir string, opt Options) *Store {
	t.Helper()
	if opt.Model == "" {
		opt.Model = testModel
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustPut(t testing.TB, s *Store, snap *Snapshot) {
	t.Helper()
	if err := s.Put(snap); err != nil {
		t.Fatal(err)
	}
}

// listing is the names in a folder but for the lock, and their sizes summed.
func listing(t testing.TB, dir string) (names []string, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == lockName {
			return err
		}
		info, err := d.Info()
		if err == nil {
			names = append(names, d.Name())
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, size
}

// checkFolder checks that the store knows exactly what is in its folder.
func checkFolder(t testing.TB, s *Store) {
	t.Helper()
	names, size := listing(t, s.dir)
	st := s.Stats()
	if st.Entries != len(names) || st.Bytes != size {
		t.Fatalf("the store knows %d files of %d bytes, the folder has %d of %d: %s", st.Entries,
			st.Bytes, len(names), size, strings.Join(names, " "))
	}
	for _, name := range names {
		if s.files[name] == nil {
			t.Fatalf("the store does not know %s", name)
		}
		info, err := os.Stat(s.path(name))
		if err != nil || info.Mode() != 0o600 {
			t.Fatalf("%s has mode %v (%v)", name, info.Mode(), err)
		}
	}
	if s.pending != 0 {
		t.Fatalf("%d bytes are pending", s.pending)
	}
}

// allocated returns the bytes the program has allocated on the heap so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
