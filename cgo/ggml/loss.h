#ifndef EYELET_GGML_LOSS_H
#define EYELET_GGML_LOSS_H

#include <ggml-backend.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// eyelet_device_answers computes something small on a device, and waits for it. It returns false
// where that fails, and writes what C++ threw to err.
bool eyelet_device_answers(ggml_backend_dev_t dev, char *err, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
