#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "attention.h"
#include "fgemm.h"
#include "qgemm.h"

namespace eyelet {
namespace {

#if defined(__x86_64__)
bool has_f16c() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  return has;
}

__attribute__((target("avx2,f16c"))) void floats_of_f16(const uint16_t *from, float *to, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from + i))));
  for (; i < n; i++) to[i] = _cvtsh_ss(from[i]);
}
#endif

bool known(ggml_type type) { return type == GGML_TYPE_F32 || ggml_get_type_traits(type)->to_float != nullptr; }

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
  if (type == GGML_TYPE_F16 && has_f16c()) return floats_of_f16(static_cast<const uint16_t *>(from), to, n);
#endif
  ggml_get_type_traits(type)->to_float(from, to, n);
}

bool can_run(Path path, ggml_type type, int64_t n, int64_t k) {
  if (type < 0 || type >= GGML_TYPE_COUNT || n < 1 || k < 1 || k % ggml_blck_size(type) != 0) return false;
  switch (path) {
    case Path::ggml: return true;
    case Path::integers: return eyelet_qgemm_supports(type, k, n);
    case Path::floats: return (eyelet_fgemm_supports(type, k) || (known(type) && type != GGML_TYPE_F32));
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
  for (size_t i = 0; i < count; i++) {
    const Product &p = products[i];
    if (path == Path::integers) {
      const eyelet_qgemm g = {p.type, p.m, p.n, p.k, p.w, p.w_stride, p.x, p.x_stride, p.y, p.y_stride};
      if (!eyelet_qgemm_run(&g, threads)) return false;
    } else {
      const ggml_type_traits *traits = ggml_get_type_traits(p.type);
      const eyelet_fgemm g = {p.type,    p.m, p.n,        p.k,
                              p.w,       p.w_stride, p.x, p.x_stride,
                              p.y,       p.y_stride, eyelet_fgemm_supports(p.type, p.k) ? nullptr : reinterpret_cast<decltype(eyelet_fgemm::to_float)>(traits->to_float),
                              traits->blck_size, traits->type_size};
      if (!eyelet_fgemm_run(&g, threads)) return false;
    }
  }
  return true;
}

void release_scratch() {
  release_onednn();
  eyelet_qgemm_free();
  eyelet_fgemm_free();
  eyelet_attention_free();
}

}  // namespace eyelet
