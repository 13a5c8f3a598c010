package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// dim calls f unless the model is closed, in which case dimensions are zero.
func (m *Model) dim(f func(*C.struct_llama_model) C.int32_t) int {
	if m.c == nil {
		return 0
	}
	return int(f(m.c))
}

// NEmbd is the width of the model's hidden state.
func (m *Model) NEmbd() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_embd(c) })
}

// NEmbdInp is the width of an input embedding: NEmbd, and more where deep-stack features of a
// vision tower ride along.
func (m *Model) NEmbdInp() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_embd_inp(c) })
}

// NEmbdOut is the width of an output embedding.
func (m *Model) NEmbdOut() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_embd_out(c) })
}

// NCtxTrain is the context length, in tokens, that the model was trained for.
func (m *Model) NCtxTrain() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_ctx_train(c) })
}

// NLayer is the number of transformer blocks.
func (m *Model) NLayer() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_layer(c) })
}

// NHead is the number of attention heads, NHeadKV that of key and value heads.
func (m *Model) NHead() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_head(c) })
}

// NHeadKV is the number of key and value heads.
func (m *Model) NHeadKV() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_head_kv(c) })
}

// NSWA is the width of the sliding attention window, 0 if the model has none.
func (m *Model) NSWA() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_swa(c) })
}

// RopeType is the kind of rotary position embedding.
type RopeType int

// The rope types that change how positions are given.
const (
	RopeNone   RopeType = C.LLAMA_ROPE_TYPE_NONE
	RopeMRoPE  RopeType = C.LLAMA_ROPE_TYPE_MROPE
	RopeIMRoPE RopeType = C.LLAMA_ROPE_TYPE_IMROPE
)

// RopeType reports the model's kind of position embedding.
func (m *Model) RopeType() RopeType {
	return RopeType(m.dim(func(c *C.struct_llama_model) C.int32_t {
		return C.int32_t(C.llama_model_rope_type(c))
	}))
}

// NPosPerEmbd is how many positions an embedding needs in a batch: 4 for M-RoPE (t, y, x, z), else
// 1.
func (m *Model) NPosPerEmbd() int {
	switch m.RopeType() {
	case RopeMRoPE, RopeIMRoPE:
		return 4
	}
	return 1
}

// Size is the size of all weights in bytes.
func (m *Model) Size() uint64 {
	if m.c == nil {
		return 0
	}
	return uint64(C.llama_model_size(m.c))
}

// Few is how many rows of a batch [Context.DecodeUniform] may have, and whether these take little
// longer than one.
func (m *Model) Few() ggml.Few { return m.few }

// NParams is the number of weights.
func (m *Model) NParams() uint64 {
	if m.c == nil {
		return 0
	}
	return uint64(C.llama_model_n_params(m.c))
}

// FileType is the quantization as libllama names it, for example "Q4_K - Medium".
func (m *Model) FileType() string {
	if m.c == nil {
		return ""
	}
	return C.GoString(C.llama_ftype_name(C.llama_model_ftype(m.c)))
}

// HasEncoder reports whether the model needs Encode (encoder-decoder models such as T5).
func (m *Model) HasEncoder() bool { return m.c != nil && bool(C.llama_model_has_encoder(m.c)) }

// HasDecoder reports whether the model can Decode.
func (m *Model) HasDecoder() bool { return m.c != nil && bool(C.llama_model_has_decoder(m.c)) }

// IsRecurrent reports whether the model keeps a recurrent state instead of a KV cache (Mamba,
// RWKV).
func (m *Model) IsRecurrent() bool { return m.c != nil && bool(C.llama_model_is_recurrent(m.c)) }

// IsHybrid reports whether some layers are recurrent and some attend.
func (m *Model) IsHybrid() bool { return m.c != nil && bool(C.llama_model_is_hybrid(m.c)) }

// Description is libllama's short name for the model, for example "llama 7B Q4_0".
func (m *Model) Description() string {
	if m.c == nil {
		return ""
	}
	return growString(func(buf *C.char, n C.size_t) C.int32_t {
		return C.llama_model_desc(m.c, buf, n)
	})
}

// Meta returns the metadata value of key as text. Arrays are not available here; models/gguf reads
// them.
func (m *Model) Meta(key string) (string, bool) {
	if m.c == nil {
		return "", false
	}
	ck := C.CString(key)
	defer C.free(unsafe.Pointer(ck))
	if C.llama_model_meta_val_str(m.c, ck, nil, 0) < 0 {
		return "", false
	}
	return growString(func(buf *C.char, n C.size_t) C.int32_t {
		return C.llama_model_meta_val_str(m.c, ck, buf, n)
	}), true
}

// Metadata returns every scalar metadata value as text, by key.
func (m *Model) Metadata() map[string]string {
	if m.c == nil {
		return nil
	}
	n := int(C.llama_model_meta_count(m.c))
	all := make(map[string]string, n)
	for i := range C.int32_t(n) {
		key := growString(func(b *C.char, n C.size_t) C.int32_t {
			return C.llama_model_meta_key_by_index(m.c, i, b, n)
		})
		all[key] = growString(func(b *C.char, n C.size_t) C.int32_t {
			return C.llama_model_meta_val_str_by_index(m.c, i, b, n)
		})
	}
	return all
}

// ChatTemplate is the model's Jinja template: the default one for an empty name, else the named
// variant ("tool_use").
func (m *Model) ChatTemplate(name string) (string, bool) {
	if m.c == nil {
		return "", false
	}
	var cn *C.char
	if name != "" {
		cn = C.CString(name)
		defer C.free(unsafe.Pointer(cn))
	}
	t := C.llama_model_chat_template(m.c, cn)
	if t == nil {
		return "", false
	}
	return C.GoString(t), true
}

// growString calls a C function of the snprintf kind until its buffer is large enough.
func growString(f func(buf *C.char, n C.size_t) C.int32_t) string {
	buf := make([]C.char, 256)
	for {
		n := int(f(&buf[0], C.size_t(len(buf))))
		if n < 0 {
			return ""
		}
		if n < len(buf) {
			return C.GoStringN(&buf[0], C.int(n))
		}
		buf = make([]C.char, n+1)
	}
}
