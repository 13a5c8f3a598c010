// The inner loops of softmax in plain C.
#include "attention_parts.h"

#include <string.h>

static void raise_plain(float *restrict largest, const float *restrict s, int64_t n, int width) {
  for (int64_t i = 0; i < n; i++)
    for (int c = 0; c < width; c++)
      largest[c] = s[i * width + c] > largest[c] ? s[i * width + c] : largest[c];
}

// 2^x for x up to 127, NaN for NaN.
static float exp2_plain(float x) {
  static const float p[] = {ATTENTION_EXP2};
  float clamped = x < -126.0f ? -126.0f : x;
  float shifted = clamped + ATTENTION_MAGIC, f = clamped - (shifted - ATTENTION_MAGIC);
  uint32_t bits;
  memcpy(&bits, &shifted, 4);
  bits <<= 23;
  float power;
  memcpy(&power, &bits, 4);
  float y = (((((p[5] * f + p[4]) * f + p[3]) * f + p[2]) * f + p[1]) * f + p[0]) * f + 1;
  return x < -126.0f ? 0 : y * power;
}

static void power_plain(float *restrict s, int64_t n, int width, const float *restrict largest,
                        float *restrict sum) {
  memset(sum, 0, sizeof *sum * width);
  for (int64_t i = 0; i < n; i++)
    for (int c = 0; c < width; c++) {
      float y = exp2_plain(s[i * width + c] - largest[c]);
      s[i * width + c] = y;
      sum[c] += y;
    }
}

static void scale_plain(float *restrict s, int64_t n, int width, const float *restrict by) {
  for (int64_t i = 0; i < n; i++)
    for (int c = 0; c < width; c++)
      s[i * width + c] *= by[c];
}

// tanh x = 1 - 2 / (e^2x + 1)
static void cap_plain(float *s, int64_t n, float cap) {
  for (int64_t i = 0; i < n; i++) {
    float x = 2.88539008f * s[i];
    s[i] = cap - 2 * cap / (exp2_plain(x > 126.0f ? 126.0f : x) + 1);
  }
}

static void add_plain(float *restrict s, const float *restrict mask, int64_t n, float slope) {
  for (int64_t i = 0; i < n; i++)
    s[i] += slope * mask[i];
}

const attention_kernels attention_plain = {raise_plain, power_plain, scale_plain, cap_plain,
                                           add_plain};
