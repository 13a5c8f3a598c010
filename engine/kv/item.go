package kv

import (
	"crypto/sha256"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// Key names the embeddings of one encoded part of a picture: a SHA-256 over the picture file's
// bytes, the identity of the tower that encodes it, and the number of the part. Equal keys mean
// equal embeddings.
type Key [sha256.Size]byte

// Item is what one cell of the KV cache stands for: a token, or one row of a picture's embeddings.
// Items are compared with ==; two prompts with the same items have the same prefix, pictures
// included.
type Item struct {
	// Picture is 0 for a token. Else it is the number that [Pictures] gave to the Key of the
	// picture.
	Picture uint32
	// Value is the token, or the row.
	Value int32
}

// TokenItem is the item of a token.
func TokenItem(t llama.Token) Item { return Item{Value: int32(t)} }

// IsToken reports whether the item is a token.
func (i Item) IsToken() bool { return i.Picture == 0 }

// Tokens returns the tokens among items, in order.
func Tokens(items []Item) (list []llama.Token) {
	for _, i := range items {
		if i.IsToken() {
			list = append(list, llama.Token(i.Value))
		}
	}
	return list
}

// Common returns the number of equal items at the beginning.
func Common(a, b []Item) int {
	const step = 16 // arrays of items are compared as memory, some at a time
	n, i := min(len(a), len(b)), 0
	for i+step <= n && *(*[step]Item)(a[i:]) == *(*[step]Item)(b[i:]) {
		i += step
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// Prompt is what a sequence is to hold: items in order, and the position of each.
//
// Positions never fall. They rise by one from item to item, except within pictures of models whose
// positions have several dimensions (M-RoPE), where rows share positions and the item after the
// picture may lie further on.
type Prompt struct {
	Items []Item
	Pos   []llama.Pos
	// Next is the position of the item that comes after the last.
	Next llama.Pos
	// Whole are the half-open ranges of items, in order, that must be computed in one piece and
	// cannot be cut: pictures that attend to themselves in both directions, and pictures whose rows
	// share positions.
	Whole [][2]int
}

// Add appends an item, at the position that comes next.
func (p *Prompt) Add(i Item) {
	p.Items, p.Pos, p.Next = append(p.Items, i), append(p.Pos, p.Next), p.Next+1
}

// First returns the first n items, which the two prompts share.
func (p *Prompt) First(n int) *Prompt {
	q := &Prompt{Items: p.Items[:n:n], Pos: p.Pos[:n:n], Next: p.Position(n)}
	for _, w := range p.Whole {
		if w[1] <= n {
			q.Whole = append(q.Whole, w)
		}
	}
	return q
}

// Cut returns the largest n' <= n at which the prompt may be cut: n itself, or where the whole
// picture begins that n falls into.
func (p *Prompt) Cut(n int) int {
	for _, w := range p.Whole {
		if w[0] < n && n < w[1] {
			return w[0]
		}
	}
	return n
}

// Position returns the position of item n, or that of the next item if n is the number of items.
func (p *Prompt) Position(n int) llama.Pos {
	if n < len(p.Pos) {
		return p.Pos[n]
	}
	return p.Next
}

// EachPicture yields the numbers of the prompt's pictures.
func (p *Prompt) EachPicture(yield func(number uint32)) {
	last := uint32(0)
	for _, i := range p.Items {
		if i.Picture != last && i.Picture != 0 {
			yield(i.Picture)
		}
		last = i.Picture
	}
}
