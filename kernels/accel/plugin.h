// The interface between libggml and a backend library, stated from what libggml 0.27 expects of
// one: Debian's package installs the header for users of backends, not the one for backends. A
// registry begins with the version of the interface; ggml's loader turns away a library of another
// version than its own.
//
// Versions 3 to 6 keep the order of what is used here. Null stands for what a backend may leave
// out, or never meets.
#ifndef EYELET_ACCEL_PLUGIN_H
#define EYELET_ACCEL_PLUGIN_H

#include <ggml-backend.h>
#include <ggml.h>

namespace eyelet {

enum { oldest_interface = 3, newest_interface = 6 };

// What a function of the interface would be that is always left out.
using Unused = void (*)();

struct Backend;
struct Device;
struct Registry;

struct RegistryFunctions {
  const char *(*name)(Registry *);
  size_t (*device_count)(Registry *);
  Device *(*device)(Registry *, size_t index);
  void *(*procedure)(Registry *, const char *name);
};

struct Registry {
  int version;
  RegistryFunctions functions;
  void *context;
};

struct DeviceFunctions {
  const char *(*name)(Device *);
  const char *(*description)(Device *);
  void (*memory)(Device *, size_t *free, size_t *total);
  enum ggml_backend_dev_type (*type)(Device *);
  void (*properties)(Device *, ggml_backend_dev_props *);
  Backend *(*init)(Device *, const char *params);
  ggml_backend_buffer_type_t (*buffer_type)(Device *);
  ggml_backend_buffer_type_t (*host_buffer_type)(Device *);
  ggml_backend_buffer_t (*buffer_from_host_pointer)(Device *, void *, size_t size,
                                                    size_t max_tensor_size);
  bool (*supports_op)(Device *, const ggml_tensor *op);
  bool (*supports_buffer_type)(Device *, ggml_backend_buffer_type_t);
  bool (*offload_op)(Device *, const ggml_tensor *op);
  Unused event_new, event_free, event_synchronize;
};

struct Device {
  DeviceFunctions functions;
  Registry *registry;
  void *context;
};

struct BackendFunctions {
  const char *(*name)(Backend *);
  void (*free)(Backend *);
  Unused set_tensor_async, get_tensor_async, set_tensor_2d_async, get_tensor_2d_async,
      copy_tensor_async;
  void (*synchronize)(Backend *);
  Unused plan_create, plan_free, plan_update, plan_compute;
  ggml_status (*graph_compute)(Backend *, ggml_cgraph *);
  Unused event_record, event_wait, graph_optimize;
};

struct Backend {
  ggml_guid_t identity;
  BackendFunctions functions;
  Device *device;
  void *context;
};

}  // namespace eyelet
#endif
