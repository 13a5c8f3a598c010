// The kernels in plain C: as simple as can be, for processors without others and to compare others
// with.
//
// Of 32 numbers along k, a row of a tile has 32 integers of 16 bits, a scale and the sums of both
// halves; a column of a panel has 32 integers of 16 bits, a scale, and an offset for each half: w =
// scale * q - offset.
#include <math.h>
#include <string.h>

#include "qgemm_parts.h"

typedef struct {
  int16_t q[32];
  float scale, sum[2];
} activations;

typedef struct {
  int16_t q[32];
  float scale, offset[2];
} weights;

// 32 products with weights of up to 4096 fit into 32 bits.
enum { limit = 8191 };

static float half(const uint8_t *p) {
  const int bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31;
  const float fraction = (float)(bits & 1023), sign = bits >> 15 ? -1 : 1;
  if (exponent == 31)
    return fraction > 0 ? NAN : sign * INFINITY;
  return sign * (exponent ? ldexpf(1024 + fraction, exponent - 25) : ldexpf(fraction, -24));
}

// ---- weights ----

// Codes of 4 bits, 16 in the low halves of bytes and 16 in the high ones.
static void nibbles(const uint8_t *p, int16_t *q) {
  for (int i = 0; i < 32; i++)
    q[i] = p[i % 16] >> 4 * (i / 16) & 15;
}

static void fifth(const uint8_t *p, int16_t *q) {
  for (int i = 0; i < 32; i++)
    q[i] |= (p[i / 8] >> i % 8 & 1) << 4;
}

// A block of 32.
static void unpack_small(int type, const uint8_t *b, weights *w) {
  static const int8_t values[16] = {QGEMM_IQ4_NL};
  w->scale = half(b);
  w->offset[0] = 0;
  switch (type) {
  case qgemm_q4_0:
    nibbles(b + 2, w->q);
    w->offset[0] = 8 * w->scale;
    break;
  case qgemm_q4_1:
    nibbles(b + 4, w->q);
    w->offset[0] = -half(b + 2);
    break;
  case qgemm_q5_0:
    nibbles(b + 6, w->q);
    fifth(b + 2, w->q);
    w->offset[0] = 16 * w->scale;
    break;
  case qgemm_q5_1:
    nibbles(b + 8, w->q);
    fifth(b + 4, w->q);
    w->offset[0] = -half(b + 2);
    break;
  case qgemm_q8_0:
    for (int i = 0; i < 32; i++)
      w->q[i] = (int8_t)b[2 + i];
    break;
  case qgemm_iq4_nl:
    nibbles(b + 2, w->q);
    for (int i = 0; i < 32; i++)
      w->q[i] = values[w->q[i]];
    break;
  }
  w->offset[1] = w->offset[0];
}

// Of a block of Q4_K or Q5_K, the group of 32.
static void unpack_45(int type, const uint8_t *b, int group, weights *w) {
  const uint8_t *s = b + 4, *codes = b + (type == qgemm_q4_k ? 16 : 48) + group / 2 * 32;
  const int scale = group < 4 ? s[group] & 63 : (s[group + 4] & 15) | s[group - 4] >> 6 << 4;
  const int offset = group < 4 ? s[group + 4] & 63 : s[group + 4] >> 4 | s[group] >> 6 << 4;
  w->scale = half(b) * scale;
  w->offset[0] = w->offset[1] = half(b + 2) * offset;
  for (int i = 0; i < 32; i++) {
    w->q[i] = codes[i] >> 4 * (group % 2) & 15;
    if (type == qgemm_q5_k)
      w->q[i] |= (b[16 + i] >> group & 1) << 4;
  }
}

// The scales of the others, which are for 16 weights, go into the integers.

static void unpack_2(const uint8_t *b, int group, weights *w) {
  w->scale = half(b + 80);
  for (int i = 0; i < 32; i++) {
    const int s = b[2 * group + i / 16];
    w->q[i] = (b[16 + group / 4 * 32 + i] >> 2 * (group % 4) & 3) * (s & 15);
    w->offset[i / 16] = half(b + 82) * (s >> 4);
  }
}

static void unpack_3(const uint8_t *b, int group, weights *w) {
  w->scale = half(b + 108);
  w->offset[0] = w->offset[1] = 0;
  for (int i = 0; i < 32; i++) {
    const int sub = 2 * group + i / 16;
    const int s = (b[96 + sub % 8] >> sub / 8 * 4 & 15) | (b[104 + sub % 4] >> sub / 4 * 2 & 3)
                                                              << 4;
    const int q = (b[32 + group / 4 * 32 + i] >> 2 * (group % 4) & 3) | (b[i] >> group & 1) << 2;
    w->q[i] = (q - 4) * (s - 32);
  }
}

static void unpack_6(const uint8_t *b, int group, weights *w) {
  w->scale = half(b + 208);
  w->offset[0] = w->offset[1] = 0;
  for (int i = 0; i < 32; i++) {
    const int low = b[group / 4 * 64 + group % 2 * 32 + i] >> group % 4 / 2 * 4 & 15;
    const int high = b[128 + group / 4 * 32 + i] >> 2 * (group % 4) & 3;
    w->q[i] = ((low | high << 4) - 32) * (int8_t)b[192 + 2 * group + i / 16];
  }
}

static void unpack(int type, const uint8_t *row, int64_t piece, weights *w) {
  const int group = piece % 8;
  switch (type) {
  case qgemm_q4_0:
  case qgemm_iq4_nl: unpack_small(type, row + piece * 18, w); break;
  case qgemm_q4_1: unpack_small(type, row + piece * 20, w); break;
  case qgemm_q5_0: unpack_small(type, row + piece * 22, w); break;
  case qgemm_q5_1: unpack_small(type, row + piece * 24, w); break;
  case qgemm_q8_0: unpack_small(type, row + piece * 34, w); break;
  case qgemm_q2_k: unpack_2(row + piece / 8 * 84, group, w); break;
  case qgemm_q3_k: unpack_3(row + piece / 8 * 110, group, w); break;
  case qgemm_q4_k: unpack_45(type, row + piece / 8 * 144, group, w); break;
  case qgemm_q5_k: unpack_45(type, row + piece / 8 * 176, group, w); break;
  case qgemm_q6_k: unpack_6(row + piece / 8 * 210, group, w); break;
  }
}

static void pack_panel(int type, char *panel, const char *const *rows, int64_t first,
                       int64_t pieces) {
  weights *w = (weights *)panel;
  for (int64_t p = first; p < first + pieces; p++)
    for (int c = 0; c < qgemm_columns; c++)
      unpack(type, (const uint8_t *)rows[c], p, w++);
}

// ---- activations ----

static void pack_rows(int type, char *tile, const float *x, size_t stride, int r, int64_t pieces) {
  activations *a = (activations *)tile;
  for (int64_t p = 0; p < pieces; p++)
    for (int i = 0; i < r; i++, a++) {
      const float *from = x + i * stride + 32 * p;
      float most = 0, by;
      for (int j = 0; j < 32; j++)
        if (!(fabsf(from[j]) <= most)) // as a NaN is not
          most = fabsf(from[j]) >= 0 && most == most ? fabsf(from[j]) : NAN;
      qgemm_scale(most, limit, &by, &a->scale);
      int32_t sum[2] = {0};
      for (int j = 0; j < 32; j++) {
        a->q[j] = by > 0 ? (int16_t)lrintf(from[j] * by) : 0;
        sum[j / 16] += a->q[j];
      }
      a->sum[0] = a->scale * sum[0];
      a->sum[1] = a->scale * sum[1];
    }
}

// ---- products ----

static void multiply(int type, const char *tile, int r, const char *panel, int64_t pieces, float *y,
                     size_t stride, bool add) {
  for (int i = 0; i < r; i++)
    for (int c = 0; c < qgemm_columns; c++) {
      const activations *a = (const activations *)tile + i;
      const weights *w = (const weights *)panel + c;
      float sum = 0;
      for (int64_t p = 0; p < pieces; p++, a += r, w += qgemm_columns) {
        int32_t dot = 0;
        for (int j = 0; j < 32; j++)
          dot += a->q[j] * w->q[j];
        sum += w->scale * a->scale * dot - (w->offset[0] * a->sum[0] + w->offset[1] * a->sum[1]);
      }
      float *to = y + i * stride + c;
      *to = sum + (add ? *to : 0);
    }
}

static bool present(void) { return true; }

static qgemm_shape shape(int type) {
  return (qgemm_shape){32, sizeof(activations), qgemm_columns * sizeof(weights)};
}

const qgemm_kernels qgemm_plain = {"plain",    present, 6,        shape, pack_rows,
                                   pack_panel, NULL,    multiply, NULL};
