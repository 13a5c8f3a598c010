// Panels from weights that ggml's CPU backend has repacked for itself while loading.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include "qgemm_avx2_interleaved.h"

// Packs one group as half of a piece of a panel.
INLINE void pack_group(char *to, const char *from) {
  const __m256i low = _mm256_set1_epi8(15);
  // 8 codes of a row have the weights 8 chunk, and 32 behind those in their upper halves
  for (int chunk = 0; chunk < 16; chunk++) {
    const int step = chunk / 4 * 16 + chunk % 4 * 2;
    __m256i v[2];
    two_steps(from + codes_at + 64 * chunk, v, v + 1);
    for (int i = 0; i < 2; i++) {
      store(to + 64 * (step + i), _mm256_and_si256(v[i], low));
      store(to + 64 * (step + i + 8), _mm256_and_si256(_mm256_srli_epi16(v[i], 4), low));
    }
  }
  put_scales_interleaved(to + qgemm_supers_scales, from);
}

AVX2 void qgemm_avx2_pack_interleaved(int type, char *panel, const char *const groups[2],
                                      int64_t first, int64_t pieces) {
  (void)type; // Q4_K, see eyelet_qgemm_supports_interleaved
  for (int64_t p = first; p < first + pieces; p++, panel += qgemm_supers_scales + 12 * 64 + 128)
    for (int half = 0; half < 2; half++)
      pack_group(panel + 32 * half, groups[half] + p * group_bytes);
}
#endif
