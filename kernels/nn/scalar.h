// Functions of one number, which compilers vectorise in the loops that call them.
#ifndef EYELET_NN_SCALAR_H
#define EYELET_NN_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// GCC assumes that comparisons may trap, and then vectorises no loop that clamps. (As a pragma,
// since cgo takes no such flag; clang assumes no traps.)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno")
#endif

// fast_exp is e^x to 2 units in the last place for x <= 88: x = n ln 2 + r, a polynomial for e^r
// (the coefficients are those of Cephes' expf, S. L. Moshier), and n added to the exponent. Below
// -87 it returns e^-87.
INLINE float fast_exp(float x) {
  const float magic = 12582912.0f; // 1.5 * 2^23: adding and subtracting it rounds to an integer
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  float n = (x * 1.44269504f + magic) - magic;
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

INLINE float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// fast_erf has an absolute error below 2e-7 (Abramowitz and Stegun, 7.1.26).
INLINE float fast_erf(float x) {
  float a = fabsf(x);
  float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  return copysignf(1.0f - p * t * fast_exp(-a * a), x);
}

// to_bf16 rounds to nearest, ties to even; the numbers here are finite.
INLINE uint16_t to_bf16(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

INLINE float from_bf16(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float x;
  memcpy(&x, &u, 4);
  return x;
}

INLINE float quick_gelu(float x) { return x * sigmoid(1.702f * x); }
INLINE float silu(float x) { return x * sigmoid(x); }
INLINE float gelu(float x) { return 0.5f * x * (1.0f + fast_erf(x * 0.70710678f)); }

// gelu_tanh: 0.5 x (1 + tanh(u)) is x sigmoid(2u).
INLINE float gelu_tanh(float x) { return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x)); }

#endif
