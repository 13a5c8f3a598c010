// Weights that ggml's CPU backend has repacked for itself while loading them.
#ifndef EYELET_ACCEL_REPACK_H
#define EYELET_ACCEL_REPACK_H

#include <ggml-backend.h>
#include <ggml.h>

#include "product.h"

namespace eyelet {

// layout_of tells how the rows of weights lie in memory; false if that is not known here. Weights
// that no buffer holds yet count as rows.
bool layout_of(const ggml_tensor *w, Layout *layout);

// reads_buffers_of tells whether weights in buffers of a type may be the accelerator's to multiply.
bool reads_buffers_of(ggml_backend_buffer_type_t type);

// reads_repacked tells whether weights of a type can be read once the CPU backend has repacked
// them.
bool reads_repacked(ggml_type type);

// interleaved_row makes a block of 256 weights of one of 8 interleaved rows as it was. group are
// the blocks of all 8, to has room for one.
void interleaved_row(ggml_type type, const void *group, int row, void *to);

}  // namespace eyelet
#endif
