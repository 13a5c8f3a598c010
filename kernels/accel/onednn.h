// What tests see of the plans that oneDNN's products are computed by (onednn.cc).
#ifndef EYELET_ACCEL_ONEDNN_H
#define EYELET_ACCEL_ONEDNN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// How many plans are kept.
enum { eyelet_onednn_max_plans = 256 };

// How many were made so far: a product of a shape whose plan is kept needs none.
uint64_t eyelet_onednn_plans_made(void);

#ifdef __cplusplus
}
#endif
#endif
