#pragma once

#include <ggml-backend.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// eyelet_rpc_lend returns a device that computes as libllama does on this machine's CPU: with the
// accelerator, NULL for none, and weights that the CPU backend repacks. There is one, for good;
// NULL if memory is short.
ggml_backend_dev_t eyelet_rpc_lend(ggml_backend_dev_t cpu, ggml_backend_dev_t accelerator);

// eyeletRPCPrepare is told the bytes of the matrices, by type, that products will be computed with,
// and reports whether these are best left as they are. Go has it.
bool eyeletRPCPrepare(int64_t *bytes);

#ifdef __cplusplus
}
#endif
