// The kernels of few rows, each compiled for every number of rows in a tile, and the function that
// chooses one. A file includes this behind its products multiply_4_k and multiply_6_k, and defines
// before: TARGET, the attribute of its functions; EACH_ROWS, one of qgemm_parts.h; Q4_0 and Q8_0,
// its products of these types.

#define CASE(r, PRODUCT, ...)                                                            \
  case r: PRODUCT(__VA_ARGS__ __VA_OPT__(, ) w, tile, tiles, r, pieces, y, stride); break;
#define KERNEL(NAME, ...)                                                                \
  TARGET static void NAME(const qgemm_weights *w, const char *tile, int tiles, int rows, \
                          int64_t pieces, float *y, size_t stride) {                     \
    switch (rows) { EACH_ROWS(CASE, __VA_ARGS__) }                                       \
  }

KERNEL(few_q4_0, Q4_0)
KERNEL(few_q8_0, Q8_0)
KERNEL(few_q4_k, multiply_4_k, false)
KERNEL(few_q4_k_interleaved, multiply_4_k, true)
KERNEL(few_q6_k, multiply_6_k)

static void multiply(const qgemm_weights *w, const char *tile, int tiles, int r, int64_t pieces,
                     float *y, size_t stride) {
  switch (w->type) {
  case qgemm_q4_0: few_q4_0(w, tile, tiles, r, pieces, y, stride); break;
  case qgemm_q8_0: few_q8_0(w, tile, tiles, r, pieces, y, stride); break;
  case qgemm_q4_k:
    (w->interleaved ? few_q4_k_interleaved : few_q4_k)(w, tile, tiles, r, pieces, y,
                                                           stride);
    break;
  case qgemm_q6_k: few_q6_k(w, tile, tiles, r, pieces, y, stride); break;
  }
}
