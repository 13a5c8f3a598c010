#pragma once

#include "ggml-backend.h"

// eyelet_rpc_protocol returns the major version of the protocol in libggml's header, -1 without
// that header.
int eyelet_rpc_protocol(void);

// eyelet_rpc_add makes the devices of a server known, and returns them as a registration that is
// not among libggml's own; NULL if the backend cannot.
ggml_backend_reg_t eyelet_rpc_add(ggml_backend_reg_t rpc, const char *endpoint);

// eyelet_rpc_serve serves devices at an IPv4 address and port, and returns only if that cannot
// begin or go on; false if the backend has no server.
bool eyelet_rpc_serve(ggml_backend_reg_t rpc, const char *endpoint, size_t threads, size_t n,
                      ggml_backend_dev_t *devices);
