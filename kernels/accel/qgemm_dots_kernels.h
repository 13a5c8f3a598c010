// The kernels of panels for instructions that add up products of bytes in 32 bits (qgemm_dots.h),
// each compiled for every number of rows in a tile, and the function that chooses one. A file
// includes this behind its products multiply_bytes and multiply_supers, and defines before: TARGET,
// the attribute of its functions; EACH_ROWS, one of qgemm_parts.h.

#define KERNEL(...) QGEMM_KERNEL(TARGET, EACH_ROWS, __VA_ARGS__)
KERNEL(multiply_offset, multiply_bytes, false)
KERNEL(multiply_centered, multiply_bytes, true)
KERNEL(multiply_4_k, multiply_supers, 8, false)
KERNEL(multiply_2_k, multiply_supers, 16, false)
KERNEL(multiply_6_k, multiply_supers, 16, true)

static void multiply(int type, const char *tile, int r, const char *panel, int64_t pieces, float *y,
                     size_t stride, bool add) {
  switch (type) {
  case qgemm_q4_k:
  case qgemm_q5_k: multiply_4_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q2_k: multiply_2_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q3_k:
  case qgemm_q6_k: multiply_6_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q4_1:
  case qgemm_q5_1: multiply_offset(tile, r, panel, pieces, y, stride, add); break;
  default: multiply_centered(tile, r, panel, pieces, y, stride, add);
  }
}
