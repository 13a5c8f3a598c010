#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../cgo/isa/isa.h"
#include "attention.h"
#include "fgemm.h"
#include "qgemm.h"
#include "repack.h"

namespace eyelet {
namespace {

#if defined(__x86_64__)
bool has_f16c() {
  static const bool has = eyelet_isa_allows(eyelet_isa_avx2);
  return has;
}

__attribute__((target("avx2,f16c"))) void floats_of_f16(const uint16_t *from, float *to,
                                                        int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from + i))));
  for (; i < n; i++) to[i] = _cvtsh_ss(from[i]);
}
#endif

bool known(ggml_type type) {
  return type == GGML_TYPE_F32 || ggml_get_type_traits(type)->to_float != nullptr;
}

}  // namespace

const char *name_of(Path path) {
  switch (path) {
    case Path::ggml: return "ggml";
    case Path::integers: return "integers";
    case Path::floats: return "floats";
    case Path::onednn_f32: return "onednn-f32";
    case Path::onednn_bf16: return "onednn-bf16";
  }
  return "unknown";
}

void to_floats(ggml_type type, const void *from, float *to, int64_t n) {
  if (type == GGML_TYPE_F32) {
    __builtin_memcpy(to, from, n * sizeof(float));
    return;
  }
#if defined(__x86_64__)
  if (type == GGML_TYPE_F16 && has_f16c())
    return floats_of_f16(static_cast<const uint16_t *>(from), to, n);
#endif
  ggml_get_type_traits(type)->to_float(from, to, n);
}

bool can_run(Path path, ggml_type type, Layout layout, int64_t n, int64_t k) {
  if (type < 0 || type >= GGML_TYPE_COUNT || n < 1 || k < 1 || k > most_depth ||
      ggml_blck_size(type) < 1 || k % ggml_blck_size(type) != 0)
    return false;
  if (layout == Layout::interleaved)
    return path == Path::ggml ||
           (path == Path::integers && eyelet_qgemm_supports_interleaved(type, k, n));
  switch (path) {
    case Path::ggml: return true;
    case Path::integers: return eyelet_qgemm_supports(type, k, n);
    case Path::floats: return eyelet_fgemm_supports(type, k);
    case Path::onednn_f32: return known(type);
    case Path::onednn_bf16: return known(type) && onednn_has_bf16();
  }
  return false;
}

bool run(Path path, const Product *products, size_t count, int threads) {
  switch (path) {
    case Path::ggml: return false;
    case Path::onednn_f32: return run_onednn(false, products, count, threads);
    case Path::onednn_bf16: return run_onednn(true, products, count, threads);
    case Path::integers:
    case Path::floats: break;
  }
  for (size_t i = 0; i < count; i++)
    if (!(path == Path::integers ? eyelet_qgemm_run : eyelet_fgemm_run)(&products[i], threads))
      return false;
  return true;
}

namespace {

constexpr int64_t most_block = 256;  // weights in a block of any type

// Weights [first, first + count) of a row, which are whole blocks and at most most_block.
void weights_of(const Product &p, int64_t row, int64_t first, int64_t count, float *to) {
  const size_t at = ggml_row_size(p.type, first);
  if (!p.interleaved) {
    to_floats(p.type, static_cast<const char *>(p.w) + row * p.w_stride + at, to, count);
    return;
  }
  alignas(8) char block[most_block];
  interleaved_row(p.type, static_cast<const char *>(p.w) + row / 8 * 8 * p.w_stride + 8 * at,
                  static_cast<int>(row % 8), block);
  to_floats(p.type, block, to, count);
}

}  // namespace

void run_plain(const Product &p, int threads) {
  const int64_t block = ggml_blck_size(p.type), step = most_block / block * block;
#pragma omp parallel for num_threads(threads)
  for (int64_t row = 0; row < p.n; row++) {
    float w[most_block];
    for (int64_t first = 0; first < p.k; first += step) {
      const int64_t count = first + step < p.k ? step : p.k - first;
      weights_of(p, row, first, count, w);
      for (int64_t i = 0; i < p.m; i++) {
        const float *x = p.x + i * p.x_stride + first;
        float sum = first ? p.y[i * p.y_stride + row] : 0;
        for (int64_t j = 0; j < count; j++) sum += w[j] * x[j];
        p.y[i * p.y_stride + row] = sum;
      }
    }
  }
}

void release_scratch() {
  release_onednn();
  eyelet_qgemm_free();
  eyelet_fgemm_free();
  eyelet_attention_free();
}

size_t kept_scratch() {
  return kept_by_onednn() + eyelet_qgemm_kept() + eyelet_fgemm_kept() + eyelet_attention_kept();
}

}  // namespace eyelet
