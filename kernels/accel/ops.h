// The operations of a ggml graph that the accelerator computes.
#ifndef EYELET_ACCEL_OPS_H
#define EYELET_ACCEL_OPS_H

#include <ggml.h>

namespace eyelet {

// takes tells whether the accelerator computes an operation, by its shapes and types alone: it may
// be asked before there is any data. It may be called from several threads.
bool takes(const ggml_tensor *op);

// starve lets compute do without memory from now on, for tests.
void starve(bool on);

// compute computes an operation that takes has taken, on a team of threads.
bool compute(ggml_tensor *op, int threads);

}  // namespace eyelet
#endif
