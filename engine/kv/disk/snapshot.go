package disk

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// Snapshot is a sequence of the KV cache as a file holds it. It refers to nothing of the process
// that made it, so that it can be written and read by any goroutine while the cache goes on.
type Snapshot struct {
	// Model is the identity of whatever decides what is in the cells: the model file, the cache
	// types.
	Model string
	// Name is the name of the session; empty for an entry of the cache.
	Name string
	// Prompt is what the cells stand for. Item.Picture n is Keys[n-1].
	Prompt kv.Prompt
	// Keys are the pictures among the items, in the order in which they first appear.
	Keys []kv.Key
	// Embeddings are those of some of the Keys, row after row; it may be nil.
	Embeddings map[kv.Key][]float32
	// State is the cells: what [llama.Context.SeqState] returned.
	State []byte
	// Saved is when the snapshot was made; Put takes the present for the zero time.
	Saved time.Time
}

// The most that a snapshot may have.
const (
	maxModel = 1 << 10 // bytes of the identity
	maxItems = 1 << 22
)

// SetPrompt sets Prompt and Keys to p, whose pictures are numbered by pictures. It is for the
// goroutine that owns pictures.
func (s *Snapshot) SetPrompt(p *kv.Prompt, pictures *kv.Pictures) error {
	items := slices.Clone(p.Items)
	numbers := map[uint32]uint32{0: 0}
	var keys []kv.Key
	for i, it := range items {
		n, ok := numbers[it.Picture]
		if !ok {
			key, ok := pictures.Key(it.Picture)
			if !ok {
				return fmt.Errorf("disk: item %d is of picture %d, which has no key", i, it.Picture)
			}
			keys = append(keys, key)
			n = uint32(len(keys))
			numbers[it.Picture] = n
		}
		items[i].Picture = n
	}
	s.Prompt = kv.Prompt{Items: items, Pos: slices.Clone(p.Pos), Next: p.Next,
		Whole: slices.Clone(p.Whole)}
	s.Keys = keys
	return nil
}

// PromptFor returns a copy of Prompt whose pictures are numbered by pictures. It is for the
// goroutine that owns pictures, and for snapshots that SetPrompt or Load filled in.
func (s *Snapshot) PromptFor(pictures *kv.Pictures) *kv.Prompt {
	numbers := make([]uint32, len(s.Keys)+1)
	for i, k := range s.Keys {
		numbers[i+1] = pictures.Number(k)
	}
	p := &kv.Prompt{Items: slices.Clone(s.Prompt.Items), Pos: slices.Clone(s.Prompt.Pos),
		Next: s.Prompt.Next, Whole: slices.Clone(s.Prompt.Whole)}
	for i := range p.Items {
		p.Items[i].Picture = numbers[p.Items[i].Picture]
	}
	return p
}

// check checks what the reader and the writer both insist on.
func (s *Snapshot) check() error {
	switch {
	case s.Model == "" || len(s.Model) > maxModel:
		return fmt.Errorf("a model identity of %d bytes, where 1 to %d may be", len(s.Model),
			maxModel)
	case len(s.State) == 0:
		return errors.New("no state")
	}
	if s.Name != "" {
		if err := CheckName(s.Name); err != nil {
			return err
		}
	}
	if err := checkPrompt(&s.Prompt); err != nil {
		return err
	}
	return checkKeys(s.Prompt.Items, s.Keys)
}

// checkPrompt checks items, positions and ranges, but not which pictures they name.
func checkPrompt(p *kv.Prompt) error {
	n := len(p.Items)
	if n == 0 || n > maxItems {
		return fmt.Errorf("%d items, where 1 to %d may be", n, maxItems)
	}
	if len(p.Pos) != n {
		return fmt.Errorf("%d positions for %d items", len(p.Pos), n)
	}
	last := llama.Pos(0)
	for i, pos := range p.Pos {
		if p.Items[i].Value < 0 {
			return fmt.Errorf("item %d is token or row %d", i, p.Items[i].Value)
		}
		if pos < last {
			return fmt.Errorf("item %d stands at position %d, after %d", i, pos, last)
		}
		last = pos
	}
	if p.Next <= last {
		return fmt.Errorf("the next position is %d, after %d", p.Next, last)
	}
	end := 0
	for _, w := range p.Whole {
		if w[0] < end || w[1] <= w[0] || w[1] > n {
			return fmt.Errorf("items %d to %d of %d as a whole", w[0], w[1], n)
		}
		end = w[1]
	}
	return nil
}

// checkKeys checks that items name all of keys and nothing else, in their order, and that no key is
// there twice.
func checkKeys(items []kv.Item, keys []kv.Key) error {
	named := 0
	for i, it := range items {
		if int64(it.Picture) > int64(named) {
			named++
		}
		if int64(it.Picture) > int64(named) || named > len(keys) {
			return fmt.Errorf("item %d is of picture %d, where %d of %d can be the next", i,
				it.Picture, named, len(keys))
		}
	}
	if named < len(keys) {
		return fmt.Errorf("%d pictures, of which items name %d", len(keys), named)
	}
	seen := make(map[kv.Key]bool, len(keys))
	for i, k := range keys {
		if seen[k] {
			return fmt.Errorf("picture %d is there twice", i+1)
		}
		seen[k] = true
	}
	return nil
}
