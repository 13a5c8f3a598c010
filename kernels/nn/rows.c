#include "rows.h"
#include "scalar.h"

// The loops at one level of instruction sets (rows_loops.h).
typedef struct {
  void (*norm)(float *restrict dst, const float *restrict x, const float *restrict gain,
               const float *restrict bias, int n, float eps);
  void (*rms_norm)(float *restrict dst, const float *restrict x, const float *restrict gain, int n,
                   float eps);
  void (*rotate)(float *restrict a, float *restrict b, const float *restrict cosines,
                 const float *restrict sines, int n);
  void (*multiply)(float *restrict dst, const float *restrict x, int n);
  void (*put_bf16)(uint16_t *restrict dst, const float *restrict x, int n);
  void (*get_bf16)(float *restrict dst, const uint16_t *restrict x, int n);
  void (*round)(float *x, int n);
  nn_range (*quantize)(uint8_t *restrict dst, const float *restrict x, int n, int limit);
  void (*dequantize)(float *restrict dst, const int32_t *restrict acc, nn_range row,
                     const float *restrict column, const int32_t *restrict sum,
                     const float *restrict bias, int n);
  void (*quick_gelu)(float *x, int n);
  void (*silu)(float *x, int n);
  void (*gelu)(float *x, int n);
  void (*gelu_tanh)(float *x, int n);
  void (*add)(float *restrict dst, const float *restrict x, int n);
  float (*softmax)(float *x, int n, float scale);
  void (*scale)(float *dst, const float *x, float f, int n);
  void (*scale_bf16)(uint16_t *restrict dst, const float *restrict x, float f, int n);
  float (*quantize_channel)(int8_t *restrict dst, const float *restrict w, int n, int32_t *sum);
} loops;

#define LOOPS "../../kernels/nn/rows_loops.h"
#include "../../cgo/isa/loops.h"

void nn_row_norm(float *dst, const float *x, const float *gain, const float *bias, int n,
                 float eps) {
  in_use()->norm(dst, x, gain, bias, n, eps);
}

void nn_row_rms_norm(float *dst, const float *x, const float *gain, int n, float eps) {
  in_use()->rms_norm(dst, x, gain, n, eps);
}

void nn_row_rotate(float *x, const float *cosines, const float *sines, int n) {
  in_use()->rotate(x, x + n, cosines, sines, n);
}

void nn_row_multiply(float *dst, const float *x, int n) { in_use()->multiply(dst, x, n); }

void nn_row_round(float *x, int n) { in_use()->round(x, n); }

void nn_row_put(void *dst, const float *x, int n, nn_store s) {
  if (s == NN_BF16) {
    in_use()->put_bf16(dst, x, n);
    return;
  }
  if (dst != x)
    memmove(dst, x, sizeof *x * n);
  if (s == NN_ROUNDED)
    nn_row_round(dst, n);
}

void nn_row_get(float *dst, const void *x, int n, nn_store s) {
  if (s == NN_BF16)
    in_use()->get_bf16(dst, x, n);
  else
    memcpy(dst, x, sizeof *dst * n);
}

nn_range nn_row_quantize(uint8_t *dst, const float *x, int n, int limit) {
  return in_use()->quantize(dst, x, n, limit);
}

void nn_row_dequantize(float *dst, const int32_t *acc, nn_range row, const float *column,
                       const int32_t *sum, const float *bias, int n) {
  in_use()->dequantize(dst, acc, row, column, sum, bias, n);
}

float nn_channel_quantize(int8_t *dst, const float *w, int n, int32_t *sum) {
  return in_use()->quantize_channel(dst, w, n, sum);
}

void nn_row_activate(float *x, int n, nn_activation a) {
  switch (a) {
  case NN_QUICK_GELU: in_use()->quick_gelu(x, n); break;
  case NN_GELU: in_use()->gelu(x, n); break;
  case NN_GELU_TANH: in_use()->gelu_tanh(x, n); break;
  case NN_SILU: in_use()->silu(x, n); break;
  case NN_NONE: break;
  }
}

void nn_row_add(float *dst, const float *x, int n) { in_use()->add(dst, x, n); }

float nn_row_softmax(void *dst, float *x, int n, float scale, nn_store s) {
  float sum = in_use()->softmax(x, n, scale);
  nn_row_put(dst, x, n, s);
  return sum;
}

void nn_row_scale(void *dst, const float *x, float f, int n, nn_store s) {
  if (s == NN_BF16) {
    in_use()->scale_bf16(dst, x, f, n);
    return;
  }
  in_use()->scale(dst, x, f, n);
  if (s == NN_ROUNDED)
    nn_row_round(dst, n);
}
