#include "rows.h"
#include "scalar.h"

typedef nn_loops loops;
#define LOOPS "../../kernels/nn/rows_loops.h"
#include "../../cgo/isa/loops.h"

const nn_loops *nn_rows(void) { return in_use(); }

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

void nn_row_activate(float *x, int n, nn_activation a) {
  switch (a) {
  case NN_QUICK_GELU: in_use()->quick_gelu(x, n); break;
  case NN_GELU: in_use()->gelu(x, n); break;
  case NN_GELU_TANH: in_use()->gelu_tanh(x, n); break;
  case NN_SILU: in_use()->silu(x, n); break;
  case NN_NONE: break;
  }
}

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

void nn_balance(float *by, float *inverse, const float *weight, int in, int out) {
  memset(by, 0, sizeof *by * in);
  for (int i = 0; i < out; i++)
    in_use()->add_squares(by, weight + (size_t)i * in, in);
  for (int i = 0; i < in; i++) {
    by[i] = sqrtf(by[i] / out);
    if (by[i] < 1e-18f) // its square may have vanished
      by[i] = inverse[i] = 0;
    else
      inverse[i] = 1 / by[i];
  }
}
