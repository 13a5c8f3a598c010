#include "qgemm_dots.h"

#ifdef QGEMM_X86

// By how much the stored bytes of a type are above its values; 0 if there is an offset for that.
static int center(int type) {
  switch (type) {
  case qgemm_q4_0: return 8;
  case qgemm_q5_0: return 16;
  case qgemm_q8_0:
  case qgemm_iq4_nl: return 128;
  default: return 0;
  }
}

qgemm_shape qgemm_dots_shape(int type) {
  return qgemm_layout_of(type) == qgemm_shorts ? (qgemm_shape){32, 32 + 8, qgemm_bytes_offsets + 64}
                                               : qgemm_avx2.shape(type);
}

void qgemm_dots_pack_rows(int type, char *tile, const float *x, size_t stride, int r,
                          int64_t pieces) {
  if (center(type))
    qgemm_avx2_pack_centered(center(type), tile, x, stride, r, pieces);
  else
    qgemm_avx2_pack_rows(type, tile, x, stride, r, pieces);
}

void qgemm_dots_pack_panel(int type, char *panel, const char *const *rows, int64_t first,
                           int64_t pieces) {
  if (qgemm_layout_of(type) == qgemm_shorts)
    qgemm_avx2_pack_signed(type, panel, rows, first, pieces);
  else
    qgemm_avx2_pack_panel(type, panel, rows, first, pieces);
}
#endif
