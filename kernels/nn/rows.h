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

// The scale and the zero point of a row of integers q, which stand for scale * (q - zero).
typedef struct {
  float scale;
  int32_t zero;
} nn_range;

// How far the numbers of a row reach, 0 among them, and the sum of their squares.
typedef struct {
  float low, high, square;
} nn_extent;

// An output channel's weights as integers: their scale, their sum, and the square of their extent
// over their mean square.
typedef struct {
  float scale;
  int32_t sum;
  float spread;
} nn_channel;

// Loops over n elements, compiled for one level of instruction sets (rows_loops.h).
typedef struct {
  // dst = (x - mean(x)) / sqrt(var(x) + eps) * gain + bias.
  void (*norm)(float *restrict dst, const float *restrict x, const float *restrict gain,
               const float *restrict bias, int n, float eps);
  // dst = x / sqrt(mean(x x) + eps) * gain.
  void (*rms_norm)(float *restrict dst, const float *restrict x, const float *restrict gain, int n,
                   float eps);
  // Turns pairs of numbers, (a[i], b[i]), each by an angle of its own.
  void (*rotate)(float *restrict a, float *restrict b, const float *restrict cosines,
                 const float *restrict sines, int n);
  void (*multiply)(float *restrict dst, const float *restrict x, int n); // dst by x
  void (*put_bf16)(uint16_t *restrict dst, const float *restrict x, int n);
  void (*get_bf16)(float *restrict dst, const uint16_t *restrict x, int n);
  void (*round)(float *x, int n); // to bfloat16
  // x = x by, and its extent.
  nn_extent (*balance)(float *restrict x, const float *restrict by, int n);
  // Stores numbers as integers from 0 to limit, so that their extent fills that of the integers.
  nn_range (*quantize)(uint8_t *restrict dst, const float *restrict x, int n, nn_extent e,
                       int limit);
  // Stores what quantize left of each number, in steps of 1 / (limit + 1) of its own: (limit + 1) /
  // 2 stands for nothing.
  void (*quantize_rest)(uint8_t *restrict dst, const float *restrict x,
                        const uint8_t *restrict coarse, int n, nn_range row, int limit);
  // Stores numbers as multiples of their largest magnitude over limit.
  nn_range (*quantize16)(int16_t *restrict dst, const float *restrict x, int n, nn_extent e,
                         int limit);
  // dst = row.scale * column[i] * (acc[i] - row.zero * sum[i]) + bias[i]: the end of an 8-bit
  // product, sum[i] being the sum of the weights of column i.
  void (*dequantize)(float *restrict dst, const int32_t *restrict acc, nn_range row,
                     const float *restrict column, const int32_t *restrict sum,
                     const float *restrict bias, int n);
  // dst += row.scale * column[i] * (acc[i] / (limit + 1) - sum[i] / 2): the product of the rest.
  void (*dequantize_rest)(float *restrict dst, const int32_t *restrict acc, nn_range row,
                          const float *restrict column, const int32_t *restrict sum, int limit,
                          int n);
  void (*quick_gelu)(float *x, int n);
  void (*silu)(float *x, int n);
  void (*gelu)(float *x, int n);
  void (*gelu_tanh)(float *x, int n);
  void (*add)(float *restrict dst, const float *restrict x, int n); // x to dst
  // x = exp((x - max(x)) * scale); returns the sum.
  float (*softmax)(float *x, int n, float scale);
  void (*scale)(float *dst, const float *x, float f, int n); // dst = x * f
  void (*scale_bf16)(uint16_t *restrict dst, const float *restrict x, float f, int n);
  // Rounds the weights of an output channel, w by, to multiples of their largest magnitude over
  // 127.
  nn_channel (*quantize_channel)(int8_t *restrict dst, const float *restrict w,
                                 const float *restrict by, int n);
  // The same for a part of a channel, over limit. Returns the scale.
  float (*quantize_piece)(int16_t *restrict dst, const float *restrict w, const float *restrict by,
                          int n, int limit);
  void (*add_squares)(float *restrict dst, const float *restrict x, int n); // x x to dst
} nn_loops;

// nn_rows returns the loops of the best level that is allowed.
const nn_loops *nn_rows(void);

// nn_row_put stores n numbers as s; nn_row_get reads them.
void nn_row_put(void *dst, const float *x, int n, nn_store s);
void nn_row_get(float *dst, const void *x, int n, nn_store s);

// nn_row_activate applies an activation in place.
void nn_row_activate(float *x, int n, nn_activation a);

// nn_row_softmax stores exp((x - max(x)) * scale) as s and returns the sum of what it stored. x may
// be dst.
float nn_row_softmax(void *dst, float *x, int n, float scale, nn_store s);

// nn_row_scale stores x * f as s.
void nn_row_scale(void *dst, const float *x, float f, int n, nn_store s);

// For Go, which cannot call through pointers.
static inline void nn_row_round(float *x, int n) { nn_rows()->round(x, n); }
static inline nn_channel nn_channel_quantize(int8_t *dst, const float *w, const float *by, int n) {
  return nn_rows()->quantize_channel(dst, w, by, n);
}

// nn_balance finds what the inputs of a layer are multiplied by before they are rounded, and its
// weights divided by: the root mean square of each input's weights. inverse is 1 over it, or 0 for
// an input that nothing reads.
void nn_balance(float *by, float *inverse, const float *weight, int in, int out);

#endif
