// Measuring paths against ggml's CPU backend on this machine.
#ifndef EYELET_ACCEL_MEASURE_H
#define EYELET_ACCEL_MEASURE_H

#include "accel.h"

namespace eyelet {

// measure fills nanoseconds, round after round, with the time of a product of 2^step rows by each
// path on a team of threads, 0 where a path cannot run it; the entry after the paths is ggml's over
// weights that it has repacked. Paths that are far slower than another are timed twice, and below
// least_rows (choice.h) only ggml's are timed. See accel.h.
bool measure(int type, int step, int threads,
             double nanoseconds[eyelet_accel_rounds][eyelet_accel_paths]);

}  // namespace eyelet
#endif
