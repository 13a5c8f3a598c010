// Products of quantized weights and float activations, for batches of rows.
//
// The weights are rows of ggml's blocks as they lie in memory. A panel of 16 of them at a time is
// unpacked into integers that lie as the instructions want them, and used for all rows of x. The
// activations are rounded to integers: where blocks have 256 weights, to 8 bits with a scale for
// each 256 of a row, as ggml's CPU backend rounds them; where they have 32, with a scale for each
// 32, to 8 bits as ggml does, or, for weights of 8 bits (Q8_0, IQ4_NL) on processors without VNNI,
// to 16.
#ifndef EYELET_QGEMM_H
#define EYELET_QGEMM_H

#include "matrices.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether eyelet_qgemm_run takes such weights: of a type it knows, in whole blocks.
bool eyelet_qgemm_supports(int ggml_type, int64_t k, int64_t n);

// Whether eyelet_qgemm_run takes such weights interleaved.
bool eyelet_qgemm_supports_interleaved(int ggml_type, int64_t k, int64_t n);

// The most rows for which there is a kernel of few rows here for weights of a type, interleaved or
// as they lie in the file, whose result for a row does not depend on the others; 0 if there is
// none.
int eyelet_qgemm_few_rows(int ggml_type, bool interleaved);

// The least of these numbers among the types below a number that have such a kernel for weights as
// they lie in the file; 0 if none has.
int eyelet_qgemm_least_few_rows(int ggml_types);

// Computes the product on a team of threads of its own. Returns false, with nothing written, if the
// functions above would or memory is short. An infinity or a NaN in a row of x makes the whole row
// of y NaN. One call at a time: others wait.
bool eyelet_qgemm_run(const struct eyelet_matrices *g, int threads);

// The instructions that eyelet_qgemm_run uses here: "vnni", "avxvnni", "avx2" or "plain".
const char *eyelet_qgemm_isa(void);

// Makes eyelet_qgemm_run use other instructions, for tests; NULL for the best. Returns false if the
// processor lacks them.
bool eyelet_qgemm_use(const char *isa);

// The same, also where the processor lacks them, for tests that emulate instructions. Returns false
// if there is no such set.
bool eyelet_qgemm_use_emulated(const char *isa);

// Frees the scratch memory, which eyelet_qgemm_run otherwise keeps: some 16 MiB, and 40 KiB a
// thread; more if k is above a million.
void eyelet_qgemm_free(void);

// The bytes of that memory now.
size_t eyelet_qgemm_kept(void);

#ifdef __cplusplus
}
#endif
#endif
