#pragma once

#include <ggml-backend.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// eyelet_rpc_interface is the version of libggml's interface of backends, as the CPU's says.
int eyelet_rpc_interface(ggml_backend_dev_t cpu);

// eyelet_rpc_knows tells whether eyelet_rpc_lend may be called with a libggml of that version: it
// reads and changes structures of libggml that no header shows.
bool eyelet_rpc_knows(int interface);

// eyelet_rpc_lend returns a device that computes as libllama does on this machine's CPU: with the
// accelerator, NULL for none, and weights that the CPU backend repacks. There is one, for good.
ggml_backend_dev_t eyelet_rpc_lend(ggml_backend_dev_t cpu, ggml_backend_dev_t accelerator);

// eyelet_rpc_decide says whether weights that are yet to come stay as they are, whatever
// eyeletRPCPrepare would say. It may be called from any thread.
void eyelet_rpc_decide(bool leave);

// eyelet_rpc_tries is how often a weight was repacked, or found to have no other form.
size_t eyelet_rpc_tries(void);

// eyeletRPCPrepare is told the bytes of the matrices, by type, that products will be computed with,
// and reports whether these are best left as they are. Go has it.
bool eyeletRPCPrepare(int64_t *bytes);

#ifdef __cplusplus
}
#endif
