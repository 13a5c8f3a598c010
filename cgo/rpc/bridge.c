#include "bridge.h"

#if defined __has_include
#if __has_include("ggml-rpc.h")
#include "ggml-rpc.h"
#endif
#endif

int eyelet_rpc_protocol(void) {
#ifdef RPC_PROTO_MAJOR_VERSION
  return RPC_PROTO_MAJOR_VERSION;
#else
  return -1;
#endif
}

ggml_backend_reg_t eyelet_rpc_add(ggml_backend_reg_t rpc, const char *endpoint) {
  ggml_backend_reg_t (*add)(const char *) = (ggml_backend_reg_t (*)(
      const char *))ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_add_server");
  return add == NULL ? NULL : add(endpoint);
}

bool eyelet_rpc_serve(ggml_backend_reg_t rpc, const char *endpoint, size_t threads, size_t n,
                      ggml_backend_dev_t *devices) {
  void (*start)(const char *, const char *, size_t, size_t, ggml_backend_dev_t *) =
      (void (*)(const char *, const char *, size_t, size_t, ggml_backend_dev_t *))
          ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_start_server");
  if (start == NULL) return false;
  start(endpoint, NULL, threads, n, devices);
  return true;
}
