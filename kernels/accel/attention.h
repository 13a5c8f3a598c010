// Attention over keys and values in host memory, for ggml's GGML_OP_FLASH_ATTN_EXT:
//
//	out = softmax(cap(q k' * scale) + slope * mask) v, cap(s) = softcap * tanh(s / softcap)
//
// A panel of queries at a time meets the keys block by block, so no more than one block of scores
// exists in a thread: the softmax is kept up to date with a running maximum (M. Milakov, N.
// Gimelshein, Online normalizer calculation for softmax, 2018; T. Dao et al., FlashAttention,
// 2022). Everything is computed in float32, also from 16-bit keys and values.
#ifndef EYELET_ATTENTION_H
#define EYELET_ATTENTION_H

#include <ggml.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether eyelet_attention_run computes such an operation: float32 queries; keys and values of any
// type that ggml converts to float32, as many heads of one as of the other, each for a whole number
// of heads of the queries; a float16 mask or none; sinks or none.
bool eyelet_attention_supports(const struct ggml_tensor *op);

// Whether operations are computed by vectors of this processor, and not in plain C.
bool eyelet_attention_has_vectors(void);

// Computes an operation that eyelet_attention_supports, on a team of threads of its own. Returns
// false, with nothing written, if memory is short. A query from which the mask hides all keys gets
// zeros. The result does not depend on the number of threads, nor, where uniform, on that of the
// queries that are computed together. One call at a time.
bool eyelet_attention_run(struct ggml_tensor *op, int threads, bool uniform);

// The same slowly, without taking memory.
void eyelet_attention_run_plain(struct ggml_tensor *op, int threads);

// Frees the scratch memory, which eyelet_attention_run otherwise keeps: 1 to 5 MiB a thread, more
// with the width of heads; for few queries of many keys up to 32 states of each panel as well, some
// 8 KiB each.
void eyelet_attention_free(void);

// The bytes of that memory now.
size_t eyelet_attention_kept(void);

#ifdef __cplusplus
}
#endif
#endif
