// Products, in float32, of float activations and weights that are floats, or that ggml converts to
// floats.
//
// Rows of weights are widened to float32 a block at a time, and never transposed: it is x, which
// has fewer rows, that is packed into panels (fgemm_parts.h). The blocks follow the caches, as in
// K. Goto, R. van de Geijn, Anatomy of high-performance matrix multiplication (2008), and F. Van
// Zee, R. van de Geijn, BLIS (2015).
#ifndef EYELET_FGEMM_H
#define EYELET_FGEMM_H

#include "matrices.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether eyelet_fgemm_run takes such weights.
bool eyelet_fgemm_supports(enum ggml_type type, int64_t k);

// Computes the product on a team of threads of its own. Returns false, with nothing written, if it
// does not take such weights or memory is short. One call at a time.
bool eyelet_fgemm_run(const struct eyelet_matrices *g, int threads);

// The instructions that eyelet_fgemm_run uses here: "avx512", "avx2" or "plain".
const char *eyelet_fgemm_isa(void);

// Makes eyelet_fgemm_run use other instructions, for tests; NULL for the best. Returns false if the
// processor lacks them.
bool eyelet_fgemm_use(const char *isa);

// Frees the scratch memory, which eyelet_fgemm_run otherwise keeps: at most some 16 MiB, and 640
// KiB a thread.
void eyelet_fgemm_free(void);

// The bytes of that memory now.
size_t eyelet_fgemm_kept(void);

#ifdef __cplusplus
}
#endif
#endif
