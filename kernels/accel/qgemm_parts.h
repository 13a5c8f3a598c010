// What the parts of qgemm share: the types, and the functions that differ from one set of
// instructions to another.
#ifndef EYELET_QGEMM_PARTS_H
#define EYELET_QGEMM_PARTS_H

#include "qgemm.h"

enum {
  qgemm_most = 12,    // rows of x in a tile of any kernels, at most
  qgemm_columns = 16, // of y in a panel, which are rows of w
};

// The types of ggml that are known here, with ggml's numbers.
enum {
  qgemm_q4_0 = 2,
  qgemm_q4_1 = 3,
  qgemm_q5_0 = 6,
  qgemm_q5_1 = 7,
  qgemm_q8_0 = 8,
  qgemm_q2_k = 10,
  qgemm_q3_k = 11,
  qgemm_q4_k = 12,
  qgemm_q5_k = 13,
  qgemm_q6_k = 14,
  qgemm_iq4_nl = 20
};

// How tiles of rows and panels are cut along k.
typedef struct {
  int depth;    // numbers along k in a piece: 32, or 256 for the types whose blocks have as many
  size_t row;   // bytes of a piece of one row of a tile
  size_t panel; // bytes of a piece of a panel, a multiple of 64
} qgemm_shape;

struct qgemm_few;

typedef struct {
  const char *name;
  bool (*present)(void);
  int rows; // of x in a tile, at most
  qgemm_shape (*shape)(int type);
  // Packs a number of pieces of r rows of x.
  void (*pack_rows)(int type, char *tile, const float *x, size_t stride, int r, int64_t pieces);
  // Packs pieces [first, first + pieces) of 16 rows of weights; rows points at them, the last
  // repeated where there are fewer. Of types with blocks of 256, it is given whole blocks.
  void (*pack_panel)(int type, char *panel, const char *const *rows, int64_t first, int64_t pieces);
  // The same of two groups of 8 interleaved rows; NULL if there is no such function.
  void (*pack_interleaved)(int type, char *panel, const char *const groups[2], int64_t first,
                           int64_t pieces);
  // The product of a tile of r rows and a panel. Adds to y, or sets it.
  void (*multiply)(int type, const char *tile, int r, const char *panel, int64_t pieces, float *y,
                   size_t stride, bool add);
  const struct qgemm_few *few; // for few rows (qgemm_few.h); NULL if there are none
} qgemm_kernels;

extern const qgemm_kernels qgemm_plain;
#if defined(__x86_64__) && defined(__GNUC__)
#define QGEMM_X86 1
extern const qgemm_kernels qgemm_avx2, qgemm_avxvnni, qgemm_vnni;
#endif

// The values of IQ4_NL's 16 codes.
#define QGEMM_IQ4_NL -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113

// Kernels are compiled for each number of rows in a tile, so that all sums are in registers:
// QGEMM_ROWS_6(CASE, ...) is CASE(1, ...) to CASE(6, ...).
#define QGEMM_ROWS_6(CASE, ...)                                                        \
  CASE(1, __VA_ARGS__) CASE(2, __VA_ARGS__) CASE(3, __VA_ARGS__) CASE(4, __VA_ARGS__)  \
  CASE(5, __VA_ARGS__) CASE(6, __VA_ARGS__)
#define QGEMM_ROWS_8(CASE, ...)                                                        \
  QGEMM_ROWS_6(CASE, __VA_ARGS__) CASE(7, __VA_ARGS__) CASE(8, __VA_ARGS__)
#define QGEMM_ROWS_12(CASE, ...)                                                       \
  QGEMM_ROWS_8(CASE, __VA_ARGS__) CASE(9, __VA_ARGS__) CASE(10, __VA_ARGS__)           \
  CASE(11, __VA_ARGS__) CASE(12, __VA_ARGS__)

// Sets what to multiply numbers of magnitudes up to most by, for integers up to limit, and what
// these stand for. Of numbers so small that the factor would overflow nothing is left; where there
// is an infinity or a NaN the product becomes a NaN.
static inline void qgemm_scale(float most, float limit, float *by, float *scale) {
  const bool finite = most <= 0x1.fffffep127f, counts = finite && most > 1e-34f;
  *by = counts ? limit / most : 0;
  *scale = counts ? most / limit : finite ? 0 : __builtin_nanf("");
}

#endif
