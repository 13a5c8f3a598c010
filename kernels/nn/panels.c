#include "panels.h"

#if defined(__x86_64__)

#include "../../cgo/isa/isa.h"
#include "scalar.h"
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma")))

int nn_panels_supported(void) { return eyelet_isa_allows(eyelet_isa_avx2); }

// Tiles have up to this many rows: with 16 columns, that many rows of sums, a row of weights and
// one number fill the 16 registers.
enum { TILE = 6 };

// Panels are cut into pieces of at most this depth, which stay in the first cache while all rows
// pass by.
// The sums of as many products of integers, 512 * 32767 * 127 and 512 * 8191 * 511, fit in 32 bits.
enum { DEPTH = 256, DEPTH16 = 512 };

static int panels(int n) { return (n + NN_PANEL - 1) / NN_PANEL; }

// pieces cuts n into equal pieces of at most size, and returns how many there are; piece i begins
// at begin(i).
static int pieces(int n, int size) { return (n + size - 1) / size; }
static int begin(int i, int n, int count) { return (int)((int64_t)i * n / count); }

size_t nn_panels_size(int k, int n) { return (size_t)k * panels(n) * NN_PANEL; }

// The pieces of all panels of the same depth stand one after the other.
void nn_panels_pack(float *dst, const float *src, size_t k_stride, size_t n_stride, int k, int n) {
  int depths = pieces(k, DEPTH);
  for (int d = 0; d < depths; d++) {
    int first = begin(d, k, depths), last = begin(d + 1, k, depths);
    for (int p = 0; p < n; p += NN_PANEL, dst += (size_t)(last - first) * NN_PANEL) {
      int columns = n - p < NN_PANEL ? n - p : NN_PANEL;
      if (columns < NN_PANEL)
        memset(dst, 0, sizeof *dst * (last - first) * NN_PANEL);
      for (int j = 0; j < columns; j++)
        for (int i = first; i < last; i++)
          dst[(size_t)(i - first) * NN_PANEL + j] = src[i * k_stride + (p + j) * n_stride];
    }
  }
}

// activate16 applies an activation to 16 numbers.
AVX2_INLINE void activate16(float *x, nn_activation a) {
#define EACH(function)                 \
  _Pragma("omp simd")                  \
  for (int i = 0; i < NN_PANEL; i++)   \
    x[i] = function(x[i])
  switch (a) {
  case NN_QUICK_GELU: EACH(quick_gelu); break;
  case NN_GELU: EACH(gelu); break;
  case NN_GELU_TANH: EACH(gelu_tanh); break;
  case NN_SILU: EACH(silu); break;
  case NN_NONE: break;
  }
#undef EACH
}

AVX2_INLINE void round16(float *x) {
#pragma omp simd
  for (int i = 0; i < NN_PANEL; i++)
    x[i] = from_bf16(to_bf16(x[i]));
}

// step adds the product of a column of a and a row of a panel. (Sums are added to in assembly, as
// below: compilers mix the rows, for which there are no registers.)
AVX2_INLINE void step(int rows, const float *a, size_t lda, const float *b, __m256 sums[TILE][2]) {
  __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
    __m256 x = _mm256_broadcast_ss(a + r * lda);
    __asm__ volatile("vfmadd231ps %1, %2, %0" : "+x"(sums[r][0]) : "x"(b0), "x"(x));
    __asm__ volatile("vfmadd231ps %1, %2, %0" : "+x"(sums[r][1]) : "x"(b1), "x"(x));
  }
}

// tile adds the product of rows of a and a piece of a panel to a tile of c, or to bias where c
// holds nothing yet.
AVX2_INLINE void tile(int rows, const float *a, size_t lda, const float *b, int k, float *c,
                      size_t ldc, int load, const float *bias) {
  __m256 sums[TILE][2];
  __m256 bias0 = bias ? _mm256_loadu_ps(bias) : _mm256_setzero_ps(),
         bias1 = bias ? _mm256_loadu_ps(bias + 8) : _mm256_setzero_ps();
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
    _mm_prefetch((const char *)(c + r * ldc), _MM_HINT_T0); // rows of c lie far apart
    sums[r][0] = bias0;
    sums[r][1] = bias1;
  }
  int i = 0;
  for (; i + 4 <= k; i += 4, a += 4, b += 4 * NN_PANEL) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      step(rows, a + j, lda, b + j * NN_PANEL, sums);
  }
  for (; i < k; i++, a++, b += NN_PANEL)
    step(rows, a, lda, b, sums);
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
    float *to = c + r * ldc;
    _mm256_storeu_ps(to, load ? _mm256_add_ps(sums[r][0], _mm256_loadu_ps(to)) : sums[r][0]);
    _mm256_storeu_ps(to + 8,
                     load ? _mm256_add_ps(sums[r][1], _mm256_loadu_ps(to + 8)) : sums[r][1]);
  }
}

// Tiles are compiled for each number of rows, so that all sums are in registers.
#define EACH_HEIGHT(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)

AVX2 static void tile_of(int rows, const float *a, size_t lda, const float *b, int k, float *c,
                         size_t ldc, int load, const float *bias) {
#define CASE(r) \
  case r: tile(r, a, lda, b, k, c, ldc, load, bias); break;
  switch (rows) { EACH_HEIGHT(CASE) }
#undef CASE
}

AVX2 static void finish_tile(int rows, float *c, size_t ldc, nn_finish f) {
  for (int r = 0; r < rows; r++) {
    activate16(c + r * ldc, f.activation);
    if (f.round)
      round16(c + r * ldc);
  }
}

// copy_tile copies the columns of a tile that c has.
static void copy_tile(float *dst, size_t ldd, const float *src, size_t lds, int rows, int columns) {
  for (int r = 0; r < rows; r++)
    memcpy(dst + r * ldd, src + r * lds, sizeof *dst * columns);
}

// ahead fetches a share of the next piece into the second cache.
static inline void ahead(const void *next, size_t bytes, int share, int shares) {
  for (size_t i = bytes * share / shares / 64 * 64; i < bytes * (share + 1) / shares; i += 64)
    _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

// Rows of a are copied to these many numbers apart: a distance that is no power of two, as far as
// caches care.
enum { COPY_STRIDE = DEPTH + NN_PANEL };

size_t nn_panels_scratch(int m) { return sizeof(float) * m * COPY_STRIDE; }

void nn_panels_run(const float *a, size_t lda, const float *packed, float *c, size_t ldc, int m,
                   int n, int k, nn_finish f, float *scratch) {
  int depths = pieces(k, DEPTH), tiles = pieces(m, TILE), ends = f.activation != NN_NONE || f.round;
  float edge[TILE * NN_PANEL] = {0}, edge_bias[NN_PANEL] = {0};
  for (int d = 0; d < depths; d++) {
    int first = begin(d, k, depths), depth = begin(d + 1, k, depths) - first;
    int load = d > 0 || f.add, last = d == depths - 1;
    copy_tile(scratch, COPY_STRIDE, a + first, lda, m, depth);
    for (int p = 0; p < n; p += NN_PANEL, packed += (size_t)depth * NN_PANEL) {
      int columns = n - p < NN_PANEL ? n - p : NN_PANEL;
      const float *bias = d == 0 && f.bias ? f.bias + p : NULL;
      if (bias && columns < NN_PANEL)
        bias = memcpy(edge_bias, bias, sizeof *bias * columns);
      for (int t = 0; t < tiles; t++) {
        int row = begin(t, m, tiles), rows = begin(t + 1, m, tiles) - row;
        float *to = c + row * ldc + p, *at = columns < NN_PANEL ? edge : to;
        size_t stride = columns < NN_PANEL ? NN_PANEL : ldc;
        ahead(packed + (size_t)depth * NN_PANEL, sizeof *packed * depth * NN_PANEL, t, tiles);
        if (at == edge && load)
          copy_tile(edge, NN_PANEL, to, ldc, rows, columns);
        tile_of(rows, scratch + row * COPY_STRIDE, COPY_STRIDE, packed, depth, at, stride, load,
                bias);
        if (last && ends)
          finish_tile(rows, at, stride, f);
        if (at == edge)
          copy_tile(to, ldc, edge, NN_PANEL, rows, columns);
      }
    }
  }
}

// Two rows of weights and 16 columns stand together, a column after the other: what vpmaddwd takes
// once they are widened.
static int pairs_of(int k) { return (k + 1) / 2; }

static int depths_of(int k) { return pieces(pairs_of(k), DEPTH16 / 2); }

static size_t bytes_of(nn_bits b) { return b == NN_BITS8 ? 1 : 2; }

size_t nn_panels16_size(nn_bits b, int k, int n) {
  return (size_t)pairs_of(k) * 2 * panels(n) * NN_PANEL * bytes_of(b);
}

size_t nn_panels16_scales(int k, int n) { return (size_t)depths_of(k) * panels(n) * NN_PANEL; }

void nn_panels16_pack(nn_bits b, void *dst, float *scales, const float *src, const float *by, int k,
                      int n) {
  int depths = depths_of(k), pairs = pairs_of(k);
  memset(dst, 0, nn_panels16_size(b, k, n));
  memset(scales, 0, sizeof *scales * nn_panels16_scales(k, n));
  for (int j = 0; j < n; j++, src += k) {
    size_t panel = j / NN_PANEL;
    for (int d = 0; d < depths; d++) {
      int first = begin(d, pairs, depths) * 2, last = begin(d + 1, pairs, depths) * 2;
      last = last > k ? k : last;
      int16_t quants[DEPTH16];
      scales[(panel * depths + d) * NN_PANEL + j % NN_PANEL] = nn_rows()->quantize_piece(
          quants, src + first, by + first, last - first, nn_largest_weight(b));
      size_t to = (panel * pairs * 2 + first) * NN_PANEL + j % NN_PANEL * 2;
      for (int i = 0; i < last - first; i++, to += i % 2 ? 1 : 2 * NN_PANEL - 1)
        if (b == NN_BITS8)
          ((int8_t *)dst)[to] = (int8_t)quants[i];
        else
          ((int16_t *)dst)[to] = quants[i];
    }
  }
}

// widen makes 16-bit numbers of a piece of a panel.
AVX2 static void widen(int16_t *dst, const int8_t *src, int n) {
  for (int i = 0; i < n; i += 16)
    _mm256_store_si256((__m256i *)(dst + i),
                       _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(src + i))));
}

AVX2_INLINE __m256i broadcast2(const int16_t *p) {
  int32_t v;
  memcpy(&v, p, sizeof v);
  return _mm256_set1_epi32(v);
}

// step16 adds the product of two columns of a and two rows of a panel. With VNNI, an instruction
// does what takes two without.
AVX2_INLINE void step16(int rows, int vnni, const int16_t *a, size_t lda, const int16_t *b,
                       __m256i sums[TILE][2]) {
  const __m256i *w = (const __m256i *)b;
  __m256i b0 = _mm256_load_si256(w), b1 = _mm256_load_si256(w + 1);
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
    __m256i x = broadcast2(a + r * lda);
    if (vnni) {
      __asm__ volatile("%{evex%} vpdpwssd %1, %2, %0" : "+x"(sums[r][0]) : "x"(b0), "x"(x));
      __asm__ volatile("%{evex%} vpdpwssd %1, %2, %0" : "+x"(sums[r][1]) : "x"(b1), "x"(x));
      continue;
    }
    __m256i p0 = _mm256_madd_epi16(x, b0), p1 = _mm256_madd_epi16(x, b1);
    __asm__ volatile("vpaddd %1, %0, %0" : "+x"(sums[r][0]) : "x"(p0));
    __asm__ volatile("vpaddd %1, %0, %0" : "+x"(sums[r][1]) : "x"(p1));
  }
}

// tile16 adds the product of rows of a and a piece of a panel in 16 bits, scaled, to a tile of
// sums, or sets the tile where load is 0.
AVX2_INLINE void tile16(int rows, int vnni, const int16_t *a, size_t lda, const int16_t *b,
                        int pairs, const float *scales, float *c, int load) {
  __m256i sums[TILE][2];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
    sums[r][0] = sums[r][1] = _mm256_setzero_si256();
  int i = 0;
  for (; i + 4 <= pairs; i += 4, a += 8, b += 8 * NN_PANEL) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      step16(rows, vnni, a + 2 * j, lda, b + 2 * j * NN_PANEL, sums);
  }
  for (; i < pairs; i++, a += 2, b += 2 * NN_PANEL)
    step16(rows, vnni, a, lda, b, sums);
  __m256 s0 = _mm256_loadu_ps(scales), s1 = _mm256_loadu_ps(scales + 8);
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++, c += NN_PANEL) {
    __m256 y0 = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][0]), s0),
           y1 = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][1]), s1);
    _mm256_storeu_ps(c, load ? _mm256_add_ps(y0, _mm256_loadu_ps(c)) : y0);
    _mm256_storeu_ps(c + 8, load ? _mm256_add_ps(y1, _mm256_loadu_ps(c + 8)) : y1);
  }
}

AVX2 static void tile16_of(int rows, int vnni, const int16_t *a, size_t lda, const int16_t *b,
                           int pairs, const float *scales, float *c, int load) {
#define CASE(r) \
  case r: tile16(r, 0, a, lda, b, pairs, scales, c, load); return;
#define CASE_VNNI(r) \
  case r: tile16(r, 1, a, lda, b, pairs, scales, c, load); return;
  if (vnni)
    switch (rows) { EACH_HEIGHT(CASE_VNNI) }
  switch (rows) { EACH_HEIGHT(CASE) }
#undef CASE
#undef CASE_VNNI
}

// finish16 takes the sums of m rows of a panel to c.
AVX2 static void finish16(const float *sums, const nn_range *rows, float *c, size_t ldc, int m,
                         int columns, nn_finish f) {
  float bias[NN_PANEL] = {0}, y[NN_PANEL];
  if (f.bias)
    memcpy(bias, f.bias, sizeof *bias * columns);
  for (int r = 0; r < m; r++, sums += NN_PANEL, c += ldc) {
    float scale = rows[r].scale;
#pragma omp simd
    for (int i = 0; i < NN_PANEL; i++)
      y[i] = scale * sums[i] + bias[i];
    activate16(y, f.activation);
    if (f.round)
      round16(y);
    if (columns < NN_PANEL) {
      for (int i = 0; i < columns; i++)
        c[i] = f.add ? c[i] + y[i] : y[i];
      continue;
    }
    if (f.add)
#pragma omp simd
      for (int i = 0; i < NN_PANEL; i++)
        y[i] += c[i];
    memcpy(c, y, sizeof y);
  }
}

// A widened piece, which stays in the first cache, and the sums of a panel.
enum { WIDE = DEPTH16 * NN_PANEL };

size_t nn_panels16_scratch(int m) {
  return sizeof(int16_t) * WIDE + sizeof(float) * m * NN_PANEL;
}

void nn_panels16_run(nn_bits b, const int16_t *a, size_t lda, const nn_range *rows,
                     const void *packed, const float *scales, float *c, size_t ldc, int m, int n,
                     int k, nn_finish f, void *scratch) {
  int pairs = pairs_of(k), depths = depths_of(k), tiles = pieces(m, TILE);
  int vnni = eyelet_isa_allows(eyelet_isa_vnni);
  int16_t *wide = scratch;
  float *sums = (float *)(wide + WIDE);
  const char *next = packed;
  for (int p = 0; p < n; p += NN_PANEL) {
    for (int d = 0; d < depths; d++, scales += NN_PANEL) {
      int first = begin(d, pairs, depths), depth = begin(d + 1, pairs, depths) - first;
      size_t bytes = bytes_of(b) * depth * 2 * NN_PANEL;
      const int16_t *piece = (const int16_t *)next;
      if (b == NN_BITS8) {
        widen(wide, (const int8_t *)next, bytes);
        piece = wide;
      }
      next += bytes;
      for (int t = 0; t < tiles; t++) {
        int row = begin(t, m, tiles), height = begin(t + 1, m, tiles) - row;
        ahead(next, bytes, t, tiles);
        tile16_of(height, vnni, a + row * lda + 2 * first, lda, piece, depth, scales,
                  sums + row * NN_PANEL, d > 0);
      }
    }
    nn_finish g = f;
    g.bias = f.bias ? f.bias + p : NULL;
    finish16(sums, rows, c + p, ldc, m, n - p < NN_PANEL ? n - p : NN_PANEL, g);
  }
}

#else // other processors have no panels, and nothing of this is called there

int nn_panels_supported(void) { return 0; }
size_t nn_panels_size(int k, int n) { return 0; }
void nn_panels_pack(float *dst, const float *src, size_t k_stride, size_t n_stride, int k, int n) {}
size_t nn_panels_scratch(int m) { return 0; }
void nn_panels_run(const float *a, size_t lda, const float *packed, float *c, size_t ldc, int m,
                   int n, int k, nn_finish f, float *scratch) {}
size_t nn_panels16_size(nn_bits b, int k, int n) { return 0; }
size_t nn_panels16_scales(int k, int n) { return 0; }
void nn_panels16_pack(nn_bits b, void *dst, float *scales, const float *src, const float *by, int k,
                      int n) {}
size_t nn_panels16_scratch(int m) { return 0; }
void nn_panels16_run(nn_bits b, const int16_t *a, size_t lda, const nn_range *rows,
                     const void *packed, const float *scales, float *c, size_t ldc, int m, int n,
                     int k, nn_finish f, void *scratch) {}

#endif
