package mtmd

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// Kind says what a chunk holds.
type Kind int

// The kinds of chunks.
const (
	Text        Kind = C.MTMD_INPUT_CHUNK_TYPE_TEXT
	ImageChunk  Kind = C.MTMD_INPUT_CHUNK_TYPE_IMAGE
	AudioChunk  Kind = C.MTMD_INPUT_CHUNK_TYPE_AUDIO
	unknownKind Kind = C.MTMD_INPUT_CHUNK_TYPE_COUNT
)

// String returns the name of the kind, as "image".
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case ImageChunk:
		return "image"
	case AudioChunk:
		return "audio"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// A Chunk is a run of a prompt: text tokens, or the tokens of a picture, of a tile of one, or of a
// stretch of sound.
type Chunk struct {
	Kind    Kind
	Tokens  []llama.Token // of text; nil for media
	NTokens int           // rows of embeddings, or text tokens
	// by how much the chunk advances the position; less than NTokens for a picture under M-RoPE
	NPos int
	ID   string // of the bitmap; "" for text
	// its tokens attend to each other in both directions, so they go in one decode
	NonCausal bool

	c     *C.mtmd_input_chunk
	owner *Chunks
}

// Chunks are a prompt as [Context.Tokenize] cut it.
type Chunks struct {
	mu    sync.RWMutex
	c     *C.mtmd_input_chunks
	over  bool // Close was called; c is freed when its users have released it
	users int  // encodings of chunks
	ctx   *Context
	list  []*Chunk
	blank bool // there is a picture without pixels among them
}

// Tokenize turns a text that has [Context.Marker] once for each bitmap, in their order, into
// chunks. The library adds the tokens that its model family wants around a picture. addSpecial adds
// the vocabulary's begin and end tokens; parseSpecial reads the text of special tokens as those
// tokens, in all of the text.
//
// A text that comes from outside may contain the marker: take it out first, or set one that nobody
// can guess.
func (m *Context) Tokenize(text string, bitmaps []Bitmap, addSpecial,
	parseSpecial bool) (*Chunks, error) {
	if n := strings.Count(text, m.marker); n != len(bitmaps) {
		return nil, fmt.Errorf("%w: %d of %s, %d bitmaps", ErrMarkers, n, m.marker, len(bitmaps))
	}
	if len(text) > math.MaxInt32/2 {
		return nil, fmt.Errorf("mtmd: a text of %d bytes is too long", len(text))
	}
	m.open.RLock()
	defer m.open.RUnlock()
	if err := m.ready(); err != nil {
		return nil, err
	}
	media := make([]*C.mtmd_bitmap, 0, len(bitmaps)+1)
	defer func() {
		for _, b := range media {
			C.mtmd_bitmap_free(b)
		}
	}()
	for i, b := range bitmaps {
		if err := b.fits(m.caps); err != nil {
			return nil, fmt.Errorf("mtmd: bitmap %d is %w", i, err)
		}
		c, err := b.toC()
		if err != nil {
			return nil, err
		}
		media = append(media, c)
	}
	ctext := C.CString(text)
	defer C.free(unsafe.Pointer(ctext))
	logged := ggml.CollectErrors()
	var out *C.mtmd_input_chunks
	var rc C.int32_t
	var eb errBuf
	ok := C.shim_mtmd_tokenize(m.c, ctext, C.size_t(len(text)), C.bool(addSpecial),
		C.bool(parseSpecial),
		unsafe.SliceData(media), C.size_t(len(media)), &out, &rc, eb.ptr(), eb.cap())
	switch {
	case !bool(ok):
		return nil, logged.Wrap(fmt.Errorf("mtmd: tokenize: %s", eb.String()))
	case rc == 1:
		logged.Stop()
		return nil, fmt.Errorf("%w: %d bitmaps", ErrMarkers, len(bitmaps))
	case rc != 0:
		return nil, logged.Wrap(fmt.Errorf("mtmd: tokenize: a bitmap cannot be prepared (code %d)",
			int(rc)))
	}
	logged.Stop()
	cs := m.newChunks(out)
	cs.blank = slices.ContainsFunc(bitmaps, func(b Bitmap) bool {
		return b.rgb == nil && !b.IsAudio()
	})
	return cs, nil
}

// newChunks takes the ownership of c.
func (m *Context) newChunks(c *C.mtmd_input_chunks) *Chunks {
	cs := &Chunks{c: c, ctx: m}
	for i := range int(C.mtmd_input_chunks_size(c)) {
		in := C.mtmd_input_chunks_get(c, C.size_t(i))
		chunk := &Chunk{
			Kind:  Kind(C.mtmd_input_chunk_get_type(in)),
			c:     in,
			owner: cs,
		}
		if chunk.Kind < Text || chunk.Kind >= unknownKind {
			continue // of a later libmtmd; there is nothing that could be done with it
		}
		chunk.NTokens = int(C.mtmd_input_chunk_get_n_tokens(in))
		chunk.NPos = int(C.mtmd_input_chunk_get_n_pos(in))
		if chunk.Kind == Text {
			var n C.size_t
			tokens := C.mtmd_input_chunk_get_tokens_text(in, &n)
			chunk.Tokens = slices.Clone(unsafe.Slice((*llama.Token)(unsafe.Pointer(tokens)),
				int(n)))
		} else {
			chunk.ID = C.GoString(C.mtmd_input_chunk_get_id(in))
			chunk.NonCausal = bool(C.mtmd_decode_use_non_causal(m.c, in))
		}
		cs.list = append(cs.list, chunk)
	}
	return cs
}

// List returns the chunks in the order of the prompt. What their fields say stays valid after
// Close.
func (cs *Chunks) List() []*Chunk { return slices.Clone(cs.list) }

// NTokens returns the number of tokens of all chunks: the cells that the prompt takes in the KV
// cache.
func (cs *Chunks) NTokens() (n int) {
	for _, c := range cs.list {
		n += c.NTokens
	}
	return n
}

// NPos returns by how much all chunks advance the position.
func (cs *Chunks) NPos() (n int) {
	for _, c := range cs.list {
		n += c.NPos
	}
	return n
}

// Close frees the prepared pictures and sounds, once no encoding of them is under way. It may be
// called again.
func (cs *Chunks) Close() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.over = true
	cs.free()
	return nil
}

// free frees what was closed and is not used. cs.mu is held.
func (cs *Chunks) free() {
	if cs.over && cs.users == 0 && cs.c != nil {
		C.mtmd_input_chunks_free(cs.c)
		cs.c = nil
	}
}

// retain keeps the chunks until release. It returns false if they are closed.
func (cs *Chunks) retain() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.over {
		cs.users++
	}
	return !cs.over
}

func (cs *Chunks) release() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.users--
	cs.free()
}

// Positions returns the positions of the chunk's tokens in a sequence where the chunk begins at
// pos0, in the order of llama_batch's sections. For a picture under M-RoPE they are time, row,
// column, and a fourth that most models leave 0; for all else the first three count the tokens. It
// is an error after the Close of the chunks, except for text and sound.
func (c *Chunk) Positions(pos0 llama.Pos) ([][4]llama.Pos, error) {
	if pos0 < 0 || int64(pos0)+int64(c.NTokens) > math.MaxInt32 {
		return nil, fmt.Errorf("mtmd: %d tokens at position %d", c.NTokens, pos0)
	}
	positions := make([][4]llama.Pos, c.NTokens)
	if c.Kind != ImageChunk {
		for i := range positions {
			p := pos0 + llama.Pos(i)
			positions[i] = [4]llama.Pos{p, p, p, 0}
		}
		return positions, nil
	}
	if c.owner == nil {
		return nil, ErrClosed
	}
	c.owner.mu.RLock()
	defer c.owner.mu.RUnlock()
	if c.owner.over {
		return nil, ErrClosed
	}
	image := C.mtmd_input_chunk_get_tokens_image(c.c)
	for i := range positions {
		p := C.mtmd_image_tokens_get_decoder_pos(image, C.llama_pos(pos0), C.size_t(i))
		positions[i] = [4]llama.Pos{llama.Pos(p.t), llama.Pos(p.y), llama.Pos(p.x), llama.Pos(p.z)}
	}
	return positions, nil
}
