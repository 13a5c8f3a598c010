// The loops of patch.c, which loops.h of cgo/isa compiles for each level of instruction sets.

TARGET static void LEVEL(fill_f32)(float *restrict dst, const uint8_t *restrict pixels,
                                   const int16_t *restrict centre, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = (float)(pixels[i] - centre[i]);
}

// The differences are integers of at most 8 bits and a sign, which bfloat16 holds exactly: cutting
// off is no rounding.
TARGET static void LEVEL(fill_bf16)(uint16_t *restrict dst, const uint8_t *restrict pixels,
                                    const int16_t *restrict centre, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) {
    float f = (float)(pixels[i] - centre[i]);
    uint32_t u;
    memcpy(&u, &f, 4);
    dst[i] = (uint16_t)(u >> 16);
  }
}

TARGET static void LEVEL(add)(float *restrict dst, const float *restrict a, const float *restrict b,
                              int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = a[i] + b[i];
}

static const loops LEVEL(loops) = {LEVEL(fill_f32), LEVEL(fill_bf16), LEVEL(add)};
