// K-quants of rows of floats, the bytes that ggml's own routines write (ggml/src/ggml-quants.c:
// quantize_row_q4_K_ref, _q5_K_ref, _q6_K_ref).
#ifndef EYELET_KQUANTS_H
#define EYELET_KQUANTS_H

#include <stddef.h>
#include <stdint.h>

enum { KQUANTS_BLOCK = 256 }; // values of a super-block

// Sizes of a super-block in bytes.
enum { KQUANTS_Q4_K = 144, KQUANTS_Q5_K = 176, KQUANTS_Q6_K = 210 };

// kquants_supported tells whether the processor and EYELET_ISA allow these kernels.
int kquants_supported(void);

// These quantize n super-blocks. Values must be finite, and their squares too.
void kquants_q4_K(const float *x, uint8_t *y, size_t n);
void kquants_q5_K(const float *x, uint8_t *y, size_t n);
void kquants_q6_K(const float *x, uint8_t *y, size_t n);

// kquants_from_f16 converts n halves; kquants_from_bf16 the upper halves of floats.
void kquants_from_f16(const uint16_t *x, float *y, size_t n);
void kquants_from_bf16(const uint16_t *x, float *y, size_t n);

// kquants_within tells whether all values are numbers from -limit to limit.
int kquants_within(const float *x, size_t n, float limit);

#endif
