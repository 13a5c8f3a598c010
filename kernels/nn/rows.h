// Element-wise work on rows of float32 numbers: what stands between the matrix products.
#ifndef EYELET_NN_ROWS_H
#define EYELET_NN_ROWS_H

#include <stdint.h>

// How activations are stored between products.
typedef enum {
  NN_F32,     // float32
  NN_ROUNDED, // float32 that holds bfloat16 numbers: bf16 as carried out by a processor without it
  NN_BF16,    // bfloat16
} nn_store;

// The activations of vision towers, in the order of onednn.Activation.
typedef enum { NN_NONE, NN_QUICK_GELU, NN_GELU, NN_GELU_TANH, NN_SILU } nn_activation;

// nn_store_bytes returns the size of an element.
static inline int nn_store_bytes(nn_store s) { return s == NN_BF16 ? 2 : 4; }

// nn_row_norm computes dst = (x - mean(x)) / sqrt(var(x) + eps) * gain + bias over n elements.
void nn_row_norm(float *dst, const float *x, const float *gain, const float *bias, int n,
                 float eps);

// nn_row_rms_norm computes dst = x / sqrt(mean(x x) + eps) * gain over n elements.
void nn_row_rms_norm(float *dst, const float *x, const float *gain, int n, float eps);

// nn_row_rotate turns n pairs of numbers, (x[i], x[n + i]), each by an angle of its own.
void nn_row_rotate(float *x, const float *cosines, const float *sines, int n);

// nn_row_multiply multiplies dst by x, element by element.
void nn_row_multiply(float *dst, const float *x, int n);

// nn_row_put stores n numbers as s; nn_row_get reads them.
void nn_row_put(void *dst, const float *x, int n, nn_store s);
void nn_row_get(float *dst, const void *x, int n, nn_store s);

// nn_row_round rounds n float32 numbers to bfloat16 in place.
void nn_row_round(float *x, int n);

// The scale and the zero point of a row of 8-bit numbers q, which stand for scale * (q - zero).
typedef struct {
  float scale;
  int32_t zero;
} nn_range;

// nn_row_quantize stores numbers as integers from 0 to limit, so that their range, with 0 in it,
// fills that of the integers.
nn_range nn_row_quantize(uint8_t *dst, const float *x, int n, int limit);

// nn_row_dequantize computes dst = row.scale * column[i] * (acc[i] - row.zero * sum[i]) + bias[i]:
// the end of an 8-bit product, sum[i] being the sum of the weights of column i.
void nn_row_dequantize(float *dst, const int32_t *acc, nn_range row, const float *column,
                       const int32_t *sum, const float *bias, int n);

// nn_channel_quantize rounds the weights of an output channel to multiples of their largest
// magnitude over 127. It returns that step, and the sum of the integers.
float nn_channel_quantize(int8_t *dst, const float *w, int n, int32_t *sum);

// nn_row_activate applies an activation in place, nn_row_add adds x to dst.
void nn_row_activate(float *x, int n, nn_activation a);
void nn_row_add(float *dst, const float *x, int n);

// nn_row_softmax stores exp((x - max(x)) * scale) as s and returns the sum of what it stored. x may
// be dst.
float nn_row_softmax(void *dst, float *x, int n, float scale, nn_store s);

// nn_row_scale stores x * f as s.
void nn_row_scale(void *dst, const float *x, float f, int n, nn_store s);

#endif
